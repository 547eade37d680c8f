#!/bin/sh
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Builds build/asan/microzt: the unix port with address and undefined-behaviour sanitizers in all of its C,
# lwIP and our own; every packet and every object of lwIP is then a block of malloc's, so that a step outside
# one, a use after its end and a leak are seen. Needs `make build` first.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
build=$top/build
out=$build/asan
log=$out/build.log
mpy=${MICROPY_DIR:-$build/src/micropython}
lwip=${LWIP_DIR:-$build/src/lwip}
site=$("$build/venv/bin/python3" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

# The interpreter's own tricks with its stack and with null pointers are not ours to judge.
sanitize="-fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize=alignment,null,nonnull-attribute,pointer-overflow,shift"
sanitize="$sanitize -fno-sanitize-recover=undefined"
# Its own jumps out of functions do not go with frame pointers, which make the reports whole.
flags="$sanitize -DMICROPY_NLR_SETJMP=1 -DZT_NETIF_LIBC_HEAP -DMEMP_MEM_MALLOC=1 -Wno-maybe-uninitialized -Wno-clobbered"

mkdir -p "$out"
# Make does not see that flags have changed.
[ "$(cat "$out/flags" 2>/dev/null)" = "$flags" ] || rm -rf "$out/unix"
printf '%s\n' "$flags" >"$out/flags"
[ -x "$out/microzt" ] || echo "build: the unix port with sanitizers, some minutes" >&2
if ! make -s -j2 -C "$mpy/ports/unix" \
    VARIANT_DIR="$top/ports/unix/variant" BUILD="$out/unix" PROG=microzt STRIP=: \
    CFLAGS_EXTRA="$flags" \
    LDFLAGS_EXTRA="$sanitize" COPT=-O1 ZT_LWIP_DIR="$lwip" ZT_SITE="$site" \
    MPY_LIB_DIR="$build/mpy-lib" MICROPY_MPYCROSS="$build/mpy-cross/mpy-cross" \
    MICROPY_MPYCROSS_DEPENDENCY= >"$log" 2>&1; then
    grep -v -E "^(CC|MPY|GEN|Including|Use make) " "$log" >&2
    echo "build: failed; the log is build/asan/build.log" >&2
    exit 1
fi
cmp -s "$out/unix/microzt" "$out/microzt" || cp "$out/unix/microzt" "$out/microzt"
