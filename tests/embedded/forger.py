# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Run on a lab's host by test_board_small_ram: says HELLO to a board in another's name, with whole
# keys of its own, straight to the board or by way of a root. Prints how many answers its keys
# open.
#
#   forger.py BOARD_IDENTITY FORGED_ADDRESS SOURCE_IP IP PORT COUNT

import os
import socket
import sys
import time

from zt import crypto, inet, packet
from zt.const import VERB_HELLO
from zt.identity import Identity


def hello(mine, board, packet_id, at):
    key = mine.agree(board)
    body = bytes((11, 1, 4, 0, 8)) + bytes(8) + mine.pack() + inet.pack(*at) + bytes(18)
    pkt = bytearray(28 + len(body))
    n = packet.compose(pkt, packet_id, board.address, mine.address, VERB_HELLO, (body,))
    crypto.hello_mask(key, pkt, n - 2, n)
    crypto.seal(key, pkt, n, 0)
    return bytes(pkt)


def main():
    board = Identity.parse(sys.argv[1])
    private = os.urandom(64)
    mine = Identity(bytes.fromhex(sys.argv[2]), crypto.public_key(private), private)
    source, ip, port, count = sys.argv[3], sys.argv[4], int(sys.argv[5]), int(sys.argv[6])
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((source, 0))
    s.settimeout(0.2)
    answers = 0
    for i in range(count):
        at = (socket.inet_aton(ip), port)
        s.sendto(hello(mine, board, i.to_bytes(8, "big"), at), (ip, port))
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            try:
                data = bytearray(s.recv(2048))
            except TimeoutError:
                continue
            if len(data) >= 28 and crypto.open(mine.agree(board), data, len(data)):
                answers += 1
    print(answers)


main()
