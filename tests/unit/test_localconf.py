# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# local.conf: the four settings this build reads, the names of those it does not, and files that
# are wrong.

from zt import localconf, log
from zt.store import MemoryStore


def refused(data):
    try:
        localconf.parse(data, "H/local.conf")
    except ValueError as e:
        return str(e)
    raise AssertionError("accepted: %s" % data)


def test_no_file_and_an_empty_one_are_the_defaults():
    for data in (None, b"", b"  \n"):
        conf = localconf.parse(data)
        assert conf.primary_port is None
        assert conf.bind == [] and conf.blacklist == [] and conf.management == []
        assert conf.unknown == []


def test_the_four_settings_are_read():
    conf = localconf.parse(
        b'{"settings": {"primaryPort": 9994, "bind": ["10.0.0.1", "fd00::1"],'
        b' "interfacePrefixBlacklist": ["docker"], "allowManagementFrom": ["10.0.0.0/8", "::1"]}}'
    )
    assert conf.primary_port == 9994
    assert conf.bind == [b"\x0a\0\0\1", b"\xfd" + bytes(14) + b"\1"]
    assert conf.blacklist == ["docker"]
    assert conf.management == [(b"\x0a\0\0\0", 8), (bytes(15) + b"\1", 128)]
    assert conf.unknown == []


def test_other_settings_are_named():
    conf = localconf.parse(b'{"physical": {}, "settings": {"lowBandwidthMode": true, "bind": []}}')
    assert conf.unknown == ["physical", "settings.lowBandwidthMode"]


def test_load_names_them_in_the_log():
    store = MemoryStore()
    store.put("local.conf", b'{"settings": {"multicoreEnabled": true}}')
    lines = []
    log.set_sink(lines.append)
    try:
        localconf.load(store)
    finally:
        log.set_sink(None)
    assert len(lines) == 1
    assert "settings.multicoreEnabled" in lines[0]


def test_what_is_wrong_is_refused_with_the_file_named():
    for data, word in (
        (b"{", "JSON"),
        (b"[]", "object"),
        (b"\xff\xfe", "JSON"),
        (b'{"settings": []}', "settings"),
        (b'{"settings": {"primaryPort": "x"}}', "primaryPort"),
        (b'{"settings": {"primaryPort": 65536}}', "primaryPort"),
        (b'{"settings": {"primaryPort": true}}', "primaryPort"),
        (b'{"settings": {"bind": "10.0.0.1"}}', "bind"),
        (b'{"settings": {"bind": [1]}}', "bind"),
        (b'{"settings": {"bind": ["10.0.0.256"]}}', "10.0.0.256"),
        (b'{"settings": {"allowManagementFrom": ["10.0.0.0/33"]}}', "10.0.0.0/33"),
        (b'{"settings": {"interfacePrefixBlacklist": {}}}', "interfacePrefixBlacklist"),
    ):
        text = refused(data)
        assert text.startswith("H/local.conf: "), text
        assert word in text, text
