# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What VL2 needs from its host (docs/internals.md), with everything it sends kept in lists, and one
# joined network on it in the state that a vector case describes.

from harness import need


def unhex(s):
    return bytes.fromhex(s)


class Host:
    controller = None
    am_upstream = False

    def __init__(self, document, name="A", roots=(), **limits):
        identity = need("zt.identity")
        people = document["identities"]
        self.people = {}
        for p in people.values():
            ident = identity.Identity.parse(p["secret"])
            self.people[ident.address] = ident
        self.identity = (
            self.people[unhex(people[name]["address"])] if name in people else self.people[name]
        )
        self.address = self.identity.address
        self.limits = need("zt.limits").Limits("unix", **limits)
        self.wall = document.get("base_timestamp", 0)
        self.roots = list(roots)
        self.sent = []
        self.frames = []
        self.asked = []
        self.stored = {}
        self.count = 0

    def random(self, n):
        self.count += 1
        return (self.count * 0x9E3779B97F4A7C15).to_bytes(16, "big")[-n:] if n <= 16 else bytes(n)

    def clock(self):
        return self.wall

    def send(self, now, dest, verb, *parts):
        payload = b"".join(bytes(p) for p in parts)
        self.sent.append({"dest": bytes(dest).hex(), "verb": verb, "payload": payload.hex()})
        self.count += 1
        return self.count.to_bytes(8, "big")

    def identity_of(self, address):
        return self.people.get(bytes(address))

    def whois(self, now, address):
        self.asked.append(bytes(address))

    def upstreams(self):
        return self.roots

    def best_upstream(self, now):
        return None

    def is_upstream(self, address):
        return address in self.roots

    def peer_alive(self, now, address):
        return True

    def peer_latency(self, address):
        return 1

    def deliver(self, nwid, src, dst, ethertype, frame):
        from zt import mac

        one = {"from": mac.text(bytes(src)), "to": mac.text(bytes(dst)), "ethertype": ethertype}
        self.frames.append(dict(one, frame=bytes(frame).hex()))

    def network_changed(self, nwid, what):
        pass

    def load(self, kind, key):
        return self.stored.get((kind, bytes(key)))

    def save(self, kind, key, data):
        self.stored[kind, bytes(key)] = data

    def take(self):
        sent, self.sent = self.sent, []
        return sent


class Member:
    """A host that joined one network, with or without a configuration."""

    def __init__(self, document, nwid, config=None, name="A", roots=(), groups=(), **limits):
        vl2 = need("zt.vl2")
        self.document = document
        self.host = Host(document, name, roots, **limits)
        self.now = 1000
        self.nwid = unhex(nwid)
        self.vl2 = vl2.VL2(self.host)
        self.net = self.vl2.join(self.now, self.nwid)
        if config is not None:
            self.apply(config)
        for mac, adi in groups:
            self.vl2.subscribe(self.now, self.nwid, mac, adi)
        self.host.take()

    def apply(self, config):
        if isinstance(config, str):
            config = need("zt.netconf").NetworkConfig.parse(unhex(config))
        self.net.apply(self.now, config, True)

    def admit(self, address):
        """Give us a good certificate of that member, made with the controller's key."""
        credential = need("zt.credential")
        mine = self.net.config.com
        if mine is None:
            return
        controller = self.host.identity_of(self.nwid[:5])
        window = int.from_bytes(mine.signed_message()[16:24], "big")
        com = credential.COM.issue(
            self.nwid, self.host.identity_of(address), mine.timestamp, window
        )
        com.sign(controller)
        self.net.credential(self.now, com, address)

    def allowed(self, address):
        return bool(self.net.member(self.now, address).allowed)

    def receive(self, source, verb, packet_id, payload):
        """Hand a packet over; (result, replies as the vectors write them)."""
        replies = []

        def reply(verb, *parts):
            body = b"".join(bytes(p) for p in parts)
            replies.append({"dest": source.hex(), "verb": verb, "payload": body.hex()})

        body = memoryview(bytearray(payload))
        if verb == 2:
            self.vl2.error(
                self.now, source, payload[0], bytes(payload[1:9]), payload[9], body[10:]
            )
            return None, replies
        if verb == 3:
            self.vl2.ok(self.now, source, payload[0], bytes(payload[1:9]), body[9:])
            return None, replies
        return self.vl2.handle(self.now, verb, source, packet_id, body, reply), replies
