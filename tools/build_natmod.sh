#!/bin/sh
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
#   build_natmod.sh MICROPYTHON_TREE ARCH...|stock
#
# Builds the crypto core as native .mpy files by upstream's own rules: build/natmod/ARCH/_ztcrypto.mpy. Shows
# the log when it failed. ARCH is x64, rv32imc or xtensawin, the last by LLVM (tools/xtensawin-gcc), or
# xtensawin-qemu, the same for an emulated core that lacks an instruction of the ESP32's. `stock` is a unix
# MicroPython to try the first in: build/stock/micropython, upstream's standard variant without what needs
# other libraries, and nothing of ours.
set -eu

mpy=$1
shift
top=$(cd "$(dirname "$0")/.." && pwd)
build=$top/build
log=$build/natmod.log

mkdir -p "$build"
PATH=$build/venv/bin:$PATH # its Python has pyelftools
: >"$log"
failed() {
    cat "$log" >&2
    echo "build: failed; the log is build/natmod.log" >&2
    exit 1
}

make -s -C "$mpy/mpy-cross" BUILD="$build/mpy-cross" PROG=mpy-cross >>"$log" 2>&1 || failed
for arch in "$@"; do
    if [ "$arch" = stock ]; then
        mkdir -p "$build/mpy-lib"
        [ -e "$build/mpy-lib/README.md" ] || : >"$build/mpy-lib/README.md"
        make -s -C "$mpy/ports/unix" BUILD="$build/stock" VARIANT=standard FROZEN_MANIFEST= \
            MICROPY_PY_BTREE=0 MICROPY_PY_FFI=0 MICROPY_PY_SSL=0 MPY_LIB_DIR="$build/mpy-lib" \
            MICROPY_MPYCROSS="$build/mpy-cross/mpy-cross" MICROPY_MPYCROSS_DEPENDENCY= >>"$log" 2>&1 || failed
        continue
    fi
    here=$build/natmod/$arch
    mkdir -p "$here"
    echo "include $top/firmware/natmod/Makefile" >"$here/Makefile"
    cross=
    ZT_LLC=
    case $arch in
        xtensawin*) cross="CROSS=$top/tools/xtensawin-" ;;
    esac
    [ "$arch" != xtensawin-qemu ] || ZT_LLC=-mattr=-mul32high
    export ZT_LLC
    # shellcheck disable=SC2086 # nothing, or one word
    make -s -C "$here" ARCH="${arch%-qemu}" MPY_DIR="$mpy" PYTHON="$build/venv/bin/python3" \
        MPY_CROSS="$build/mpy-cross/mpy-cross" $cross >>"$log" 2>&1 || failed
done
