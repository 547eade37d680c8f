# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The board's Ethernet with the manners of the network module of other boards: as much of
# network.LAN as programs use to get on the network.

import time

import _board

_up = False


def hostname(name=None):
    return "microzt"


class LAN:
    """The one Ethernet card. Without static addresses it asks for them by DHCP."""

    def active(self, on=None):
        global _up
        if on is not None and bool(on) != _up:
            if on:
                _board.lan_up()
            else:
                _board.lan_down()
            _up = bool(on)
        return _up

    def isconnected(self):
        return _up and _board.lan_status()[0] != "0.0.0.0"

    def status(self):
        return 1010 if self.isconnected() else 1001 if _up else 1000

    def ifconfig(self, addresses=None):
        """(address, mask, gateway, DNS server); "dhcp" asks for them, a tuple sets them."""
        if addresses == "dhcp":
            _board.lan_static("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")
        elif addresses is not None:
            _board.lan_static(*addresses)
        return _board.lan_status()

    def config(self, name):
        if name == "mac":
            return _board.lan_mac()
        raise ValueError("unknown config param")


def wait(ms=10000):
    """Bring the card up and wait for an address; False if there is none after `ms`."""
    lan = LAN()
    lan.active(True)
    end = time.ticks_add(time.ticks_ms(), ms)
    while not lan.isconnected():
        if time.ticks_diff(end, time.ticks_ms()) <= 0:
            return False
        time.sleep_ms(10)
    return True
