#!/bin/sh
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Builds and runs the C fuzzers, one after the other, with address and undefined-behaviour sanitizers:
#   run.sh 10000000           that many runs of each
#   run.sh 60s                that many seconds of each
#   run.sh 1800cpu plane_rx   of one, until it has used that many seconds of a processor
#   run.sh keep plane_rx      make corpus/plane_rx.hex of the least that reaches what was reached
#   run.sh 600s stack         the network stack in the process (stack.py), needs `make build`
# Works in build/fuzz; a crashing input is left there. Exit 0 if nothing crashed.
set -eu

amount=${1:-60s}
here=$(cd "$(dirname "$0")" && pwd)
core=$here/../../firmware/core
work=${BUILD:-$here/../../build}/fuzz
cpu=
case $amount in
*cpu) cpu=${amount%cpu} limit= ;;
*s) limit=-max_total_time=${amount%s} ;;
*) limit=-runs=$amount ;;
esac

if [ "${2:-}" = stack ]; then
    "$here/../../tools/build_asan.sh"
    cd "$here/../.."
    ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=8 exec build/asan/microzt tests/fuzz/stack.py "${amount%s}"
fi
if ! command -v clang >/dev/null 2>&1; then
    echo "fuzz: needs clang (Debian package clang)" >&2
    exit 1
fi
mkdir -p "$work"
for script in seeds seeds_rules seeds_plane; do
    python3 "$here/$script.py" "$work/seeds"
done
python3 "$here/corpus.py" unpack "$work/seeds"
sources=$(sed -n "s|^CORE_SRC += |$core/|p" "$core/sources.mk")

build() { # output, target, flags
    out=$1
    source=$here/fuzz_$2.c
    shift 2
    # shellcheck disable=SC2086 # a list of files without blanks
    clang -std=gnu99 -g -O1 "$@" -I "$core" -o "$out" "$source" $sources
}

if [ "$amount" = keep ]; then
    # Edges only, and each input as short as it was found.
    build "$work/plain_$2" "$2" -fsanitize=fuzzer
    rm -rf "$work/least"
    mkdir "$work/least"
    "$work/plain_$2" -merge=1 -use_counters=0 "$work/least" "$work/corpus_$2" "$work/seeds/$2" >"$work/keep.log" 2>&1
    exec python3 "$here/corpus.py" pack "$2" "$work/least"
fi

# The seconds that process $1 has used of a processor.
used() {
    awk -v hz="$(getconf CLK_TCK)" '{ print int(($14 + $15) / hz) }' "/proc/$1/stat" 2>/dev/null || echo "$cpu"
}

for target in ${2:-wire lz4 rules plane_rx plane_run plane_tx reassembly}; do
    build "$work/fuzz_$target" "$target" -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
    mkdir -p "$work/corpus_$target"
    echo "fuzz: $target, $amount"
    (
        cd "$work"
        rm -f crash-* oom-* timeout-* leak-*
        # shellcheck disable=SC2086 # no limit is no argument
        "./fuzz_$target" $limit -max_len=2048 -print_final_stats=1 -verbosity=1 -handle_usr1=1 \
            "corpus_$target" "seeds/$target" >"log_$target" 2>&1 &
        pid=$!
        while [ -n "$cpu" ] && kill -0 "$pid" 2>/dev/null; do
            if [ "$(used "$pid")" -ge "$cpu" ]; then
                kill -USR1 "$pid" 2>/dev/null || true
                break
            fi
            sleep 2
        done
        wait "$pid" || true
        sed -n 's/^stat::/  /p; /ERROR\|SUMMARY/p; /DONE/p' "log_$target"
        if ls crash-* oom-* timeout-* leak-* >/dev/null 2>&1; then
            echo "fuzz: $target crashed, inputs in $work" >&2
            exit 1
        fi
    )
done
