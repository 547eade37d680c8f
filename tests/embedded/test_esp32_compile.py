# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Every C file of the ESP32's firmware that is ours compiles for both of its instruction sets, RV32
# (C3) and Xtensa (ESP32, S3), without a warning: against lwIP 2.2.1 and MicroPython 1.25 as they
# are and stand-ins for ESP-IDF's headers. And a configuration that would break it is refused by
# name.
# cpython-only: cross compilers

import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from _esp32 import (
    MODULES,
    MPY,
    OBJTYPE,
    PORT,
    STUB,
    generated,
    includes,
    need,
    node_sources,
    run,
    sources,
)

GCC = ("riscv64-unknown-elf-gcc", "gcc-riscv64-unknown-elf")
PICOLIBC = "/usr/lib/picolibc/riscv64-unknown-elf/include"
# ESP-IDF's own: -Wall and -Wextra without those of MicroPython's headers and style.
WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-unused-parameter",
    "-Wno-sign-compare",
    "-Wno-missing-field-initializers",
]


def flags(folder, board, chip):
    """As in the firmware's build."""
    defines = ["ZT_BOARD=1", "CONFIG_IDF_TARGET_%s=1" % chip.upper(), "FFCONF_H=0"]
    defines.append("CONFIG_IDF_TARGET_ARCH_%s=1" % ("RISCV" if chip == "esp32c3" else "XTENSA"))
    where = [os.path.join(PORT, "boards", board), folder, MPY, os.path.join(MPY, "ports", "esp32")]
    old = "-I" + os.path.join(STUB, "lwip_2_1")
    return ["-D" + d for d in defines] + [old] + includes() + ["-I" + w for w in where]


def rv32(folder):
    need(GCC)
    machine = ["-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs", "-std=gnu17", "-Os"]
    more = flags(folder, "ZT_ESP32_C3", "esp32c3")
    generated(folder, more)
    common = [GCC[0], *machine, *WARNINGS, *more]

    def compile(path, out, *more):
        run([*common, *more, "-c", "-o", out, path])

    return compile


def xtensa(folder):
    import core_machines

    try:
        llvm = core_machines.llvm()
    except core_machines.Missing as e:
        pytest.skip("needs the Debian packages %s" % e)
    if not os.path.isdir(PICOLIBC):
        pytest.skip("needs the Debian package picolibc-riscv64-unknown-elf")
    front = ["--target=xtensa", "-femulated-tls", "-nostdlibinc", "-isystem", PICOLIBC]
    front += ["-std=gnu17", "-Os"]
    more = flags(folder, "ZT_ESP32_S3", "esp32s3")
    generated(folder, more)
    common = [llvm["clang"], *front, *WARNINGS, *more]
    back = ["-mtriple=xtensa", "-mcpu=esp32", "-O2", "-filetype=asm"]

    def compile(path, out, *more):
        run([*common, *more, "-Wno-override-module", "-emit-llvm", "-c", "-o", out + ".bc", path])
        run([llvm["llc"], *back, "-o", out + ".s", out + ".bc"])

    return compile


def compile_all(compile, folder):
    files = sources()
    outs = [os.path.join(folder, "%d.o" % i) for i in range(len(files))]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(compile, files, outs))
    assert len(files) > 35


def test_every_file_compiles_for_the_c3(tmp_path):
    folder = str(tmp_path)
    compile_all(rv32(folder), folder)


def test_every_file_compiles_for_the_esp32_and_s3(tmp_path):
    folder = str(tmp_path)
    compile_all(xtensa(folder), folder)


def test_a_class_in_flash_is_left_alone_by_what_derives_from_it(tmp_path):
    """MicroPython's objtype.c with our header: the mark is set only where it is not, and another
    text than 1.25's does not compile."""
    folder = str(tmp_path)
    header = ["-include", os.path.join(MODULES, "ztrom", "zt_objtype.h")]
    for made in (rv32, xtensa):
        compile = made(folder)
        compile(OBJTYPE, os.path.join(folder, "objtype.o"), *header)
    with open(OBJTYPE) as f:
        text = f.read()
    path = os.path.join(folder, "objtype.c")
    with open(path, "w") as f:
        f.write("\n" + text)
    with pytest.raises(AssertionError, match="ZT_OBJTYPE_1098"):
        rv32(folder)(path, os.path.join(folder, "objtype.o"), *header)


def test_a_name_that_lwip_or_micropython_does_not_have_is_noticed(tmp_path):
    folder = str(tmp_path)
    compile = rv32(folder)
    path = os.path.join(folder, "wrong.c")
    with open(os.path.join(PORT, "zt_pump_esp32.c")) as f:
        text = f.read()
    for wrong in ("mp_sched_schedule_nodes(", "esp_timer_stopped(", "zt_pump_overdue("):
        right = {"nodes(": "node(", "stopped(": "stop(", "overdue(": "due("}
        good = next(wrong.replace(k, right[k]) for k in right if wrong.endswith(k))
        assert good in text
        with open(path, "w") as f:
            f.write(text.replace(good, wrong))
        with pytest.raises(AssertionError, match="implicit"):
            compile(path, os.path.join(folder, "wrong.o"))


def test_a_configuration_that_breaks_an_interface_stops_the_build(tmp_path):
    need(GCC)
    path = os.path.join(PORT, "zt_hal_esp32.c")
    assert path in node_sources()
    with open(os.path.join(STUB, "config", "sdkconfig.h")) as f:
        good = f.read()
    locking = "CONFIG_LWIP_TCPIP_CORE_LOCKING"
    guessed = "CONFIG_LWIP_HOOK_TCP_ISN_NONE"
    changes = [
        ("CONFIG_LWIP_PPP_SUPPORT 1", "CONFIG_LWIP_PPP_SUPPORT 0", "CONFIG_LWIP_PPP_SUPPORT"),
        ("CONFIG_LWIP_IPV6 1", "CONFIG_LWIP_IPV6 0", "CONFIG_LWIP_IPV6"),
        ("NUM_ADDRESSES 6", "NUM_ADDRESSES 2", "CONFIG_LWIP_IPV6_NUM_ADDRESSES"),
        ("STACK_SIZE 7680", "STACK_SIZE 3072", "CONFIG_LWIP_TCPIP_TASK_STACK_SIZE"),
        ("UDP_PCBS 24", "UDP_PCBS 8", "CONFIG_LWIP_MAX_UDP_PCBS"),
        ("IP6_ROUTE_CUSTOM 1", "IP6_ROUTE_CUSTOM 0", "CONFIG_LWIP_HOOK_IP6_ROUTE_CUSTOM"),
        ("IP6_INPUT_CUSTOM 1", "IP6_INPUT_CUSTOM 0", "CONFIG_LWIP_HOOK_IP6_INPUT_CUSTOM"),
        ("#endif", "#define %s 1\n#endif" % locking, locking),
        ("#endif", "#define CONFIG_BT_ENABLED 1\n#endif", "CONFIG_BT_ENABLED"),
        ("#endif", "#define %s 1\n#endif" % guessed, guessed),
    ]
    for old, new, named in changes:
        assert old in good
        with open(str(tmp_path / "sdkconfig.h"), "w") as f:
            f.write(good.replace(old, new))
        command = [GCC[0], "-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs"]
        command += ["-fsyntax-only", "-I" + str(tmp_path)]
        command += [*flags(str(tmp_path), "ZT_ESP32_C3", "esp32c3"), path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert re.search('#error ".*%s' % named, done.stderr), (named, done.stderr)
