# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Checker for the controller: its steps in order on one controller, answers compared byte for byte.

from harness import need, same

CODES = {1: 3, 2: 7}  # the reference's internal error numbers: not found, access denied


def unhex(s):
    return bytes.fromhex(s)


class Out:
    def __init__(self):
        self.events = []

    def config(self, now, dest, nwid, packet_id, chunks):
        self.events.append(("config", bytes(dest), packet_id, list(chunks)))

    def error(self, now, dest, nwid, packet_id, code, extra=b""):
        self.events.append(("error", bytes(dest), packet_id, code))

    def credentials(self, now, dest, payload):
        self.events.append(("credentials", bytes(dest), None, bytes(payload)))


class Run:
    """One controller; `wall` is set to what the step's answer shows."""

    def __init__(self, document):
        identity, store = need("zt.identity"), need("zt.store")
        controller = need("zt.controller")
        people = document["identities"].values()
        self.people = {p["address"]: identity.Identity.parse(p["secret"]) for p in people}
        self.wall = 0
        self.now = 1000
        self.next_random = b""
        owner = self.people[document["identities"]["controller"]["address"]]
        self.out = Out()
        self.c = controller.Controller(
            owner, store.MemoryStore(), lambda: self.wall, self.random, self.out
        )
        self.count = 0

    def random(self, n):
        if len(self.next_random) == n:
            return self.next_random
        self.count += 1
        return self.count.to_bytes(n, "big")

    def events(self):
        events, self.out.events = self.out.events, []
        return events

    def post_network(self, step):
        got = self.c.put_network(self.now, unhex(step["network_id"]), step["body"])
        same("response", without_time(got), without_time(step["response"]))

    def set_member_fields(self, step):
        nwid, address = unhex(step["network_id"]), unhex(step["address"])
        record = self.c.db.members.get(nwid, {}).get(address)
        if record is None:
            record = need("zt.controller.fields").new_member(
                step["network_id"], step["address"], self.wall
            )
        self.c.db.save_member(nwid, address, dict(record, **step["fields"]))

    def request(self, step):
        nwid = unhex(step["network_id"])
        self.now += 2000
        for want in step["result"]:
            if "config" in want:
                self.wall = want["config"]["timestamp"]
        packet_id = (
            unhex(step["result"][0]["request_packet_id"]) if step["result"] else bytes(7) + b"\x01"
        )
        self.events()
        self.c.request(
            self.now, nwid, self.people[step["from"]], packet_id, unhex(step["metadata"])
        )
        events = [e for e in self.events() if e[2] is not None]
        same("answers", len(events), len(step["result"]))
        for (kind, dest, ident, what), want in zip(events, step["result"]):
            same(
                "answer",
                (kind, dest.hex(), bytes(ident).hex()),
                (want["event"], want["dest"], want["request_packet_id"]),
            )
            if kind == "error":
                same("code", what, CODES[want["code"]])
            else:
                self.compare(what, want, nwid)
        member = self.c.member(nwid, unhex(step["from"]))
        same("member", without_time(member), without_time(step["member_after"]))

    def compare(self, chunks, want, nwid):
        """The chunks verify and carry the dictionary of the vector."""
        netconf = need("zt.netconf")
        assembler = netconf.ChunkAssembler()
        owner = self.people[nwid[:5].hex()]
        text = None
        for raw in chunks:
            _, _, text = assembler.add(
                netconf.Chunk.unpack(bytes(raw), 0), nwid[:5], bytes(8), owner
            )
        if text != unhex(want["dictionary"]):
            keys = (
                need("zt.dictionary").Dictionary(text),
                need("zt.dictionary").Dictionary(unhex(want["dictionary"])),
            )
            for key in "v nwid ts ctmd r id f ml t n mtu C CAP TAG COO S RT I R DNS".split():
                same("key " + key, keys[0].get(key), keys[1].get(key))
            same("dictionary", text, unhex(want["dictionary"]))
        need("check_vl2_config").check_fields(want["config"], netconf.NetworkConfig.parse(text))

    def deauthorize(self, step):
        credential = need("zt.credential")
        self.events()
        first = unhex(step["packets"][0]["payload"])
        revocation = credential.unpack_credentials(first, 0, len(first))[3][0]
        self.next_random = revocation.id.to_bytes(4, "big")
        self.wall = int.from_bytes(revocation.threshold, "big")
        self.c.put_member(self.now, revocation.nwid, revocation.target, {"authorized": False})
        sent = [(e[1].hex(), e[3].hex()) for e in self.events() if e[0] == "credentials"]
        for p in step["packets"]:
            same("revocation to " + p["dest"], (p["dest"], p["payload"]) in sent, True)


def without_time(record):
    """A record but for its creationTime, which is that of the run."""
    if record is None:
        return None
    record = dict(record)
    same("creation time is a number", isinstance(record.pop("creationTime"), int), True)
    return record


def check_controller(steps, document):
    need("zt.controller")
    need("zt.netconf")
    replay = Run(document)
    for i, step in enumerate(steps):
        name = "%d %s" % (i, step.get("step", step["action"]))
        try:
            getattr(replay, step["action"])(step)
            yield name, None
        except Exception as e:
            yield name, "%s: %s" % (type(e).__name__, e)
