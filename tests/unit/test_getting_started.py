# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The first network of docs/getting-started.md, the lines as they stand there but for the ports, on
# the built unix port and loopback; and the program of README.md in that network. Ten seconds each.
#
# cpython-only: starts processes.

import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
PAGE = TOP / "docs" / "getting-started.md"


def lab_script():
    """The block of commands that makes the lab."""
    blocks = [b.split("```")[0] for b in PAGE.read_text().split("```sh\n")[1:]]
    found = [b for b in blocks if b.startswith("mkdir lab\n")]
    assert len(found) == 1
    return found[0]


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_end(group):
    """Let the nodes that were told to stop do so; a script that failed told them nothing."""
    for _ in range(50):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)


def run(script, files=()):
    """Run the commands in a folder of their own; what they print."""
    if not (TOP / "build" / "microzt").exists():
        pytest.skip("the unix port is not built")
    ports = {n: str(free_port()) for n in re.findall(r"\b999\d\b", script)}
    assert len(ports) == 3
    script = re.sub(r"\b999\d\b", lambda m: ports[m.group()], script)
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(TOP / "zt", folder + "/zt")
        os.symlink(TOP / "examples", folder + "/examples")
        for name, text in files:
            pathlib.Path(folder, name).write_text(text)
        log = open(folder + "/log", "w+")
        process = subprocess.Popen(
            ["sh", "-eu", "-c", script],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(timeout=100)
            wait_for_end(process.pid)
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            log.seek(0)
            out = log.read()
            log.close()
    assert process.returncode == 0, out
    assert "4 sent, 4 received" in out, out
    assert "stopped, state saved" in out, out
    return out


def test_the_commands_of_the_first_page_make_a_network():
    out = run(lab_script())
    assert "HTTP/1.0 200 OK" in out, out
    assert "Hello from node" in out, out


def test_the_program_of_the_readme_answers():
    program = (TOP / "README.md").read_text().split("```python\n")[1].split("```")[0]
    script = lab_script().replace("examples/page.py", "app.py")
    for old, new in (("nc $IP 80 ", "nc $IP 7000 "), (r"GET / HTTP/1.0\r\n\r\n", r"reader\n")):
        assert old in script
        script = script.replace(old, new)
    out = run(script, [("app.py", program)])
    assert "hello reader, I am " in out, out
