# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# For provision.py: what the owner gives for a board, identity, planet, network, Wi-Fi, read and
# checked before anything is written, an identity that is made for it, and which of it no text for
# the user may have in it. Failure says what is wrong with it.

import getpass
import os
import pathlib
import stat
import string
import sys

from provision_targets import Failure
from zt import crypto, identity, settings, world

PASSWORD_VARIABLE = "ZT_WIFI_PASSWORD"
_HOSTNAME = string.ascii_lowercase + string.digits + "-"
_SECRET_FILE = 0o600


class Secrets:
    """What must not be printed; clean() takes it out of a text, whatever form it has there."""

    def __init__(self):
        self._forms = set()

    def add(self, value):
        text = value.decode(errors="replace") if isinstance(value, bytes) else value
        for form in (text, text.encode().hex(), repr(text)[1:-1]):
            if len(form) >= 6:
                self._forms.add(form)

    def add_identity(self, ident):
        if ident.private is not None:
            for half in (ident.private[:32], ident.private[32:]):
                self.add(half.hex())
                self._forms.add(repr(half)[2:-1])

    def clean(self, text):
        for form in sorted(self._forms, key=len, reverse=True):
            text = text.replace(form, "<secret>")
        return text


def read(path, what):
    try:
        data = pathlib.Path(path).read_bytes() if path != "-" else sys.stdin.buffer.read()
    except OSError as e:
        raise Failure("%s: %s: %s" % (what, path, e.strerror or "cannot be read")) from None
    return data


def load_identity(path, talk, secrets):
    """A whole, valid identity with its private key from a file."""
    data = read(path, "--identity")
    secrets.add(data.strip())
    try:
        ident = identity.Identity.parse(data)
    except ValueError as e:
        raise Failure("--identity: %s: %s" % (path, e)) from None
    if ident.private is None:
        raise Failure("--identity: %s: only the public half; give identity.secret" % path)
    secrets.add_identity(ident)
    if not ident.validate():
        raise Failure("--identity: %s: the address does not belong to the key" % path)
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        mode = 0
    if mode & 0o077:
        talk.say("%s can be read by others (mode %o)" % (path, mode))
    return ident


def make_identity(talk, secrets):
    if crypto.BACKEND == "python":
        raise Failure("making an identity needs the crypto library; run: make core")
    talk.say("making an identity")
    try:
        ident = identity.generate(os.urandom, talk.tried)
    except MemoryError as e:
        raise Failure(str(e)) from None
    talk.tried_enough()
    secrets.add(ident.text(True))
    secrets.add_identity(ident)
    return ident


def keep_copy(folder, ident):
    """identity.secret and identity.public in a folder of the host, nothing overwritten."""
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        for name, secret in (("identity.secret", True), ("identity.public", False)):
            path = os.path.join(folder, name)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(path, flags, _SECRET_FILE if secret else 0o644), "w") as f:
                f.write(ident.text(secret))
    except FileExistsError as e:
        raise Failure("--keep-copy: %s exists; not overwritten" % e.filename) from None
    except OSError as e:
        raise Failure("--keep-copy: %s: %s" % (folder, e.strerror)) from None


def load_planet(path):
    data = read(path, "--planet")
    try:
        world.check_planet(data)
    except ValueError as e:
        raise Failure("--planet: %s: %s" % (path, e)) from None
    if len(data) > settings.VALUE_MAX:
        raise Failure("--planet: %s: longer than a setting may be" % path)
    return data


def network_id(text):
    try:
        nwid = bytes.fromhex(text)
    except ValueError:
        nwid = b""
    if len(text) != 16 or len(nwid) != 8 or not any(nwid):
        raise Failure("--network: %s is no network id (16 hex digits)" % text)
    return nwid


def wifi_password(args):
    """The password as bytes, b"" for an open network."""
    if args.wifi_open:
        return b""
    if args.wifi_password_file:
        password = read(args.wifi_password_file, "--wifi-password-file").rstrip(b"\r\n")
    elif os.environ.get(PASSWORD_VARIABLE):
        password = os.environ[PASSWORD_VARIABLE].encode()
    elif sys.stdin.isatty():
        password = getpass.getpass("password of the Wi-Fi %s: " % args.wifi).encode()
    else:
        raise Failure(
            "the Wi-Fi password: no terminal to ask on; use --wifi-password-file, %s or "
            "--wifi-open" % PASSWORD_VARIABLE
        )
    return password


def check_wifi(ssid, password):
    if not 1 <= len(ssid) <= 32:
        raise Failure("--wifi: a network name has 1 to 32 bytes")
    hexadecimal = len(password) == 64 and all(c in string.hexdigits.encode() for c in password)
    if password and not hexadecimal and not 8 <= len(password) <= 63:
        raise Failure("the Wi-Fi password has %d bytes; WPA has 8 to 63" % len(password))


def check_hostname(name):
    if not 1 <= len(name) <= 32 or name.strip(_HOSTNAME) or name[0] == "-" or name[-1] == "-":
        raise Failure("--hostname: 1 to 32 of a-z, 0-9 and '-', none at the ends")
