# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The driver with a host of lists: which addresses it binds, what it sends where, what it hands to
# the node, which events come out.

from _edge import ALL, EADDRINUSE, ETH, LOOP, PRIVATE, FakeNode, Hal
from zt import inet, log, osutil
from zt._compat import ticks_add, ticks_ms
from zt.driver import Driver, Settings

GLOBAL = bytes((8, 8, 4, 4))
V6 = b"\xfd\x00" + bytes(13) + b"\x09"
LINK_LOCAL = b"\xfe\x80" + bytes(13) + b"\x09"


def make(hal=None, **changes):
    hal = hal or Hal()
    settings = Settings()
    for name in changes:
        setattr(settings, name, changes[name])
    driver = Driver(hal, settings)
    driver.open()
    node = FakeNode()
    driver.attach(node)
    return driver, hal, node


def bound(hal):
    return sorted(hal.open.values())


def handle(hal, ip):
    return [h for h in hal.open if hal.open[h][0] == ip][0]


def names(driver):
    return [e["event"] for e in driver.events]


def test_every_usable_address_gets_a_wire_and_loopback_none():
    hal = Hal()
    hal.ifaces += [("eth1", V6, 64), ("eth1", LINK_LOCAL, 64), ("ztabc", ETH, 24)]
    _, hal, node = make(hal)
    assert bound(hal) == sorted([(PRIVATE, 9993), (V6, 9993)])
    assert node.local == sorted([(PRIVATE, 9993), (V6, 9993)])


def test_loopback_is_bound_by_permission_only():
    _, hal, _ = make(allow_loopback=True)
    assert bound(hal) == sorted([(PRIVATE, 9993), (LOOP, 9993)])


def test_bind_and_the_blacklist_of_interfaces_are_honoured():
    hal = Hal()
    hal.ifaces.append(("docker0", ETH, 24))
    _, hal, _ = make(hal, blacklist=["docker"])
    assert bound(hal) == [(PRIVATE, 9993)]
    _, hal, _ = make(bind=[LOOP])
    assert bound(hal) == [(LOOP, 9993)]


def test_without_any_address_there_is_a_wildcard_that_is_not_announced():
    hal = Hal()
    hal.ifaces = [("lo", LOOP, 8)]
    _, hal, node = make(hal)
    assert bound(hal) == [(ALL, 9993)]
    assert node.local == []


def test_a_port_in_use_is_named_and_nothing_stays_open():
    hal = Hal()
    hal.ifaces.append(("eth1", V6, 64))
    hal.taken = [(V6, 9993)]
    try:
        make(hal)
    except OSError as e:
        assert "9993" in osutil.errtext(e)
        assert "in use" in osutil.errtext(e)
        assert inet.ip_text(V6) in osutil.errtext(e)
    else:
        raise AssertionError("bound")
    assert hal.open == {}


def test_a_random_port_is_the_same_on_all_wires_and_drawn_again_when_half_taken():
    hal = Hal()
    hal.ifaces.append(("eth1", V6, 64))
    hal.taken = [(V6, 40001), (V6, 40002)]
    driver, hal, _ = make(hal, port=0)
    assert driver.port == 40003
    assert bound(hal) == sorted([(PRIVATE, 40003), (V6, 40003)])
    driver.reopen()
    assert driver.port == 40004


def test_interfaces_that_come_and_go_are_followed():
    driver, hal, node = make()
    hal.ifaces = [("eth1", V6, 64)]
    driver._refresh()
    assert bound(hal) == [(V6, 9993)]
    assert node.local == [(V6, 9993)]
    hal.ifaces = []
    driver._refresh()
    assert len(hal.open) == 1


class Told(Hal):
    """A host that says when its interfaces change, as boards do."""

    def __init__(self):
        super().__init__()
        self.serial = 7

    def interfaces_serial(self):
        return self.serial


def follow(driver, ms):
    """What a step makes of a change, `ms` after the last look at the interfaces."""
    now = ticks_ms()
    driver._refresh_at = ticks_add(now, -ms)
    return driver._follow(now)


def test_a_change_that_is_told_of_is_followed_at_once_and_in_one_go():
    driver, hal, node = make(Told())
    hal.ifaces = [("st1", V6, 64)]
    assert follow(driver, 600) == 30000
    assert bound(hal) == [(PRIVATE, 9993)]  # nobody said so
    hal.serial += 1
    assert follow(driver, 100) == 400  # others will follow in a moment
    assert bound(hal) == [(PRIVATE, 9993)]
    hal.serial += 1
    follow(driver, 501)
    assert bound(hal) == [(V6, 9993)]
    assert node.changed_below == 1
    follow(driver, 501)
    assert node.changed_below == 1


def test_an_address_lost_and_found_again_keeps_its_wire_and_asks_all_again():
    driver, hal, node = make(Told())
    before = dict(hal.open)
    hal.ifaces = []
    hal.serial += 1
    follow(driver, 501)
    hal.ifaces = [("st1", PRIVATE, 24)]
    hal.serial += 1
    follow(driver, 501)
    assert hal.open == before
    assert node.changed_below == 2


def test_without_word_of_changes_interfaces_are_looked_at_every_half_minute():
    driver, hal, node = make()
    hal.ifaces = [("eth1", V6, 64)]
    assert follow(driver, 29999) == 30000
    assert bound(hal) == [(PRIVATE, 9993)]
    follow(driver, 30000)
    assert bound(hal) == [(V6, 9993)]
    assert node.changed_below == 0  # the node sees itself that its addresses are others


def test_datagrams_reach_the_node_with_their_source():
    driver, hal, node = make()
    h = handle(hal, PRIVATE)
    hal.inbox[h] = [(ETH, 1000, b"one"), (V6, 2000, b"three")]
    driver.step()
    assert node.packets == [(h, (ETH, 1000), b"one"), (h, (V6, 2000), b"three")]


def test_a_flood_is_taken_in_portions_and_called_again_at_once():
    driver, hal, node = make()
    h = handle(hal, PRIVATE)
    hal.inbox[h] = [(ETH, 1, b"x")] * 1000
    assert driver.step() == 0
    assert 0 < len(node.packets) < 1000
    while hal.inbox[h]:
        driver.step()
    assert len(node.packets) == 1000
    assert driver.step() > 0


def test_the_deadline_is_the_nodes_and_never_beyond_a_second():
    driver, _, node = make()
    assert driver.step() == 700
    node.wait = 50000
    assert driver.step() == 1000
    node.wait = 0
    assert driver.step() == 0


def test_a_full_disk_does_not_stop_the_node():
    driver, hal, node = make()
    h = handle(hal, PRIVATE)
    node.fail = OSError(28, "full")
    hal.inbox[h] = [(ETH, 1, b"x")]
    driver.step()
    node.fail = None
    hal.inbox[h] = [(ETH, 1, b"y")]
    driver.step()
    assert len(node.packets) == 1


def test_a_named_wire_sends_alone_and_its_error_comes_back():
    driver, hal, _ = make(allow_loopback=True)
    h = handle(hal, PRIVATE)
    assert driver.wire_send(h, (ETH, 5), b"data", 3) == 0
    assert hal.sent == [(h, ETH, 5, b"data", 3)]
    hal.send_errors[h] = 101
    assert driver.wire_send(h, (ETH, 5), b"data", 0) == 101


def test_no_named_wire_means_all_that_can_reach_it():
    hal = Hal()
    hal.ifaces += [("eth1", ETH, 24), ("eth1", V6, 64)]
    driver, hal, _ = make(hal, allow_loopback=True)
    assert driver.wire_send(None, (GLOBAL, 5), b"d", 0) == 0
    assert sorted([s[0] for s in hal.sent]) == sorted([handle(hal, PRIVATE), handle(hal, ETH)])
    del hal.sent[:]
    assert driver.wire_send(None, (LOOP, 5), b"d", 0) == 0
    assert [s[0] for s in hal.sent] == [handle(hal, LOOP)]
    hal.send_errors[handle(hal, ETH)] = 101
    assert driver.wire_send(None, (GLOBAL, 5), b"d", 0) == 0
    hal.send_errors[handle(hal, PRIVATE)] = 113
    assert driver.wire_send(None, (GLOBAL, 5), b"d", 0) in (101, 113)


def test_a_closed_wire_is_no_reason_to_be_silent():
    driver, hal, _ = make()
    assert driver.wire_send(999, (GLOBAL, 5), b"d", 0) == 0
    assert len(hal.sent) == 1


def test_paths_inside_our_networks_and_over_loopback_are_refused():
    driver, _, _ = make()
    assert driver.path_check(b"", 1, (GLOBAL, 1))
    assert not driver.path_check(b"", 1, (LOOP, 1))
    driver.settings.allow_loopback = True
    assert driver.path_check(b"", 1, (LOOP, 1))
    driver.nics.by_nwid[b"x"] = type("Card", (), {})()
    driver.nics.by_nwid[b"x"].addresses = [(bytes((10, 9, 0, 1)), 16)]
    assert not driver.path_check(b"", 1, (bytes((10, 9, 200, 1)), 1))
    assert driver.path_check(b"", 1, (bytes((10, 8, 200, 1)), 1))


def test_online_and_offline_are_told_once_each():
    driver, _, node = make()
    driver.step()
    node.online = True
    driver.event("online", None)
    driver.step()
    driver.step()
    node.online = False
    driver.step()
    driver.event("offline", None)
    assert names(driver) == ["online", "offline"]


def test_events_wake_their_reader_and_are_bounded():
    driver, _, _ = make()
    calls = []
    driver.on_event = lambda: calls.append(1)
    for i in range(1000):
        driver.event("peer", {"address": "%010x" % i, "path": "direct"})
    assert len(calls) == 1000
    assert len(driver.events) == 256
    assert driver.events[-1]["address"] == "%010x" % 999
    assert driver.events[-1]["path"] == "direct"
    assert driver.events[-1]["t"] >= 0


def test_a_jump_of_the_wall_clock_is_logged_and_changes_nothing():
    driver, _, node = make()
    driver.step()
    lines = []
    log.set_sink(lines.append)
    try:
        driver._watch_clock(ticks_ms())
        assert lines == []
        wall, ticks = driver._wall
        driver._wall = (wall - 3600000, ticks)
        driver._watch_clock(ticks_ms())
        driver._watch_clock(ticks_ms())
    finally:
        log.set_sink(None)
    assert len(lines) == 1
    assert "clock jumped" in lines[0]
    assert driver.step() == 700


def test_without_a_root_it_is_said_once():
    driver, _, _ = make()
    driver.step()
    driver._offline_since = ticks_add(ticks_ms(), -10001)
    driver.step()
    driver.step()
    assert names(driver) == ["trying"]
    assert "no root answers" in driver.events[0]["reason"]


def test_close_saves_the_node_and_frees_the_port():
    driver, hal, node = make()
    driver.close()
    driver.close()
    assert node.closed == 1
    assert hal.open == {}
    assert driver.step() > 0


def test_the_error_number_of_the_tests_is_the_hosts():
    assert EADDRINUSE == osutil.EADDRINUSE
