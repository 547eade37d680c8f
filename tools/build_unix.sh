#!/bin/sh
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
#   build_unix.sh MICROPYTHON_TREE LWIP_TREE JOBS
#
# Builds mpy-cross and the unix port by upstream's own makefiles, into build/; the trees stay as they
# are. Prints one line when there was something to do, and the log when it failed.
set -eu

mpy=$1
lwip=$2
jobs=$3
top=$(cd "$(dirname "$0")/.." && pwd)
build=$top/build
log=$build/unix.log
site=$("$build/venv/bin/python3" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

# Upstream asks for its library of packages, of which nothing is used.
mkdir -p "$build/mpy-lib"
[ -e "$build/mpy-lib/README.md" ] || : >"$build/mpy-lib/README.md"

failed() {
    grep -v -E "^(CC|MPY|GEN|Including|Use make) " "$log" >&2
    echo "build: failed; the log is build/unix.log" >&2
    exit 1
}

# A static binary keeps 0.7 MB less resident: no shared libc whose pages the linker touches.
static=
if echo 'int main(void) { return 0; }' | ${CC:-gcc} -x c -static -o /dev/null - 2>/dev/null; then
    static=-static
fi

[ -x "$build/microzt" ] || echo "build: the unix port, about a minute" >&2
: >"$log"
make -s -j"$jobs" -C "$mpy/mpy-cross" BUILD="$build/mpy-cross" PROG=mpy-cross >>"$log" 2>&1 || failed
make -s -j"$jobs" -C "$mpy/ports/unix" \
    VARIANT_DIR="$top/ports/unix/variant" BUILD="$build/unix" \
    LDFLAGS_EXTRA="$static" ZT_LWIP_DIR="$lwip" ZT_SITE="$site" MPY_LIB_DIR="$build/mpy-lib" \
    MICROPY_MPYCROSS="$build/mpy-cross/mpy-cross" MICROPY_MPYCROSS_DEPENDENCY= >>"$log" 2>&1 || failed
if ! cmp -s "$build/unix/microzt" "$build/microzt"; then
    # A running node keeps the file it started from.
    cp "$build/unix/microzt" "$build/microzt.new"
    mv "$build/microzt.new" "$build/microzt"
    echo "build: build/microzt is new" >&2
fi
