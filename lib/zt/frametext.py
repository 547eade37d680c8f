# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A frame made from words ("tcp from here to there, port 22") or from hex digits, and a frame told
# in words. What was not said is assumed, and the frame says so. For people who try rules; nothing
# it makes goes on a wire, so checksums stay zero.

from . import inet, mac
from ._compat import be16, hexs, u16, unhex

PROTOCOLS = {"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "icmp6": 58, "sctp": 132, "udplite": 136}
WORDS = ("proto", "sport", "dport", "flags", "icmp", "tos", "ethertype", "size")
FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr")
_WITH_PORTS = (6, 17, 132, 136)
_HEADERS = {6: 20, 17: 8, 132: 12, 136: 8, 1: 8, 58: 8}
_NAMES = {PROTOCOLS[name]: name for name in PROTOCOLS}
_STAND_IN = b"\xaa\xaa\xaa\xaa\xaa", b"\xbb\xbb\xbb\xbb\xbb"
_SOURCE_PORT = 49152
_DEST_PORT = 49153
_MAX_SIZE = 10000


class Frame:
    """`payload` is what follows the Ethernet header, `dest` None for a multicast before it is
    known who gets it, `no_tee` says that this is the pass for one recipient of a multicast, `me`
    is our address, `assumed` names what nobody said.
    """

    def __init__(self, inbound):
        self.inbound = inbound
        self.payload = b""
        self.ethertype = 0
        self.mac_source = self.mac_dest = None
        self.source = self.dest = self.me = None
        self.no_tee = False
        self.assumed = []


def is_mac(word):
    """Whether a word has the form of a MAC, which is that of no IP."""
    return len(word) == 17 and all([word[i] == ":" for i in range(2, 17, 3)])


class _End:
    def __init__(self, option, text):
        self.address = self.mac = self.ip = None
        for word in text.split(",") if text else ():
            low = word.lower()
            if low == "broadcast":
                self.mac = mac.BROADCAST
            elif len(word) == 10 and not low.strip("0123456789abcdef"):
                self.address = unhex(low)
            elif is_mac(word):
                self.mac = mac.parse(word)
            else:
                try:
                    self.ip = inet.parse_ip(word)
                except ValueError:
                    raise ValueError("%s: %s is no address of a node, IP or MAC" % (option, word))


def number(option, text, most):
    """A number in decimal, or in hex after 0x."""
    low = text.lower()
    base = 16 if low[:2] == "0x" else 10
    digits = low[2:] if base == 16 else low
    if not digits or digits.strip("0123456789abcdef"[:base]) or int(digits, base) > most:
        raise ValueError("%s: %s is not a number up to %d" % (option, text, most))
    return int(digits, base)


def _protocol(text):
    n = PROTOCOLS.get(text.lower())
    return number("--proto", text, 255) if n is None else n


def _flags(text):
    bits = 0
    for word in text.lower().split(","):
        if word not in FLAGS and word != "none":
            raise ValueError("--flags: %s is none of %s, none" % (word, ", ".join(FLAGS)))
        bits |= 0 if word == "none" else 1 << FLAGS.index(word)
    return bits


def _hex(text):
    digits = "".join(text.replace(":", " ").split()).lower()
    if not digits or len(digits) % 2 or digits.strip("0123456789abcdef"):
        raise ValueError("--frame: not hex digits, two a byte")
    return unhex(digits)


def _multicast(ip):
    if len(ip) == 4:
        return ip[0] & 0xF0 == 0xE0 or ip == b"\xff\xff\xff\xff"
    return ip[0] == 0xFF


def _group_mac(ip):
    if len(ip) == 16:
        return b"\x33\x33" + ip[12:]
    if ip == b"\xff\xff\xff\xff":
        return mac.BROADCAST
    return b"\x01\x00\x5e" + bytes((ip[1] & 0x7F,)) + ip[2:]


def _owner(nwid, ip):
    """The member that an IPv6 address of the two managed schemes spells out, or None."""
    if ip is not None and len(ip) == 16:
        for at in (11, 5):
            address = ip[at : at + 5]
            if ip == (mac.rfc4193 if at == 11 else mac.sixplane)(nwid, address):
                return address
    return None


class _Maker:
    def __init__(self, inbound, source, dest, nwid, me, static_ips):
        self.frame = Frame(inbound)
        self.source = _End("--from", source)
        self.dest = _End("--to", dest)
        self.nwid = nwid
        self.me = me
        self.static_ips = static_ips

    def assume(self, what, text):
        self.frame.assumed.append("%s %s" % (what, text))

    def addresses(self):
        """Who sends and who gets it, and their MACs; the IPs must be known."""
        f = self.frame
        ours, theirs = (self.dest, self.source) if f.inbound else (self.source, self.dest)
        for end in (self.source, self.dest):
            if end.address is None and end.mac and end.mac[0] == mac.first_octet(self.nwid):
                end.address = mac.to_address(end.mac, self.nwid)
            if end.address is None:
                end.address = _owner(self.nwid, end.ip)
        if self.dest.mac is None and self.dest.ip is not None and _multicast(self.dest.ip):
            self.dest.mac = _group_mac(self.dest.ip)
        group = self.dest.mac is not None and bool(self.dest.mac[0] & 1)
        f.me = self.me or ours.address
        if f.me is None:
            f.me = _STAND_IN[0]
            self.assume("this node", hexs(f.me))
        if not f.inbound and ours.address not in (None, f.me) and ours.mac is None:
            raise ValueError("--from: what this node sends comes from %s" % hexs(f.me))
        if theirs.address is None and (f.inbound or not group):
            theirs.address = _STAND_IN[1]
            self.assume("the other node", hexs(theirs.address))
        f.source, f.dest = (theirs.address, f.me) if f.inbound else (f.me, theirs.address)
        f.no_tee = group and f.dest is not None and not f.inbound
        f.mac_source = self.source.mac or mac.from_address(f.source, self.nwid)
        # A copy that somebody's rule sent here keeps the MAC of the node it was for.
        f.mac_dest = self.dest.mac or mac.from_address(self.dest.address or f.dest, self.nwid)

    def version(self, wanted):
        """4 or 6, from the protocol, what was said, or what we have."""
        for end in (self.source, self.dest):
            if end.ip is not None:
                n = 4 if len(end.ip) == 4 else 6
                if wanted not in (0, n):
                    raise ValueError("IPv4 and IPv6 do not mix in one frame")
                wanted = n
        if not wanted and self.static_ips:
            wanted = 4 if min([len(ip) for ip, _ in self.static_ips]) == 4 else 6
        return wanted or 4

    def ips(self, version):
        """Fill in the IPs nobody gave."""
        size = 4 if version == 4 else 16
        inbound = self.frame.inbound
        for end, is_ours, name in (
            (self.source, not inbound, "source"),
            (self.dest, inbound, "destination"),
        ):
            if end.ip is not None:
                continue
            group = end.mac is not None and end.mac[0] & 1
            end.ip = self._ip(end, is_ours, size) if not group else None
            if end.ip is None:
                last = b"\x01" if end is self.source else b"\x02"
                if group:
                    end.ip = b"\xff\xff\xff\xff" if size == 4 else b"\xff\x02" + bytes(13) + b"\1"
                elif size == 4:
                    end.ip = b"\xc0\0\2" + last
                else:
                    end.ip = b"\x20\x01\x0d\xb8" + bytes(11) + last
            self.assume(name + " IP", inet.ip_text(end.ip))

    def _ip(self, end, is_ours, size):
        found = [ip for ip, _ in self.static_ips if len(ip) == size]
        if is_ours:
            return found[0] if found else None
        if size == 16 and end.address is not None and self.me:
            for scheme in (mac.rfc4193, mac.sixplane):
                if scheme(self.nwid, self.me) in found:
                    return scheme(self.nwid, end.address)
        return None

    def transport(self, protocol, sport, dport, flags, icmp):
        """The header above IP and what follows it at least."""
        out = bytearray(_HEADERS.get(protocol, 0))
        if protocol in _WITH_PORTS:
            if sport is None:
                sport = _SOURCE_PORT
                self.assume("source port", sport)
            if dport is None:
                dport = _DEST_PORT
                self.assume("destination port", dport)
            out[0:4] = be16(sport) + be16(dport)
        elif sport is not None or dport is not None:
            raise ValueError("--sport and --dport go with tcp, udp, sctp and udplite")
        if protocol == 6:
            if flags is None:
                flags = "syn"
                self.assume("flags", flags)
            out[12:14] = bytes((0x50, _flags(flags)))
        elif flags is not None:
            raise ValueError("--flags go with tcp")
        if protocol in (1, 58):
            if icmp is None:
                icmp = "8" if protocol == 1 else "128"
                self.assume("ICMP type", icmp)
            kind, _, code = icmp.partition("/")
            out[0] = number("--icmp", kind, 255)
            out[1] = number("--icmp", code or "0", 255)
            if protocol == 58 and out[0] in (135, 136):
                out += self.dest.ip if out[0] == 135 else self.source.ip
        elif icmp is not None:
            raise ValueError("--icmp goes with icmp and icmp6")
        return bytes(out)

    def ip_packet(self, version, protocol, tos, body, size):
        head = 20 if version == 4 else 40
        body += bytes(max(0, size - head - len(body)))
        source, dest = self.source.ip, self.dest.ip
        if version == 4:
            start = bytes((0x45, tos)) + be16(head + len(body)) + b"\0\0\x40\0\x40"
            return start + bytes((protocol, 0, 0)) + source + dest + body
        start = bytes((0x60 | tos >> 4, (tos & 15) << 4, 0, 0)) + be16(len(body))
        return start + bytes((protocol, 64)) + source + dest + body

    def arp(self):
        f = self.frame
        head = b"\0\x01\x08\0\x06\x04\0\x01"
        return head + f.mac_source + self.source.ip + bytes(6) + self.dest.ip


def from_words(inbound, source, dest, words, nwid=bytes(8), me=None, static_ips=()):
    """The Frame of what was said: `words` has the keys of WORDS or some of them, texts but for
    the numbers sport, dport, tos and size. ValueError says which word makes no sense."""
    said = [words.get(key) for key in WORDS]
    proto, sport, dport, flags, icmp, tos, ethertype, size = said
    m = _Maker(inbound, source, dest, nwid, me, static_ips)
    f = m.frame
    for option, value, most in (
        ("--sport", sport, 65535),
        ("--dport", dport, 65535),
        ("--tos", tos, 255),
        ("--size", size, _MAX_SIZE),
    ):
        if value is not None and value > most:
            raise ValueError("%s: %d is more than %d" % (option, value, most))
    if proto is None:
        if ethertype is None:
            raise ValueError("neither --proto nor --ethertype")
        f.ethertype = _ethertype(ethertype)
        m.addresses()
        f.payload = bytes(size or 0)
        return f
    if ethertype is not None:
        raise ValueError("--ethertype follows from --proto")
    if proto.lower() == "arp":
        m.version(4)
        if m.dest.mac is None and m.dest.address is None:
            m.dest.mac = mac.BROADCAST
        wanted = m.dest.mac
        m.dest.mac = None
        m.ips(4)  # the IP that is asked for is not a group's
        m.dest.mac = wanted
        m.addresses()
        f.ethertype = 0x0806
        f.payload = m.arp()
    else:
        protocol = _protocol(proto)
        version = m.version({"icmp": 4, "icmp6": 6}.get(proto.lower(), 0))
        if not m.me and not inbound:
            m.me = m.source.address
        m.ips(version)
        m.addresses()
        f.ethertype = 0x0800 if version == 4 else 0x86DD
        body = m.transport(protocol, sport, dport, flags, icmp)
        f.payload = m.ip_packet(version, protocol, tos or 0, body, size or 0)
    if size is not None:
        if size < len(f.payload):
            raise ValueError("--size: the headers alone take %d" % len(f.payload))
        f.payload += bytes(size - len(f.payload))
    return f


def _ethertype(text):
    n = {"ipv4": 0x0800, "arp": 0x0806, "ipv6": 0x86DD}.get(text.lower())
    if n is None:
        n = number("--ethertype", text, 65535)
        if n < 0x600:
            raise ValueError("--ethertype: %s is none; hex needs 0x in front" % text)
    return n


def from_hex(text, ethertype, inbound, source, dest, nwid=bytes(8), me=None):
    """The Frame of hex digits: after the Ethernet header if `ethertype` (a text) is given, else
    with it."""
    m = _Maker(inbound, source, dest, nwid, me, ())
    f = m.frame
    data = _hex(text)
    if ethertype is None:
        if len(data) < 14:
            raise ValueError("--frame: shorter than an Ethernet header; give --ethertype")
        f.ethertype = u16(data, 12)
        m.dest.mac = data[:6]
        m.source.mac = data[6:12]
        data = data[14:]
    else:
        f.ethertype = _ethertype(ethertype)
    if len(data) > _MAX_SIZE:
        raise ValueError("--frame: more than %d bytes" % _MAX_SIZE)
    f.payload = data
    found = _ips_of(f.ethertype, data)
    if found:
        m.source.ip = m.source.ip or found[0]
        m.dest.ip = m.dest.ip or found[1]
    m.addresses()
    return f


def _ips_of(ethertype, p):
    if ethertype == 0x0800 and len(p) >= 20:
        return p[12:16], p[16:20]
    if ethertype == 0x86DD and len(p) >= 40:
        return p[8:24], p[24:40]
    return None


def in_words(ethertype, p):
    """What a payload is, as far as it can be told in a line."""
    ips = _ips_of(ethertype, p)
    if not ips:
        if ethertype == 0x0806 and len(p) >= 28:
            what = {1: "request", 2: "reply"}.get(u16(p, 6), "operation %d" % u16(p, 6))
            return "arp %s %s > %s" % (what, inet.ip_text(p[14:18]), inet.ip_text(p[24:28]))
        return "ethertype 0x%04x" % ethertype
    source, dest = [inet.ip_text(ip) for ip in ips]
    protocol, at = (p[9], (p[0] & 15) * 4) if ethertype == 0x0800 else (p[6], 40)
    name = _NAMES.get(protocol, "protocol %d" % protocol)
    more = ""
    if protocol in _WITH_PORTS and len(p) >= at + 4:
        form = "%s:%d" if ethertype == 0x0800 else "[%s]:%d"
        source = form % (source, u16(p, at))
        dest = form % (dest, u16(p, at + 2))
    if protocol == 6 and len(p) >= at + 14:
        bits = p[at + 13]
        more = " " + (",".join([FLAGS[i] for i in range(8) if bits >> i & 1]) or "no flags")
    elif protocol in (1, 58) and len(p) >= at + 2:
        more = " type %d code %d" % (p[at], p[at + 1])
    return "%s %s > %s%s" % (name, source, dest, more)
