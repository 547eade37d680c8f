# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# WebREPL over the network only: members reach the board's prompt, the Wi-Fi it is in does not.
# On a board that boot.py brings onto the network:
#     mpremote repl
# and there, so that the password is in no command line, where others see it and the shell keeps it
#     import zt; zt.settings.default().set("webrepl", input("4 to 9 characters: "))
# Ctrl-X ends the prompt. Then
#     mpremote cp examples/board/remote.py :main.py
#     mpremote reset
#     mpremote repl
# It prints its address, for a WebREPL client on another member. The module webrepl is in our
# firmware; where it is not: mpremote mip install webrepl. It does not encrypt; the network does.

import socket
import time

import _webrepl
import webrepl
from zt import card

PORT = 8266
_ON_ACCEPT = 20  # MicroPython's socket option for a function that is called for a new client

nic = card.active()


def listen(address):
    """What webrepl.start() does, but on one address."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, PORT))
    s.listen(1)
    s.setsockopt(socket.SOL_SOCKET, _ON_ACCEPT, webrepl.accept_conn)
    print("remote: ws://%s:%d/" % (address, PORT))
    return s


password = nic.settings.text("webrepl")
if password is None or not 4 <= len(password) <= 9:
    raise SystemExit("remote: the setting webrepl must be a password of 4 to 9 characters")
_webrepl.password(password)
address = server = None
while True:
    now = nic.ifconfig()[0] if nic.isconnected() else None
    if now != address:
        if server is not None:
            server.close()
        server = listen(now) if now is not None else None
        address = now
    time.sleep(5)
