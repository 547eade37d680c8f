#!/bin/sh
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Builds and runs the C fuzzers, one after the other, with address and undefined-behaviour sanitizers:
#   run.sh 10000000      that many runs of each
#   run.sh 60s           that many seconds of each
#   run.sh 60s lz4       of one
# Works in build/fuzz; a crashing input is left there. Exit 0 if nothing crashed.
set -eu

amount=${1:-60s}
here=$(cd "$(dirname "$0")" && pwd)
core=$here/../../firmware/core
work=${BUILD:-$here/../../build}/fuzz
case $amount in
*s) limit=-max_total_time=${amount%s} ;;
*) limit=-runs=$amount ;;
esac
if ! command -v clang >/dev/null 2>&1; then
    echo "fuzz: needs clang (Debian package clang)" >&2
    exit 1
fi
mkdir -p "$work"
python3 "$here/seeds.py" "$work/seeds"
python3 "$here/seeds_rules.py" "$work/seeds"
python3 "$here/seeds_plane.py" "$work/seeds"
sources=$(sed -n "s|^CORE_SRC += |$core/|p" "$core/sources.mk")
for target in ${2:-wire lz4 rules plane_rx plane_tx reassembly}; do
    # shellcheck disable=SC2086 # a list of files without blanks
    clang -std=gnu99 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
        -I "$core" -o "$work/fuzz_$target" "$here/fuzz_$target.c" $sources
    mkdir -p "$work/corpus_$target"
    echo "fuzz: $target, $amount"
    (cd "$work" && "./fuzz_$target" "$limit" -max_len=2048 -print_final_stats=1 -verbosity=0 \
        "corpus_$target" "seeds/$target" 2>&1 | sed -n 's/^stat::/  /p; /ERROR\|SUMMARY\|Done/p'
        if ls crash-* oom-* timeout-* >/dev/null 2>&1; then
            echo "fuzz: $target crashed, inputs in $work" >&2
            exit 1
        fi)
done
