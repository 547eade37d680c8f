# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# zt id new | show | check and zt planet new: identities and planet files, no node needed.

import sys

from . import crypto, hal, identity, inet, jsontext, osutil, world
from ._compat import be64, hexs, unhex, wall_ms
from .args import LIST, TEXT, UsageError
from .cli import Command
from .osutil import Failure, err, out

_SECRET = 0o600
_PUBLIC = 0o644


def progress_on_terminal():
    """A progress(percent) function that draws on a terminal's stderr, or None."""
    if not osutil.is_terminal(2):
        return None
    state = [0]

    def progress(percent):
        state[0] = (state[0] + 1) % 4
        sys.stderr.write("\rmaking an identity %s " % "|/-\\"[state[0]])
        if percent is None:
            sys.stderr.write("\r" + " " * 24 + "\r")

    return progress


def generate(random):
    progress = progress_on_terminal()
    ident = identity.generate(random, progress)
    if progress:
        progress(None)
    return ident


def read_identity(path):
    """The identity in a file; Failure that names the file and the reason."""
    try:
        text = osutil.read_file(path).decode().strip()
    except UnicodeError:
        raise Failure("%s: not an identity: not text" % path)
    except OSError as e:
        raise Failure("%s: %s" % (path, osutil.errtext(e)))
    try:
        return identity.Identity.parse(text)
    except ValueError as e:
        reason = str(e)
        if reason.startswith("identity: "):
            reason = reason[10:]
        raise Failure("%s: not an identity: %s" % (path, reason))


def write_new(path, data, mode):
    try:
        osutil.makedirs(osutil.dirname(path), lambda p: hal.mkdir(p, 0o700))
        hal.save(path, data, mode)
    except OSError as e:
        raise Failure("%s: %s" % (path, osutil.errtext(e)))


def id_new(args):
    folder = args.out or "."
    secret = osutil.join(folder, "identity.secret")
    public = osutil.join(folder, "identity.public")
    for path in (secret, public):
        if osutil.exists(path):
            raise Failure("%s exists; not overwritten" % path)
    ident = generate(hal.random)
    write_new(secret, ident.text(True).encode(), _SECRET)
    write_new(public, ident.text().encode(), _PUBLIC)
    address = hexs(ident.address)
    out(jsontext.dumps({"address": address, "secret": secret}) if args.json else address)


def id_show(args):
    ident = read_identity(args.rest[0])
    address = hexs(ident.address)
    if args.json:
        secret = ident.private is not None
        out(jsontext.dumps({"address": address, "public": ident.text(), "secret": secret}))
    else:
        out(ident.text())


def reason_invalid(ident):
    """None for a valid identity, else what is wrong with it."""
    if ident.private is not None and crypto.public_key(ident.private) != ident.public:
        return "the private key does not match the public key"
    if not ident.validate():
        return "the address does not belong to the key"
    return None


def id_check(args):
    path = args.rest[0]
    try:
        ident = read_identity(path)
        reason = reason_invalid(ident)
        if reason:
            raise Failure("%s: invalid: %s" % (path, reason))
    except Failure as e:
        if args.json:
            out(jsontext.dumps({"valid": False, "reason": str(e)}))
        raise
    address = hexs(ident.address)
    out(jsontext.dumps({"valid": True, "address": address}) if args.json else address + " valid")


def _parse_root(text):
    """FILE@IP/PORT[,IP/PORT...] as (Identity, [(ip, port)])."""
    path, at, endpoints = text.rpartition("@")
    if not at or not path:
        raise UsageError("--root: %s is not FILE@IP/PORT" % text)
    found = []
    for endpoint in endpoints.split(","):
        try:
            ip, port = inet.parse(endpoint)
        except ValueError:
            port = 0
        if not 0 < port < 65536:
            raise Failure("--root: %s is not IP/PORT" % endpoint)
        found.append((ip, port))
    ident = read_identity(path)
    reason = reason_invalid(ident)
    if reason:
        raise Failure("%s: invalid: %s" % (path, reason))
    return ident, found


def _signing_keys(path):
    """(private 64, public 64) from a keys file, made when it is not there."""
    if osutil.exists(path):
        try:
            private, public = [unhex(w) for w in osutil.read_file(path).decode().split()]
        except OSError as e:
            raise Failure("%s: %s" % (path, osutil.errtext(e)))
        except ValueError:
            private = public = b""
        if len(private) != 64 or len(public) != 64 or crypto.public_key(private) != public:
            raise Failure("%s: not a file of signing keys" % path)
        return private, public
    private = hal.random(64)
    public = crypto.public_key(private)
    write_new(path, ("%s\n%s\n" % (hexs(private), hexs(public))).encode(), _SECRET)
    return private, public


def planet_new(args):
    if not args.out or not args.root:
        raise UsageError("zt planet new needs --root and --out")
    roots = [_parse_root(text) for text in args.root]
    keys = args.keys or args.out + ".keys"
    fresh = not osutil.exists(keys)
    if fresh and osutil.exists(args.out):
        raise Failure("%s exists and was signed by other keys than %s" % (args.out, keys))
    private, public = _signing_keys(keys)
    timestamp = wall_ms()
    world_id = None
    if osutil.exists(args.out):
        # An update keeps the id and must be newer than what it replaces (VL1 6.3).
        try:
            old, _ = world.World.unpack(osutil.read_file(args.out))
        except ValueError as e:
            raise Failure("%s exists and is not a planet: %s" % (args.out, e))
        if old.update_key != public:
            raise Failure("%s exists and was signed by other keys than %s" % (args.out, keys))
        world_id = old.id
        timestamp = max(timestamp, int.from_bytes(old.timestamp, "big") + 1)
    made = world.World.make(
        world.PLANET, world_id or hal.random(8), be64(timestamp), private, public, roots
    )
    write_new(args.out, made.pack(), _PUBLIC)
    result = {"planet": args.out, "keys": keys, "roots": [hexs(i.address) for i, _ in roots]}
    text = "%s: %d root%s, signing keys in %s" % (
        args.out,
        len(roots),
        "" if len(roots) == 1 else "s",
        keys,
    )
    out(jsontext.dumps(result) if args.json else text)
    if fresh:
        err("keep %s: updates of this planet must be signed with it" % keys)


COMMANDS = {
    ("id", "new"): Command(
        id_new,
        "",
        "Make an identity: writes identity.secret and identity.public, prints the address.",
        ((("--out",), TEXT, "DIR", "folder for the two files (default: here)"),),
    ),
    ("id", "show"): Command(
        id_show, "FILE", "Print the public identity in a file, never the secret.", (), 1, 1
    ),
    ("id", "check"): Command(
        id_check, "FILE", "Check an identity; exit 1 and the reason when invalid.", (), 1, 1
    ),
    ("planet", "new"): Command(
        planet_new,
        "",
        "Make a planet file, or an update of one, signed with keys of your own.",
        (
            (("--root",), LIST, "FILE@IP/PORT[,IP/PORT...]", "a root's identity and addresses"),
            (("--keys",), TEXT, "FILE", "signing keys, made if absent (default: OUT.keys)"),
            (("--out",), TEXT, "FILE", "the planet file"),
        ),
    ),
}
