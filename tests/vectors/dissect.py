# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Takes a clear packet of any verb apart to its last byte with the codecs of lib/zt, and gives back
# what must hold beyond its form: the signed things in it. Raises ValueError where a byte is
# missing or left over. Test code: the node itself reads only what it needs.

from zt import const, inet
from zt.identity import Identity


class Reader:
    """A position in the payload that never runs over its end."""

    def __init__(self, data):
        self.data = bytes(data)
        self.off = 0

    def take(self, n):
        if self.off + n > len(self.data):
            raise ValueError("cut short at %d, %d more wanted" % (self.off, n))
        self.off += n
        return self.data[self.off - n : self.off]

    def uint(self, n):
        return int.from_bytes(self.take(n), "big")

    def object(self, unpack):
        value, self.off = unpack(self.data, self.off)
        if self.off > len(self.data):
            raise ValueError("object runs over the end")
        return value

    def left(self):
        return len(self.data) - self.off

    def rest(self):
        return self.take(self.left())


class Packet:
    """Verb, fields, and the signed objects found: `signed` holds COMs and so on, `chunks`,
    `worlds`, `identities`.
    """

    def __init__(self, verb):
        self.verb = verb
        self.fields = {}
        self.signed = []
        self.chunks = []
        self.worlds = []
        self.identities = []


def hello(p, r):
    f = p.fields
    f["proto"] = r.uint(1)
    f["version"] = "%d.%d.%d" % (r.uint(1), r.uint(1), r.uint(2))
    f["timestamp"] = r.uint(8)
    ident = r.object(Identity.unpack)
    p.identities.append(ident)
    f["identity"] = ident
    if r.left():
        f["sent_to"] = r.object(inet.unpack)
    if r.left():
        f["planet_id"] = r.take(8).hex()
        f["planet_timestamp"] = r.uint(8)
    f["tail"] = 28 + r.off
    f["moons"] = []
    if r.left():
        for _ in range(r.uint(2)):
            f["moons"].append({"type": r.uint(1), "id": r.take(8).hex(), "timestamp": r.uint(8)})


def error(p, r):
    f = p.fields
    f["in_re_verb"] = r.uint(1)
    f["in_re_id"] = r.take(8).hex()
    code = f["code"] = r.uint(1)
    if code in (
        const.ERROR_OBJ_NOT_FOUND,
        const.ERROR_UNSUPPORTED_OPERATION,
        const.ERROR_NEED_MEMBERSHIP_CERTIFICATE,
        const.ERROR_NETWORK_ACCESS_DENIED,
        const.ERROR_UNWANTED_MULTICAST,
        const.ERROR_NETWORK_AUTHENTICATION_REQUIRED,
    ):
        f["nwid"] = r.take(8).hex()
    if code == const.ERROR_UNWANTED_MULTICAST:
        f["mac"], f["adi"] = r.take(6), r.uint(4)
    if code == const.ERROR_NETWORK_AUTHENTICATION_REQUIRED and r.left():
        f["auth"] = r.take(r.uint(2))


def ok(p, r):
    f = p.fields
    verb = f["in_re_verb"] = r.uint(1)
    f["in_re_id"] = r.take(8).hex()
    if verb == const.VERB_HELLO:
        ok_hello(p, r)
    elif verb == const.VERB_WHOIS:
        p.identities.append(r.object(Identity.unpack))
        while r.left():
            p.identities.append(r.object(Identity.unpack))
    elif verb == const.VERB_EXT_FRAME:
        f["nwid"] = r.take(8).hex()
    elif verb == const.VERB_ECHO:
        # The answer to a pushed configuration looks like one to an ECHO (VL1 5.13).
        f["data"] = r.rest()
    elif verb == const.VERB_NETWORK_CONFIG_REQUEST:
        chunk(p, r)
    elif verb == const.VERB_NETWORK_CONFIG:
        f["nwid"], f["update_id"] = r.take(8).hex(), r.take(8).hex()
    elif verb == const.VERB_MULTICAST_GATHER:
        f["nwid"], f["mac"], f["adi"] = r.take(8).hex(), r.take(6), r.uint(4)
        gathered(p, r)
    elif verb == const.VERB_MULTICAST_FRAME:
        f["nwid"], f["mac"], f["adi"] = r.take(8).hex(), r.take(6), r.uint(4)
        flags = f["flags"] = r.uint(1)
        if flags & 0x01:
            com(p, r)
        if flags & 0x02:
            gathered(p, r)
    else:
        raise ValueError("OK in re verb %d" % verb)


def ok_hello(p, r):
    from zt.world import World

    f = p.fields
    f["timestamp"] = r.uint(8)
    f["proto"] = r.uint(1)
    f["version"] = "%d.%d.%d" % (r.uint(1), r.uint(1), r.uint(2))
    f["external"] = r.object(inet.unpack)
    if r.left():
        end = r.uint(2) + r.off
        while r.off < end:
            p.worlds.append(r.object(World.unpack))
        if r.off != end:
            raise ValueError("worlds run over their length")


def gathered(p, r):
    p.fields["total"] = r.uint(4)
    p.fields["members"] = [r.take(5).hex() for _ in range(r.uint(2))]


def com(p, r):
    from zt.credential import COM

    p.signed.append(r.object(COM.unpack))


def chunk(p, r):
    from zt.netconf import Chunk

    value = Chunk.unpack(r.data, r.off)
    if isinstance(value, tuple):
        value, r.off = value
    else:
        r.rest()
    p.chunks.append(value)


def whois(p, r):
    p.fields["addresses"] = [r.take(5).hex()]
    while r.left():
        p.fields["addresses"].append(r.take(5).hex())


def rendezvous(p, r):
    f = p.fields
    f["flags"], f["address"], f["port"] = r.uint(1), r.take(5).hex(), r.uint(2)
    size = r.uint(1)
    if size not in (4, 16):
        raise ValueError("RENDEZVOUS address of %d bytes" % size)
    f["ip"] = r.take(size)


def frame(p, r):
    f = p.fields
    f["nwid"], f["ethertype"], f["frame"] = r.take(8).hex(), r.uint(2), r.rest()


def ext_frame(p, r):
    f = p.fields
    f["nwid"], f["flags"] = r.take(8).hex(), r.uint(1)
    if f["flags"] & 0x01:
        com(p, r)
    f["to"], f["from"], f["ethertype"], f["frame"] = r.take(6), r.take(6), r.uint(2), r.rest()


def echo(p, r):
    p.fields["data"] = r.rest()


def multicast_like(p, r):
    p.fields["likes"] = []
    while r.left():
        p.fields["likes"].append((r.take(8).hex(), r.take(6).hex(), r.uint(4)))


def network_credentials(p, r):
    from zt import credential

    while r.left() and r.data[r.off] == 1:
        com(p, r)
    if r.uint(1) != 0:
        raise ValueError("no end of the certificates")
    kinds = (credential.Capability, credential.Tag, credential.Revocation, credential.Ownership)
    for kind in kinds:
        if not r.left():
            break
        for _ in range(r.uint(2)):
            p.signed.append(r.object(kind.unpack))
    # The codec that the node uses must see the same.
    found = credential.unpack_credentials(r.data, 0, len(r.data))
    if sum(len(part) for part in found) != len(p.signed):
        raise ValueError("unpack_credentials sees other credentials")


def network_config_request(p, r):
    f = p.fields
    f["nwid"], f["metadata"] = r.take(8).hex(), r.take(r.uint(2))
    if r.left():
        f["revision"], f["timestamp"] = r.uint(8), r.uint(8)


def multicast_gather(p, r):
    f = p.fields
    f["nwid"], f["flags"], f["mac"] = r.take(8).hex(), r.uint(1), r.take(6)
    f["adi"], f["limit"] = r.uint(4), r.uint(4)
    if f["flags"] & 0x01:
        com(p, r)


def multicast_frame(p, r):
    f = p.fields
    f["nwid"], f["flags"] = r.take(8).hex(), r.uint(1)
    if f["flags"] & 0x01:
        com(p, r)
    if f["flags"] & 0x02:
        f["gather"] = r.uint(4)
    if f["flags"] & 0x04:
        f["from"] = r.take(6)
    f["to"], f["adi"], f["ethertype"], f["frame"] = r.take(6), r.uint(4), r.uint(2), r.rest()


def push_direct_paths(p, r):
    p.fields["paths"] = []
    for _ in range(r.uint(2)):
        flags = r.uint(1)
        r.take(r.uint(2))
        kind, size = r.uint(1), r.uint(1)
        data = r.take(size)
        if kind in (4, 6):
            if size != (6 if kind == 4 else 18):
                raise ValueError("pushed path of %d bytes" % size)
            p.fields["paths"].append((flags, data[:-2], data[-2] << 8 | data[-1]))


def ack(p, r):
    p.fields["bytes"] = r.uint(4)


def qos_measurement(p, r):
    p.fields["records"] = []
    while r.left():
        p.fields["records"].append((r.take(8), r.take(2)))


def user_message(p, r):
    p.fields["type"], p.fields["data"] = r.uint(8), r.rest()


def remote_trace(p, r):
    if not r.data.endswith(b"\0"):
        raise ValueError("trace without its closing NUL")
    p.fields["traces"] = r.rest().split(b"\0")[:-1]


def path_negotiation(p, r):
    p.fields["utility"] = r.uint(2)


def nop(p, r):
    p.fields["data"] = r.rest()


VERBS = {
    const.VERB_NOP: nop,
    const.VERB_HELLO: hello,
    const.VERB_ERROR: error,
    const.VERB_OK: ok,
    const.VERB_WHOIS: whois,
    const.VERB_RENDEZVOUS: rendezvous,
    const.VERB_FRAME: frame,
    const.VERB_EXT_FRAME: ext_frame,
    const.VERB_ECHO: echo,
    const.VERB_MULTICAST_LIKE: multicast_like,
    const.VERB_NETWORK_CREDENTIALS: network_credentials,
    const.VERB_NETWORK_CONFIG_REQUEST: network_config_request,
    const.VERB_NETWORK_CONFIG: lambda p, r: chunk(p, r),
    const.VERB_MULTICAST_GATHER: multicast_gather,
    const.VERB_MULTICAST_FRAME: multicast_frame,
    const.VERB_PUSH_DIRECT_PATHS: push_direct_paths,
    const.VERB_ACK: ack,
    const.VERB_QOS_MEASUREMENT: qos_measurement,
    const.VERB_USER_MESSAGE: user_message,
    const.VERB_REMOTE_TRACE: remote_trace,
    const.VERB_PATH_NEGOTIATION_REQUEST: path_negotiation,
}
NAMES = {v: k[5:] for k, v in vars(const).items() if k.startswith("VERB_")}


def packet(verb, payload):
    """A Packet from a verb number and the clear, decompressed bytes after it; ValueError if not
    all is understood.
    """
    if verb not in VERBS:
        raise ValueError("unknown verb %d" % verb)
    p = Packet(verb)
    r = Reader(payload)
    VERBS[verb](p, r)
    if r.left():
        raise ValueError("%s: %d bytes left over" % (NAMES[verb], r.left()))
    return p


def name(p):
    """What to call it in a listing: OK(WHOIS), FRAME."""
    if p.verb in (const.VERB_OK, const.VERB_ERROR):
        return "%s(%s)" % (NAMES[p.verb], NAMES.get(p.fields["in_re_verb"], "?"))
    return NAMES[p.verb]
