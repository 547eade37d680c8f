# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# zt.aio with a real node on loopback that is its own root, controller and member: waits, events,
# stop and start again from the state. One process has one node: there is nobody else to talk to.

import asyncio

import zt
from zt import aio, crypto, hal, identity, inet, osutil, world
from zt._compat import be64, hexs, unhex
from zt.store import FileStore

LOOP = bytes((127, 0, 0, 1))
_made = []


def prepare(home):
    """A home with an identity which is the root of its planet; the identity is made once."""
    if not _made:
        _made.append(identity.generate(hal.random))
    me = _made[0]
    keys = bytes(range(64))
    store = FileStore(home, hal)
    store.put("identity.secret", me.text(True).encode())
    store.put("local.conf", b'{"settings": {"bind": ["127.0.0.1"]}}')
    roots = [(me, [(LOOP, 9)])]
    planet = world.World.make(
        world.PLANET, b"\1" * 8, be64(1), keys, crypto.public_key(keys), roots
    )
    store.put("planet", planet.pack())
    store.close()


def with_home(main):
    home = osutil.temp_path(hal.random)
    prepare(home)
    try:
        asyncio.run(main(home))
    finally:
        osutil.rmtree(home)


def start(home, **options):
    return aio.start(home, port=0, allow_loopback=True, **options)


def test_a_node_comes_online_joins_and_tells_of_it():
    async def main(home):
        node = await start(home, controller=True)
        try:
            await node.wait_online(timeout=10)
            assert node.online
            made = node.host.controller.put_network(
                0,
                None,
                {
                    "private": False,
                    "v4AssignMode": {"zt": True},
                    "ipAssignmentPools": [{"ipRangeStart": "10.9.0.1", "ipRangeEnd": "10.9.0.99"}],
                    "routes": [{"target": "10.9.0.0/24", "via": None}],
                },
            )
            nwid = made["id"]
            node.join(nwid)
            found = await node.wait_network(nwid, timeout=20)
            assert found["status"] == "OK"
            assert node.addresses() == node.addresses(nwid)
            ip = inet.parse_ip(node.addresses(nwid)[0])
            assert inet.in_net(ip, inet.parse_ip("10.9.0.0"), 24)
            told = []
            async for event in node.events():
                told.append(event)
                if event.get("status") == "OK":
                    break
            assert told[0]["event"] == "online"
            addresses = [e for e in told if e["event"] == "address"]
            assert addresses == [
                {
                    "event": "address",
                    "t": addresses[0]["t"],
                    "nwid": nwid,
                    "ip": inet.text(ip, 24),
                    "added": True,
                }
            ]
            node.leave(nwid)
            assert node.networks() == []
            assert (await node.next_event())["added"] is False
            assert (await node.next_event())["status"] == "DOWN"
        finally:
            await node.close()

    with_home(main)


def test_waits_end_in_time_when_nothing_happens():
    async def main(home):
        node = await start(home)
        try:
            for wait in (
                node.wait_network(bytes(7) + b"\1", timeout=0.05),
                asyncio.wait_for(_second_event(node), 0.2),
            ):
                try:
                    await wait
                except asyncio.TimeoutError:
                    continue
                raise AssertionError("it happened")
            assert node._waiters == []
        finally:
            await node.close()

    async def _second_event(node):
        await node.next_event()
        await node.next_event()

    with_home(main)


def test_two_tasks_may_wait_at_once():
    async def main(home):
        node = await start(home)
        try:
            both = [asyncio.create_task(node.wait_online(10)) for _ in range(2)]
            for task in both:
                await task
        finally:
            await node.close()

    with_home(main)


def test_close_saves_and_a_second_start_finds_the_state():
    async def main(home):
        nwid = "8056c2e21c000001"
        node = await start(home, join=[nwid])
        address = node.address
        await node.close()
        await node.close()
        node = await start(home)
        try:
            assert node.address == address
            assert [n["nwid"] for n in node.networks()] == [nwid]
            assert node.network(nwid)["status"] == "REQUESTING_CONFIGURATION"
            assert node.network(unhex(nwid))["nwid"] == nwid
        finally:
            await node.close()

    with_home(main)


def test_a_torn_configuration_is_set_aside_and_the_network_stays_joined():
    async def main(home):
        nwid = unhex("8056c2e21c000001")
        store = FileStore(home, hal)
        store.put("network", b"v=7\nnwid=", nwid)
        store.close()
        node = await start(home)
        try:
            assert [n["nwid"] for n in node.networks()] == [hexs(nwid)]
            path = node.host.store.path("network", nwid)
            assert osutil.read_file(path) == b"\n"
            assert osutil.read_file(path + ".bad-1") == b"v=7\nnwid="
        finally:
            await node.close()

    with_home(main)


def test_what_cannot_start_is_a_failure_with_one_line_and_frees_the_home():
    async def main(home):
        for options, word in (
            ({"join": ["12"]}, "network id"),
            ({"planet": "/nonexistent"}, "/nonexistent"),
        ):
            try:
                await start(home, **options)
            except osutil.Failure as e:
                assert word in str(e)
                continue
            raise AssertionError("started")
        node = await start(home)
        try:
            await start(home)
        except osutil.Failure as e:
            assert "another node" in str(e)
        else:
            raise AssertionError("two nodes on one home")
        await node.close()
        await (await start(home)).close()

    with_home(main)


def test_sockets_of_the_network_or_a_plain_refusal():
    if hal.HAS_STACK:
        assert zt.socket.SOCK_STREAM != zt.socket.SOCK_DGRAM
        return

    async def both():
        for f in (aio.open_connection, aio.start_server):
            try:
                await (f("10.0.0.1", 80) if f is aio.open_connection else f(None, "0.0.0.0", 80))
            except OSError as e:
                assert "no network stack" in osutil.errtext(e)
                continue
            raise AssertionError("connected")

    asyncio.run(both())
    try:
        zt.use_sockets()
    except OSError as e:
        assert "no network stack" in osutil.errtext(e)
    else:
        raise AssertionError("used")
