# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What a zt.NIC is asked and told in the words of network.WLAN: status, config, ifconfig, ipconfig.
# Reads the node and its interfaces; the only things it changes are settings.

from . import inet
from ._compat import hexs, ticks_ms, unhex
from .const import NET_OK, NET_REQUESTING_CONFIGURATION

_LOCAL = {
    "allow_managed": "allowManaged",
    "allow_global": "allowGlobal",
    "allow_default": "allowDefault",
    "allow_dns": "allowDNS",
}
_FIXED = ("address", "identity", "mac", "mtu", "networks", "profile")
_NO4 = "0.0.0.0"


def network_id(nwid):
    """A network id from 16 hex digits or 8 bytes; ValueError otherwise."""
    if isinstance(nwid, str):
        try:
            nwid = unhex(nwid) if len(nwid) == 16 else b""
        except ValueError:
            nwid = b""
    if len(nwid) != 8:
        raise ValueError("a network id is 16 hex digits or 8 bytes")
    return bytes(nwid)


def _netmask(bits):
    return inet.ip_text(((0xFFFFFFFF << (32 - bits)) & 0xFFFFFFFF).to_bytes(4, "big"))


class Asked:
    """A base class of card.NIC."""

    STAT_IDLE = 1000
    STAT_CONNECTING = 1001
    STAT_GOT_IP = 1010
    # Why not, as the controller or this machine says; 1020 + the number of docs/api.md.
    STAT_ACCESS_DENIED = 1022
    STAT_NOT_FOUND = 1023
    STAT_PORT_ERROR = 1024
    STAT_CLIENT_TOO_OLD = 1025
    STAT_AUTHENTICATION_REQUIRED = 1026

    def _net(self, nwid=None):
        """The network asked for; without an id the first that works, else the first; or None."""
        if self.node is None:
            return None
        networks = self.node.vl2.networks
        if nwid is not None:
            return networks.get(network_id(nwid))
        found = None
        for i in sorted(networks):
            if networks[i].status == NET_OK:
                return networks[i]
            found = found or networks[i]
        return found

    def _addresses(self, nwid, size):
        """Those in use, as (ip, bits)."""
        net = self._net(nwid)
        card = self.driver.nics.by_nwid.get(net.nwid) if net is not None else None
        return [a for a in card.addresses if len(a[0]) == size] if card is not None else []

    def isconnected(self, nwid=None):
        """Is there a network with an address?"""
        net = self._net(nwid)
        if net is None or net.status != NET_OK:
            return False
        return bool(self._addresses(nwid, 4) or self._addresses(nwid, 16))

    def status(self, param=None):
        """Without argument one of the STAT_ numbers, as WLAN.status(). Else one of: "online"
        (a root answers), "networks", "peers", "node" (as the JSON API has them), "flash",
        "memory"."""
        if param is None:
            return self._stat()
        if param == "online":
            return self.node is not None and self.node.online
        if param == "memory":
            from .usage import memory

            return memory()
        if param not in ("networks", "peers", "node", "flash"):
            raise ValueError("unknown status param")
        node = self._need()
        if param == "networks":
            return self.driver.networks()
        if param == "peers":
            return node.peers()
        if param == "node":
            return node.status()
        return self.store.stats(ticks_ms())

    def _stat(self):
        net = self._net()
        if net is None:
            return self.STAT_IDLE
        if net.status == NET_OK:
            return self.STAT_GOT_IP if self.isconnected() else self.STAT_CONNECTING
        if net.status == NET_REQUESTING_CONFIGURATION:
            return self.STAT_CONNECTING
        return 1020 + net.status

    # --- configuration

    def config(self, *param, **values):
        """config("mac") asks, config(port=9994) sets. Names: address, identity, mac, mtu, networks
        and profile, which cannot be set; hostname; port, before active(True); watchdog, in ms;
        allow_managed, allow_global, allow_default, allow_dns of the network."""
        if param and values or len(param) > 1:
            raise TypeError("either one name to ask for, or values to set")
        if param:
            return self._get(param[0])
        for name in values:
            self._set(name, values[name])

    def _get(self, name):
        if name == "address":
            public = self.settings.text("identity.public") or ""
            return hexs(self.node.address) if self.node is not None else public[:10] or None
        if name == "identity":
            return self._need().identity.text()
        if name == "networks":
            return [hexs(n) for n in sorted(self.settings.networks())]
        if name == "profile":
            return self._profile
        if name == "hostname":
            return self.settings.text("hostname") or ""
        if name == "port":
            return self.driver.port if self.driver is not None else self._port
        if name in ("mac", "mtu") or name in _LOCAL:
            net = self._net()
            if net is None:
                raise OSError("no network is joined")
            return getattr(net.local, _LOCAL[name]) if name in _LOCAL else getattr(net, name)
        raise ValueError("unknown config param")

    def _set(self, name, value):
        if name == "hostname":
            self.settings.set("hostname", value)
        elif name == "port":
            if self.node is not None:
                raise OSError("the port can be set before active(True) only")
            if not 0 <= value <= 65535:
                raise ValueError("a port is 0 to 65535")
            self._port = value
        elif name == "watchdog":
            try:
                from machine import WDT
            except ImportError:
                raise OSError("this board has no watchdog")
            self._watchdog = WDT(timeout=value)
        elif name in _LOCAL:
            net = self._net()
            if net is None:
                raise OSError("no network is joined")
            self.node.vl2.configure(ticks_ms(), net.nwid, {_LOCAL[name]: value})
        elif name in _FIXED:
            raise ValueError("%s cannot be set" % name)
        else:
            raise ValueError("unknown config param")

    def ifconfig(self, values=None):
        """(address, mask, gateway, name server) of the network, "0.0.0.0" for what it has not."""
        if values is not None and values != "dhcp":
            raise ValueError("the network's controller sets the addresses")
        ip, mask = self.ipconfig("addr4")
        net = self._net()
        dns = net.dns if net is not None else None
        servers = [inet.ip_text(s) for s in dns[1] if len(s) == 4] if dns else []
        return ip, mask, self.ipconfig("gw4"), servers[0] if servers else _NO4

    def ipconfig(self, *param, **values):
        """As network.WLAN has it: "addr4", "addr6", "gw4", "dhcp4", "has_dhcp4", "autoconf6",
        "has_autoconf6"."""
        if values:
            raise ValueError("the network's controller sets the addresses")
        if len(param) != 1:
            raise TypeError("one name to ask for")
        param = param[0]
        if param == "addr4":
            found = self._addresses(None, 4)
            if not found:
                return _NO4, _NO4
            return inet.ip_text(found[0][0]), _netmask(found[0][1])
        if param == "addr6":
            # State 0x30 is lwIP's "preferred", the times do not end.
            return [(inet.ip_text(ip), 0x30, -1, -1) for ip, _ in self._addresses(None, 16)]
        if param == "gw4":
            net = self._net()
            for route in net.managed_routes() if net is not None else ():
                if len(route[0]) == 4 and route[1] == 0 and route[2] is not None:
                    return inet.ip_text(route[2])
            return _NO4
        if param in ("dhcp4", "has_dhcp4", "autoconf6", "has_autoconf6"):
            return False
        raise ValueError("unknown config param")
