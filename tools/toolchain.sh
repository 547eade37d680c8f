#!/bin/sh
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Gets what the build needs: host tools, the sources of MicroPython and lwIP, a Python environment.
# Everything lands in build/. The one thing ever changed outside is that missing Debian packages are
# installed when the user is root, and that is said. A second run finds its stamps and does nothing.
#
#   toolchain.sh tools | micropython | lwip | venv | board | targets | llvm | esptool
#
# MICROPY_DIR and LWIP_DIR name trees to use instead of fetched ones. Otherwise the sources are
# Debian's source packages of the suite below, from the mirror and with the keys this machine's own
# apt uses: a private apt configuration in build/apt, so signatures are checked and nothing of the
# system changes. Upstream's archives are pinned by checksum as well; Debian's patches over them
# (security fixes among them) come with apt's signature alone.
set -eu

SUITE=trixie
MICROPYTHON_VERSION=1.25.0
MICROPYTHON_SHA256=7b25be99a502f070b2de81dafc08da7051d992325d6e67daa9045a918fffdbea
LWIP_VERSION=2.2.1
LLVM_VERSION=22
ESPTOOL_VERSION=4.12.0 # what ESP-IDF 5 brings
LWIP_SHA256=83729c274c499d3348e9fbbe043a3113f3fa8953e7efddc7c21c7fcbb1f2b7b1

top=$(cd "$(dirname "$0")/.." && pwd)
build=$top/build
apt=$build/apt
umask 022

say() {
    echo "toolchain: $*" >&2
}

die() {
    say "$*"
    exit 1
}

# ---- host tools ----

# Each line: a test that is true when the thing is there, and the Debian package that brings it.
missing_packages() {
    have() { command -v "$1" >/dev/null 2>&1; }
    # A compiler without the C library's headers is as good as none.
    { have gcc && echo '#include <stdio.h>' | gcc -E - >/dev/null 2>&1; } || echo build-essential
    have python3 || echo python3
    # ensurepip is the part that Debian splits off.
    { have python3 && python3 -c 'import venv, ensurepip' 2>/dev/null; } || echo python3-venv
    if [ -z "${MICROPY_DIR:-}" ] || [ -z "${LWIP_DIR:-}" ]; then
        have dpkg-source || echo dpkg-dev
        have xz || echo xz-utils
    fi
    [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
}

# The same for the emulated board: a compiler with a C library for it, and the emulator.
missing_board_packages() {
    riscv=riscv64-unknown-elf-gcc
    command -v $riscv >/dev/null 2>&1 || echo gcc-riscv64-unknown-elf
    # Asking the compiler: it prints the bare name of a file it does not have.
    [ "$($riscv --print-file-name=picolibc.specs 2>/dev/null || echo picolibc.specs)" != picolibc.specs ] ||
        echo picolibc-riscv64-unknown-elf
    command -v qemu-system-riscv32 >/dev/null 2>&1 || echo qemu-system-misc
    command -v cmake >/dev/null 2>&1 || echo cmake # reads the ESP32's board files
}

# An LLVM that knows Xtensa, of one version: the system's, or what is unpacked in build/llvm.
have_llvm() {
    for version in 29 28 27 26 25 24 23 $LLVM_VERSION; do
        for where in "" "$build/llvm/"; do
            if command -v "${where}clang-$version" >/dev/null 2>&1 &&
                command -v "${where}llvm-mc-$version" >/dev/null 2>&1 &&
                "${where}llc-$version" --version 2>/dev/null | grep -q xtensa; then
                return 0
            fi
        done
    done
    return 1
}

# For the core on other machines: cross compilers, an LLVM that knows Xtensa, the linker of another
# Xtensa, emulators of processes.
missing_target_packages() {
    for machine in riscv64-unknown-elf aarch64-linux-gnu arm-linux-gnueabihf powerpc-linux-gnu \
        mips-linux-gnu; do
        command -v $machine-gcc >/dev/null 2>&1 || echo gcc-$machine
    done
    command -v xtensa-lx106-elf-ld >/dev/null 2>&1 || echo binutils-xtensa-lx106
    command -v qemu-xtensa >/dev/null 2>&1 || echo qemu-user
    have_llvm || echo "clang-$LLVM_VERSION llvm-$LLVM_VERSION"
}

install_missing() {
    want=$($1 | sort -u | tr '\n' ' ')
    if [ -z "$want" ]; then
        return
    fi
    if ! command -v apt-get >/dev/null 2>&1; then
        die "missing; install what your system calls these Debian packages: $want"
    fi
    if [ "$(id -u)" != 0 ]; then
        die "missing Debian packages; run as root: apt-get install $want"
    fi
    say "installing missing Debian packages: $want"
    apt-get update -q >&2
    # shellcheck disable=SC2086 # a list of package names
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $want >&2
    want=$($1 | tr '\n' ' ')
    [ -z "$want" ] || die "still missing after the installation: $want"
}

tools() {
    install_missing missing_packages
}

board() {
    install_missing missing_board_packages
}

targets() {
    if ! have_llvm; then
        # Who cannot install it, or whose suite does not have it, gets it unpacked.
        [ "$(id -u)" != 0 ] || apt-get update -q >&2
        if [ "$(id -u)" != 0 ] || [ -z "$(apt-cache madison clang-$LLVM_VERSION 2>/dev/null)" ]; then
            llvm
        fi
    fi
    install_missing missing_target_packages
}

# LLVM from Debian's suite sid with all that it needs, the C library too, unpacked in build/llvm and started
# by its own loader: nothing of the system is changed or used.
llvm() {
    say "fetching LLVM $LLVM_VERSION (Debian binary packages, suite sid, about 100 MB) into build/llvm"
    rm -rf "$build/llvm"
    mkdir -p "$build/llvm/deb" "$build/llvm/root"
    apt=$build/llvm/apt
    entry_type="deb"
    entry_suite=sid
    private_apt || die "this machine's apt does not reach Debian's suite sid"
    export APT_CONFIG="$apt/apt.conf"
    # What only a compiler for this machine would need stays away.
    names=$(apt-get install -s --no-install-recommends "clang-$LLVM_VERSION" "llvm-$LLVM_VERSION" | awk '
        /^Inst/ && $2 !~ /^(binutils|linux-libc-dev|libc6-dev|libc-dev|libcrypt-dev|lib[a-z]+san|gcc-)/ &&
            $2 !~ /^lib(gcc|stdc\+\+|objc)-.*dev$/ { print $2 }')
    # shellcheck disable=SC2086 # a list of package names
    (cd "$build/llvm/deb" && apt-get download -q $names >"$apt/log" 2>&1) || {
        cat "$apt/log" >&2
        die "LLVM could not be fetched"
    }
    unset APT_CONFIG
    root=$build/llvm/root
    for deb in "$build"/llvm/deb/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --exclude='./usr/share/*'
    done
    libs=$(dirname "$(find "$root" -name libc.so.6 | head -n 1)")
    loader=$(find "$root/" -name 'ld-linux*.so.*' | head -n 1)
    home=$root/usr/lib/llvm-$LLVM_VERSION
    for program in clang llc llvm-mc; do
        more=
        [ $program != clang ] || more="-resource-dir $(echo "$home"/lib/clang/*)"
        {
            echo '#!/bin/sh'
            echo "exec $loader --library-path $libs:$home/lib $home/bin/$program $more \"\$@\""
        } >"$build/llvm/$program-$LLVM_VERSION"
        chmod +x "$build/llvm/$program-$LLVM_VERSION"
    done
    rm -rf "$build/llvm/deb" "$apt"
    "$build/llvm/llc-$LLVM_VERSION" --version | grep -q xtensa || die "the LLVM in build/llvm does not run"
}

# ---- sources ----

# Print this machine's first Debian archive entry as one of $entry_type and $entry_suite, and nothing
# else changed: the mirror, the key and the other options stay what the administrator set.
entry_type="deb-src"
entry_suite=$SUITE
own_sources() {
    for f in /etc/apt/sources.list.d/*.sources; do
        [ -e "$f" ] || continue
        awk -v suite="$entry_suite" -v type="$entry_type" '
            function flush() {
                if (types ~ /(^| )deb( |$)/ && suites ~ /(^| )(stable|testing|unstable|sid|bookworm|trixie|forky)( |$)/ \
                    && uris ~ /debian/ && comps ~ /(^| )main( |$)/ && enabled !~ /no/ && !done) {
                    print "Types: " type "\nURIs:" uris "\nSuites: " suite "\nComponents: main\n" rest
                    done = 1
                }
                types = suites = uris = comps = enabled = rest = ""
            }
            /^#/ { next }
            /^[ \t]*$/ { flush(); next }
            /^[ \t]/ { rest = rest $0 "\n"; next }
            {
                key = tolower($0); sub(/:.*/, "", key)
                value = $0; sub(/^[^:]*:/, "", value)
                if (key == "types") { types = value }
                else if (key == "uris") { uris = value }
                else if (key == "suites") { suites = value }
                else if (key == "components") { comps = value }
                else if (key == "enabled") { enabled = value }
                else if (key == "signed-by" || key == "trusted") { rest = rest $0 "\n" }
            }
            END { flush() }' "$f" >"$apt/entry.sources"
        if [ -s "$apt/entry.sources" ]; then
            mv "$apt/entry.sources" "$apt/parts/debian.sources"
            return
        fi
    done
    rm -f "$apt/entry.sources"
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -e "$f" ] || continue
        line=$(sed -n -E 's/[[:space:]]+/ /g; s/^ ?deb (\[[^]]*\] )?([^ ]*debian[^ ]*) (stable|testing|unstable|sid|bookworm|trixie|forky) (.* )?main( .*)?$/'$entry_type' \1\2 '$entry_suite' main/p' "$f" | head -n 1)
        if [ -n "$line" ]; then
            # An architecture list means nothing for sources, and apt would warn about it.
            echo "$line" | sed -E 's/ ?arch=[^] ]*//; s/\[ *\] //' >"$apt/parts/debian.list"
            return
        fi
    done
    return 1
}

private_apt() {
    command -v apt-get >/dev/null 2>&1 || return 1
    rm -rf "$apt"
    mkdir -p "$apt/parts" "$apt/state/lists/partial" "$apt/cache/archives/partial"
    own_sources || return 1
    : >"$apt/status"
    cat >"$apt/apt.conf" <<CONF
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$apt/parts";
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
APT::Sandbox::User "root";
APT::Architecture "$(dpkg --print-architecture)";
Acquire::Languages "none";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
CONF
    APT_CONFIG=$apt/apt.conf apt-get update -q >"$apt/log" 2>&1 || {
        cat "$apt/log" >&2
        return 1
    }
}

# fetch NAME VERSION SHA256: the unpacked source package becomes build/src/NAME
fetch() {
    if [ "$(cat "$build/src/$1/.microzt" 2>/dev/null)" = "$3" ]; then
        return
    fi
    say "fetching $1 $2 (Debian source package, suite $SUITE)"
    if [ ! -e "$apt/ready" ]; then
        private_apt || die "no source of $1 $2 found through this machine's apt;" \
            "set MICROPY_DIR to a MicroPython $MICROPYTHON_VERSION tree and LWIP_DIR to an lwIP $LWIP_VERSION tree"
        : >"$apt/ready"
    fi
    work=$build/src/$1.part
    rm -rf "$work" "${build:?}/src/$1"
    mkdir -p "$work"
    (
        cd "$work"
        APT_CONFIG=$apt/apt.conf apt-get source -q --download-only "$1/$SUITE" >"$apt/log" 2>&1 || {
            cat "$apt/log" >&2
            exit 1
        }
        if ! echo "$3  $(echo "$1"_*.orig.tar.*)" | sha256sum -c --status; then
            say "$1: $(echo "$1"_*.orig.tar.*) is not the archive this project is pinned to"
            exit 1
        fi
        # The signature was checked by apt, over the same bytes.
        dpkg-source --no-check -x "$1"_*.dsc tree >"$apt/log" 2>&1 || {
            cat "$apt/log" >&2
            exit 1
        }
        echo "$3" >tree/.microzt
    ) || {
        rm -f "$apt/ready" # its lists may have aged; the next run asks the mirror again
        die "$1 $2 could not be fetched; set MICROPY_DIR and LWIP_DIR to use trees of your own"
    }
    mv "$work/tree" "$build/src/$1"
    rm -rf "$work"
}

# The number a header defines, as in "#define NAME (1)" or "#define NAME 2U".
number() {
    sed -n -E "s/^#define[[:space:]]+$2[[:space:]]+\(?([0-9]+)U?\)?.*/\1/p" "$1" 2>/dev/null | head -n 1
}

check_version() {
    [ "$2" != .. ] || die "$1: not the source tree it should be; version $3 is needed"
    [ "$2" = "$3" ] || die "$1: version $2 found, $3 needed"
}

micropython() {
    dir=${MICROPY_DIR:-}
    if [ -z "$dir" ]; then
        fetch micropython $MICROPYTHON_VERSION $MICROPYTHON_SHA256
        dir=$build/src/micropython
    fi
    h=$dir/py/mpconfig.h
    check_version "$dir" "$(number "$h" MICROPY_VERSION_MAJOR).$(number "$h" MICROPY_VERSION_MINOR).$(number "$h" MICROPY_VERSION_MICRO)" $MICROPYTHON_VERSION
}

lwip() {
    dir=${LWIP_DIR:-}
    if [ -z "$dir" ]; then
        fetch lwip $LWIP_VERSION $LWIP_SHA256
        dir=$build/src/lwip
    fi
    h=$dir/src/include/lwip/init.h
    check_version "$dir" "$(number "$h" LWIP_VERSION_MAJOR).$(number "$h" LWIP_VERSION_MINOR).$(number "$h" LWIP_VERSION_REVISION)" $LWIP_VERSION
}

# ---- Python packages ----

venv() {
    stamp=$build/venv/.requirements
    if cmp -s "$top/tools/requirements.txt" "$stamp"; then
        return
    fi
    say "installing the Python packages of tools/requirements.txt into build/venv"
    rm -rf "$build/venv"
    python3 -m venv "$build/venv"
    "$build/venv/bin/pip" install -q --disable-pip-version-check -r "$top/tools/requirements.txt" >&2 ||
        die "pip could not install the packages of tools/requirements.txt"
    cp "$top/tools/requirements.txt" "$stamp"
}

# Only who flashes a board needs it.
esptool() {
    if ! "$build/venv/bin/python3" -m esptool version >/dev/null 2>&1; then
        say "installing esptool $ESPTOOL_VERSION into build/venv"
        "$build/venv/bin/python3" -m pip install -q --disable-pip-version-check "esptool==$ESPTOOL_VERSION" >&2 ||
            die "pip could not install esptool"
    fi
}

mkdir -p "$build/src"
case "${1:-}" in
    tools | micropython | lwip | venv | board | targets | llvm | esptool) "$1" ;;
    *) die "usage: toolchain.sh tools | micropython | lwip | venv | board | targets | llvm | esptool" ;;
esac
