# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The host's own network stack in the place of the one in the process (zt run --tap): each network
# is a TAP device of Linux, with what `hal` offers for interfaces. Knows devices, addresses and
# routes, nothing of the protocol; which of them may be set is decided before (managed.py).
# With the data plane in C only what that cannot do is read and written here.

import sys

from . import inet, log, rtnetlink
from ._compat import MICROPYTHON, hexs, u16
from .osutil import Failure, errtext

if MICROPYTHON:
    import _zttap as _raw
else:
    from . import _tap_cpython as _raw

_ESRCH = 3
_EBADFD = 77
_EADDRNOTAVAIL = 99
_ENODEV = 19
_CAP_NET_ADMIN = 12
_TURN = 16  # our choice: frames of one device before the next has its turn
_UDP = 17
_SHORTEST = 4  # routes of fewer bits are default routes, whole or in parts
_DIGITS = "abcdefghijklmnopqrstuvwxyz234567"


def device_name(nwid):
    """`zt` and the network id in base 32: 15 characters, the longest Linux takes, and no two
    networks have the same."""
    n = int.from_bytes(nwid, "big")
    return "zt" + "".join([_DIGITS[n >> shift & 31] for shift in range(60, -1, -5)])


def groups_in(table, name):
    """The multicast MACs of device `name` in the text of /proc/net/dev_mcast, as bytes."""
    found = []
    for line in table.split("\n"):
        fields = line.split()
        if len(fields) == 5 and fields[1] == name and len(fields[4]) == 12:
            found.append(bytes.fromhex(fields[4]))
    return found


def may_administer(status):
    """True if the text of /proc/self/status shows CAP_NET_ADMIN in force."""
    for line in status.split("\n"):
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16) >> _CAP_NET_ADMIN & 1 == 1
    return False


def _text(path):
    f = open(path)
    try:
        return f.read()
    finally:
        f.close()


def check():
    """Failure with one line when this process cannot make TAP devices."""
    if sys.platform != "linux":
        raise Failure("--tap needs Linux")
    if not may_administer(_text("/proc/self/status")):
        raise Failure("--tap needs root or CAP_NET_ADMIN")
    try:
        open("/dev/net/tun", "r+b", buffering=0).close()
    except OSError as e:
        raise Failure("--tap: /dev/net/tun: %s" % errtext(e))


class _Device:
    def __init__(self, name, fd, index):
        self.name = name
        self.fd = fd
        self.index = index
        self.addresses = []
        self.routes = []

    def connected(self, ip, bits):
        """Does the kernel have this route by itself, from one of our addresses?"""
        for own, own_bits in self.addresses:
            if own_bits == bits and len(own) == len(ip) and inet.in_net(ip, own, bits):
                return True
        return False


class TapStack:
    """The network interfaces of one node as TAP devices."""

    HAS_STACK = True

    def __init__(self, hal, raw=_raw):
        self._hal = hal
        self._raw = raw
        self._devices = {}
        self._turns = []  # numbers of the devices, the one to read next first
        self._taken = 0
        self._groups = None
        self._serial = 0
        self._drops = 0
        self._dns_told = False
        self._loop_told = False
        self._driver = None
        self._on_lost = None
        self._planed = False

    def attach(self, driver, on_lost):
        """`driver` knows the wires, whose packets are never taken for frames of the host;
        on_lost(n) is called when somebody deleted device n."""
        self._driver = driver
        self._on_lost = on_lost

    def use_plane(self):
        """May the data plane read and write the devices? Then it will, from now on."""
        self._planed = hasattr(self._raw, "give")
        return self._planed

    # Devices.

    def nic_add(self, mac, mtu, nwid):
        """Make the network's device and bring it up; its number. OSError EBUSY when there is a
        device of its name already."""
        raw = self._raw
        name = device_name(nwid)
        fd = raw.open(name)
        try:
            device = _Device(name, fd, raw.index(name))
            self._refuse_routers(name)
            self._ask(rtnetlink.link(device.index, mac, mtu, True))
            self._hal.watch(fd)
        except OSError:
            raw.close(fd)
            raise
        n = 0
        while n in self._devices:
            n += 1
        if self._planed:
            raw.give(n, fd)  # those it has no room for stay Python's
        self._devices[n] = device
        self._turns.append(n)
        log.info("tap", "%s is network %s" % (name, hexs(nwid)))
        return n

    def _refuse_routers(self, name):
        # Router advertisements come from members, not from the controller.
        try:
            f = open("/proc/sys/net/ipv6/conf/%s/accept_ra" % name, "w")
        except OSError:
            return  # no IPv6, or a container that sets it itself
        try:
            f.write("0")
        except OSError as e:
            log.warn("tap", "%s: accept_ra: %s" % (name, errtext(e)))
        finally:
            f.close()

    def nic_remove(self, n):
        device = self._devices.pop(n)
        self._turns.remove(n)
        self._taken = 0
        if self._planed:
            self._raw.give(n, -1)
        self._hal.unwatch(device.fd)
        self._raw.close(device.fd)
        log.info("tap", "%s removed" % device.name)

    def _lost(self, n):
        log.warn("tap", "%s was deleted by somebody else" % self._devices[n].name)
        self.nic_remove(n)
        if self._on_lost is not None:
            self._on_lost(n)

    def nic_name(self, n):
        return self._devices[n].name

    def _device(self, n):
        device = self._devices.get(n)
        if device is None:
            raise OSError(_ENODEV, "no such interface")
        return device

    def _ask(self, message):
        error = self._raw.netlink(message)
        if error:
            raise OSError(error, "rtnetlink")

    def nic_mtu(self, n, mtu):
        self._ask(rtnetlink.link(self._device(n).index, None, mtu))

    # Addresses and routes.

    def nic_addr(self, n, ip, bits, add):
        device = self._device(n)
        entry = (bytes(ip), bits)
        if add:
            self._ask(rtnetlink.address(device.index, ip, bits, True))
            device.addresses.append(entry)
        else:
            if entry in device.addresses:
                device.addresses.remove(entry)
            error = self._raw.netlink(rtnetlink.address(device.index, ip, bits, False))
            if error and error != _EADDRNOTAVAIL:
                raise OSError(error, "rtnetlink")
        self._restore(device)

    def _restore(self, device):
        """Set again what the kernel took along with an address: others of its subnet, routes."""
        for ip, bits in device.addresses:
            self._raw.netlink(rtnetlink.address(device.index, ip, bits, True))
        for ip, bits, via in device.routes:
            self._set_route(device, ip, bits, via)

    def _set_route(self, device, ip, bits, via):
        if via is None and device.connected(ip, bits):
            return 0
        return self._raw.netlink(rtnetlink.route(device.index, ip, bits, via, True))

    def nic_route(self, n, ip, bits, via, add):
        device = self._device(n)
        if bits < _SHORTEST:
            if add:
                raise OSError(
                    "refused: allowDefault does not go with --tap, it would carry the node's"
                    " own packets"
                )
            return
        entry = (bytes(ip), bits, None if via is None else bytes(via))
        if add:
            error = self._set_route(device, ip, bits, via)
            if error:
                raise OSError(error, "rtnetlink")
            device.routes.append(entry)
            return
        if entry not in device.routes:
            return
        device.routes.remove(entry)
        if via is not None or not device.connected(ip, bits):
            error = self._raw.netlink(rtnetlink.route(device.index, ip, bits, via, False))
            if error and error != _ESRCH:
                raise OSError(error, "rtnetlink")

    def routed(self, ip):
        """Does the host send packets for `ip` into one of our devices, by a route we set?"""
        for device in self._devices.values():
            for net, bits, _via in device.routes:
                if len(net) == len(ip) and inet.in_net(ip, net, bits):
                    return True
        return False

    def nic_dns(self, domain, servers):
        """Not applied: the host's resolver is its administrator's."""
        if (domain or servers) and not self._dns_told:
            self._dns_told = True
            log.warn("tap", "the network's name servers are not set on this host (allowDNS)")

    # Frames.

    def nic_input(self, n, frame):
        device = self._devices.get(n)
        if device is None or self._raw.write(device.fd, frame):
            self._drops += 1

    def nic_recv(self, buf, meta):
        """One frame of the devices in turn; its length, 0 when there is none. meta[0] = device."""
        turns = self._turns
        empty = dropped = 0
        while empty < len(turns) and dropped < _TURN:
            n = turns[0]
            try:
                length = 0
                if not self._planed or not self._raw.held(n):
                    length = self._raw.read(self._devices[n].fd, buf)
            except OSError as e:
                if e.errno == _EBADFD:
                    self._lost(n)
                    return 0
                length = 0  # the device is down
            if length:
                self._taken += 1
            if not length or self._taken >= _TURN:
                self._taken = 0
                turns.append(turns.pop(0))
            if not length:
                empty += 1
            elif self._from_wire(buf, length):
                dropped += 1
                self._drops += 1
            else:
                meta[0] = n
                return length
        return 0  # also when only the node's own came: the wait ends at once for the rest

    def _from_wire(self, buf, length):
        """Is this a datagram of the node itself? A route of the network leads it here; carried,
        it would come again and again, each time larger."""
        if buf[12] == 0x08 and buf[13] == 0x00 and buf[23] == _UDP:
            at = 14 + 4 * (buf[14] & 15)
            source = 26, 30
        elif buf[12] == 0x86 and buf[13] == 0xDD and buf[20] == _UDP:
            at = 54
            source = 22, 38
        else:
            return False
        if length < at + 8 or self._driver is None or u16(buf, at) != self._driver.port:
            return False
        source = bytes(buf[source[0] : source[1]])
        for ip, _port in self._driver.listening():
            if ip == source or (len(ip) == len(source) and not any(ip)):
                break
        else:
            return False
        self._tell_of_loop()
        return True

    def _tell_of_loop(self):
        if not self._loop_told:
            self._loop_told = True
            log.error("tap", "a route of a network leads the node's own packets into it: dropped")

    def nic_groups(self, n):
        """The multicast MACs the host has joined on the device."""
        return groups_in(self._table(), self._device(n).name)

    def nic_serial(self):
        """Changes when a group comes or goes."""
        self._table()
        return self._serial

    def _table(self):
        table = _text("/proc/net/dev_mcast")
        if table != self._groups:
            self._groups = table
            self._serial = self._serial + 1 & 0x3FFFFFFF
        return table

    def nic_drops(self):
        """Frames neither side took; the plane counts its own (tap_refused, tap_looped)."""
        return self._drops

    def stack_poll(self):
        """The host's stack has its own timers."""
        if self._planed and self._raw.looped():
            self._tell_of_loop()
        return -1

    # ICMP is the host's: ping(8).

    def ping_send(self, ip, ident, seq, payload):
        raise OSError("use the host's ping with --tap")

    def ping_recv(self, buf):
        return None
