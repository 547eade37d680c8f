# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The matches of the rules engine (VL2 4.3-4.6): one function per match type over the raw rule
# bytes and the frame. It knows frames and rule fields; what a match means for the frame is decided
# in rules.py.
#
# A function takes (s, r, q, x): s is the rules.Filter that holds the frame, r the rule bytes, q
# where the fields of this rule start, x what tells its match types apart. It answers FALSE or
# TRUE, which the NOT bit inverts, or NO or YES, which it cannot. Fields are compared byte by byte
# so that no match allocates, except the three that say so.

from ._compat import const

FALSE = const(0)
TRUE = const(1)
NO = const(2)
YES = const(3)

_IPV4 = const(0x0800)
_ARP = const(0x0806)
_IPV6 = const(0x86DD)
_FLAG_NDP_EMULATION = const(0x04)
_FLAG_UNKNOWN_IS_TRUE = const(0x08)
_THING_MAC = const(1)


def same(a, ao, b, bo, n):
    for i in range(n):
        if a[ao + i] != b[bo + i]:
            return False
    return True


def _same_prefix(a, ao, b, bo, bits):
    whole = bits >> 3
    if not same(a, ao, b, bo, whole):
        return False
    bits &= 7
    return bits == 0 or (a[ao + whole] ^ b[bo + whole]) >> (8 - bits) == 0


def _address(s, r, q, dest):
    return same(r, q, s.dest if dest else s.source, 0, 5)


def _vlan(s, r, q, more):
    # Frames have no VLAN here: its numbers are always 0.
    return not (r[q] or r[q + more])


def _mac(s, r, q, dest):
    return same(r, q, s.mac_dest if dest else s.mac_source, 0, 6)


def _ipv4(s, r, q, at):
    if s.ip != 4:
        return NO
    return _same_prefix(s.frame, at, r, q, min(r[q + 4], 32))


def _ipv6(s, r, q, at):
    if s.ip != 6:
        return NO
    bits = r[q + 16]
    f = s.frame
    for i in range(16):
        # The address of the frame is masked and that of the rule is not, as members of a network
        # do it.
        if bits >= 8:
            mask = 0xFF
            bits -= 8
        else:
            mask = 0xFF00 >> bits & 0xFF
            bits = 0
        if f[at + i] & mask != r[q + i]:
            return FALSE
    return TRUE


def _ip_tos(s, r, q, x):
    f = s.frame
    if s.ip == 4:
        x = f[1]
    elif s.ip == 6:
        x = (f[0] & 15) << 4 | f[1] >> 4
    else:
        return NO
    return r[q + 1] <= x & r[q] <= r[q + 2]


def walk(s):
    """Find the transport header of an IP frame: sets s.proto and s.l4; False when there is none.

    The answer is kept for the other rules that look at the same frame.
    """
    if s.l4:
        return s.l4 > 0
    f = s.frame
    s.l4 = -1
    if s.ip == 4:
        s.proto = f[9]
        s.l4 = max((f[0] & 15) << 2, 1)
    elif s.ip == 6:
        n = s.n
        proto = f[6]
        pos = 40
        while proto == 0 or proto == 43 or proto == 60 or proto == 135:
            if pos + 8 > n:
                return False
            proto = f[pos]
            pos += 8 + (f[pos + 1] << 3)
        if pos > n:
            return False
        s.proto = proto
        s.l4 = pos
    return s.l4 > 0


def _ip_protocol(s, r, q, x):
    if not walk(s):
        return NO
    return s.proto == r[q]


def _ethertype(s, r, q, x):
    return s.ethertype == r[q] << 8 | r[q + 1]


def _icmp(s, r, q, x):
    if not walk(s) or s.proto != (1 if s.ip == 4 else 0x3A):
        return NO
    pos = _l4(s)
    if s.n < pos + 2 or s.frame[pos] != r[q]:
        return NO
    if r[q + 2] & 1:
        return s.frame[pos + 1] == r[q + 1]
    return YES


def _l4(s):
    # walk() keeps a zero IPv4 header length as 1 so that it reads as found.
    return s.l4 if s.l4 > 1 else 0


def _port(s, r, q, at):
    if not walk(s):
        return NO
    proto = s.proto
    if proto != 6 and proto != 17 and proto != 132 and proto != 136:
        return FALSE
    pos = _l4(s)
    if s.n <= pos + 4:
        return FALSE
    pos += at
    port = s.frame[pos] << 8 | s.frame[pos + 1]
    if port == 0 and s.ip == 6:
        return FALSE
    return r[q] << 8 | r[q + 1] <= port <= (r[q + 2] << 8 | r[q + 3])


def _characteristics(s, r, q, x):
    # Only the top byte and the low 12 bits of the mask have a meaning; see VL2 4.6.
    high = r[q]
    if high & 0x80 and s.inbound:
        return TRUE
    if high & 0x60 and s.mac_dest[0] & 1:
        if high & 0x40 or s.broadcast():
            return TRUE
    low = (r[q + 6] & 0x0F) << 8 | r[q + 7]
    if low and low & _tcp_bits(s):
        return TRUE
    if high & 0x10 and _sender_ip_known(s):
        return TRUE
    return bool(high & 0x08 and s.owns(_THING_MAC, bytes(s.mac_source)))


def _tcp_bits(s):
    if not walk(s) or s.proto != 6:
        return 0
    pos = _l4(s)
    n = s.n
    if s.ip == 6 and n <= pos + 14:
        return 0
    bits = 0
    if n > pos + 12:
        bits = (s.frame[pos + 12] & 0x0F) << 8
    if n > pos + 13:
        bits |= s.frame[pos + 13]
    return bits


def _sender_ip_known(s):
    # Allocates the address for the look-up.
    f = s.frame
    if s.ip == 4:
        return s.owns(2, bytes(f[12:16]))
    if s.ethertype == _ARP and s.n >= 28:
        return s.owns(2, bytes(f[14:18]))
    if s.ip != 6:
        return False
    at = 8
    if s.n >= 64 and f[6] == 0x3A:
        if f[40] == 0x87:
            return True
        if f[40] == 0x88:
            at = 48
    ip = bytes(f[at : at + 16])
    if s.owns(3, ip):
        return True
    if not (s.inbound and s.ctx.flags & _FLAG_NDP_EMULATION):
        return False
    for prefix in s.ctx.emulated:
        if ip[: len(prefix)] == prefix:
            return True
    return False


def _frame_size(s, r, q, x):
    return r[q] << 8 | r[q + 1] <= s.n <= (r[q + 2] << 8 | r[q + 3])


def _random(s, r, q, x):
    # Allocates: four random bytes, compared as they stand on the wire.
    return bytes(s.random(4)) <= bytes(r[q : q + 4])


def _tags(s, r, q, op):
    tag = _u32(r, q)
    local = s.ctx.tags.get(tag)
    if local is None:
        return NO
    remote = s.remote_tag(tag)
    if remote is None:
        if s.inbound and not s.super_accept:
            return NO
        s.skip = True
        return YES
    value = _u32(r, q + 4)
    if op == 0:
        return abs(local - remote) <= value
    if op == 1:
        return local & remote == value
    if op == 2:
        return local | remote == value
    if op == 3:
        return local ^ remote == value
    return local == value and remote == value


def _u32(r, q):
    return r[q] << 24 | r[q + 1] << 16 | r[q + 2] << 8 | r[q + 3]


def _tag_of_one(s, r, q, receiver):
    if s.super_accept:
        s.skip = True
        return YES
    tag = _u32(r, q)
    value = s.ctx.tags.get(tag) if receiver == bool(s.inbound) else s.remote_tag(tag)
    if value is not None:
        return value == _u32(r, q + 4)
    if receiver and not s.inbound:
        s.skip = True
        return YES
    return NO


def _integer_range(s, r, q, x):
    # Allocates on boards: the numbers are up to 64 bits wide.
    little = r[q + 18] & 0x80
    bits = (r[q + 18] & 0x3F) + 1
    size = (bits + 7) >> 3
    at = r[q + 16] << 8 | r[q + 17]
    if not little:
        at += 8 - size
    value = 0
    if at + size <= s.n:
        field = bytes(s.frame[at : at + size])
        if little:
            value = int.from_bytes(field, "little") >> (8 * size - bits)
        else:
            value = int.from_bytes(field, "big") & ((1 << bits) - 1)
    low = int.from_bytes(bytes(r[q : q + 8]), "big")
    return low <= value <= int.from_bytes(bytes(r[q + 8 : q + 16]), "big")


def _unknown(s, r, q, x):
    return bool(s.ctx.flags & _FLAG_UNKNOWN_IS_TRUE)


# Match types 16..63. Beside each function, in FIELDS, how many bytes its fields take; the same for
# the actions 0..15. A rule is read at these offsets whatever its own length says.
_KNOWN = (
    (_address, _address, _vlan, _vlan, _vlan, _mac, _mac, _ipv4, _ipv4, _ipv6, _ipv6, _ip_tos)
    + (_ip_protocol, _ethertype, _icmp, _port, _port, _characteristics, _frame_size, _random)
    + (_tags, _tags, _tags, _tags, _tags, _tag_of_one, _tag_of_one, _integer_range)
)
FIRST_KNOWN = const(24)
MATCHES = (_unknown,) * 8 + _KNOWN + (_unknown,) * (40 - len(_KNOWN))
# Source or destination, where in the frame, VLAN fields of two bytes, the operation on tags.
WHICH = bytes(
    (0,) * 8
    + (0, 1, 1, 0, 0, 0, 1, 12, 16, 8, 24, 0)
    + (0, 0, 0, 0, 2, 0, 0, 0)
    + (0, 1, 2, 3, 4, 0, 1, 0)
    + (0,) * 12
)
FIELDS = bytes(
    (0, 0, 14, 14, 14)
    + (0,) * 19
    + (5, 5, 2, 1, 1, 6, 6, 5, 5, 17, 17, 3, 1, 2, 3, 4, 4, 8, 4, 4, 8, 8, 8, 8, 8, 8, 8, 19)
    + (0,) * 12
)
