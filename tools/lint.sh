#!/bin/sh
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Checks the style of everything git knows or would add: Python by ruff (pyproject.toml), C by gcc's
# warnings and cppcheck, shell by sh -n (and shellcheck where installed), and the house rules that no
# tool knows: SPDX lines, file lengths, white space, nothing of our own machines. Says every finding,
# exits 1 if there was one.
set -u
cd "$(dirname "$0")/.." || exit 1

MAX_LINES=500
report=$(mktemp) || exit 1
trap 'rm -f "$report"' EXIT

# What is on standard input goes into the report under a heading. (A pipe's end is a process of its own
# and could not set a variable here.)
findings() {
    found=$(cat)
    if [ -n "$found" ]; then
        printf 'lint: %s:\n%s\n' "$1" "$found" >>"$report"
    fi
}

files() {
    git ls-files --cached --others --exclude-standard -- "$@" | sort -u |
        while read -r f; do [ -f "$f" ] && echo "$f"; done
}

need() {
    if command -v "$1" >/dev/null 2>&1; then
        return
    fi
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "lint: installing the Debian package $1" >&2
        apt-get update -q >&2
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$1" >&2
    fi
    if ! command -v "$1" >/dev/null 2>&1; then
        echo "lint: $1 is missing; install the Debian package $1" >&2
        exit 1
    fi
}

python_style() {
    ruff=build/venv/bin/ruff
    [ -x $ruff ] || ruff=ruff
    "$ruff" check --quiet --no-cache --output-format concise . 2>&1 | findings "ruff"
}

# The core is plain C99; what binds it to MicroPython includes headers that are not ours and is
# compiled with -Werror by the build.
c_style() {
    core=$(files 'firmware/core/*.c')
    for f in $core; do
        gcc -std=c99 -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Werror -fsyntax-only -Ifirmware/core "$f" 2>&1 | findings "gcc $f"
    done
    need cppcheck
    # Two kinds of finding are cppcheck's own: it does not see that these shifts are of 64 and 128 bits,
    # and takes a vector that is set lane by lane for unset.
    # shellcheck disable=SC2046 # a list of our own files, none with a space
    cppcheck --std=c99 --platform=unix64 --enable=warning,performance,portability --inline-suppr --quiet \
        --suppress=missingInclude --suppress=missingIncludeSystem --suppress=unknownMacro --suppress=toomanyconfigs \
        --suppress='shiftTooManyBits:firmware/core/zt_fe*.h' \
        --suppress='uninitvar:firmware/core/zt_salsa20.c' --suppress=toomanyconfigs \
        --template='{file}:{line}: {id}: {message}' \
        -Ifirmware/core -Ifirmware/netif $(files '*.c' 'firmware/*.h') 2>&1 | findings "cppcheck"
}

shell_style() {
    scripts=$(files '*.sh' zt)
    for f in $scripts; do
        sh -n "$f" 2>&1 | findings "sh -n $f"
    done
    if command -v shellcheck >/dev/null 2>&1; then
        # shellcheck disable=SC2086
        shellcheck -s sh $scripts 2>&1 | findings "shellcheck"
    fi
}

house_rules() {
    ours=$(files '*.py' '*.c' '*.h' '*.sh' '*.mk' Makefile '*/Makefile' zt)
    # shellcheck disable=SC2086
    for f in $ours; do
        head -n 3 "$f" | grep -q 'SPDX-License-Identifier: MIT' || echo "$f"
    done | findings "no SPDX line in the first three"

    for f in $(files 'lib/*.py' 'firmware/core/*.c' 'firmware/core/*.h'); do
        n=$(wc -l <"$f")
        [ "$n" -le $MAX_LINES ] || echo "$f: $n lines"
    done | findings "longer than $MAX_LINES lines"

    text=$(files '*.py' '*.c' '*.h' '*.sh' '*.mk' '*.md' '*.toml' '*.txt' Makefile '*/Makefile' zt |
        grep -v '^tests/vectors/recordings/')
    # shellcheck disable=SC2086
    grep -nE '[[:blank:]]+$' $text /dev/null | findings "white space at the end of a line"
    for f in $text; do
        [ ! -s "$f" ] || [ "$(tail -c 1 "$f" | wc -l)" = 1 ] || echo "$f"
    done | findings "no newline at the end"
    # shellcheck disable=SC2046,SC2086
    grep -n "$(printf '\t')" $(printf '%s\n' $text | grep -E '\.(py|c|h|sh)$') /dev/null |
        findings "tab"

    # Names of this project's own machines, package mirrors and work folders help nobody.
    # The folder this checkout is in, and the hosts that this machine's package sources name.
    places=$(dirname "$(pwd)")/
    case $places in / | /tmp/ | //) places= ;; esac
    hosts=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* /etc/pip.conf 2>/dev/null |
        grep -oE 'https?://[^/ ]+' | sed 's|.*//||' | sort -u)
    # shellcheck disable=SC2086
    printf '%s\n%s\n' "$places" "$hosts" | grep . |
        grep -nF -f - $text /dev/null |
        findings "a machine's path or a registry's name"

    for f in $(files '*.md'); do
        grep -oE '\]\([^)#:]+\)' "$f" | sed 's/^](//; s/)$//' | while read -r link; do
            [ -e "$(dirname "$f")/$link" ] || echo "$f: $link"
        done
    done | findings "a link to a file that does not exist"
}

python_style
c_style
shell_style
house_rules
if [ -s "$report" ]; then
    cat "$report"
    exit 1
fi
echo "lint: ok"
