# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The threads of an ESP32 on this machine (threads), under ThreadSanitizer: the
# firmware's own C files over lwIP with its own thread, with and without lwIP's core locking. What
# the sanitizer finds fails, but in what lwIP's own files do to each other.
# cpython-only: a C compiler with ThreadSanitizer

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from _esp32 import HERE, LWIP, PORT, core_sources, includes, need, node_sources, run

THREADS = os.path.join(HERE, "threads")
UNIX = os.path.join(LWIP, "contrib", "ports", "unix", "port")
# lwIP's sockets read flags of a connection without a lock, and its port to unix its lock's owner.
# Only where such a file is the place itself, never what it calls.
KNOWN = "race_top:/src/api/\nrace_top:/contrib/ports/unix/\n"
NOT_HERE = ("modzthal.c", "zt_hal_board.c", "zt_pump.c", "zt_pump_esp32.c")
NOT_HERE += ("zt_nic_py.c", "modztplane.c", "zt_rom.c", "zt_guard_esp32.c")
BYTES, DATAGRAMS = "600000", "300"


def files():
    lwip = []
    for folder in ("api", "core", "core/ipv4", "core/ipv6"):
        where = os.path.join(LWIP, "src", folder)
        lwip += [os.path.join(where, n) for n in sorted(os.listdir(where)) if n.endswith(".c")]
    lwip += [os.path.join(LWIP, "src", "netif", "ethernet.c"), os.path.join(UNIX, "sys_arch.c")]
    node = [p for p in node_sources() if os.path.basename(p) not in NOT_HERE]
    host = [os.path.join(THREADS, n) for n in ("threads.c", "air.c", "idf_host.c")]
    return lwip + core_sources() + node + host


def flags(locking):
    defines = ["ZT_HOST", "ZT_BOARD=1", "ZT_CORE_LOCKING=%d" % locking]
    # As fast as it goes: the budget of decryptions is for slower machines.
    defines += ["ZT_HAL_BUDGET=(1024*1024*1024)", "ZT_HAL_BUDGET_MS=20"]
    defines.append('ESP_IDF_LWIP_HOOK_FILENAME="zt_hooks_esp32.h"')
    where = ["-I" + os.path.join(UNIX, "include"), "-I" + THREADS, *includes()]
    common = ["-std=gnu11", "-O1", "-g1", "-fsanitize=thread", "-Wall", "-Wno-address", "-Werror"]
    return common + ["-D" + d for d in defines] + where


def compile_one(locking, path, out):
    theirs = ["-Wno-unused-variable"] if path.startswith(UNIX) else []
    run(["gcc", *flags(locking), *theirs, "-c", "-o", out, path])
    return out


def link_options():
    """Of node.cmake."""
    with open(os.path.join(PORT, "node.cmake")) as f:
        return re.findall(r"^    (-Wl,\S+)$", f.read(), re.M)


def link(objects, program, options=None):
    """{path of a source: its object} as ESP-IDF links it: our library, then lwIP's."""
    libraries = {}
    for path, out in objects.items():
        part = "host" if path.startswith(THREADS) else "lwip" if path.startswith(LWIP) else "main"
        libraries.setdefault(part, []).append(out)
    for part in ("main", "lwip"):
        run(["ar", "rcs", program + part + ".a", *libraries[part]])
    command = ["gcc", "-fsanitize=thread", *(link_options() if options is None else options)]
    command += ["-o", program, *libraries["host"], program + "main.a", program + "lwip.a"]
    run([*command, "-lpthread"])
    return program


def build(folder, locking):
    """{path of a source: its object}."""
    need(("gcc", "gcc"))
    probe = os.path.join(folder, "probe")
    done = subprocess.run(
        ["gcc", "-fsanitize=thread", "-x", "c", "-", "-o", probe],
        input="int main(void) { return 0; }",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or subprocess.run(run_with(probe), check=False).returncode:
        pytest.skip("needs ThreadSanitizer, which is in the Debian package gcc")
    outs = [os.path.join(folder, "%d.o" % n) for n in range(len(files()))]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda path, out: compile_one(locking, path, out), files(), outs))
    return dict(zip(files(), outs))


@pytest.fixture(scope="module")
def in_lwips_thread(tmp_path_factory):
    return build(str(tmp_path_factory.mktemp("threads")), 0)


def run_with(program, *arguments):
    # The sanitizer's memory map does not go with every kernel's randomness.
    setarch = shutil.which("setarch")
    return ([setarch, "-R"] if setarch else []) + [program, *arguments]


def outcome(program, *arguments):
    known = program + ".known"
    with open(known, "w") as f:
        f.write(KNOWN)
    env = dict(os.environ, TSAN_OPTIONS="suppressions=%s exitcode=66" % known)
    done = subprocess.run(
        run_with(program, *arguments),
        capture_output=True,
        text=True,
        env=env,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def check(objects, folder):
    program = link(objects, os.path.join(folder, "threads"))
    code, said = outcome(program, BYTES, DATAGRAMS)
    print(said[-6000:])
    assert code == 0 and said.endswith("ok\n")
    assert "WARNING: ThreadSanitizer" not in said


def test_no_race_with_everything_in_lwips_thread(in_lwips_thread, tmp_path):
    check(in_lwips_thread, str(tmp_path))


def test_what_only_lwip_calls_is_linked_by_the_options_for_it(in_lwips_thread, tmp_path):
    for left_out in link_options():
        if "zt_netif_tcp_in" in left_out:
            options = [o for o in link_options() if o != left_out]
            with pytest.raises(AssertionError, match="undefined reference to `zt_netif_tcp_in"):
                link(in_lwips_thread, str(tmp_path / "threads"), options)
            return
    raise AssertionError("no such option")


def test_no_race_with_lwips_core_locking(tmp_path):
    check(build(str(tmp_path), 1), str(tmp_path))


def test_a_call_past_the_stacks_context_is_noticed(in_lwips_thread, tmp_path):
    """A renewal made in the interpreter's thread, not in the stack's."""
    objects = dict(in_lwips_thread)
    (path,) = [p for p in objects if p.endswith("zt_plane_run.c")]
    with open(path) as f:
        text = f.read()
    right = "return ENTER(peer_renew, .address = address, .ttl = ttl_ms);"
    assert right in text
    direct = "return peer_renew(&(call_t) { .address = address, .ttl = ttl_ms });"
    wrong = str(tmp_path / "wrong.c")
    with open(wrong, "w") as f:
        f.write(text.replace(right, direct))
    objects[path] = compile_one(0, wrong, str(tmp_path / "wrong.o"))
    code, said = outcome(link(objects, str(tmp_path / "threads")), BYTES, DATAGRAMS)
    assert "data race" in said and "zt_plane" in said, (code, said[-3000:])
