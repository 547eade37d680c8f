# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A joined network as text and numbers for status output; the names are those of the original's
# JSON API.

from . import mac as macs
from ._compat import hexs, u32
from .const import NET_STATUS_NAMES
from .groups import BROADCAST_GROUP, FLAG_BROADCAST
from .inet import ip_text, text
from .netdrops import NAMES


def describe(net):
    """The network as the original's JSON API shows it (VL2 8.2), and what we add to it."""
    c = net.config
    dns = {"domain": "", "servers": []}
    if c is not None and (c.dns_domain or c.dns_servers):
        dns = {"domain": c.dns_domain, "servers": [ip_text(ip) for ip, _ in c.dns_servers]}
    groups = [k for k in net.all_groups() if k[8:] != BROADCAST_GROUP]
    d = {
        "allowDNS": net.local.allowDNS,
        "allowDefault": net.local.allowDefault,
        "allowGlobal": net.local.allowGlobal,
        "allowManaged": net.local.allowManaged,
        "assignedAddresses": [text(ip, bits) for ip, bits in net.managed_addresses()],
        "bridge": net.is_bridge,
        "broadcastEnabled": bool(c is not None and c.flags & FLAG_BROADCAST),
        "counters": net.counters(),
        "dhcp": False,
        "dns": dns,
        "id": hexs(net.nwid),
        "mac": macs.text(net.mac),
        "mtu": net.mtu,
        "multicastSubscriptions": [{"adi": u32(k, 14), "mac": macs.text(k[8:14])} for k in groups],
        "name": c.name if c is not None else "",
        "netconfRevision": c.revision if c is not None else 0,
        "nwid": hexs(net.nwid),
        "portDeviceName": net.device,
        "portError": net.port_error,
        "routes": [
            {
                "flags": flags,
                "metric": metric,
                "target": text(ip, bits),
                "via": ip_text(via) if via else None,
            }
            for ip, bits, via, flags, metric in net.managed_routes()
        ],
        "status": NET_STATUS_NAMES[net.status],
        "type": "PUBLIC" if c is not None and c.public else "PRIVATE",
        "unsupportedRules": [
            "rule %d: type %d: %s" % (index, kind, why)
            for index, kind, why in net.unsupported_rules
        ],
    }
    if net.authentication is not None:
        d["ssoEnabled"] = True
        d["authenticationURL"] = net.authentication.get("url", "")
        d["authenticationExpiryTime"] = 0
    return d


def counters(net):
    """What went through and what did not, by name."""
    d = {name: net.drops[i] for i, name in enumerate(NAMES)}
    return {
        "rxFrames": net.rx_frames,
        "rxBytes": net.rx_bytes,
        "txFrames": net.tx_frames,
        "txBytes": net.tx_bytes,
        "drops": d,
    }
