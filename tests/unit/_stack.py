# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Packets made by hand for the tests of the stack, and what it has waiting to be sent: for those
# that play the other hosts of a network themselves.

import _zthal as hal
from _inet import checksum

MAC2 = b"\x32\x01\x02\x03\x04\x99"
BUF = bytearray(10100)
META = bytearray(1)


def ip4(text):
    return bytes([int(x) for x in text.split(".")])


def sent():
    """[(interface, frame)] of what waits to be sent."""
    out = []
    while True:
        n = hal.nic_recv(BUF, META)
        if not n:
            return out
        out.append((META[0], bytes(BUF[:n])))


def errno_of(f, *args):
    try:
        f(*args)
    except OSError as e:
        return e.errno
    return 0


def icmp6(source, target, body, hop_by_hop=False):
    pseudo = source + target + b"\0\0\0" + bytes([len(body)]) + b"\0\0\0\x3a"
    body = body[:2] + checksum(pseudo + body).to_bytes(2, "big") + body[4:]
    kind = b"\x3a"
    if hop_by_hop:
        body = b"\x3a\0\x01\x04" + bytes(4) + body  # padding is its only option
        kind = b"\0"
    return b"\x60\0\0\0\0" + bytes([len(body)]) + kind + b"\xff" + source + target + body


def solicit(n, mac, source, target, lladdr):
    """A neighbour solicitation from `source`, which makes its sender known; was it answered?"""
    body = b"\x87\0\0\0\0\0\0\0" + target + b"\x01\x01" + lladdr
    sent()
    hal.nic_input(n, mac + lladdr + b"\x86\xdd" + icmp6(source, target, body))
    return [f for i, f in sent() if i == n and f[12:14] == b"\x86\xdd" and f[54] == 136]
