# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# TAP devices for CPython: the same functions as the C module `_zttap` of the unix port, over the
# standard library. Decides nothing; what is set on a device is in tap.py.

import errno
import fcntl
import os
import socket
import struct

_TUNSETIFF = 0x400454CA
_IFF_TAP = 0x0002
_IFF_NO_PI = 0x1000
_IFF_TUN_EXCL = 0x8000
_NLMSG_ERROR = 2
_HEAD = 16
_ANSWER_S = 2  # the kernel answers at once; this only bounds what cannot happen


def open(name):
    """Make a device and return its descriptor; EBUSY when there is one of that name."""
    if not 0 < len(name) < 16:
        raise ValueError("bad device name")
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        flags = _IFF_TAP | _IFF_NO_PI | _IFF_TUN_EXCL
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    except OSError:
        os.close(fd)
        raise
    return fd


def close(fd):
    os.close(fd)


def index(name):
    """The number netlink calls the device by; 0 if there is none."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def read(fd, buf):
    """Take one frame; its length, 0 when there is none. OSError when the device is gone."""
    try:
        return os.readv(fd, [buf])
    except BlockingIOError:
        return 0


def write(fd, frame):
    """Give the kernel one frame; 0 or the errno."""
    try:
        os.write(fd, frame)
    except OSError as e:
        return e.errno
    return 0


def netlink(message):
    """Send one request with NLM_F_ACK; 0 or the errno."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as s:
        s.settimeout(_ANSWER_S)
        try:
            s.sendto(message, (0, 0))
            reply = s.recv(8192)
        except OSError as e:
            return e.errno or errno.ETIMEDOUT
    length, kind = struct.unpack_from("=IH", reply) if len(reply) >= _HEAD + 4 else (0, 0)
    if kind != _NLMSG_ERROR or length > len(reply):
        return errno.EPROTO
    return -struct.unpack_from("=i", reply, _HEAD)[0]
