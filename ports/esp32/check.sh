#!/bin/sh
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
#   check.sh sdk BOARD VARIANT MICROPYTHON_TREE    is everything here that the firmware is built with?
#   check.sh image BUILD_FOLDER                    does the image fit its slot?
#   check.sh list                                  the boards and their variants
#
# Says in one or two lines what is missing and what to do, exit 1.
set -eu

MICROPYTHON=1.25.0
IDF_OLDEST=502 # major * 100 + minor, as MicroPython 1.25 supports
IDF_NEWEST=504
IDF_SAID="5.2, 5.2.2, 5.3 and 5.4"

here=$(cd "$(dirname "$0")" && pwd)

die() {
    printf 'esp32: %s\n' "$@" >&2
    exit 1
}

list() {
    for b in "$here"/boards/*/; do
        b=${b%/}
        variants=
        for v in "$b"/mpconfigvariant_*.cmake; do
            [ -e "$v" ] || continue
            v=${v##*/mpconfigvariant_}
            variants="$variants ${v%.cmake}"
        done
        echo "${b##*/}${variants:+: VARIANT=}${variants# }"
    done
}

number() {
    sed -n -E "s/^#define[[:space:]]+$2[[:space:]]+\(?([0-9]+)\)?.*/\1/p" "$1" 2>/dev/null | head -n 1
}

idf() {
    if [ -z "${IDF_PATH:-}" ]; then
        die "no ESP-IDF here (IDF_PATH is not set): this firmware is built by it." \
            "Versions that work with MicroPython $MICROPYTHON: $IDF_SAID. Install one, run '. \$IDF_PATH/export.sh', and again."
    fi
    v=$IDF_PATH/tools/cmake/version.cmake
    [ -e "$v" ] || die "IDF_PATH is $IDF_PATH, which is not ESP-IDF (no tools/cmake/version.cmake)"
    major=$(sed -n -E 's/^set\(IDF_VERSION_MAJOR ([0-9]+)\)/\1/p' "$v")
    minor=$(sed -n -E 's/^set\(IDF_VERSION_MINOR ([0-9]+)\)/\1/p' "$v")
    got=$((${major:-0} * 100 + ${minor:-0}))
    if [ "$got" -lt $IDF_OLDEST ] || [ "$got" -gt $IDF_NEWEST ]; then
        die "ESP-IDF ${major:-?}.${minor:-?} in $IDF_PATH; MicroPython $MICROPYTHON works with $IDF_SAID"
    fi
    command -v idf.py >/dev/null 2>&1 ||
        die "idf.py is not in the PATH: run '. $IDF_PATH/export.sh' in this shell first"
    # ESP-IDF is content with 3.8; what is frozen is made by tools/freeze and tools/rom.
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' ||
        die "python3 is older than 3.9: install ESP-IDF's tools with a newer one ('./install.sh', then '. export.sh')"
}

micropython() {
    h=$1/py/mpconfig.h
    got=$(number "$h" MICROPY_VERSION_MAJOR).$(number "$h" MICROPY_VERSION_MINOR).$(number "$h" MICROPY_VERSION_MICRO)
    [ "$got" = $MICROPYTHON ] ||
        die "MICROPY_DIR=$1 is not MicroPython $MICROPYTHON (found: $got); clone the tag v$MICROPYTHON"
    # Debian's source package, which the other ports are built from, leaves these out.
    for part in lib/berkeley-db-1.xx lib/tinyusb lib/micropython-lib; do
        [ -n "$(ls "$1/$part" 2>/dev/null)" ] ||
            die "MICROPY_DIR=$1 lacks $part: set MICROPY_DIR to a git clone of the tag v$MICROPYTHON and run" \
                "make -C \$MICROPY_DIR/ports/esp32 submodules"
    done
}

sdk() {
    board=$here/boards/$1
    [ -e "$board/mpconfigboard.cmake" ] || die "no board $1; there are:" "$(list)"
    [ -z "$2" ] || [ -e "$board/mpconfigvariant_$2.cmake" ] || die "no variant $2 of $1; there are:" "$(list)"
    idf
    micropython "$3"
}

# The build has made sure of the same by its own tool; this prints what is left.
image() {
    size=$(wc -c <"$1/micropython.bin")
    table=$(sed -n 's/^CONFIG_PARTITION_TABLE_CUSTOM_FILENAME="\(.*\)"$/\1/p' "$1/sdkconfig")
    slot=$(sed -n -E 's/^ota_0,[^,]*,[^,]*,[^,]*, *(0x[0-9a-fA-F]+),.*/\1/p' "$table")
    [ -n "$slot" ] || die "$table has no slot ota_0"
    [ "$size" -le $((slot)) ] || die "the image has $size bytes, a slot of $table $((slot))"
    echo "esp32: $1/firmware.bin; the image has $size bytes of a slot's $((slot))"
}

case "${1:-}" in
    sdk | image | list) "$@" ;;
    *) die "usage: check.sh sdk BOARD VARIANT MICROPYTHON_TREE | image BUILD_FOLDER | list" ;;
esac
