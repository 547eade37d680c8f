# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The rules engine of the core against every rule_eval vector and, rule by rule, against its Python
# twin. CPython only: ctypes.

import shutil

import pytest
from _core_rules import Case, Credentials, build, load
from _vectors import load as vectors
from zt import credential, mac
from zt.netconf import NetworkConfig

RESULTS = ("NO_MATCH", "DROP", "REDIRECT", "ACCEPT", "SUPER_ACCEPT")


@pytest.fixture(scope="module")
def lib(tmp_path_factory):
    cc = shutil.which("cc")
    if not cc:
        pytest.skip("no C compiler (Debian package gcc)")
    folder = tmp_path_factory.mktemp("rules")
    return load(build(str(folder / "rules.so"), cc, ["-O2"]))


# ---- vectors


def _held(things):
    """Credentials of the tags, capabilities and certificates among these."""
    tags = {x.id: x.value for x in things if isinstance(x, credential.Tag)}
    capabilities = sorted(
        [x for x in things if isinstance(x, credential.Capability)], key=lambda c: c.id
    )
    owned = [t for x in things if isinstance(x, credential.Ownership) for t in x.things]
    return Credentials(tags, [c.rules for c in capabilities], owned)


def _vector(v):
    config = NetworkConfig.parse(bytes.fromhex(v["config"]))
    kinds = {
        "tag": credential.Tag,
        "capability": credential.Capability,
        "coo": credential.Ownership,
    }
    now = int.from_bytes(config.timestamp, "big")
    theirs = []
    for c in v["remote_credentials"]:
        x, _ = kinds[c["type"]].unpack(bytes.fromhex(c["serialized"]), 0)
        if abs(int.from_bytes(x.timestamp, "big") - now) <= config.ctmd:
            theirs.append(x)
    inbound = v["direction"] == "inbound"
    dest = bytes.fromhex(v["zt_dest"])
    return Case(
        nwid=config.nwid,
        flags=config.flags,
        me=bytes.fromhex(v["local_node"]),
        rules=config.rules,
        own=_held(config.tags + config.capabilities + config.coos),
        remote=_held(theirs) if inbound or dest != bytes(5) else None,
        static_ips=config.static_ips,
        inbound=inbound,
        payload=bytes.fromhex(v["frame"]),
        ethertype=v["ethertype"],
        mac_source=mac.parse(v["mac_source"]),
        mac_dest=mac.parse(v["mac_dest"]),
        source=bytes.fromhex(v["zt_source"]),
        dest=dest if dest != bytes(5) else None,
        no_tee=v["no_tee"],
    )


def test_every_vector_gives_verdict_copies_and_result(lib):
    seen = set()
    for v in vectors("vl2.json")["rule_eval"]:
        case = _vector(v)
        verdict, copies, base = case.c(lib)
        assert verdict == v["accept"], v["name"]
        assert RESULTS[base] == v["base_result"], v["name"]
        head = case.mac_dest + case.mac_source + case.ethertype.to_bytes(2, "big")
        payloads = [
            (dest.hex(), (case.nwid + bytes((flags,)) + head + case.payload[:n]).hex())
            for dest, flags, n in copies
        ]
        assert payloads == [(e["dest"], e["payload"]) for e in v["emitted"]], v["name"]
        seen.add(v["name"])
    assert len(seen) >= 257
