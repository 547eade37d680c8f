# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The board definitions of the ESP32's port, without the SDK: MicroPython's own cmake files read
# them, every fragment of the configuration exists and says what the node needs, partitions add up,
# and what is missing on a machine is named.
# cpython-only: cmake

import json
import os
import re
import subprocess

from _esp32 import (
    BINDINGS,
    BOARDS,
    MODULES,
    MPY,
    NETIF,
    PORT,
    TOP,
    core_sources,
    need,
    node_sources,
    run,
    sources,
    write,
)

CHIPS = {"ZT_ESP32": "esp32", "ZT_ESP32_C3": "esp32c3", "ZT_ESP32_S3": "esp32s3"}
FLASH = {"FLASH_4M": 4, "PSRAM_OCT_16M": 16}
KEY = re.compile(r'CONFIG_[A-Z0-9_]+=(y|n|-?[0-9]+|0x[0-9a-fA-F]+|"[^"]*")?')
TABLE_AT = 0x8000


def variants(board):
    found = [None]
    for name in sorted(os.listdir(os.path.join(PORT, "boards", board))):
        m = re.fullmatch(r"mpconfigvariant_(\w+)\.cmake", name)
        if m:
            found.append(m.group(1))
    return found


def every():
    return [(b, v) for b in BOARDS for v in variants(b)]


def configured(folder, board, variant):
    """What upstream's CMakeLists.txt gets to see, as {variable: list}."""
    where = os.path.join(PORT, "boards", board)
    names = ("IDF_TARGET", "SDKCONFIG_DEFAULTS", "USER_C_MODULES", "MICROPY_FROZEN_MANIFEST")
    names += ("MICROPY_MANIFEST_ZT_TOP", "MICROPY_DEF_BOARD")
    lines = ['include("%s/mpconfigboard.cmake")' % where]
    if variant:
        lines.append('include("%s/mpconfigvariant_%s.cmake")' % (where, variant))
    lines += ['message(STATUS "%s=${%s}")' % (n, n) for n in names]
    write(folder, "board.cmake", lines)
    said = run(["cmake", "-P", "board.cmake"], cwd=folder)
    return {n: re.search(r"^-- %s=(.*)$" % n, said, re.M).group(1).split(";") for n in names}


def fragment(path):
    """{key: value} of one file of settings; what is no setting is refused."""
    settings = {}
    with open(path if os.path.isabs(path) else os.path.join(MPY, "ports", "esp32", path)) as f:
        for line in f.read().splitlines():
            if line.strip() and not line.startswith("#"):
                assert KEY.fullmatch(line.strip()), (path, line)
                key, value = line.strip().split("=", 1)
                assert not path.startswith(PORT) or key not in settings, (path, key)
                settings[key] = value
    return settings


def settings_of(config):
    merged = {}
    for path in config["SDKCONFIG_DEFAULTS"]:
        merged.update(fragment(path))
    return merged


def partitions(path):
    rows = []
    with open(path) as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                name, kind, subtype, offset, size = [x.strip() for x in line.split(",")][:5]
                rows.append((name, kind, subtype, int(offset, 0), int(size, 0)))
    return rows


def check_table(rows, flash):
    """The rules of ESP-IDF's own generator, and ours: two slots of one size, no hole."""
    at = TABLE_AT + 0x1000
    for name, kind, _, offset, size in rows:
        assert offset == at, name
        assert size > 0 and offset % 0x1000 == 0 and size % 0x1000 == 0, name
        assert kind != "app" or offset % 0x10000 == 0, name
        at = offset + size
    assert at == flash
    slots = [r for r in rows if r[1] == "app"]
    assert [s[2] for s in slots] == ["ota_0", "ota_1"]
    assert slots[0][4] == slots[1][4] >= 0x1A0000
    found = {r[0]: r for r in rows}
    assert found["otadata"][2] == "ota" and found["otadata"][4] == 0x2000
    assert found["nvs"][2] == "nvs" and found["nvs"][4] >= 0x4000
    assert found["phy_init"][2] == "phy"
    assert found["vfs"][1:3] == ("data", "fat")  # the names MicroPython's start looks for


def test_every_board_is_read_by_cmake_and_points_at_what_exists(tmp_path):
    need(("cmake", "cmake"))
    for board, variant in every():
        config = configured(str(tmp_path), board, variant)
        assert config["IDF_TARGET"] == [CHIPS[board]]
        assert config["MICROPY_MANIFEST_ZT_TOP"] == [TOP]
        assert "ZT_BOARD=1" in config["MICROPY_DEF_BOARD"]
        for name in ("USER_C_MODULES", "MICROPY_FROZEN_MANIFEST"):
            assert os.path.exists(config[name][0]), name
        text = open(os.path.join(PORT, "boards", board, "mpconfigboard.h")).read()
        assert os.path.exists(os.path.join(PORT, "boards", board, "../../zt_board.h"))
        assert '#include "../../zt_board.h"' in text


def test_the_merged_settings_are_what_a_node_needs(tmp_path):
    need(("cmake", "cmake"))
    for board, variant in every():
        merged = settings_of(configured(str(tmp_path), board, variant))
        assert int(merged["CONFIG_LWIP_TCPIP_TASK_STACK_SIZE"]) >= 7680
        assert int(merged["CONFIG_LWIP_MAX_UDP_PCBS"]) >= 16
        on = ("LWIP_PPP_SUPPORT", "LWIP_IPV6", "BOOTLOADER_APP_ROLLBACK_ENABLE")
        on += ("LWIP_HOOK_IP6_ROUTE_CUSTOM", "LWIP_HOOK_ND6_GET_GW_CUSTOM")
        on += ("LWIP_HOOK_IP6_INPUT_CUSTOM",)
        for key in (*on, "PARTITION_TABLE_CUSTOM"):
            assert merged["CONFIG_" + key] == "y", (board, variant, key)
        for key in ("BT_ENABLED", "LWIP_TCPIP_CORE_LOCKING"):
            assert merged["CONFIG_" + key] == "n", (board, variant, key)
        psram = variant is not None and variant != "FLASH_4M" and "PSRAM" in variant
        assert (merged.get("CONFIG_SPIRAM") == "y") == psram or variant == "FLASH_4M"


def test_flash_and_partitions_agree_on_every_board(tmp_path):
    need(("cmake", "cmake"))
    for board, variant in every():
        merged = settings_of(configured(str(tmp_path), board, variant))
        key = "CONFIG_ESPTOOLPY_FLASHSIZE_%dMB"
        sizes = [m for m in (2, 4, 8, 16, 32) if merged.get(key % m) == "y"]
        assert sizes == [FLASH.get(variant, 8 if board == "ZT_ESP32_S3" else 4)]
        table = merged["CONFIG_PARTITION_TABLE_CUSTOM_FILENAME"].strip('"')
        check_table(partitions(table), sizes[0] << 20)


def test_a_table_that_does_not_add_up_is_noticed():
    rows = partitions(os.path.join(PORT, "partitions-4MiB.csv"))
    check_table(rows, 4 << 20)
    wrong = [
        rows[:-1],  # a hole at the end
        rows[:3] + [("ota_0", "app", "ota_0", 0x11000, 0x19F000)] + rows[4:],  # not aligned
        [r if r[0] != "vfs" else (*r[:4], r[4] + 0x1000) for r in rows],  # beyond the flash
        [r if r[0] != "ota_1" else (*r[:3], 0x1A0000, r[4]) for r in rows],  # over another
    ]
    for table in wrong:
        try:
            check_table(table, 4 << 20)
        except AssertionError:
            continue
        raise AssertionError(table)


def test_micropythons_cmake_finds_our_modules(tmp_path):
    need(("cmake", "cmake"))
    folder = str(tmp_path)
    lines = [
        "cmake_minimum_required(VERSION 3.16)",
        "project(check NONE)",
        "set(ESP_PLATFORM 1)",
        "add_library(lwip_lib INTERFACE)",  # stands for ESP-IDF's component
        "function(idf_component_get_property OUT COMPONENT PROPERTY)",
        '    set(${OUT} "${COMPONENT}_lib" PARENT_SCOPE)',
        "endfunction()",
        # An interface library takes no private properties; say what was asked for instead.
        "function(target_compile_definitions TARGET)",
        '    message(STATUS "DEFINED ${ARGV}")',
        "endfunction()",
        "macro(target_include_directories TARGET)",
        '    if("${TARGET}" STREQUAL "lwip_lib")',
        '        message(STATUS "INCLUDED ${ARGV}")',
        "    else()",
        "        _target_include_directories(${ARGV})",
        "    endif()",
        "endmacro()",
        "set(MICROPY_DIR %s)" % MPY,
        "include(${MICROPY_DIR}/py/py.cmake)",
        "set(USER_C_MODULES %s/micropython.cmake)" % MODULES,
        "include(${MICROPY_DIR}/py/usermod.cmake)",
        "foreach(SOURCE ${MICROPY_SOURCE_PY})",
        "    get_source_file_property(OPTIONS ${SOURCE} COMPILE_OPTIONS)",
        "    if(OPTIONS)",
        '        message(STATUS "OPTIONS ${SOURCE} ${OPTIONS}")',
        "    endif()",
        "endforeach()",
        'message(STATUS "SOURCES ${MICROPY_SOURCE_USERMOD}")',
        'message(STATUS "FOLDERS ${MICROPY_INC_USERMOD}")',
    ]
    write(folder, "CMakeLists.txt", lines)
    said = run(["cmake", "-S", folder, "-B", os.path.join(folder, "build")])
    got = {os.path.realpath(s) for s in re.search(r"SOURCES (.*)", said).group(1).split(";")}
    for path in node_sources():
        assert os.path.exists(path), path
        assert os.path.realpath(path) in got, path
    for name in ("modztcrypto.c", "modztmem.c", "zt_plane_rx.c"):
        assert any(s.endswith("/" + name) for s in got), name
    for folder in re.search(r"FOLDERS (.*)", said).group(1).split(";"):
        assert os.path.isdir(folder), folder
    assert 'DEFINED lwip_lib;PRIVATE;ESP_IDF_LWIP_HOOK_FILENAME="zt_hooks_esp32.h"' in said
    assert os.path.exists(os.path.join(PORT, "zt_hooks_esp32.h"))
    header = os.path.realpath(os.path.join(MODULES, "ztrom", "zt_objtype.h"))
    source, word, path = re.search(r"OPTIONS (\S+) (\S+);(\S+)", said).groups()
    assert (source, word) == (os.path.join(MPY, "py", "objtype.c"), "-include")
    assert os.path.realpath(path) == header and os.path.exists(header)


def compiled_by(folder, lines):
    """[(file, command)] of all that cmake would compile in a project of these lines."""
    os.makedirs(folder)
    write(folder, "main.c", ["int main(void) { return 0; }"])
    lines = [
        "cmake_minimum_required(VERSION 3.16)",
        "project(check C)",
        "set(CMAKE_EXPORT_COMPILE_COMMANDS ON)",
        *lines,
    ]
    write(folder, "CMakeLists.txt", lines)
    run(["cmake", "-S", folder, "-B", os.path.join(folder, "build")])
    with open(os.path.join(folder, "build", "compile_commands.json")) as f:
        return [(os.path.realpath(c["file"]), c["command"]) for c in json.load(f)]


def test_the_node_is_compiled_once_and_as_esp_idf_compiles(tmp_path):
    """As MicroPython 1.25 has it: the module's target is passed on by the library of the firmware
    to the program, which has none of ESP-IDF's options."""
    need(("cmake", "cmake"), ("gcc", "gcc"))
    user = ["set(USER_C_MODULES %s/micropython.cmake)" % MODULES]
    user.append("include(%s/py/usermod.cmake)" % MPY)
    lines = [
        "set(ESP_PLATFORM 1)",
        "add_library(lwip STATIC main.c)",
        "function(idf_component_get_property OUT COMPONENT PROPERTY)",
        '    set(${OUT} "${COMPONENT}" PARENT_SCOPE)',
        "endfunction()",
        *user,
        "add_library(firmware STATIC main.c)",
        "target_compile_options(firmware PRIVATE -Os)",
        "target_link_libraries(firmware usermod)",
        "add_executable(program main.c)",
        "target_link_libraries(program PRIVATE firmware)",
    ]
    found = compiled_by(str(tmp_path / "idf"), lines)
    ours = [(f, c) for f, c in found if f.startswith(os.path.realpath(TOP) + os.sep)]
    assert sorted(f for f, _ in ours) == sorted(os.path.realpath(f) for f in sources())
    assert all("-Os" in c.split() and "firmware.dir" in c for _, c in ours)
    # Elsewhere the firmware is the program itself.
    lines = [*user, "add_executable(program main.c)", "target_link_libraries(program usermod)"]
    found = [f for f, _ in compiled_by(str(tmp_path / "other"), lines)]
    for path in core_sources() + BINDINGS:
        assert found.count(os.path.realpath(path)) == 1, path


def test_what_only_the_linker_would_miss_is_upstreams():
    """Names in MicroPython's port that ours takes the place of, or puts into flash."""
    for name, text in (
        ("main.c", "    MICROPY_BOARD_STARTUP();\n"),
        ("main.c", "\nvoid boardctrl_startup(void) {\n"),
        ("modsocket.c", "\nconst mp_obj_module_t mp_module_socket = {\n"),
    ):
        with open(os.path.join(MPY, "ports", "esp32", name)) as f:
            assert f.read().count(text) == 1, (name, text)


def test_no_file_of_the_node_is_forgotten():
    """What make builds of netif and modules, cmake does too, but lwIP's part: ESP-IDF's own."""
    idfs = {"zt_modlwip.c", "zt_netif_chksum.c", "zt_netif_mem.c", "zt_netif_timer.c"}
    ours = {os.path.basename(p) for p in node_sources()}
    folders = [NETIF] + [os.path.join(MODULES, m) for m in ("zthal", "ztnet", "ztplane")]
    there = {n for f in folders for n in os.listdir(f) if n.endswith(".c")}
    assert there - ours == idfs
    assert {n for n in os.listdir(PORT) if n.endswith(".c")} <= ours
    modules = {n for n in os.listdir(MODULES) if os.path.isdir(os.path.join(MODULES, n))}
    assert modules == {"zthal", "ztcrypto", "ztmem", "ztnet", "ztplane", "ztrom"}


def said_by_check(*arguments, **environment):
    env = {k: v for k, v in os.environ.items() if k != "IDF_PATH"}
    env.update(environment)
    command = [os.path.join(PORT, "check.sh"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    return done.returncode, done.stdout + done.stderr


def test_what_is_missing_is_named_with_the_versions_that_work(tmp_path):
    code, said = said_by_check("sdk", "ZT_ESP32_S3", "", MPY)
    assert code == 1 and "no ESP-IDF here" in said and "5.2, 5.2.2, 5.3 and 5.4" in said
    code, said = said_by_check("sdk", "ZT_ESP32_S4", "", MPY)
    assert code == 1 and "no board ZT_ESP32_S4" in said and "ZT_ESP32_S3" in said
    code, said = said_by_check("sdk", "ZT_ESP32_C3", "PSRAM", MPY)
    assert code == 1 and "no variant PSRAM of ZT_ESP32_C3" in said
    cmake = tmp_path / "tools" / "cmake"
    cmake.mkdir(parents=True)
    code, said = said_by_check("sdk", "ZT_ESP32", "", MPY, IDF_PATH=str(tmp_path))
    assert code == 1 and "is not ESP-IDF" in said
    for minor, good in ((1, False), (5, False), (2, True), (4, True)):
        text = "set(IDF_VERSION_MAJOR 5)\nset(IDF_VERSION_MINOR %d)\n" % minor
        (cmake / "version.cmake").write_text(text)
        code, said = said_by_check("sdk", "ZT_ESP32", "", MPY, IDF_PATH=str(tmp_path))
        assert code == 1
        assert ("works with" in said) != good, said
        assert ("idf.py is not in the PATH" in said) == good, said
    (tmp_path / "idf.py").write_text("#!/bin/sh\n")
    (tmp_path / "idf.py").chmod(0o755)
    more = {"IDF_PATH": str(tmp_path), "PATH": str(tmp_path) + os.pathsep + os.environ["PATH"]}
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    code, said = said_by_check("sdk", "ZT_ESP32", "", str(tmp_path), **more)
    assert code == 1 and "python3 is older than 3.9" in said
    (tmp_path / "python3").unlink()
    code, said = said_by_check("sdk", "ZT_ESP32", "", str(tmp_path), **more)
    assert code == 1 and "is not MicroPython 1.25.0" in said


def test_an_image_that_does_not_fit_is_noticed(tmp_path):
    table = os.path.join(PORT, "partitions-4MiB.csv")
    (tmp_path / "sdkconfig").write_text('CONFIG_PARTITION_TABLE_CUSTOM_FILENAME="%s"\n' % table)
    (tmp_path / "micropython.bin").write_bytes(bytes(0x1A0000))
    assert said_by_check("image", str(tmp_path))[0] == 0
    (tmp_path / "micropython.bin").write_bytes(bytes(0x1A0001))
    code, said = said_by_check("image", str(tmp_path))
    assert code == 1 and "1703937" in said
