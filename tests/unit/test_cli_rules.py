# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# cpython-only: starts processes
#
# zt rules explain and zt rules check from outside, on both programs.

import json
import os
import shutil

from _cli import NWID, everywhere, fails, with_node, zt
from _vectors import load
from zt import mac
from zt.netconf import NetworkConfig

RULES = [
    {"type": "MATCH_ETHERTYPE", "etherType": 2048, "not": True},
    {"type": "MATCH_ETHERTYPE", "etherType": 2054, "not": True},
    {"type": "ACTION_DROP"},
    {"type": "MATCH_IP_DEST_PORT_RANGE", "start": 22},
    {"type": "MATCH_TAGS_EQUAL", "id": 1, "value": 3},
    {"type": "ACTION_ACCEPT"},
    {"type": "MATCH_IP_DEST_PORT_RANGE", "start": 23},
    {"type": "ACTION_DROP"},
]
WEB = [{"type": "MATCH_IP_DEST_PORT_RANGE", "start": 80, "end": 443}, {"type": "ACTION_ACCEPT"}]
OWNED = [{"type": "MATCH_CHARACTERISTICS", "mask": "1000000000000000"}, {"type": "ACTION_ACCEPT"}]
TCP = ("--from", "1111111111,10.0.0.1", "--to", "2222222222,10.0.0.2", "--proto", "tcp")


def write(path, value):
    with open(path, "w") as f:
        f.write(value if isinstance(value, str) else json.dumps(value))
    return path


def verdict(program, *args, home=None):
    """The last line of an explanation that was printed without complaint."""
    code, out, err = zt(program, "rules", "explain", *args, home=home)
    assert code == 0 and err == "", (args, err)
    return out.strip().split("\n")[-1]


def explained(program, *args, home=None):
    code, out, err = zt(program, "rules", "explain", *args, "--json", home=home)
    assert code == 0 and err == "", (args, err)
    return json.loads(out)


def test_rules_of_a_file_are_explained_in_words():
    def check(program, folder):
        path = write(folder + "/r.json", RULES)
        both = ("--tag", "1=3", "--remote-tag", "1=3")
        args = ("--rules", path, *TCP)
        assert verdict(program, *args, "--dport", "22", *both) == "accepted by rule 5"
        wrong = ("--tag", "1=3", "--remote-tag", "1=4")
        nothing = "no rule matched: dropped"
        assert verdict(program, *args, "--dport", "22", *wrong) == nothing
        assert verdict(program, *args, "--dport", "22", *both, "--tag", "1=") == nothing
        assert verdict(program, *args, "--dport", "23") == "dropped by rule 7"
        udp6 = ("--rules", path, "--proto", "udp", "--to", "fd00::1")
        assert verdict(program, *udp6) == "dropped by rule 2"
        code, out, err = zt(program, "rules", "explain", *args, "--dport", "22", "--tag", "0x1=3")
        lines = out.split("\n")
        assert code == 0 and err == ""
        assert lines[0] == "out: tcp 10.0.0.1:49152 > 10.0.0.2:22 syn, 40 bytes"
        assert "1111111111 > 2222222222" in lines[1]
        assert "assumed: source port 49152, flags syn" in lines[2]
        rows = [line.split() for line in lines if line.startswith("  ")]
        assert ["0", "not", "MATCH_ETHERTYPE", "etherType=2048", "yes", "false"] in rows
        assert ["2", "ACTION_DROP", "not", "taken"] in rows
        tags = [line for line in lines if "MATCH_TAGS_EQUAL id=1 value=3" in line][0]
        assert "hard yes" in tags and "the next drop is passed over" in tags
        assert "  rules 6 to 7 not reached" in lines

    everywhere(check)


def test_json_has_the_steps_and_both_programs_agree():
    answers = []

    def check(program, folder):
        path = write(folder + "/r.json", {"rules": RULES + [
            {"type": "ACTION_TEE", "address": "3333333333", "length": 30},
            {"type": "ACTION_BREAK"},
        ], "capabilities": [{"id": 1000, "rules": WEB, "default": True}]})  # fmt: skip
        x = explained(program, "--rules", path, *TCP, "--dport", "443")
        assert x["verdict"] == 1 and x["text"] == "accepted by capability 1000, rule 1"
        assert x["copies"] == [{"kind": "TEE", "address": "3333333333", "length": 30}]
        assert [c["capability"] for c in x["lists"]] == [None, 1000]
        steps = x["lists"][0]["steps"]
        assert steps[9]["result"] == "NO_MATCH" and steps[9]["taken"]
        assert steps[0]["rule"] == {**RULES[0], "or": False}
        assert (steps[0]["match"], steps[0]["set"]) == ("yes", False)
        assert x["frame"]["payload"][:4] == "4500" and x["network"] is None
        assert x["address"] == "1111111111"
        answers.append(x)

    everywhere(check)
    assert all(x == answers[0] for x in answers)


def test_capabilities_and_ownership_are_those_of_the_sender():
    def check(program, folder):
        path = write(folder + "/r.json", {
            "rules": [], "capabilities": [{"id": 5, "rules": WEB}, {"id": 6, "rules": OWNED}],
        })  # fmt: skip
        args = ("--rules", path, *TCP, "--dport", "80")
        turned = [args, (*args[:2], "--in", *TCP, "--dport", "80")]
        for words in turned:
            assert verdict(program, *words) == "no rule matched: dropped"
            assert verdict(program, *words, "--cap", "5") == "accepted by capability 5, rule 1"
            both = ("--cap", "6", "--cap", "5", "--owns", "10.0.0.2")
            assert verdict(program, *words, *both) == "accepted by capability 5, rule 1"
            owner = ("--cap", "6", "--owns", "10.0.0.1")
            assert verdict(program, *words, *owner) == "accepted by capability 6, rule 1"
        fails(program, "rules", "explain", *args, "--cap", "7", words=("no capability 7",))

    everywhere(check)


def _stored(folder, name):
    """A home with the configuration of one rule_eval vector; the vector."""
    case = [c for c in load("vl2.json")["rule_eval"] if c["name"] == name][0]
    data = bytes.fromhex(case["config"])
    nwid = NetworkConfig.parse(data).nwid.hex()
    os.makedirs(folder + "/networks.d")
    with open("%s/networks.d/%s.conf" % (folder, nwid), "wb") as f:
        f.write(data)
    return case, nwid


def _hex(case):
    macs = (case["mac_dest"] + case["mac_source"]).replace(":", "")
    return macs + "%04x" % case["ethertype"] + case["frame"]


def test_a_joined_network_is_explained_from_its_stored_configuration():
    cases = [c for c in load("vl2.json")["rule_eval"] if not c["remote_credentials"]]
    chosen = {}
    for c in cases:
        # The command knows no receiver of a group, and only MACs that follow from addresses.
        if not int(c["mac_dest"][:2], 16) & 1 and not c["no_tee"] and c["zt_dest"] != "0" * 10:
            nwid = NetworkConfig.parse(bytes.fromhex(c["config"])).nwid
            named = [mac.text(mac.from_address(bytes.fromhex(c[k]), nwid)) for k in
                     ("zt_source", "zt_dest")]  # fmt: skip
            if named == [c["mac_source"], c["mac_dest"]]:
                chosen.setdefault((c["direction"], c["accept"], bool(c["emitted"])), c["name"])
    assert len(chosen) >= 6, chosen

    def check(program, folder):
        for n, name in enumerate(sorted(chosen.values())):
            home = "%s/%d" % (folder, n)
            case, nwid = _stored(home, name)
            way = "--in" if case["direction"] == "inbound" else "--out"
            before = sorted(os.listdir(home))
            x = explained(program, nwid, "--home", home, way, "--frame", _hex(case))
            assert x["verdict"] == case["accept"], name
            assert x["lists"][0]["result"] == case["base_result"], name
            assert [c["address"] for c in x["copies"]] == [e["dest"] for e in case["emitted"]]
            assert x["network"] == nwid and x["address"] == case["local_node"]
            assert sorted(os.listdir(home)) == before
            # Other rules for the same network.
            path = write(home + "/r.json", [{"type": "ACTION_DROP"}])
            args = (nwid, "--rules", path, way, "--frame", _hex(case))
            assert verdict(program, *args, home=home) == "dropped by rule 0"

    everywhere(check)


def test_a_running_node_is_not_disturbed():
    def check(program, folder, home, node):
        fails(program, "rules", "explain", NWID, *TCP, home=home, words=("not joined on " + home,))
        assert zt(program, "join", NWID, home=home)[0] == 0
        fails(program, "rules", "explain", NWID, *TCP, home=home, words=("no rules yet",))
        # Ad-hoc: ports 22 to 80 only, over IPv6.
        adhoc = "ff00160050000000"
        assert zt(program, "join", adhoc, home=home)[0] == 0
        tcp = (adhoc, "--to", "2222222222", "--proto", "tcp", "--dport")
        assert verdict(program, *tcp, "22", home=home).startswith("accepted by rule")
        assert verdict(program, *tcp, "81", home=home).startswith("dropped by rule")
        x = explained(program, *tcp, "80", home=home)
        assert x["address"] == node.first["address"] and x["verdict"] == 1
        assert x["frame"]["destination"] == "2222222222"
        assert node.stop()["event"] == "stopped"
        assert verdict(program, *tcp, "22", home=home).startswith("accepted by rule")

    with_node(check)


def test_check_prints_the_wire_and_names_what_is_refused():
    def check(program, folder):
        good = [c for c in load("vl2.json")["rules_from_json"] if c["accepted"]]
        path = write(folder + "/good.json", [c["json"] for c in good])
        code, out, err = zt(program, "rules", "check", path, "--json")
        wire = "".join(c["bin"] for c in good)
        x = json.loads(out)
        assert code == 0 and err == "" and x["valid"] and x["lists"][0]["wire"] == wire
        assert x["lists"][0]["count"] == len(good)
        code, out, err = zt(program, "rules", "check", path)
        assert code == 0 and err == "" and "  wire " + wire in out.split("\n")
        bad = [{"type": "FROB"}, {"type": "MATCH_ETHERTYPE", "etherType": "0x0800"},
               {"type": "ACTION_PRIORITY"}, {"type": "ACTION_DROP", "not": True, "x": 1}, 3,
               {"type": "MATCH_IPV4_DEST", "ip": "10.0.0.0"}]  # fmt: skip
        path = write(folder + "/bad.json", {
            "rules": bad, "capabilities": [{"id": 9, "rules": WEB[:1] + [{"type": "x"}]}],
        })  # fmt: skip
        out = fails(program, "rules", "check", path, words=(path, "4 rules refused"))
        lines = [line for line in out.split("\n") if "refused: " in line]
        assert [line.split()[0] for line in lines] == ["0", "2", "4", "1"]
        assert "no such type" in lines[0] and "not an object" in lines[2]
        assert "capability 9: 2, 6 bytes" in out.split("\n")
        x = json.loads(fails(program, "rules", "check", path, "--json"))
        assert not x["valid"] and x["lists"][0]["wire"] == "25020000000020050a00000000"
        notes = {(n["rule"], n["text"]) for n in x["lists"][0]["notes"]}
        assert notes == {
            (1, "etherType is read as 0"),
            (3, "not means nothing for an action"),
            (3, "x is not read"),
            (5, 'ip is read as "10.0.0.0/0"'),
        }
        fails(program, "rules", "explain", "--rules", path, *TCP, words=("rule 0 refused",))

    everywhere(check)


def test_limits_are_those_of_the_controller():
    def check(program, folder):
        path = write(folder + "/r.json", [{"type": "ACTION_DROP"}] * 1025)
        out = fails(program, "rules", "check", path, words=("1 rule refused",))
        assert "1024  -" in out and "more than 1024 rules" in out
        many = [{"id": 1, "rules": [{"type": "ACTION_DROP"}] * 65}]
        path = write(folder + "/c.json", {"rules": [], "capabilities": many})
        assert "more than 64 rules" in fails(program, "rules", "check", path)

    everywhere(check)


def test_files_that_are_no_rules_are_one_line():
    def check(program, folder):
        path = folder + "/x.json"
        for command in (["rules", "check"], ["rules", "explain", *TCP, "--rules"]):
            fails(program, *command, path, words=(path, "no such file"))
            fails(program, *command, folder, words=(folder,))
            for text, word in (
                ("", "not valid JSON"), ("[", "not valid JSON"), ("3", "neither a list"),
                ("{}", "neither a list"), ('{"rules": 3}', "must be a list"),
                ("\xff", "not valid JSON"), ("[" * 100 + "]" * 100, "not valid JSON"),
                ('{"rules": [], "capabilities": [3]}', "not an object"),
                ('{"rules": [], "capabilities": {}}', "must be a list"),
                ('{"rules": [], "tags": [3]}', "not an object"),
                ('{"rules": [], "capabilities": [{"id": 1}, {"id": 1}]}', "twice"),
            ):  # fmt: skip
                with open(path, "wb") as f:
                    f.write(text.encode("latin-1"))
                fails(program, *command, path, words=(path, word))
            os.remove(path)

    everywhere(check)


def test_nonsense_is_one_line():
    def check(program, folder):
        path = write(folder + "/r.json", RULES)
        rules = ("rules", "explain", "--rules", path)
        for args in (
            (), ("frob",), ("explain",), ("explain", *TCP), ("explain", NWID, NWID), ("check",),
        ):  # fmt: skip
            fails(program, "rules", *args, status=2, home=folder)
        for args in (
            (), ("--proto",), ("--in", "--out", *TCP), ("--dport", "22"),
            ("--ethertype", "arp", "--dport", "22"), ("--frame", "00", "--proto", "tcp"),
            (*TCP, "--tag", "1"), (*TCP, "--dport", "x"), (*TCP, "--size", "-1"),
        ):  # fmt: skip
            fails(program, *rules, *args, status=2)
        for args, word in (
            (("--proto", "x"), "--proto"), (("--proto", "tcp", "--to", "x"), "--to"),
            (("--proto", "udp", "--flags", "syn"), "--flags"), (("--frame", "zz"), "--frame"),
            ((*TCP, "--tag", "x=1"), "--tag"), ((*TCP, "--remote-tag", "1=x"), "--remote-tag"),
            ((*TCP, "--owns", "x"), "--owns"), ((*TCP, "--cap", "x"), "--cap"),
            ((*TCP, "--tag", "4294967296=1"), "--tag"), ((*TCP, "--dport", "65536"), "--dport"),
        ):  # fmt: skip
            fails(program, *rules, *args, words=(word,))
        fails(program, "rules", "explain", "12", *TCP, words=("network id",))
        fails(program, "rules", "explain", NWID, *TCP, home=folder, words=("not joined",))
        os.mkdir(folder + "/networks.d")
        conf = "%s/networks.d/%s.conf" % (folder, NWID)
        for data, word in (("v=6\n", "config"), ("\n", "no rules yet"), ("x" * 100, "config")):
            write(conf, data)
            fails(program, "rules", "explain", NWID, *TCP, home=folder, words=(NWID, word))
        _, nwid = _stored(folder + "/h", "match_accept_out")
        shutil.move("%s/h/networks.d/%s.conf" % (folder, nwid), conf)
        fails(program, "rules", "explain", NWID, *TCP, home=folder, words=("another's",))

    everywhere(check)
