#!/bin/sh
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
#   build_qemu.sh MICROPYTHON_TREE LWIP_TREE JOBS [plain]
#
# Builds the firmware of the emulated RV32 board by upstream's own makefile: build/microzt-rv32.elf, or
# build/plain-rv32.elf, the same without the node. Prints its sizes when there was something to do, and the
# log when it failed.
set -eu

mpy=$1
lwip=$2
jobs=$3
plain=${4:+1}
top=$(cd "$(dirname "$0")/.." && pwd)
build=$top/build
name=${plain:+plain}
name=${name:-microzt}-rv32
log=$build/$name.log
site=$("$build/venv/bin/python3" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

mkdir -p "$build/mpy-lib"
[ -e "$build/mpy-lib/README.md" ] || : >"$build/mpy-lib/README.md"

failed() {
    grep -v -E "^(CC|AS|MPY|GEN|Including|Use make) " "$log" >&2
    echo "build: failed; the log is build/$name.log" >&2
    exit 1
}

# Upstream's lists of names and modules only ever grow: begin anew when it was changed what is built.
stamp=$build/$name/made
if [ -e "$stamp" ] && [ -n "$(find "$top/firmware/modules" "$top/ports/qemu" -name '*.mk' -newer "$stamp")" ]; then
    rm -rf "$build/${name:?}"
fi
mkdir -p "$build/$name"
[ -e "$stamp" ] || : >"$stamp"

[ -e "$build/$name.elf" ] || echo "build: the firmware $name, about a minute" >&2
: >"$log"
make -s -j"$jobs" -C "$mpy/mpy-cross" BUILD="$build/mpy-cross" PROG=mpy-cross >>"$log" 2>&1 || failed
make -s -j"$jobs" -C "$mpy/ports/qemu" BOARD=ZT_RV32 BOARD_DIR="$top/ports/qemu/ZT_RV32" \
    BUILD="$build/$name" ZT_LWIP_DIR="$lwip" ZT_SITE="$site" ZT_PLAIN="$plain" MPY_LIB_DIR="$build/mpy-lib" \
    CFLAGS_EXTRA="${plain:+-DZT_PLAIN=1}" \
    MICROPY_MPYCROSS="$build/mpy-cross/mpy-cross" MICROPY_MPYCROSS_DEPENDENCY= >>"$log" 2>&1 || failed
if ! cmp -s "$build/$name/firmware.elf" "$build/$name.elf"; then
    cp "$build/$name/firmware.elf" "$build/$name.new"
    mv "$build/$name.new" "$build/$name.elf"
    riscv64-unknown-elf-size "$build/$name.elf" | awk -v name="$name" 'NR == 2 {
        printf "build: build/%s.elf is new: flash %d bytes, static RAM %d bytes\n", name, $1 + $2, $2 + $3 }' >&2
fi
