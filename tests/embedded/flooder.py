# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Run on a lab's host by test_board_flood, beside a node: floods a board's wire from that node's
# address, port and all, for a while. Half of the packets are the node's own to the letter, frames
# of its network and ECHOs, which the board's Python has to answer, sealed with its key; the other
# half are the same with another MAC. Prints how many it sent.
#
#   flooder.py IDENTITY_SECRET BOARD_IDENTITY NWID IP BOARD_IP WIRE_IP BOARD_WIRE_IP RATE MS

import os
import pathlib
import socket
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "unit"))

from _inet import checksum
from zt import crypto, inet, packet
from zt.const import VERB_ECHO, VERB_FRAME
from zt.identity import Identity

PORT = 9993
DISCARD = 9  # nobody listens there
SIZE = 1200
KINDS = 64
BURST_MS = 5


def ip_packet(source, dest):
    """UDP of SIZE bytes in IPv4; no checksum of UDP's."""
    head = struct.pack(">BBHHHBBH", 0x45, 0, 28 + SIZE, 0, 0, 64, 17, 0) + source + dest
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    return head + struct.pack(">HHHH", DISCARD, DISCARD, 8 + SIZE, 0) + bytes(SIZE)


def sealed(mine, board, verb, body):
    pkt = bytearray(28 + len(body))
    n = packet.compose(pkt, os.urandom(8), board.address, mine.address, verb, (body,))
    crypto.seal(mine.agree(board), pkt, n, 1)
    return bytes(pkt[:n])


def main():
    with open(sys.argv[1]) as f:
        mine = Identity.parse(f.read())
    board = Identity.parse(sys.argv[2])
    nwid = bytes.fromhex(sys.argv[3])
    payload = ip_packet(*[inet.parse_ip(x) for x in sys.argv[4:6]])
    wire, board_wire = sys.argv[6:8]
    rate, ms = [int(x) for x in sys.argv[8:10]]
    made = []
    for _ in range(KINDS // 4):
        for verb, body in ((VERB_FRAME, nwid + b"\x08\x00" + payload), (VERB_ECHO, payload)):
            good = sealed(mine, board, verb, body)
            made += [good, good[:19] + os.urandom(8) + good[27:]]
    # The port is the node's: so the UDP header is made by hand.
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    s.bind((wire, 0))
    made = [struct.pack(">HHHH", PORT, PORT, 8 + len(p), 0) + p for p in made]
    sent = 0
    begin = time.monotonic()
    gone = 0
    while gone < ms:
        gone = min((time.monotonic() - begin) * 1000, ms)
        while sent < gone * rate / 1000:
            s.sendto(made[sent % KINDS], (board_wire, 0))
            sent += 1
        time.sleep(BURST_MS / 1000)
    print(sent)


main()
