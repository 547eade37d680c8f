# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What a controller may set on this machine (VL2 8.3): the local permissions of one network,
# their file form, and the filter over its managed addresses, routes and name servers. Sets
# nothing itself.

from . import inet
from .dictionary import Dictionary, encode

KEYS = ("allowManaged", "allowGlobal", "allowDefault", "allowDNS")


class Local:
    """The permissions of one network. `networks` narrows allowManaged to a list of (ip, bits)."""

    allowManaged = True
    allowGlobal = False
    allowDefault = False
    allowDNS = False
    networks = ()

    def __init__(self, data=None):
        if data:
            d = Dictionary(data)
            for key in KEYS:
                self._set(key, d.boolean(key, getattr(self, key)))
            self._whitelist(d.get("allowManaged"))

    def _set(self, name, value):
        # An attribute takes memory once it is set.
        if value != getattr(self, name):
            setattr(self, name, value)

    def _whitelist(self, value):
        # A value longer than five characters is a list of networks, not a boolean.
        if value is None or len(value) <= 5:
            return
        networks = []
        for part in value.split(b","):
            try:
                ip, bits = inet.parse(part.decode().strip())
            except (ValueError, UnicodeError):
                continue
            networks.append((ip, bits))
        self._set("allowManaged", len(networks) > 0)
        self._set("networks", networks)

    def update(self, settings):
        """Take booleans from a dict; True if something changed, ValueError for other types."""
        for key in settings:
            if key in KEYS and not isinstance(settings[key], bool):
                raise ValueError("network settings must be true or false")
        changed = False
        for key in KEYS:
            if key in settings and getattr(self, key) != settings[key]:
                setattr(self, key, settings[key])
                changed = True
                if key == "allowManaged":
                    self._set("networks", ())
        return changed

    def pack(self):
        pairs = []
        for key in KEYS:
            value = b"1" if getattr(self, key) else b"0"
            if key == "allowManaged" and self.allowManaged and self.networks:
                value = ",".join([inet.text(ip, bits) for ip, bits in self.networks]).encode()
            pairs.append((key, value))
        return encode(pairs)

    def allows(self, ip, bits):
        """May this managed address or route target be applied?"""
        if not self.allowManaged:
            return False
        if self.networks:
            for net, net_bits in self.networks:
                if len(net) == len(ip) and bits >= net_bits and inet.in_net(ip, net, net_bits):
                    break
            else:
                return False
        if bits == 0 and not any(ip):
            return self.allowDefault
        scope = inet.scope(ip)
        if scope in (
            inet.SCOPE_NONE,
            inet.SCOPE_MULTICAST,
            inet.SCOPE_LOOPBACK,
            inet.SCOPE_LINK_LOCAL,
        ):
            return False
        if scope == inet.SCOPE_GLOBAL:
            return self.allowGlobal
        return True

    def addresses(self, config):
        """The (ip, bits) of a configuration that may be set."""
        found = []
        for ip, bits in config.static_ips:
            if bits <= 8 * len(ip) and self.allows(ip, bits) and (ip, bits) not in found:
                found.append((ip, bits))
        return found

    def routes(self, config):
        """The (target, bits, via, flags, metric) that may be set; not those through ourselves."""
        own = [ip for ip, _ in config.static_ips]
        return [
            r
            for r in config.routes
            if r[1] <= 8 * len(r[0])
            and self.allows(r[0], r[1])
            and (r[2] is None or r[2] not in own)
        ]

    def dns(self, config):
        """(domain, servers) or None."""
        if not self.allowDNS or not (config.dns_domain or config.dns_servers):
            return None
        return config.dns_domain, [ip for ip, _ in config.dns_servers]
