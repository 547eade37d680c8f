# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The least of MicroPython's module network, for the examples: an access point that answers after
# some questions, or never.

answers_after = [3]
said = []


def hostname(name=None):
    said.append(("hostname", name))


class WLAN:
    IF_STA = 0
    IF_AP = 1

    def __init__(self, interface):
        self._asked = None

    def active(self, on=None):
        said.append(("active", on))
        return True

    def connect(self, ssid, psk):
        said.append(("connect", ssid, psk))
        self._asked = 0

    def isconnected(self):
        if self._asked is None:
            return False
        self._asked += 1
        return answers_after[0] is not None and self._asked > answers_after[0]

    def ifconfig(self):
        return ("192.168.4.2", "255.255.255.0", "192.168.4.1", "192.168.4.1")
