#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Signs firmware images for boards that take them over the air (lib/zt/ota.py): makes the owner's
# key, shows what belongs into the board's setting ota.key, puts the signed head before an image.

import argparse
import os
import pathlib
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "lib"))

from zt import crypto, hal, ota  # noqa: E402


def public_of(seed):
    """The Ed25519 public key of a 32-byte seed: the signing half of a ZeroTier key pair."""
    return crypto.public_key(bytes(32) + seed)[32:]


def read_seed(path):
    seed = bytes.fromhex(pathlib.Path(path).read_text().strip())
    if len(seed) != 32:
        raise ValueError("%s: not a key made by ota.py key" % path)
    return seed


def main(argv=None):
    parser = argparse.ArgumentParser(description="sign firmware images for boards")
    commands = parser.add_subparsers(dest="command", required=True)
    key = commands.add_parser("key", help="make a key; prints the hex of its public half")
    key.add_argument("file", help="where the secret half goes; never overwritten")
    show = commands.add_parser("public", help="the hex of a key's public half")
    show.add_argument("file")
    sign = commands.add_parser("sign", help="put a signed head before an image")
    sign.add_argument("image")
    sign.add_argument("--key", required=True)
    sign.add_argument("--board", required=True, help="such as ZT_ESP32_S3")
    sign.add_argument("--out", required=True)
    args = parser.parse_args(argv)
    try:
        if args.command == "key":
            if os.path.exists(args.file):
                raise ValueError("%s exists; a lost key means a visit to each board" % args.file)
            seed = os.urandom(32)
            hal.save(args.file, (seed.hex() + "\n").encode(), 0o600)
            print(public_of(seed).hex())
        elif args.command == "public":
            print(public_of(read_seed(args.file)).hex())
        else:
            seed = read_seed(args.key)
            image = pathlib.Path(args.image).read_bytes()
            head = ota.pack_head(image, args.board, seed, public_of(seed))
            hal.save(args.out, head + image, 0o644)
    except (OSError, ValueError) as e:
        print("ota: %s" % e, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
