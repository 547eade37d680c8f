# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A program of the host that knows nothing of ZeroTier: plain sockets over whatever the kernel
# routes. The same bytes as the commands of libzt_node.py, so that either may be at the other end.
#
# usage: host_program.py listen IP PORT N         accept; receive N bytes "up", send N "down"
#        host_program.py connect IP PORT N        the other end of it
#        host_program.py join GROUP IP PORT       take one datagram of an IPv4 multicast group
#        host_program.py shout GROUP IP PORT      send it, for some minutes at most
#        host_program.py tag DEVICE MAC TAG       send frames with an 802.1Q tag, as long
#        host_program.py tagged DEVICE TAG        take one

import socket
import struct
import sys
import time

from libzt_node import pattern

TIMEOUT_S = 300  # costs nothing where the other end does its part; a busy machine takes long
ETH_P_ALL, SOL_PACKET, PACKET_AUXDATA = 3, 263, 8
EXPERIMENT = b"\x88\xb5"


def family(ip):
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


def receive(s, seed, n):
    got = b""
    while len(got) < n:
        data = s.recv(65536)
        if not data:
            break
        got += data
    assert got == pattern(seed, n), "%d bytes of %d, or others" % (len(got), n)


def finish(s):
    # Who ends second reads the other's end, so that nothing under way is lost.
    s.shutdown(socket.SHUT_WR)
    s.settimeout(60)
    try:
        while s.recv(4096):
            pass
    except OSError:
        pass
    s.close()


def listen(ip, port, n):
    with socket.create_server((ip, port), family=family(ip)) as server:
        print("listening", flush=True)
        server.settimeout(TIMEOUT_S)
        s = server.accept()[0]
    s.settimeout(TIMEOUT_S)
    receive(s, "up", n)
    s.sendall(pattern("down", n))
    finish(s)


def connect(ip, port, n):
    s = socket.create_connection((ip, port), TIMEOUT_S)
    s.sendall(pattern("up", n))
    receive(s, "down", n)
    finish(s)


def join(group, ip, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((group, port))
    s.setsockopt(
        socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton(ip)
    )
    print("listening", flush=True)
    s.settimeout(TIMEOUT_S)
    assert s.recv(100) == b"shout"


def shout(group, ip, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(ip))
    for _ in range(600):
        s.sendto(b"shout", (group, port))
        time.sleep(0.5)


def tag(device, mac, number):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind((device, 0))
        own = s.getsockname()[4]
        head = bytes.fromhex(mac.replace(":", "")) + own + b"\x81\x00" + struct.pack(">H", number)
        for _ in range(600):
            s.send(head + EXPERIMENT + b"tagged" * 50)
            time.sleep(0.5)


def tagged(device, number):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as s:
        s.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        s.bind((device, ETH_P_ALL))
        s.settimeout(TIMEOUT_S)
        print("listening", flush=True)
        while True:
            frame, beside, _flags, _from = s.recvmsg(4000, 100)
            if frame[12:14] == EXPERIMENT and frame[14:] == b"tagged" * 50:
                # The kernel takes the tag out of the frame and tells it apart.
                found = [struct.unpack_from("=IIIHHHH", d)[5] for _, kind, d in beside]
                assert found == [number], beside
                return


if __name__ == "__main__":
    words = [int(word) if word.isdigit() else word for word in sys.argv[2:]]
    {
        "listen": listen,
        "connect": connect,
        "join": join,
        "shout": shout,
        "tag": tag,
        "tagged": tagged,
    }[sys.argv[1]](*words)
