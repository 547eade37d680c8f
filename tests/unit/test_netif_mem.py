# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The heap that the packets of lwIP live in (firmware/netif/zt_netif_mem.c) under random use, large
# and small, with sanitizers.
# cpython-only: compiles C

import os
import shutil
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.join(HERE, "..", "..")
FOLDERS = ("firmware/modules/ztnet/include", "firmware/core", "firmware/netif")
FILES = ("tests/core/netif_mem.c", "firmware/netif/zt_netif_mem.c")


def outcome(folder, flags, runs, seed):
    cc = shutil.which("cc") or shutil.which("gcc")
    if not cc:
        pytest.skip("needs a C compiler")
    program = os.path.join(str(folder), "netif_mem")
    command = [cc, "-std=gnu99", "-Wall", "-Wextra", "-Werror", "-g", "-O1", *flags, "-o", program]
    command += ["-I" + os.path.join(TOP, x) for x in FOLDERS]
    subprocess.run(command + [os.path.join(TOP, x) for x in FILES], check=True)
    run = subprocess.run([program, str(runs), str(seed)], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    words = run.stdout.replace(",", "").split()
    return int(words[3]), int(words[5]), int(words[8])


SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def test_blocks_never_meet_and_are_joined_again(tmp_path):
    for size in (1 << 14, 1 << 16, 1 << 22):
        flags = [*SANITIZE, "-DZT_LWIP_HEAP=%d" % size]
        peak, refused, least = outcome(tmp_path, flags, 300000, size + 1)
        if size == 1 << 22:
            assert refused == 0
        else:
            # The first to be refused are blocks of 3,000 bytes, when no free piece is as long.
            assert refused > 1000 and least > size // 5 * 2 and peak > size * 3 // 4, (peak, least)


def test_with_libc_below_it_keeps_to_the_same_bound(tmp_path):
    flags = [*SANITIZE, "-DZT_LWIP_HEAP=65536", "-DZT_NETIF_LIBC_HEAP"]
    peak, refused, _ = outcome(tmp_path, flags, 100000, 7)
    assert refused > 1000 and 60000 < peak <= 65536
