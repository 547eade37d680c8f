#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Gives a board its identity, planet, networks and Wi-Fi: over its serial port, or in an image of
# its flash or of its NVS partition. A board without 2 MiB to spare cannot make an identity itself,
# so this does, here. Checks all that it is given before anything is written (provision_given),
# does not overwrite an identity unless told, and never shows a secret. How each kind of target is
# written is in provision_targets and provision_nvs.

import argparse
import json
import pathlib
import signal
import sys
import traceback

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOP / "lib"), str(TOP / "tools")]

import in_venv  # noqa: E402
from provision_given import (  # noqa: E402
    PASSWORD_VARIABLE,
    Secrets,
    check_hostname,
    check_wifi,
    keep_copy,
    load_identity,
    load_planet,
    make_identity,
    network_id,
    wifi_password,
)
from provision_nvs import NvsFlash, NvsImage  # noqa: E402
from provision_targets import Board, Failure, Image  # noqa: E402
from zt import settings  # noqa: E402

_EPILOG = """\
examples:
  provision.py --port /dev/ttyUSB0 --planet lab/planet --network 8056c2e21c000001 --wifi home
  provision.py --image build/rv32-flash.img --planet lab/planet --network 8056c2e21c000001
  provision.py --nvs-image nvs.bin --planet lab/planet --network 8056c2e21c000001 --wifi home
  provision.py --port /dev/ttyUSB0 --show

A board that has an identity keeps it unless --new-identity or --identity say otherwise, and then
only with --force. The Wi-Fi password is asked for on the terminal, or read from a file or from
%s; it cannot be given on the command line, where others see it.
""" % (PASSWORD_VARIABLE,)


class Talk:
    """Words for the user: progress on stderr, the result on stdout, no secret on either."""

    def __init__(self, secrets, verbose):
        self._secrets = secrets
        self._verbose = verbose

    def say(self, text):
        print("provision: " + self._secrets.clean(text), file=sys.stderr)

    def detail(self, text):
        if self._verbose:
            self.say(text)

    def result(self, text):
        print(self._secrets.clean(text))

    def tried(self, keys):
        """Progress of the search for an identity."""
        if sys.stderr.isatty():
            sys.stderr.write("\rprovision: %d keys tried; 15 are usual " % keys)

    def tried_enough(self):
        if sys.stderr.isatty():
            sys.stderr.write("\r" + " " * 60 + "\r")


def changes_of(args, secrets, talk):
    """{name: bytes or None to remove} of all but identity and networks."""
    changes = {}
    for name in args.remove:
        if name not in settings.NAMES:
            raise Failure("--remove: %s: there are %s" % (name, ", ".join(settings.NAMES)))
        changes[name] = None
    if args.planet:
        changes["planet"] = load_planet(args.planet)
    if args.wifi is not None:
        ssid = args.wifi.encode()
        password = wifi_password(args)
        if password:
            secrets.add(password)
        check_wifi(ssid, password)
        changes["wifi.ssid"] = ssid
        changes["wifi.psk"] = password or None
    if args.ota_key is not None:
        try:
            changes["ota.key"] = bytes.fromhex(args.ota_key)
        except ValueError:
            changes["ota.key"] = b""
        if len(changes["ota.key"]) != 32:
            raise Failure("--ota-key: 64 hex digits, as tools/ota.py public prints them")
    if args.hostname is not None:
        check_hostname(args.hostname)
        changes["hostname"] = args.hostname.encode()
    return changes


def add_networks(args, facts, changes):
    """`networks` with the new ones, the local settings of the old ones kept."""
    wanted = [network_id(text) for text in args.network]
    if not wanted:
        return
    keep = settings.Memory()
    if "networks" not in changes:
        keep.set("networks", facts["networks"].encode())
    networks = keep.networks()
    for nwid in wanted:
        networks.setdefault(nwid, b"")
    keep.set_networks(networks)
    changes["networks"] = keep.get("networks")


def decide_identity(args, facts, changes, talk, secrets):
    """The identity to write, or None to leave what is there. Failure rather than an overwrite."""
    here = facts["address"]
    wanted = load_identity(args.identity, talk, secrets) if args.identity else None
    replace = wanted is not None or args.new_identity
    if changes.get("identity.secret", b"") is None and facts["secret"] and not args.force:
        raise Failure(
            "the identity %s would be removed; say --force if you mean it" % (here or "(damaged)")
        )
    if wanted is not None and here == wanted.address.hex():
        return wanted
    if replace and facts["secret"] and not args.force:
        raise Failure(
            "%s has the identity %s; not overwritten without --force (nothing was written)"
            % (facts["where"], here or "(damaged)")
        )
    if wanted is None and (args.new_identity or not facts["secret"]):
        if "identity.secret" in changes:
            return None
        wanted = make_identity(talk, secrets)
        if args.keep_copy:
            keep_copy(args.keep_copy, wanted)
    elif wanted is None:
        talk.say("%s keeps its identity %s" % (facts["where"], here or "(damaged)"))
    return wanted


def show(facts, args, talk):
    if args.json:
        talk.result(json.dumps(facts, sort_keys=True))
        return
    talk.result("identity     %s" % (facts["address"] or "none"))
    talk.result("planet       %s" % (facts["planet"] or "the public one"))
    talk.result("networks     %s" % (" ".join(facts["networks"].split()) or "none"))
    wifi = facts["ssid"] + (" (with a password)" if facts["psk"] else " (open)")
    talk.result("Wi-Fi        %s" % (wifi if facts["ssid"] else "none"))
    talk.result("hostname     %s" % (facts["hostname"] or "none"))


def provision(args, talk, secrets):
    changes = changes_of(args, secrets, talk)
    for text in args.network:
        network_id(text)
    if args.port and args.esptool is not None:
        target = NvsFlash(args.port, args.esptool, talk.detail)
    elif args.port:
        target = Board(args.port, talk.detail)
    elif args.nvs_image:
        target = NvsImage(args.nvs_image, args.nvs_size * 1024, talk.detail)
    else:
        target = Image(args.image, args.image_size * 1024, talk.detail)
    with target:
        facts = target.facts()
        if args.show:
            show(facts, args, talk)
            return
        add_networks(args, facts, changes)
        ident = decide_identity(args, facts, changes, talk, secrets)
        if ident is not None:
            # Last: a board with an identity has all the rest.
            changes["identity.public"] = ident.text().encode()
            changes["identity.secret"] = ident.text(True).encode()
        for name in changes:
            target.set(name, changes[name])
            talk.detail("%s: %s" % (name, "removed" if changes[name] is None else "written"))
        target.done()
    address = ident.address.hex() if ident is not None else facts["address"]
    if "planet" not in changes and not facts["planet"]:
        talk.say("no planet given: the node will look for the public roots")
    if args.json:
        talk.result(json.dumps({"address": address, "written": sorted(changes)}))
    else:
        talk.result(address or "")


def arguments(words):
    parser = argparse.ArgumentParser(
        prog="provision.py",
        description="Give a board its identity, planet, networks and Wi-Fi.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", help="the board's serial port, or socket://HOST:PORT")
    where.add_argument("--image", metavar="FILE", help="a littlefs image; made if absent")
    where.add_argument("--nvs-image", metavar="FILE", help="of an ESP32's nvs partition; made too")
    parser.add_argument("--identity", metavar="FILE", help="an identity.secret to use")
    parser.add_argument("--new-identity", action="store_true", help="make one in any case")
    parser.add_argument("--keep-copy", metavar="DIR", help="also store the identity made here")
    parser.add_argument("--planet", metavar="FILE", help="the roots; without it the public ones")
    parser.add_argument("--network", metavar="ID", action="append", default=[], help="join it")
    parser.add_argument("--wifi", metavar="SSID", help="the Wi-Fi; its password is asked for")
    parser.add_argument("--wifi-password-file", metavar="FILE", help="- is standard input")
    parser.add_argument("--wifi-open", action="store_true", help="a Wi-Fi without password")
    parser.add_argument("--hostname", help="the board's name on the Wi-Fi")
    parser.add_argument("--ota-key", metavar="HEX", help="take firmware signed by this key")
    parser.add_argument("--remove", metavar="NAME", action="append", default=[])
    parser.add_argument("--show", action="store_true", help="say what is set, change nothing")
    parser.add_argument("--force", action="store_true", help="do overwrite an identity")
    parser.add_argument("--image-size", metavar="KIB", type=int, default=512)
    parser.add_argument("--nvs-size", metavar="KIB", type=int, default=16)
    parser.add_argument(
        "--esptool",
        nargs="?",
        const="",
        metavar="COMMAND",
        help="with --port: write an ESP32's nvs partition, whatever the board runs",
    )
    parser.add_argument("--json", action="store_true", help="the result as JSON")
    parser.add_argument("-v", "--verbose", action="store_true", help="say each step")
    args, unknown = parser.parse_known_args(words)
    if unknown:
        # Not their values: somebody may have tried to give a password.
        names = [w.split("=")[0] if w[:2] == "--" else w[:2] for w in unknown if w[:1] == "-"]
        parser.error("no such option or argument%s" % "".join(": " + n for n in names[:1]))
    if args.identity and args.new_identity:
        parser.error("--identity and --new-identity exclude each other")
    if args.keep_copy and args.identity:
        parser.error("--keep-copy is for an identity made here")
    if args.wifi is None and (args.wifi_password_file or args.wifi_open):
        parser.error("--wifi is missing")
    if args.esptool is not None and not args.port:
        parser.error("--esptool goes with --port")
    if not 12 <= args.nvs_size <= 1024 or args.nvs_size % 4:
        parser.error("--nvs-size is 12 to 1024 KiB, in steps of 4")
    if not 64 <= args.image_size <= 65536:
        parser.error("--image-size is 64 to 65536 KiB")
    return args


def main(words):
    args = arguments(words)
    secrets = Secrets()
    talk = Talk(secrets, args.verbose)
    # Told to end it takes away the copy it works on, as with Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        provision(args, talk, secrets)
    except Failure as e:
        talk.say(str(e))
        return 1
    except KeyboardInterrupt:
        talk.say("interrupted")
        return 1
    except Exception as e:
        # A traceback shows values only in the exception's text, and that goes through clean().
        talk.say("internal error, please report it: %s: %s" % (type(e).__name__, e))
        if args.verbose:
            talk.say("".join(traceback.format_tb(e.__traceback__)))
        return 1
    return 0


if __name__ == "__main__":
    in_venv.enter()
    sys.exit(main(sys.argv[1:]))
