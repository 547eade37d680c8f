# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Runs tests/unit on the built MicroPython: one process and one line a file, more of what failed;
# with -v a line a test. A file that needs CPython says so in a comment among its first ten lines,
# "cpython-only: reason" (or a sentence with "CPython only"), and is counted as skipped with that
# reason; one that needs MicroPython says "micropython-only". A test that cannot run here raises an
# exception of a class named Skip. The sources in lib/ are tested, not the frozen copy.
#
#   python3 tests/run_mpy.py [-v] [FILE ...]
#
# ZT_MPY names another MicroPython to try, ZT_MPY_PATH folders that it imports from as well.

import os
import pathlib
import re
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
BINARY = pathlib.Path(os.environ.get("ZT_MPY", TOP / "build" / "microzt"))
TIMEOUT_S = 300

# Runs inside MicroPython. The frozen modules come last, for asyncio and what else is not in lib.
INSIDE = """
import sys, time
sys.path[:] = [%(lib)r, %(unit)r] + %(more)r + [".frozen"]
import zt
assert not zt.__file__ or not zt.__file__.startswith("zt/"), "the frozen zt was imported"
name = %(name)r
try:
    module = __import__(name)
except BaseException as e:
    sys.print_exception(e)
    print("@import")
    sys.exit(1)
tests = [n for n in dir(module) if n.startswith("test_") and callable(getattr(module, n))]
for n in sorted(tests):
    t = time.ticks_ms()
    try:
        getattr(module, n)()
        print("@pass", n, time.ticks_diff(time.ticks_ms(), t))
    except KeyboardInterrupt:
        raise
    except BaseException as e:
        if e.__class__.__name__ == "Skip":
            print("@skip", n, e)
        else:
            sys.print_exception(e)
            print("@fail", n, time.ticks_diff(time.ticks_ms(), t))
print("@end")
"""


def cpython_only(path):
    """The reason the file gives for not running here, or None."""
    with open(path, encoding="utf-8") as f:
        head = [f.readline() for _ in range(10)]
    text = " ".join(line[1:].strip() for line in head if line.startswith("#"))
    found = re.search(r"\bcpython[- ]only\b[:.,;]?\s*([^.]*)", text, re.IGNORECASE)
    return (found.group(1).split("  ")[0].strip() or "CPython only") if found else None


def run_file(path, verbose):
    """Run one file; (passed, failed, skipped)."""
    start = time.monotonic()
    code = INSIDE % {
        "lib": str(TOP / "lib"),
        "unit": str(TOP / "tests" / "unit"),
        "name": path.stem,
        "more": [x for x in os.environ.get("ZT_MPY_PATH", "").split(":") if x],
    }
    environment = dict(os.environ, MICROPYPATH="")
    try:
        done = subprocess.run(
            [str(BINARY), "-X", "heapsize=16m", "-c", code],
            cwd=TOP,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            check=False,
        )
        output, status = done.stdout, done.returncode
    except subprocess.TimeoutExpired as e:
        output, status = e.stdout or b"", "no end after %d s" % TIMEOUT_S
    passed = failed = skipped = 0
    ended = False
    said = []  # by the test that runs: shown if it fails
    for line in output.decode(errors="replace").splitlines():
        mark, _, rest = line.partition(" ")
        if mark == "@pass":
            passed += 1
            if verbose:
                tell(said, "PASS %s::%s (%s ms)" % (path.name, *rest.split()))
        elif mark == "@fail":
            failed += 1
            tell(said, "FAIL %s::%s" % (path.name, rest.split()[0]))
        elif mark == "@skip":
            skipped += 1
            tell((), "SKIP %s::%s" % (path.name, rest.replace(" ", ": ", 1)))
        elif mark == "@end":
            ended = True
        elif mark != "@import":
            said.append(line)
            continue
        if mark != "@import":
            said = []
    if not ended:
        failed += 1
        tell(said, "FAIL %s: ended early (%s)" % (path.name, status))
    elif passed + failed + skipped == 0:
        failed += 1
        tell(said, "FAIL %s: no test in it" % path.name)
    counts = "%d passed" % passed
    for n, what in ((failed, "failed"), (skipped, "skipped")):
        counts += ", %d %s" % (n, what) if n else ""
    print("%s: %s, %d ms" % (path.name, counts, (time.monotonic() - start) * 1000), flush=True)
    return passed, failed, skipped


def tell(said, verdict):
    for line in said:
        print("    " + line)
    print(verdict)


def main(arguments):
    if not BINARY.exists():
        print("run_mpy: build/microzt is not built; run: make build", file=sys.stderr)
        return 1
    verbose = "-v" in arguments
    files = [pathlib.Path(a) for a in arguments if a != "-v"]
    files = files or sorted((TOP / "tests" / "unit").glob("test_*.py"))
    passed = failed = skipped = 0
    for path in files:
        reason = cpython_only(path)
        if reason:
            skipped += 1
            print("%s: skipped, %s" % (path.name, reason))
            continue
        p, f, s = run_file(path, verbose)
        passed, failed, skipped = passed + p, failed + f, skipped + s
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
