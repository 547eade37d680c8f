#!/bin/sh
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Fetches libzt 1.8.4 (a real ZeroTier node as a library, used only by tests/interop) into DIR, by default
# build/libzt, checks its SHA-256, unpacks it and builds the three empty symbols that its wheel lacks.
# Does nothing when all of that is there already.
set -eu

dir=${1:-build/libzt}
wheel=libzt-1.8.4-cp39-cp39-manylinux2010_x86_64.whl
sum=e66e1482940118ae172d7356d2c5d2d5c561831c94d595a850704f9923054756

if [ -f "$dir/.complete" ] && [ "$(cat "$dir/.complete")" = "$sum" ]; then
    exit 0
fi
if [ "$(uname -m)" != x86_64 ]; then
    echo "fetch_libzt: libzt 1.8.4 is published for x86_64 only" >&2
    exit 1
fi
mkdir -p "$dir"
if [ ! -f "$dir/$wheel" ]; then
    python3 -m pip download -q libzt==1.8.4 --python-version 3.9 --implementation cp --abi cp39 \
        --platform manylinux2010_x86_64 --only-binary=:all: --no-deps -d "$dir" >&2
fi
if ! echo "$sum  $dir/$wheel" | sha256sum -c - >/dev/null 2>&1; then
    echo "fetch_libzt: $dir/$wheel does not have the expected SHA-256; delete it and try again" >&2
    exit 1
fi
python3 -m zipfile -e "$dir/$wheel" "$dir"
cat >"$dir/stub.c" <<'END'
// Symbols that the wheel's extension library names and does not hold; nothing calls them here.
void _ZN8ZeroTier12LinuxNetLinkC1Ev(void *p) { (void)p; }
void _ZN8ZeroTier12LinuxNetLinkD1Ev(void *p) { (void)p; }
void _ZN8ZeroTier12LinuxNetLink8delRouteERKNS_11InetAddressES3_S3_PKc(void *p) { (void)p; }
END
${CC:-cc} -shared -fPIC -o "$dir/stub.so" "$dir/stub.c"
echo "$sum" >"$dir/.complete"
