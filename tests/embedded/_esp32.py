# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What the tests of ports/esp32 share: where things are, which C files the firmware has, and a
# compiler for each of the chips' instruction sets, fed with stand-ins for ESP-IDF's headers
# (idf_stub).

import os
import re
import shutil
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
PORT = os.path.join(TOP, "ports", "esp32")
CORE = os.path.join(TOP, "firmware", "core")
NETIF = os.path.join(TOP, "firmware", "netif")
MODULES = os.path.join(TOP, "firmware", "modules")
STUB = os.path.join(HERE, "idf_stub")
MPY = os.environ.get("MICROPY_DIR") or os.path.join(TOP, "build", "src", "micropython")
LWIP = os.environ.get("LWIP_DIR") or os.path.join(TOP, "build", "src", "lwip")
BINDINGS = [
    os.path.join(MODULES, "ztcrypto", "modztcrypto.c"),
    os.path.join(MODULES, "ztmem", "modztmem.c"),
]
OBJTYPE = os.path.join(MPY, "py", "objtype.c")
BOARDS = ("ZT_ESP32", "ZT_ESP32_C3", "ZT_ESP32_S3")

sys.path.insert(0, os.path.join(TOP, "tools"))


def need(*tools):
    """Skips, by the names of the Debian packages, where a tool is not here."""
    missing = [package for tool, package in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip("needs the Debian packages " + " ".join(missing))


def run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, " ".join(command) + "\n" + (done.stdout + done.stderr)[-4000:]
    return done.stdout


def node_sources():
    """The C files of node.cmake, absolute, in order."""
    with open(os.path.join(PORT, "node.cmake")) as f:
        names = re.findall(r"^    (\$\{ZT_\w+\}/\S+\.c)$", f.read(), re.M)
    firmware = os.path.join(TOP, "firmware")
    return [n.replace("${ZT_FIRMWARE}", firmware).replace("${ZT_ESP32}", PORT) for n in names]


def core_sources():
    with open(os.path.join(CORE, "sources.mk")) as f:
        return [os.path.join(CORE, x.split()[-1]) for x in f if x.startswith("CORE_SRC")]


def sources():
    """Every C file of ours in the firmware of an ESP32."""
    return core_sources() + BINDINGS + node_sources()


def includes():
    """-I for all of them; the stand-ins come before lwIP, whose options they bring."""
    folders = [
        STUB,
        os.path.join(STUB, "config"),
        PORT,
        NETIF,
        CORE,
        *(os.path.join(MODULES, m) for m in ("zthal", "ztnet", "ztplane", "ztrom")),
        os.path.join(LWIP, "src", "include"),
    ]
    return ["-I" + f for f in folders]


def generated(folder, flags):
    """The headers that MicroPython's build makes of a scan of the preprocessed text, as far as our
    files need them, and the one of MicroPython's own that is compiled with a header of ours."""
    names, roots = set(), set()
    genhdr = os.path.join(folder, "genhdr")
    os.makedirs(genhdr, exist_ok=True)
    write(genhdr, "root_pointers.h", [])
    need(("gcc", "gcc"))
    for path in node_sources() + BINDINGS + [OBJTYPE]:
        text = run(["gcc", "-E", "-DNO_QSTR", *flags, path])
        names.update(re.findall(r"MP_QSTR_(\w+)", text))
        roots.update(re.findall(r"^MP_REGISTER_ROOT_POINTER\((.*)\);", text, re.M))
    lines = ['QDEF0(MP_QSTRnull, 0, 0, "")', 'QDEF0(MP_QSTR_, 5, 0, "")']
    lines += ['QDEF1(MP_QSTR_%s, 0, %d, "%s")' % (n, len(n), n) for n in sorted(names)]
    write(genhdr, "qstrdefs.generated.h", lines)
    write(genhdr, "root_pointers.h", [r + ";" for r in sorted(roots)])
    assert len(names) > 80 and len(roots) >= 2


def write(folder, name, lines):
    with open(os.path.join(folder, name), "w") as f:
        f.write("\n".join(lines) + "\n")
