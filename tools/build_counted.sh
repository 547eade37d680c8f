#!/bin/sh
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Links the objects of `make build` once more, as build/unix/microzt-counted: the unix port with every call
# of malloc and its like counted (tests/core/malloc_count.c). Needs `make build` first.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
build=$top/build
log=$build/counted.log
mpy=${MICROPY_DIR:-$build/src/micropython}
lwip=${LWIP_DIR:-$build/src/lwip}
site=$("$build/venv/bin/python3" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

object=$build/unix/malloc_count.o
${CC:-gcc} -std=gnu99 -Wall -Wextra -Werror -O2 -c -o "$object" "$top/tests/core/malloc_count.c"
wraps=
for f in malloc calloc realloc free memalign posix_memalign aligned_alloc; do
    wraps="$wraps -Wl,--wrap=$f"
done
rm -f "$build/unix/microzt-counted"
if ! make -s -j2 -C "$mpy/ports/unix" \
    VARIANT_DIR="$top/ports/unix/variant" BUILD="$build/unix" PROG=microzt-counted STRIP=: \
    LDFLAGS_EXTRA="-static $wraps $object" ZT_LWIP_DIR="$lwip" ZT_SITE="$site" \
    MPY_LIB_DIR="$build/mpy-lib" MICROPY_MPYCROSS="$build/mpy-cross/mpy-cross" \
    MICROPY_MPYCROSS_DEPENDENCY= >"$log" 2>&1; then
    grep -v -E "^(CC|MPY|GEN|Including|Use make) " "$log" >&2
    echo "build: failed; the log is build/counted.log" >&2
    exit 1
fi
