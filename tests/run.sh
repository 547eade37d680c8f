#!/bin/sh
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
#   run.sh [unit|vectors|interop|embedded|lab]
#
# Runs one part of the tests, or all of them. Each part prints its seconds. Exit 1 if any failed.
set -u
cd "$(dirname "$0")/.." || exit
python=build/venv/bin/python3
export PYTHONPATH=lib PYTHONDONTWRITEBYTECODE=1

run_pytest() {
    if [ ! -d "$1" ]; then
        echo "$1: not built yet"
        return 0
    fi
    "$python" -m pytest -q -p no:cacheprovider "$1"
    result=$?
    if [ $result = 5 ]; then # pytest's word for "found no tests"
        echo "$1: no tests" >&2
    fi
    return $result
}

unit() {
    run_pytest tests/unit
    result=$?
    "$python" tests/run_mpy.py || result=1
    return $result
}

vectors() {
    run_pytest tests/vectors
}

# With BOTH_PATHS set the nodes run a second time without the data plane.
interop() {
    run_pytest tests/interop || return 1
    if [ -n "${BOTH_PATHS:-}" ]; then
        echo "the same with ZT_PLANE=python"
        (export ZT_PLANE=python && run_pytest tests/interop)
    fi
}

# The compilers and emulators of boards come first. Where they cannot be had, what needs them skips and
# says so; in CI that is a failure.
embedded() {
    for step in board targets; do
        tools/toolchain.sh $step || [ -z "${ZT_NEED_INTEROP:-}" ] || return 1
    done
    run_pytest tests/embedded
}

lab() {
    echo "lab: not built yet (networks with loss and NAT are a later issue)"
}

failed=
for part in ${1:-unit vectors interop embedded lab}; do
    case $part in
        unit | vectors | interop | embedded | lab) ;;
        *)
            echo "run.sh: no part called '$part'; there are unit, vectors, interop, embedded, lab" >&2
            exit 2
            ;;
    esac
    start=$(date +%s)
    if $part; then
        verdict=ok
    else
        verdict=FAILED
        failed="$failed $part"
    fi
    echo "$part: $verdict, $(($(date +%s) - start)) s"
done
if [ -n "$failed" ]; then
    echo "failed:$failed" >&2
    exit 1
fi
