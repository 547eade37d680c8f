# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Picks addresses for members from a network's pools (VL2 7.4). It decides only; nothing is stored
# here. `routes` are (target ip, bits, via or None), `pools` (first ip, last ip), `taken` tells
# used addresses.

from ..inet import in_net

_TRIALS = 1000


def bits_of(ip, routes):
    """Prefix length of the longest route that holds `ip`; None if no route does."""
    best = None
    for target, bits, _ in routes:
        if in_net(ip, target, bits) and (best is None or bits > best):
            best = bits
    return best


def _first_route(ip, routes):
    for target, bits, _ in routes:
        if len(target) == 4 and in_net(ip, target, bits):
            return bits
    return 0


def _last_own_route(ip, routes):
    found = 0
    for target, bits, via in routes:
        if via is None and len(target) == 16 and in_net(ip, target, bits):
            found = bits
    return found


def pick_v4(address, pools, routes, taken):
    """(ip, bits) for a member, or None when no pool has a free address on a route."""
    for first, last in pools:
        if len(first) != 4:
            continue
        start = int.from_bytes(first, "big")
        span = int.from_bytes(last, "big") - start
        if start == 0 or span < 0:
            continue
        counter = int.from_bytes(address[1:], "big")
        for _ in range(min(_TRIALS, span + 1)):
            ip = (start + (counter % span if span else 0)).to_bytes(4, "big")
            counter += 1
            if ip[3] == 255:
                continue
            bits = _first_route(ip, routes)
            if bits > 0 and ip not in taken:
                return ip, bits
    return None


def pick_v6(address, pools, routes, taken, random):
    for first, last in pools:
        if len(first) != 16:
            continue
        high = int.from_bytes(first[:8], "big")
        low = int.from_bytes(first[8:], "big")
        high_span = int.from_bytes(last[:8], "big") - high
        low_span = int.from_bytes(last[8:], "big") - low
        for trial in range(_TRIALS):
            if trial == 0 and low_span >= (1 << 40) - 1:
                ip = first[:8] + (low + int.from_bytes(address, "big")).to_bytes(8, "big")
            else:
                ip = _below(high, high_span, random) + _below(low, low_span, random)
            bits = _last_own_route(ip, routes)
            if bits > 0 and ip not in taken:
                return ip, bits
            if trial and high_span <= 0 and low_span <= 0:
                break  # a pool of one address gives no other
    return None


def _below(start, span, random):
    if span > 0:
        start += int.from_bytes(random(8), "big") % span
    return start.to_bytes(8, "big")
