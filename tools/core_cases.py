#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Writes the known answers of the crypto core as tests/core/vectors.c reads them: every call the
# checks of tests/vectors and the tests of tests/unit/test_crypto*.py (RFC 7748, 8032, 8439, FIPS
# 180-4 among them) make, with what came back, after those checks have found it right.
# ZT_CORE_LIB names the library that answers; it must be of the same sources.
#
# usage: core_cases.py FILE

import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
for folder in ("lib", "tests/unit", "tests/vectors"):
    sys.path.insert(0, os.path.join(TOP, folder))
os.environ["ZT_CRYPTO"] = "ctypes"

from zt import crypto  # noqa: E402

# As in the table of vectors.c, with how many of each are kept: an emulator is slow.
CALLS = (
    ("sha512", 200),
    ("sha384", 100),
    ("salsa20_xor", 200),
    ("poly1305", 200),
    ("x25519", 80),
    ("public_key_dh", 40),
    ("ed25519_sign", 40),
    ("ed25519_verify", 80),
    ("public_key", 40),
    ("agree", 40),
    ("sign", 40),
    ("verify", 80),
    ("idhash", 2),
    ("seal", 200),
    ("open", 400),
    ("hello_mask", 100),
    ("lz4_decompress", 200),
)
FIELD_MAX = 65000
# These would take too long, or call nothing new.
LEFT_OUT = ("test_identity_search", "test_idhash_reports", "test_wrong_lengths", "test_keys_may")


def low_first(n, size):
    return n.to_bytes(size, "little")


def _fields(name, args, before, result):
    """The fields of a case from a call's arguments, its buffer as it was, and what came back."""
    if name == "salsa20_xor":
        block = args[4] if len(args) > 4 else 0
        head = [args[0], args[1], bytes((args[3],)), low_first(block, 8)]
        return head + [before, bytes(args[2])]
    if name == "seal":
        n = args[2]
        return [args[0], before[:n], bytes((args[3],)), bytes(args[1])[:n]]
    if name == "open":
        n = args[2]
        return [args[0], before[:n], bytes(args[1])[:n] + bytes((bool(result),))]
    if name == "hello_mask":
        n = args[3]
        return [args[0], before[:n], low_first(args[2], 4), bytes(args[1])[:n]]
    if name == "lz4_decompress":
        return [args[0], low_first(len(args[1]), 4), bytes(args[1])[: max(result, 0)]]
    if name in ("verify", "ed25519_verify"):
        return list(args) + [bytes((bool(result),))]
    return list(args[: 1 if name == "idhash" else None]) + [result]


class Recorder:
    CHANGED = {"salsa20_xor": 2, "seal": 1, "open": 1, "hello_mask": 1}

    def __init__(self):
        self.cases = {name: {} for name, _ in CALLS}

    def wrap(self, name):
        function = getattr(crypto, name)

        def call(*args):
            at = self.CHANGED.get(name)
            before = None if at is None else bytes(args[at])
            result = function(*args)
            fields = [bytes(x) for x in _fields(name, args, before, result)]
            if max(len(x) for x in fields) <= FIELD_MAX:
                self.cases[name][tuple(fields)] = True  # once, in the order they came
            return result

        setattr(crypto, name, call)

    def chosen(self):
        """(number, fields) of the cases to keep, evenly from all there are."""
        for number, (name, most) in enumerate(CALLS):
            cases = list(self.cases[name])
            if not cases:
                raise SystemExit("core_cases: nothing called %s" % name)
            step = max(1.0, len(cases) / most)
            for i in range(min(most, len(cases))):
                yield number, cases[int(i * step)]


def lengths():
    """Every length around the blocks of hash, cipher and authenticator; the Python twin agrees."""
    from zt import _crypto_py as twin

    data = bytes((1 + 7 * i + (i >> 8)) & 0xFF for i in range(400))
    for n in list(range(20)) + [n for n in range(20, 400) if n % 16 in (0, 1, 15)]:
        assert crypto.sha512(data[:n]) == twin.sha512(data[:n])
        assert crypto.poly1305(data[40:72], data[:n]) == twin.poly1305(data[40:72], data[:n])
        one, other = bytearray(data[:n]), bytearray(data[:n])
        crypto.salsa20_xor(data[:32], data[32:40], one, 12, n)
        twin.salsa20_xor(data[:32], data[32:40], other, 12, n)
        assert one == other


def record():
    recorder = Recorder()
    for name, _ in CALLS:
        recorder.wrap(name)
    from harness import Source

    source = Source(os.path.join(TOP, "tests", "vectors", "vl1.json"))
    failures = []
    for group in source.groups():
        failures += source.check(group) or []
    if failures or source.score.passed == 0:
        raise SystemExit("core_cases: " + "\n".join(failures or ["no vectors"]))
    import test_crypto
    import test_crypto_curves
    import test_crypto_packets

    for module in (test_crypto, test_crypto_curves, test_crypto_packets):
        for name in sorted(dir(module)):
            if name.startswith("test_") and not name.startswith(LEFT_OUT):
                getattr(module, name)()
    lengths()
    return recorder


def main(path):
    with open(path, "wb") as f:
        for number, fields in record().chosen():
            f.write(bytes((number, len(fields))))
            for x in fields:
                f.write(low_first(len(x), 4) + x)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: core_cases.py FILE")
    main(sys.argv[1])
