#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# make core-targets: the core on every kind of machine it is meant for. Compiles firmware/core
# without a warning for each, runs the known answers of tools/core_cases.py and the inputs of the
# fuzzers of data plane and rules there (as a process of Linux without a C library, in QEMU),
# compares with this machine's results, and prints the bytes of each file. Writes
# build/core-targets.json; a target whose tools are missing is skipped, and that is printed.
#
# usage: core_targets.py [--record]

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from core_machines import (
    CORE,
    LEVEL,
    TESTS,
    TOP,
    WARNINGS,
    Missing,
    Xtensa,
    run,
    size_of,
    targets,
)

FUZZ = os.path.join(TOP, "tests", "fuzz")
RECORDED = os.path.join(TOP, "tests", "embedded", "core_sizes.json")
PAGE = os.path.join(TOP, "docs", "porting.md")  # shows what is recorded
MARKS = ("<!-- sizes: written by tools/core_targets.py --record -->\n", "<!-- end of sizes -->\n")

INPUTS = 640  # of each replay, more or less
REPLAYS = (
    ("plane_rx", "plane_replay.c"),
    ("plane_tx", "plane_replay.c"),
    ("reassembly", "plane_replay.c"),
    ("rules", "rules_replay.c"),
)


def sources():
    with open(os.path.join(CORE, "sources.mk")) as f:
        return [x.split()[-1] for x in f if x.startswith("CORE_SRC")]


def make_cases(folder):
    """The file of known answers, made with the library of this machine."""
    path = os.path.join(folder, "cases.bin")
    run(["make", "-s", "-C", CORE, "BUILD=" + folder])
    env = dict(os.environ, ZT_CORE_LIB=os.path.join(folder, "libztcore.so"))
    run([sys.executable, os.path.join(TOP, "tools", "core_cases.py"), path], env=env)
    return path


def make_inputs(folder):
    """Inputs of each replay: the fuzzers' seeds, and each with a few bytes changed."""
    seeds = os.path.join(folder, "seeds")
    for script in ("seeds_plane.py", "seeds_rules.py"):
        run([sys.executable, os.path.join(FUZZ, script), seeds])
    inputs = {}
    for name, _ in REPLAYS:
        here = os.path.join(seeds, name)
        inputs[name] = []
        names = sorted(os.listdir(here))
        names = names[:: max(1, len(names) * 2 // INPUTS)]
        for seed in names:
            with open(os.path.join(here, seed), "rb") as f:
                original = f.read()
            r = random.Random(seed)
            for i in range(max(2, INPUTS // len(names))):  # the first as it is
                mutant = bytearray(original)
                for _ in range(min(i, 3)):
                    mutant[r.randrange(len(mutant))] = r.randrange(256)
                inputs[name].append("%s.%d" % (seed, i))
                with open(os.path.join(here, inputs[name][-1]), "wb") as f:
                    f.write(mutant)
    return inputs


class Work:
    """A folder with the known answers and the inputs; a target after the other is tried in it."""

    def __init__(self, folder):
        self.folder = folder
        if os.path.exists(folder):
            shutil.rmtree(folder)
        os.makedirs(folder)
        self.cases = make_cases(folder)
        self.inputs = make_inputs(folder)

    def one(self, target):
        """What is to be said of a target; SystemExit if anything is wrong there, Missing if it
        cannot be tried."""
        target.prepare()
        folder = os.path.join(self.folder, target.name)
        os.makedirs(folder)
        objects, sizes = [], {}
        for name in sources():
            source = os.path.join(CORE, name)
            stated = os.path.join(folder, name.replace("/", "_") + ".o")
            target.compile(source, stated, ["-std=c99", *WARNINGS], to_run=False)
            sizes[name] = size_of(target.size, stated)
            objects.append(stated)
            if isinstance(target, Xtensa):
                objects[-1] = stated[:-2] + ".run.o"
                target.compile(source, objects[-1], ["-std=c99", *WARNINGS])
        loose = ["-std=gnu99", "-Wall", "-Wextra", "-Werror", "-fno-builtin"]
        for source in target.runtime(folder):
            objects.append(os.path.join(folder, os.path.basename(source) + ".o"))
            target.compile(source, objects[-1], loose)
        program = os.path.join(folder, "vectors")
        target.compile(os.path.join(TESTS, "vectors.c"), program + ".o", loose)
        target.link(objects + [program + ".o"], program)
        results = {
            "compiler": target.compiler(),
            "flags": [LEVEL] + target.flags,
            "sizes": sizes,
            "total": sum(sizes.values()),
            "cases": self.known_answers(target, program),
            "replays": {},
        }
        for name, source in REPLAYS:
            program = os.path.join(folder, name)
            what = ["-w", '-DTARGET="../fuzz/fuzz_%s.c"' % name]  # its warnings are its own
            target.compile(os.path.join(TESTS, source), program + ".o", loose + what)
            target.link(objects + [program + ".o"], program)
            results["replays"][name] = self.replay(target, program, name)
        return results

    def known_answers(self, target, program):
        """How many cases came out right; SystemExit if one did not."""
        command = target.emulator + [program, self.cases]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        right = 0
        wrong = []
        for line in done.stdout.splitlines():
            name, good, bad = line.split()
            right += int(good)
            if int(bad) or not int(good):
                wrong.append(line)
        if wrong or done.returncode or not right:
            said = "\n".join(wrong) + done.stderr
            raise SystemExit(
                "core-targets: %s: wrong answers (%d)\n%s" % (target.name, done.returncode, said)
            )
        return right

    def replay(self, target, program, name):
        here = os.path.join(self.folder, "seeds", name)
        out = run(target.emulator + [program, *self.inputs[name]], cwd=here).split()
        if out[0] != str(len(self.inputs[name])):
            raise SystemExit("core-targets: %s: %s: %s" % (target.name, name, out))
        return out


def measure(folder, only=None):
    """({target: results}, {target: packages it needs})."""
    work = Work(folder)
    results, skipped = {}, {}

    def attempt(target):
        try:
            return work.one(target)
        except Missing as e:
            return e

    chosen = [t for t in targets() if only is None or t.name in only]
    with ThreadPoolExecutor(2) as pool:
        for target, got in zip(chosen, pool.map(attempt, chosen)):
            if isinstance(got, Missing):
                skipped[target.name] = str(got)
            else:
                results[target.name] = got
    compare(results)
    return results, skipped


def compare(results):
    """SystemExit unless every machine did the same."""
    names = sorted(results)
    for name in names[1:]:
        for what in ("cases", "replays"):
            if results[name][what] != results[names[0]][what]:
                raise SystemExit(
                    "core-targets: %s: %s has %s, %s has %s"
                    % (what, name, results[name][what], names[0], results[names[0]][what])
                )


def show(results, skipped):
    names = list(results)
    print("bytes of code and constants, %s" % LEVEL)
    print(" ".join(["%-28s" % "file"] + ["%9s" % x for x in names]))
    for source in sources():
        row = ["%9d" % results[x]["sizes"][source] for x in names]
        print(" ".join(["%-28s" % source] + row))
    print(" ".join(["%-28s" % "total"] + ["%9d" % results[x]["total"] for x in names]))
    for name in names:
        r = results[name]
        inputs = sum(int(x[0]) for x in r["replays"].values())
        print(
            "%s: %d known answers right, %d inputs replayed alike; %s"
            % (name, r["cases"], inputs, r["compiler"])
        )
    for name in skipped:
        print("%s: SKIPPED, needs the Debian packages: %s" % (name, skipped[name]))


def table(results):
    """The recorded sizes as the page shows them."""
    names = [t.name for t in targets()]
    rows = ["| file | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for source in sources():
        cells = ["{:,}".format(results[x]["sizes"][source]) for x in names]
        rows.append("| `%s` | " % source + " | ".join(cells) + " |")
    cells = ["{:,}".format(results[x]["total"]) for x in names]
    rows.append("| total | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def shown():
    """(before, table, after) of the page."""
    with open(PAGE) as f:
        before, rest = f.read().split(MARKS[0])
    middle, after = rest.split(MARKS[1])
    return before, middle, after


def record(results):
    keep = ("compiler", "flags", "sizes", "total")
    recorded = {name: {k: r[k] for k in keep} for name, r in results.items()}
    with open(RECORDED, "w") as f:
        json.dump(recorded, f, indent=1, sort_keys=True)
        f.write("\n")
    before, _, after = shown()
    with open(PAGE, "w") as f:
        f.write(before + MARKS[0] + table(recorded) + MARKS[1] + after)
    for path in (RECORDED, PAGE):
        print("recorded in " + os.path.relpath(path, TOP))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="make these the expected sizes")
    args = parser.parse_args()
    results, skipped = measure(os.path.join(TOP, "build", "core-targets"))
    show(results, skipped)
    with open(os.path.join(TOP, "build", "core-targets.json"), "w") as f:
        json.dump({"targets": results, "skipped": skipped}, f, indent=1)
    print("written to build/core-targets.json")
    if args.record:
        if skipped:
            raise SystemExit("core-targets: not recorded, some targets were skipped")
        record(results)


if __name__ == "__main__":
    main()
