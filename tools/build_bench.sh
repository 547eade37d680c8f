#!/bin/sh
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Builds build/bench/microzt: the unix port as `make build` makes it, and the module _ztbench
# (tools/ztbench), which the product does not have; symbols stay, for perf. Needs `make build` first.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
build=$top/build
bench=$build/bench
log=$bench/build.log
mpy=${MICROPY_DIR:-$build/src/micropython}
lwip=${LWIP_DIR:-$build/src/lwip}
site=$("$build/venv/bin/python3" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

# The modules' makefiles find the rest of firmware/ by their own place, so the bench's one gets a tree of
# links beside which it lies.
mkdir -p "$bench/firmware/modules"
for folder in core netif; do
    ln -sfn "$top/firmware/$folder" "$bench/firmware/$folder"
done
for module in "$top"/firmware/modules/*/; do
    ln -sfn "${module%/}" "$bench/firmware/modules/$(basename "$module")"
done
ln -sfn "$top/tools/ztbench" "$bench/firmware/modules/ztbench"

static=
if echo 'int main(void) { return 0; }' | ${CC:-gcc} -x c -static -o /dev/null - 2>/dev/null; then
    static=-static
fi
[ -x "$bench/microzt" ] || echo "build: the unix port with the bench's module, about a minute" >&2
if ! make -s -j2 -C "$mpy/ports/unix" \
    VARIANT_DIR="$top/ports/unix/variant" BUILD="$bench/unix" PROG=microzt STRIP=: \
    USER_C_MODULES="$bench/firmware/modules" LDFLAGS_EXTRA="$static" ZT_LWIP_DIR="$lwip" ZT_SITE="$site" \
    MPY_LIB_DIR="$build/mpy-lib" MICROPY_MPYCROSS="$build/mpy-cross/mpy-cross" \
    MICROPY_MPYCROSS_DEPENDENCY= >"$log" 2>&1; then
    grep -v -E "^(CC|MPY|GEN|Including|Use make) " "$log" >&2
    echo "build: failed; the log is build/bench/build.log" >&2
    exit 1
fi
cmp -s "$bench/unix/microzt" "$bench/microzt" || cp "$bench/unix/microzt" "$bench/microzt"
