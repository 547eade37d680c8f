# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Ethernet frames of one network, both ways (VL2 6.1-6.3, 6.7): from the tap to members and
# groups, and from members' packets to the tap. Addressing, bridging, rules and the drop counters
# meet here; who is admitted and what is configured is the Network's knowledge. tap() and frame()
# run per packet.

from . import mac as macs
from ._compat import be16, const, elapsed, u16
from .const import (
    DONE,
    TRUSTED,
    VERB_EXT_FRAME,
    VERB_FRAME,
    VERB_MULTICAST_FRAME,
    VERB_OK,
)
from .credential import COM
from .netdrops import (
    BAD_DESTINATION,
    BAD_SOURCE,
    BROADCAST_OFF,
    MULTICAST_OFF,
    NO_BRIDGE,
    NO_CONFIG,
    NOT_BRIDGE,
    REVOKED,
    RULES_IN,
    RULES_OUT,
)

_BROADCAST = macs.BROADCAST
_IPV6 = const(0x86DD)
_ARP = const(0x0806)
_FLAG_BROADCAST = const(0x02)
_FLAG_NDP = const(0x04)
_ARP_IPV4 = b"\x08\x00\x06\x04"
_NO_ADI = bytes(4)
_NO_MAC = bytes(6)
_MAX_MULTICAST = const(10000)
PUSH_MS = const(500000)  # VL2 5.8
_MAX_BRIDGES = const(32)  # VL2 6.3: at most so many get a frame for an unknown MAC
_TYPES = {0x0800: b"\x08\x00", _IPV6: b"\x86\xdd", _ARP: b"\x08\x06"}

# --- from the tap


def tap(net, now, src, dst, ethertype, frame):
    """A frame from the local stack. `src`, `dst` are bytes; `frame` is valid during the call."""
    m = net.members.ready.get(dst)
    if m is not None and src == net.mac:
        net.tx_frames += 1
        net.tx_bytes += len(frame)
        kind = _TYPES.get(ethertype) or be16(ethertype)
        net.host.send(now, m.address, VERB_FRAME, net.nwid, kind, frame)
        if net.plane is not None:
            net.plane.sent(now, net, m)
        return
    if net.config is None:
        net.drops[NO_CONFIG] += 1
        return
    if net.cut:
        net.drops[REVOKED] += 1
        return
    mine = src == net.mac
    if not mine and not net.is_bridge:
        net.drops[NOT_BRIDGE] += 1
        return
    if dst[0] & 1:
        _tap_multicast(net, now, src, dst, ethertype, frame, mine)
        return
    if dst == net.mac:
        net.host.deliver(net.nwid, src, dst, ethertype, frame)
        return
    if dst[0] != net.first_octet:
        _tap_bridged(net, now, src, dst, ethertype, frame)
        return
    address = macs.to_address(dst, net.nwid)
    m = net.members.table.get(address)
    if m is None:
        if address[0] == 0xFF or address == b"\0\0\0\0\0":
            net.drops[BAD_DESTINATION] += 1
            return
        m = net.members.make(now, address)
    m.seen = now
    if m.generation != net.generation:
        net.refresh(m)
    if m.barred:
        net.ask_credentials(now, m)
        return
    if not net.accept_all and not judge_out(net, now, m, src, dst, ethertype, frame, False):
        return
    if m.pushed != net.generation or elapsed(now, m.last_push, PUSH_MS):
        net.push(now, m)
    if net.short_cuts:
        net.members.ready[dst] = m
    net.tx_frames += 1
    net.tx_bytes += len(frame)
    kind = _TYPES.get(ethertype) or be16(ethertype)
    if mine:
        net.host.send(now, m.address, VERB_FRAME, net.nwid, kind, frame)
        if net.plane is not None:
            net.plane.sent(now, net, m)
    else:
        head = b"".join((net.nwid, b"\0", dst, src, kind))
        net.host.send(now, m.address, VERB_EXT_FRAME, head, frame)


def judge_out(net, now, m, src, dst, ethertype, frame, no_tee):
    """Outbound rules; `m` is None while the destination is not known. Sends the copies."""
    f = net.filter
    v = f.verdict(
        net.config,
        m,
        False,
        frame,
        ethertype,
        src,
        dst,
        net.address,
        m.address if m else None,
        no_tee,
    )
    if f.copies:
        _copies(net, now, src, dst, ethertype, frame)
    if not v:
        net.drops[RULES_OUT] += 1
    return v


def _judge_in(net, now, m, src, dst, ethertype, frame):
    if net.accept_all:
        return 1
    f = net.filter
    v = f.verdict(net.config, m, True, frame, ethertype, src, dst, m.address, net.address)
    if f.copies:
        _copies(net, now, src, dst, ethertype, frame)
    if not v:
        net.drops[RULES_IN] += 1
    return v


def _copies(net, now, src, dst, ethertype, frame):
    for dest, flags, length in net.filter.copies:
        copy(net, now, dest, flags, dst, src, be16(ethertype), frame[:length])


def copy(net, now, dest, flags, dst, src, kind, frame):
    """Send a copy, or a redirected frame, as the rules want it; `kind` is the EtherType."""
    head = b"".join((net.nwid, bytes([flags]), dst, src, kind))
    net.host.send(now, dest, VERB_EXT_FRAME, head, frame)


def _tap_multicast(net, now, src, dst, ethertype, frame, mine):
    config = net.config
    adi = _NO_ADI
    if dst == _BROADCAST:
        if (
            ethertype == _ARP
            and len(frame) >= 28
            and frame[2:6] == _ARP_IPV4
            and frame[7] == 1
            and frame[6] == 0
        ):
            adi = bytes(frame[24:28])
        elif not config.flags & _FLAG_BROADCAST:
            net.drops[BROADCAST_OFF] += 1
            return
    elif ethertype == _IPV6 and config.flags & _FLAG_NDP:
        r = macs.ndp_emulate(net.nwid, net.address, config.static_ips, frame)
        if r is not None:
            net.host.deliver(net.nwid, r[0], src, _IPV6, r[1])
            return
    if not config.multicast_limit:
        net.drops[MULTICAST_OFF] += 1
        return
    key = net.nwid + bytes(dst) + adi
    if not mine:
        net.bridged_group(now, key)
    if not net.accept_all and not judge_out(net, now, None, src, dst, ethertype, frame, False):
        return
    net.tx_frames += 1
    net.tx_bytes += len(frame)
    net.multicast.send(now, net, key, None if mine else src, None, ethertype, frame)
    if mine and net.plane is not None:
        net.plane.multicast(now, net, key)


def _tap_bridged(net, now, src, dst, ethertype, frame):
    """To a MAC behind a bridge: the one it was learned from, else all of them."""
    if not net.accept_all and not judge_out(net, now, None, src, dst, ethertype, frame, False):
        return
    known = net.routes.get(dst)
    if known is not None and known != net.address and known in net.bridges:
        targets = [known]
    else:
        targets = [a for a in net.bridges if a != net.address]
        if len(targets) > _MAX_BRIDGES:
            first = net.host.random(1)[0] % len(targets)
            targets = (targets[first:] + targets[:first])[:_MAX_BRIDGES]
    if not targets:
        net.drops[NO_BRIDGE] += 1
        return
    net.tx_frames += 1
    net.tx_bytes += len(frame)
    head = b"".join((net.nwid, b"\0", dst, src, be16(ethertype)))
    for address in targets:
        m = net.member(now, address)
        if m.barred:
            continue
        if net.accept_all or judge_out(net, now, m, src, dst, ethertype, frame, True):
            net.host.send(now, address, VERB_EXT_FRAME, head, frame)


# --- from members


def _deliver(net, src, dst, ethertype, frame):
    net.rx_frames += 1
    net.rx_bytes += len(frame)
    net.host.deliver(net.nwid, src, dst, ethertype, frame)


def frame(net, now, source, packet_id, p, reply):
    """FRAME."""
    n = len(p)
    if n < 10:
        raise ValueError("FRAME truncated")
    m = net.gate(now, source)
    if m is None:
        return net.refuse(now, source, VERB_FRAME, packet_id, reply)
    if n > 10:
        ethertype = p[8] << 8 | p[9]
        f = p[10:]
        if net.short_cuts:
            net.members.admitted[source] = m
        if _judge_in(net, now, m, m.mac, net.mac, ethertype, f):
            _deliver(net, m.mac, net.mac, ethertype, f)
    return TRUSTED


def ext_frame(net, now, source, packet_id, p, reply):
    """EXT_FRAME."""
    if len(p) < 9:
        raise ValueError("EXT_FRAME truncated")
    flags = p[8]
    o = 9
    if flags & 1:
        com, o = COM.unpack(p, o)
        net.credential(now, com, source)
    if len(p) < o + 14:
        raise ValueError("EXT_FRAME truncated")
    m = net.gate(now, source)
    if m is None:
        return net.refuse(now, source, VERB_EXT_FRAME, packet_id, reply)
    dst = bytes(p[o : o + 6])
    src = bytes(p[o + 6 : o + 12])
    if len(p) > o + 14:
        if src == _NO_MAC or src == net.mac:
            net.drops[BAD_SOURCE] += 1
            return TRUSTED
        ethertype = u16(p, o + 12)
        f = p[o + 14 :]
        v = _judge_in(net, now, m, src, dst, ethertype, f)
        if v == 1:
            if src != m.mac:
                if source not in net.bridges:
                    net.drops[NOT_BRIDGE] += 1
                    return TRUSTED
                net.learn_route(src, source)
            elif dst != net.mac:
                if dst[0] & 1:
                    if not net.config.multicast_limit:
                        net.drops[MULTICAST_OFF] += 1
                        return TRUSTED
                elif not net.is_bridge:
                    net.drops[BAD_DESTINATION] += 1
                    return TRUSTED
        if v:
            _deliver(net, src, dst, ethertype, f)
    if flags & 0x10:
        reply(VERB_OK, bytes([VERB_EXT_FRAME]), packet_id, net.nwid)
    return TRUSTED


def multicast_frame(net, now, source, packet_id, p, reply):
    """MULTICAST_FRAME."""
    if len(p) < 9:
        raise ValueError("MULTICAST_FRAME truncated")
    flags = p[8]
    o = 9
    if flags & 1:
        com, o = COM.unpack(p, o)
        net.credential(now, com, source)
    fields = o + (4 if flags & 2 else 0) + (6 if flags & 4 else 0) + 12
    if len(p) < fields:
        raise ValueError("MULTICAST_FRAME truncated")
    m = net.gate(now, source)
    if m is None:
        return net.refuse(now, source, VERB_MULTICAST_FRAME, packet_id, reply)
    if not net.config.multicast_limit:
        net.drops[MULTICAST_OFF] += 1
        return TRUSTED
    limit = 0
    if flags & 2:
        # More than fits an answer is as good as infinite; keeps the number small.
        limit = 0xFFFF if p[o] or p[o + 1] else u16(p, o + 2)
        o += 4
    src = m.mac
    if flags & 4:
        src = bytes(p[o : o + 6])
        o += 6
    key = net.nwid + bytes(p[o : o + 10])
    dst = key[8:14]
    ethertype = u16(p, o + 10)
    f = p[o + 12 :]
    n = len(f)
    if n:
        if n > _MAX_MULTICAST or not dst[0] & 1:
            net.drops[BAD_DESTINATION] += 1
            return TRUSTED
        if src == _NO_MAC or src[0] & 1 or src == net.mac:
            net.drops[BAD_SOURCE] += 1
            return TRUSTED
        if flags & 8 and net.is_replicator:
            net.multicast.send(now, net, key, src, source, ethertype, f)
        if src != m.mac:
            if source not in net.bridges:
                net.drops[NOT_BRIDGE] += 1
                return TRUSTED
            net.learn_route(src, source)
        if _judge_in(net, now, m, src, dst, ethertype, f):
            _deliver(net, src, dst, ethertype, f)
    if limit:
        found = net.multicast.results(key, source, limit, net.subscribed(key))
        if found is not None:
            reply(VERB_OK, bytes([VERB_MULTICAST_FRAME]), packet_id, key, b"\x02", found)
    return TRUSTED


def multicast_frame_ok(net, now, body):
    """OK(MULTICAST_FRAME): gather results for a frame we sent."""
    if len(body) < 19:
        raise ValueError("OK truncated")
    key = bytes(body[:18])
    flags = body[18]
    o = 19
    if flags & 1:
        _, o = COM.unpack(body, o)
    if flags & 2:
        net.multicast.add_results(now, key, body[o:])
    return DONE
