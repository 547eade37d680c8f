# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The script of the bench's nodes, for the bench build's `exec`: says its address on the network,
# then obeys lines on stdin and answers each with one of JSON. Packets are made and counted in C.
#
#   sink PORT                       count from now on
#   counted                         {received, bytes} since the last time
#   send IP PORT SIZE RATE MS       {sent, refused, us}
#   crowd N IP PORT                 know the N peers of tools/bench_crowd.c, from that port on
#   crowd_send SIZE BURST RATE MS   frames to each of them in turn; {sent, refused, us}
#   about                           the node, its network, its memory

import gc
import json
import select
import sys

import _ztbench
import zt
from zt import mac
from zt.identity import Identity
from zt.path import LATENCY_UNKNOWN
from zt.peer import STATE_DIRECT, Peer, Slot

crowd = []


def ours():
    for net in zt.node.networks():
        for ip in net["assignedAddresses"]:
            if ":" not in ip:
                return ip.split("/")[0]
    return None


def core():
    return zt.node.host.node


def network():
    return list(core().vl2.networks.values())[0]


def wire():
    """The socket on which the root is heard over IPv4."""
    for peer in core().topology.peers.values():
        for slot in peer.slots:
            if len(slot.path.remote[0]) == 4:
                return slot.path.local_socket
    raise ValueError("no path")


def know(i, ip, port, local):
    """What the node would know of a member that has just joined, said HELLO and had our
    credentials: from then on everything goes its usual way.
    """
    node, net = core(), network()
    now = node.now
    address = b"\x40" + ((i + 1) * 2654435761 & 0xFFFFFFFF).to_bytes(4, "big")
    key = bytes([(i * 7 + (i >> 8) * 11 + k * 31) & 255 for k in range(48)])
    peer = Peer(Identity(address, bytes(64)), key)
    peer.software = (11, 1, 4, 8)
    path = node.topology.path(now, local, (ip, port + i))
    path.last_in = path.last_out = path.last_trusted = now
    path.latency = min(path.latency, LATENCY_UNKNOWN - 1)
    peer.slots = (Slot(path, now),)
    peer.known_since = peer.last_receive = peer.last_nontrivial = peer.last_trusted = now
    peer.last_hello = peer.last_push = now
    node.topology.peers[address] = peer
    m = net.members.make(now, address)
    m.refresh(net.generation, net.config, lambda a: None)
    m.last_push = m.last_like = now
    m.pushed = net.generation
    node.plane.sent(now, net, m)
    return m.mac


def know_all(n, ip, port):
    for m in crowd:
        peer = core().topology.peers.pop(mac.to_address(m, network().nwid), None)
        if peer is not None:
            peer.slots_changed()
    local = wire()
    crowd[:] = [know(i, ip, port, local) for i in range(n)]
    return {"installed": len(core().plane.peers)}


def about():
    gc.collect()
    net = network()
    out = {"rss_kb": 0, "heap_used": gc.mem_alloc(), "installed": len(core().plane.peers)}
    with open("/proc/self/status") as f:
        for line in f:
            if line.startswith("VmRSS:"):
                out["rss_kb"] = int(line.split()[1])
    out["direct"] = len([p for p in core().topology.peers.values() if p.state == STATE_DIRECT])
    out["plane"] = core().plane.counters()
    out["address"] = core().address.hex()
    out["nwid"] = net.nwid.hex()
    out["generation"] = net.generation
    out["port"] = zt.node.host.driver.port
    return out


def card():
    return zt.node.host.driver.nics.by_nwid[network().nwid].n


def obey(words):
    if words[0] == "crowd":
        ip = bytes([int(x) for x in words[2].split(".")])
        return know_all(int(words[1]), ip, int(words[3]))
    if words[0] == "crowd_send":
        numbers = [int(x) for x in words[1:]]
        sent, refused, us = _ztbench.crowd_send(card(), network().mac, b"".join(crowd), *numbers)
        return {"sent": sent, "refused": refused, "us": us}
    if words[0] == "about":
        return about()
    if words[0] == "sink":
        _ztbench.sink(int(words[1]))
        return {}
    if words[0] == "counted":
        n, size = _ztbench.counted()
        return {"received": n, "bytes": size}
    ip = bytes([int(x) for x in words[1].split(".")])
    sent, refused, us = _ztbench.send(ip, *[int(x) for x in words[2:]])
    return {"sent": sent, "refused": refused, "us": us}


def main():
    poll = select.poll()
    poll.register(sys.stdin, select.POLLIN)
    ip = None
    while ip is None:
        poll.poll(20)
        ip = ours()
    print(json.dumps({"ip": ip}))
    while True:
        poll.poll()
        line = sys.stdin.readline()
        if not line:
            return
        print(json.dumps(obey(line.split())))


main()
