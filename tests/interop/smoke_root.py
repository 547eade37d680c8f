# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The smallest proof that a real node accepts ours: a Node of lib/zt as the planet's only root on
# plain UDP sockets in one namespace, a libzt node in another. Prints ONLINE or what was dropped.
# Run it by hand; the tests use the command line instead.
#
# usage: smoke_root.py                       makes the lab and runs both
#        smoke_root.py serve HOME IP4 IP6    (in the namespace) our root

import json
import os
import select
import socket
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(TOP, "lib")]

PORT = 9993


def serve(home, *ips):
    from zt import _compat, log, node, store

    log.set_level("debug")
    log.set_sink(lambda text: print(text, file=sys.stderr, flush=True))
    sockets = []
    for ip in ips:
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.bind((ip, PORT))
        s.setblocking(False)
        sockets.append(s)

    class Callbacks:
        def wire_send(self, local, remote, data, ttl=0):
            ip, port = remote
            family = socket.AF_INET6 if len(ip) == 16 else socket.AF_INET
            for i, s in enumerate(sockets):
                if s.family == family and local in (None, -1, i):
                    try:
                        s.sendto(bytes(data), (socket.inet_ntop(family, ip), port))
                    except OSError as e:
                        print("send:", e, file=sys.stderr)
                        return e.errno
            return 0

        def frame(self, *args):
            pass

        def network(self, nwid, what):
            pass

        def event(self, name, info):
            print("event", name, info, file=sys.stderr, flush=True)

        def path_check(self, *args):
            return True

        def path_lookup(self, *args):
            return None

    state = store.MemoryStore()
    for kind in ("identity.secret", "planet"):
        with open(os.path.join(home, kind), "rb") as f:
            state.put(kind, f.read())
    root = node.Node(Callbacks(), state, _compat.wall_ms, os.urandom)
    print("serving", flush=True)
    due = 0
    while True:
        ready = select.select(sockets, [], [], min(max(due, 1), 500) / 1000)[0]
        for s in ready:
            data, remote = s.recvfrom(65536)
            remote = (socket.inet_pton(s.family, remote[0]), remote[1])
            buf = bytearray(data)
            root.process_wire_packet(_compat.ticks_ms(), sockets.index(s), remote, memoryview(buf))
        due = root.process_background_tasks(_compat.ticks_ms())
        if os.path.exists(os.path.join(home, "dump")):
            os.unlink(os.path.join(home, "dump"))
            print(
                json.dumps({"drops": str(getattr(root, "drops", None))}),
                file=sys.stderr,
                flush=True,
            )


def main():
    import client
    import lab
    from zt import identity, world

    reason = lab.missing()
    if reason:
        sys.exit("SKIP: " + reason)
    ident = identity.generate(os.urandom)
    folder = tempfile.mkdtemp()
    with lab.Lab("root", "peer") as net:
        from zt import inet

        ends = [(inet.parse_ip(net.ipv4("root")), PORT), (inet.parse_ip(net.ipv6("root")), PORT)]
        planet = os.path.join(folder, "planet")
        with open(planet, "wb") as f:
            f.write(make_planet(world, ident, ends))
        with open(os.path.join(folder, "identity.secret"), "w") as f:
            f.write(ident.text(True))
        argv = [
            sys.executable,
            os.path.abspath(__file__),
            "serve",
            folder,
            net.ipv4("root"),
            net.ipv6("root"),
        ]
        net.popen("root", argv)
        time.sleep(1)
        peer = client.Libzt(net, "peer", os.path.join(folder, "peer"), planet)
        answer = peer.start(timeout=30)
        open(os.path.join(folder, "dump"), "w").close()
        time.sleep(1)
        print("ONLINE" if answer["online"] else "NOT ONLINE", answer, "sent", net.counters("root"))
        return 0 if answer["online"] else 1


def make_planet(world, ident, ends):
    """A planet with one root, signed by that root's own key."""
    now = int(time.time() * 1000).to_bytes(8, "big")
    made = world.World.make(
        world.PLANET, os.urandom(8), now, ident.private, ident.public, [(ident, ends)]
    )
    return made.pack()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(*sys.argv[2:])
    sys.exit(main())
