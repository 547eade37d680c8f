# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The crypto core as native .mpy on firmware that has nothing of ours: x64 in a stock unix
# MicroPython, rv32imc in the emulated board built without the node, xtensawin in a small loader
# (tests/core/mpy_loader.c) under qemu-xtensa, as no board of that kind can be emulated.
# cpython-only: builds, and starts emulators

import json
import os
import re
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(TOP, "tools"))

import core_machines  # noqa: E402
import core_targets  # noqa: E402
import qemu_board  # noqa: E402

BUILD = os.path.abspath(os.path.join(TOP, "build"))
MPY = os.path.abspath(os.environ.get("MICROPY_DIR") or os.path.join(BUILD, "src", "micropython"))
LWIP = os.path.abspath(os.environ.get("LWIP_DIR") or os.path.join(BUILD, "src", "lwip"))
STOCK = os.path.join(BUILD, "stock", "micropython")
PLAIN = os.path.join(BUILD, "plain-rv32.elf")
ARCH = {"x64": 2, "rv32imc": 11, "xtensawin": 10}  # as MicroPython numbers them
# Files of tests/unit that need crypto and nothing of a port.
UNIT = ("crypto", "identity", "world", "credential", "hello", "membership", "node", "controller")


def module(arch):
    return os.path.join(BUILD, "natmod", arch, "_ztcrypto.mpy")


def script(name, *args):
    subprocess.run([os.path.join(TOP, "tools", name), *args], check=True)


@pytest.fixture(scope="module", autouse=True)
def built():
    for step in ("board", "targets"):
        subprocess.run([os.path.join(TOP, "tools", "toolchain.sh"), step], check=os.getuid() == 0)
    try:
        core_machines.Xtensa().prepare()
    except core_machines.Missing as e:
        pytest.skip("needs the Debian packages %s" % e)
    script("build_natmod.sh", MPY, *ARCH, "xtensawin-qemu", "stock")


def stock(code, *folders, heap="16m"):
    path = ":".join(folders + (os.path.join(TOP, "lib"),))
    done = subprocess.run(
        [STOCK, "-X", "heapsize=" + heap, "-c", code],
        env=dict(os.environ, MICROPYPATH=path),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("arch", ARCH)
def test_the_file_is_for_its_machine_and_small(arch):
    with open(module(arch), "rb") as f:
        data = f.read()
    assert data[:2] == b"M\x06" and data[2] >> 2 == ARCH[arch]
    assert len(data) < 36000


def test_the_module_is_found_where_none_is_built_in():
    ask = "from zt import crypto; print(crypto.BACKEND)"
    assert stock(ask, os.path.dirname(module("x64"))) == "natmod\n"
    assert stock(ask) == "python\n"
    # Another machine's file is refused, not run.
    assert "ValueError" in stock("import _ztcrypto", os.path.dirname(module("rv32imc")))


def test_stock_micropython_passes_the_unit_tests():
    files = [os.path.join(TOP, "tests", "unit", "test_%s.py" % name) for name in UNIT]
    more = os.path.dirname(module("x64")) + ":" + os.path.join(MPY, "extmod")
    done = subprocess.run(
        [sys.executable, os.path.join(TOP, "tests", "run_mpy.py"), *files],
        env=dict(os.environ, ZT_MPY=STOCK, ZT_MPY_PATH=more),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and ", 0 failed, 0 skipped" in done.stdout, done.stdout[-4000:]


def test_steps_do_not_trust_their_state():
    code = """
import _ztcrypto as c
n, m, big = c._sizes()
state, memory = bytearray(n), bytearray(big)
c._idhash_init(state, bytes(64), memory)
def refused(f, *args):
    try:
        f(*args)
    except ValueError:
        return True
print(refused(c._idhash_step, bytearray(n - 1), memory, 1))
print(refused(c._idhash_step, state, bytearray(big - 1), 1))
print(refused(c._idhash_step, bytearray(b"\\xff" * n), memory, 1))
print(refused(c._search_step, bytearray(b"\\xff" * m), memory, 1))
print(refused(c._idhash_step, memoryview(bytearray(n + 1))[1:], memory, 1))
"""
    assert stock(code, os.path.dirname(module("x64"))) == "True\n" * 5


def test_without_two_mib_the_hash_says_so():
    code = """
import _ztcrypto as c
try:
    c.idhash(bytes(64))
except MemoryError as e:
    print(e)
print(len(c.sha512(b'')))
"""
    got = stock(code, os.path.dirname(module("x64")), heap="1m")
    assert got == "identity hash needs 2 MiB\n64\n"


# ---- the loader


def build_loader(target, folder):
    with open(os.path.join(TOP, "firmware", "natmod", "natmod.c")) as f:
        names = re.findall(r"mp_store_global\(MP_QSTR_(\w+)", f.read())
    lines = "".join('    "%s",\n' % name for name in names)
    with open(os.path.join(folder, "names.h"), "w") as f:
        f.write("static const char *const NAMES[] = {\n%s};\n" % lines)
    flags = ["-std=gnu99", "-Wall", "-Wextra", "-Werror", "-fno-builtin", "-I", folder]
    objects = []
    for source in target.runtime(folder) + [os.path.join(core_machines.TESTS, "mpy_loader.c")]:
        objects.append(os.path.join(folder, os.path.basename(source) + ".o"))
        target.compile(source, objects[-1], flags)
    program = os.path.join(folder, "loader")
    # What it loads must be allowed to run.
    target.link(objects, program, [] if target.name == "xtensa" else ["-N"])
    return program


@pytest.mark.parametrize("name,arch", (("rv32imc", "rv32imc"), ("xtensa", "xtensawin-qemu")))
def test_the_machine_code_gives_the_known_answers(name, arch, tmp_path):
    target = {t.name: t for t in core_machines.targets()}[name]
    target.prepare()
    cases = core_targets.make_cases(str(tmp_path))
    program = build_loader(target, str(tmp_path))
    file = os.path.join(BUILD, "natmod", arch, "o", "_ztcrypto.native.mpy")
    done = subprocess.run(
        [*target.emulator, program, file, cases], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = {x.split()[0]: x.split()[1:] for x in done.stdout.splitlines()}
    for call, (right, wrong) in counts.items():
        assert int(wrong) == 0 and (int(right) or call == "idhash"), (call, right, wrong)
    assert sum(int(right) for right, _ in counts.values()) > 1000


# ---- the emulated board


def put(repl, name, data):
    """A file onto the board, in pieces that its memory holds twice."""
    repl.run("f = open(%r, 'wb')" % name)
    for at in range(0, len(data), 1024):
        repl.run("f.write(bytes.fromhex('%s'))" % data[at : at + 1024].hex())
    repl.run("f.close()")


def known_answers():
    """(expression for the board, what it must give in hex) from the recorded vectors."""
    with open(os.path.join(TOP, "tests", "vectors", "vl1.json")) as f:
        document = json.load(f)
    keys = {i["name"]: i for i in document["identities"]}

    def h(text):
        return "bytes.fromhex('%s')" % text

    for i in document["identities"][:3]:
        yield "c.public_key(%s)" % h(i["private_key"]), i["public_key"]
    for a in document["agree"][:4]:
        pair = h(a["private_key_dh"] + 64 * "0"), h(a["public_key_dh"] + 64 * "0")
        yield "c.agree(%s, %s)" % pair, a["session_key_48"]
    for s in document["sign"][:6]:
        who = keys[s["signer"]]
        public, msg, sig = h(who["public_key"]), h(s["message"]), h(s["signature"])
        verdict = "01" if s["verifies"] else "00"
        yield "bytes((c.verify(%s, %s, %s),))" % (public, msg, sig), verdict
        if s["verifies"]:
            yield "c.sign(%s, %s, %s)" % (h(who["private_key"]), public, msg), s["signature"]
    for v in document["salsa20"]:
        if len(v["in"]) <= 1024:
            args = h(v["key"]), h(v["iv"]), h(v["in"]), v["rounds"]
            yield "salsa(%s, %s, %s, %d)" % args, v["out"]
    for v in document["poly1305"][:6]:
        if len(v["message"]) <= 1024:
            yield "c.poly1305(%s, %s)" % (h(v["key"]), h(v["message"])), v["tag"]


def test_the_emulated_board_without_the_node_loads_it(tmp_path):
    script("build_qemu.sh", MPY, LWIP, "2", "plain")
    disk = str(tmp_path / "flash.img")
    qemu_board.make_disk(disk)
    asked = 0
    with qemu_board.Board(PLAIN, disk) as board:
        repl = board.connect()
        repl.enter(60)
        with pytest.raises(qemu_board.rawrepl.Failed, match="ImportError"):
            repl.run("import _ztcrypto")
        with open(module("rv32imc"), "rb") as f:
            put(repl, "_ztcrypto.mpy", f.read())
        # lib/zt chooses it, with nothing else of lib/zt there but what chooses.
        repl.run("import os; os.mkdir('zt')")
        for name in ("_compat.py", "crypto.py"):
            with open(os.path.join(TOP, "lib", "zt", name), "rb") as f:
                put(repl, "zt/" + name, f.read())
        put(repl, "zt/__init__.py", b"")
        before = int(repl.run("import gc; gc.collect(); print(gc.mem_alloc())"))
        repl.run("from zt import crypto as c")
        assert repl.run("print(c.BACKEND)").strip() == "natmod"
        taken = int(repl.run("gc.collect(); print(gc.mem_alloc())")) - before
        print("heap taken by the module on rv32imc: %d bytes" % taken)
        assert taken < 40000
        repl.run(
            "def salsa(key, iv, data, rounds):\n"
            " b = bytearray(data)\n"
            " c.salsa20_xor(key, iv, b, rounds)\n"
            " return b\n"
        )
        for expression, answer in known_answers():
            assert repl.run("print(%s.hex())" % expression, 120).strip() == answer, expression
            asked += 1
    assert asked > 20
