# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The core's 32-bit field against Python's integers, limb by limb at the bounds its header states:
# wide times loose must not overflow, and what comes out must be tight. Overflow of a signed
# integer ends the process (the library is built to trap).
# cpython-only: ctypes and hypothesis

import ctypes
import os
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

HERE = os.path.dirname(os.path.abspath(__file__))
CORE = os.path.join(HERE, "..", "..", "firmware", "core")
P = 2**255 - 19
MANY = settings(max_examples=400, deadline=None)

# Bounds of limb 0 (and 2 to 7), limb 1, limb 8.
TIGHT = ((0, 2**29 - 1), (-(2**16), 2**29 + 2**16), (0, 2**23 - 1))
LOOSE = ((-(2**29) - 2**18, 2**29 + 2**18),) * 2 + ((-(2**23) - 1, 2**23 + 1),)
WIDE = ((-int(1.51 * 2**30), int(1.51 * 2**30)),) * 2 + ((-3 * 2**23 - 4, 3 * 2**23 + 4),)


def limb_bounds(kind):
    return (kind[0], kind[1]) + (kind[0],) * 6 + (kind[2],)


def elements(kind):
    one = [st.one_of(st.sampled_from(b), st.integers(b[0], b[1])) for b in limb_bounds(kind)]
    return st.tuples(*one)


def value(limbs):
    return sum(x << 29 * i for i, x in enumerate(limbs))


def within(limbs, kind):
    return all(low <= x <= high for x, (low, high) in zip(limbs, limb_bounds(kind)))


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    cc = shutil.which("cc") or shutil.which("gcc")
    if not cc:
        pytest.skip("no C compiler (Debian package gcc)")
    path = str(tmp_path_factory.mktemp("field") / "field.so")
    subprocess.run(
        [
            cc,
            "-std=c99",
            "-O2",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wno-unused-function",
            "-fPIC",
            "-shared",
        ]
        + ["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]
        + ["-I", CORE, "-o", path, os.path.join(HERE, "..", "core", "field.c")],
        check=True,
    )
    return ctypes.CDLL(path)


def call(f, *args):
    out = (ctypes.c_int32 * 9)()
    f(out, *[(ctypes.c_int32 * 9)(*a) if isinstance(a, tuple) else a for a in args])
    return tuple(out)


def test_products_of_wide_and_loose_are_right_and_tight(field):
    @MANY
    @given(elements(WIDE), elements(LOOSE))
    def run(f, g):
        h = call(field.field_mul, f, g)
        assert value(h) % P == value(f) * value(g) % P
        assert within(h, TIGHT)

    run()


def test_the_largest_products_there_are(field):
    for signs in range(4):
        f = tuple(b[signs & 1] for b in limb_bounds(WIDE))
        g = tuple(b[signs >> 1] for b in limb_bounds(LOOSE))
        h = call(field.field_mul, f, g)
        assert value(h) % P == value(f) * value(g) % P and within(h, TIGHT)
        h = call(field.field_sq, g)
        assert value(h) % P == value(g) ** 2 % P and within(h, TIGHT)


def test_squares_of_loose_are_right_and_tight(field):
    @MANY
    @given(elements(LOOSE))
    def run(f):
        h = call(field.field_sq, f)
        assert value(h) % P == value(f) ** 2 % P
        assert within(h, TIGHT)

    run()


def test_small_multiples_of_loose_are_right_and_tight(field):
    @MANY
    @given(elements(LOOSE), st.integers(0, 2**17 - 1))
    def run(f, n):
        h = call(field.field_mul_small, f, n)
        assert value(h) % P == value(f) * n % P
        assert within(h, TIGHT)

    run()


def test_sums_and_differences_are_one_step_less_tidy(field):
    @MANY
    @given(elements(TIGHT), elements(TIGHT), elements(LOOSE), elements(LOOSE))
    def run(f, g, u, v):
        for a, b, kind in ((f, g, LOOSE), (u, v, WIDE)):
            h = call(field.field_add, a, b)
            assert value(h) % P == (value(a) + value(b)) % P and within(h, kind)
            h = call(field.field_sub, a, b)
            assert value(h) % P == (value(a) - value(b)) % P and within(h, kind)

    run()


def test_carrying_makes_anything_tight(field):
    @MANY
    @given(elements(WIDE))
    def run(f):
        h = call(field.field_carry, f)
        assert value(h) % P == value(f) % P
        assert within(h, TIGHT)

    run()


def near_the_ends():
    # Values around 0, p, 2 p and 2^255 as tight limbs, small and negative in limb 1 too.
    around = st.builds(
        lambda base, d: base + d, st.sampled_from((0, P, 2**255 - 1)), st.integers(-40, 40)
    ).filter(lambda v: 0 <= v < 2**255)

    def spread(v, borrow):
        limbs = [v >> 29 * i & (2**29 - 1) for i in range(9)]
        if borrow and limbs[2] > 0 and limbs[1] < 2**16:
            limbs[2] -= 1
            limbs[1] += 2**29
        return tuple(limbs)

    low = st.tuples(st.integers(0, 40), st.integers(-(2**16), 40)).map(
        lambda x: (x[0], x[1], 0, 0, 0, 0, 0, 0, 0)
    )
    return st.one_of(st.builds(spread, around, st.booleans()), low, elements(TIGHT))


def test_there_is_one_spelling(field):
    @MANY
    @given(near_the_ends())
    def run(f):
        words = (ctypes.c_uint32 * 8)()
        field.field_to_words(words, (ctypes.c_int32 * 9)(*f))
        assert sum(w << 32 * i for i, w in enumerate(words)) == value(f) % P

    run()


def test_words_become_tight_limbs(field):
    @MANY
    @given(st.one_of(st.integers(0, 2**256 - 1), st.integers(2**255 - 40, 2**255 + 40)))
    def run(v):
        words = [v >> 32 * i & 0xFFFFFFFF for i in range(8)]
        h = call(field.field_from_words, (ctypes.c_uint32 * 8)(*words))
        assert value(h) == v % 2**255
        assert within(h, TIGHT)

    run()
