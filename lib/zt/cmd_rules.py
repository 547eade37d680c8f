# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# zt rules explain | check: what the rules of a network do with one frame, and what a controller
# takes of rules in a file. Reads the stored configuration of a home, running node or not; asks
# nobody and sends nothing.

from . import adhoc, explain, frametext, hal, inet, jsontext, mac, osutil, rulesfile, rulesjson
from ._compat import hexs, wall_ms
from .args import FLAG, INT, LIST, TEXT, UsageError
from .cli import Command
from .cmd_node import table
from .netconf import NetworkConfig
from .osutil import Failure, err, out


class _Tag:
    def __init__(self, id, value):
        self.id = id
        self.value = value


class _Capability:
    def __init__(self, id, rules):
        self.id = id
        self.rules = rules


class _Owned:
    """Stands for certificates of ownership of these IPs and MACs."""

    def __init__(self, things):
        self.things = things

    def owns_ip(self, ip):
        return bytes(ip) in self.things

    def owns_mac(self, m):
        return bytes(m) in self.things


class _Other(_Owned):
    """The other member, with the credentials that the command line gives it."""

    def __init__(self, tags, capabilities, things):
        super().__init__(things)
        self.tags = tags
        self.held = capabilities

    def tag(self, id):
        return self.tags.get(id)

    def capabilities(self):
        return self.held


# --- what was asked


def _stored(home, text):
    """The configuration of a network that the node of a home has joined."""
    from .host import network_id

    nwid = network_id(text)
    try:
        data = osutil.read_file(osutil.join(home, "networks.d", hexs(nwid) + ".conf"))
    except OSError as e:
        if e.errno != osutil.ENOENT:
            raise Failure("network %s: %s" % (hexs(nwid), osutil.errtext(e)))
        raise Failure("network %s is not joined on %s" % (hexs(nwid), home))
    if nwid[0] == 0xFF:
        return _adhoc(home, nwid)
    if not data.strip():
        raise Failure("network %s: the controller of the network gave no rules yet" % hexs(nwid))
    try:
        config = NetworkConfig.parse(data)
    except ValueError as e:
        raise Failure("network %s: %s" % (hexs(nwid), e))
    if config.nwid != nwid:
        raise Failure("network %s: the stored configuration is another's" % hexs(nwid))
    return config


def _adhoc(home, nwid):
    try:
        text = str(osutil.read_file(osutil.join(home, "identity.public")), "utf-8")
    except OSError as e:
        raise Failure("%s/identity.public: %s" % (home, osutil.errtext(e)))
    from .host import node_address

    config = adhoc.config(nwid, node_address(text[:10]), wall_ms())
    if config is None:
        raise Failure("network %s has no rules" % hexs(nwid))
    return config


def _tags(option, words, tags):
    for word in words:
        id, equals, value = word.partition("=")
        if not equals:
            raise UsageError("%s: %s is not ID=VALUE" % (option, word))
        id = frametext.number(option, id, 0xFFFFFFFF)
        if value:
            tags[id] = frametext.number(option, value, 0xFFFFFFFF)
        else:
            tags.pop(id, None)
    return tags


def _things(words):
    found = []
    for word in words:
        try:
            found.append(mac.parse(word) if frametext.is_mac(word) else inet.parse_ip(word))
        except ValueError:
            raise Failure("--owns: %s is no IP or MAC" % word)
    return found


def _frame(args, inbound, config, me):
    source, dest, nwid = getattr(args, "from"), args.to, config.nwid
    if args.frame is not None:
        for name in frametext.WORDS:
            if name != "ethertype" and getattr(args, name) is not None:
                raise UsageError("--%s makes no sense with --frame" % name)
        return frametext.from_hex(args.frame, args.ethertype, inbound, source, dest, nwid, me)
    if args.proto is None:
        if args.ethertype is None:
            raise UsageError("which frame? --proto, --ethertype or --frame says it")
        for name in ("sport", "dport", "flags", "icmp", "tos"):
            if getattr(args, name) is not None:
                raise UsageError("--%s needs --proto" % name)
    words = {key: getattr(args, key) for key in frametext.WORDS}
    return frametext.from_words(inbound, source, dest, words, nwid, me, config.static_ips)


def _load_rules(path):
    found = rulesfile.RulesFile(path)
    for listed in found.lists:
        for i, why in listed.refused:
            raise Failure("%s: %s: rule %d refused: %s" % (path, listed.name, i, why))
    return found


def _capabilities(words, offered, standard):
    """What the sender holds: those named, else the `standard` ones."""
    if not words:
        return standard
    held = {}
    for word in words:
        id = frametext.number("--cap", word, 0xFFFFFFFF)
        found = [c for c in offered if c.id == id]
        if not found:
            raise Failure("--cap: there is no capability %d" % id)
        held[id] = found[0]
    return [held[id] for id in sorted(held)]


def _explain(args):
    if getattr(args, "in") and args.out:
        raise UsageError("--in or --out, not both")
    if not args.rest and args.rules is None:
        raise UsageError("which rules? A network id or --rules FILE")
    inbound = getattr(args, "in")
    config = _stored(args.home, args.rest[0]) if args.rest else NetworkConfig()
    theirs = {}
    offered = config.capabilities
    standard = [] if inbound else offered
    mine = {t.id: t.value for t in config.tags}
    if args.rules is not None:
        found = _load_rules(args.rules)
        config.rules = found.lists[0].wire
        offered = [_Capability(x.capability, x.wire) for x in found.lists[1:]]
        defaults = [x.capability for x in found.lists if x.default]
        standard = [c for c in offered if c.id in defaults]
        for id in found.tags:
            if found.tags[id] is not None:
                theirs[id] = found.tags[id]
                if id not in mine:
                    mine[id] = found.tags[id]
    frame = _frame(args, inbound, config, config.issued_to if args.rest else None)
    tags = _tags("--tag", args.tag, mine)
    config.tags = [_Tag(id, tags[id]) for id in sorted(tags)]
    theirs = _tags("--remote-tag", args.remote_tag, theirs)
    held = _capabilities(args.cap, offered, standard)
    things = _things(args.owns)
    if not inbound:
        config.capabilities = held
        config.coos = list(config.coos) + [_Owned(things)]
    known = inbound or frame.dest is not None
    other = _Other(theirs, held, things if inbound else ()) if known else None
    tracer = explain.Tracer(frame.me, hal.random)
    result = explain.explain(tracer, config, other, frame)
    result["network"] = hexs(config.nwid) if args.rest else None
    result["address"] = hexs(frame.me)
    result["frame"] = {
        "assumed": frame.assumed,
        "destination": hexs(frame.dest) if frame.dest else None,
        "ethertype": frame.ethertype,
        "inbound": inbound,
        "macDest": mac.text(frame.mac_dest),
        "macSource": mac.text(frame.mac_source),
        "payload": hexs(frame.payload),
        "source": hexs(frame.source),
        "text": frametext.in_words(frame.ethertype, frame.payload),
    }
    return result


# --- what is shown


def _row(step):
    head = str(step["index"]), rulesjson.in_words(step["rule"])
    if step["did"]:
        return head + ("", "", step["did"])
    did = ""
    if step["match"] is None:
        did = "not asked"
    elif step["match"] == "hard yes" and step["rule"]["type"].startswith("MATCH_TAG"):
        did = "taken for true, not known: the next drop is passed over"
    return head + (step["match"] or "-", "true" if step["set"] else "false", did)


def _print_explanation(x):
    f = x["frame"]
    n = len(f["payload"]) // 2
    out("%s: %s, %d bytes" % ("in" if f["inbound"] else "out", f["text"], n))
    ends = f["source"], f["destination"] or "(multicast)", f["macSource"], f["macDest"]
    out("  node %s > %s, MAC %s > %s" % ends)
    if f["assumed"]:
        out("  assumed: " + ", ".join(f["assumed"]))
    for listed in x["lists"]:
        out("")
        id = listed["capability"]
        out("rules" if id is None else "capability %d" % id)
        rows = [("RULE", "TYPE", "MATCH", "SET", "")] + [_row(s) for s in listed["steps"]]
        for line in table(rows):
            out("  " + line)
        reached = len(listed["steps"])
        if reached < listed["rules"]:
            last = listed["rules"] - 1
            which = "rule %d" % last if reached == last else "rules %d to %d" % (reached, last)
            out("  %s not reached" % which)
    out("")
    if x["no_tee"]:
        out("one receiver of a multicast: copies were made when it was sent")
    for c in x["copies"]:
        out("copy (%s): %d bytes to %s" % (c["kind"], c["length"], c["address"]))
    out(x["text"])


def rules_explain(args):
    result = _explain(args)
    if args.json:
        out(jsontext.dumps(result))
    else:
        _print_explanation(result)


def _check_json(listed):
    return {
        "capability": listed.capability,
        "count": len(listed.items) - len(listed.refused),
        "notes": [{"rule": i, "text": what} for i, what in listed.notes],
        "refused": [{"rule": i, "text": why} for i, why in listed.refused],
        "wire": hexs(listed.wire),
    }


def _print_check(listed):
    out("%s: %d, %d bytes" % (listed.name, len(listed.items), len(listed.wire)))
    rows = [("RULE", "WIRE", "TYPE", "")]
    why = dict(listed.refused)
    for i, wire in enumerate(listed.wires):
        if wire is not None:
            notes = ", ".join([what for at, what in listed.notes if at == i])
            text = rulesjson.in_words(rulesjson.to_json(wire)[0])
            rows.append((str(i), hexs(wire), text, "note: " + notes if notes else ""))
        else:
            item = listed.items[i]
            kind = item.get("type") if isinstance(item, dict) else item
            rows.append((str(i), "-", jsontext.dumps(kind)[:60], "refused: " + why[i]))
    for line in table(rows):
        out("  " + line)
    out("  wire " + (hexs(listed.wire) or "-"))


def rules_check(args):
    path = args.rest[0]
    found = rulesfile.RulesFile(path)
    if args.json:
        value = {"lists": [_check_json(x) for x in found.lists], "valid": not found.refused()}
        out(jsontext.dumps(value))
    else:
        for listed in found.lists:
            _print_check(listed)
    n = found.refused()
    if n:
        err("zt: %s: %d %s refused" % (path, n, "rule" if n == 1 else "rules"))
    return 1 if n else 0


COMMANDS = {
    ("rules", "explain"): Command(
        rules_explain,
        "[NWID]",
        "What each rule does with a frame, and the verdict.",
        (
            (("--rules",), TEXT, "FILE", "these rules (JSON) instead of the network's"),
            (("--out",), FLAG, "", "the frame is sent by this node (default)"),
            (("--in",), FLAG, "", "the frame comes in from the other node"),
            (("--from",), TEXT, "WHO", "sender: node address, IP, MAC, or several with commas"),
            (("--to",), TEXT, "WHO", "receiver, also broadcast or a multicast IP"),
            (("--proto",), TEXT, "P", "tcp, udp, icmp, icmp6, arp or another IP protocol"),
            (("--sport",), INT, "N", "source port"),
            (("--dport",), INT, "N", "destination port"),
            (("--flags",), TEXT, "F,F", "TCP flags: fin syn rst psh ack urg ece cwr, none"),
            (("--icmp",), TEXT, "N[/N]", "ICMP type and code"),
            (("--tos",), INT, "N", "IP type of service"),
            (("--size",), INT, "N", "bytes after the Ethernet header"),
            (("--ethertype",), TEXT, "N", "ethertype of a frame that is not IP, or of --frame"),
            (("--frame",), TEXT, "HEX", "whole Ethernet frame, or with --ethertype its payload"),
            (("--tag",), LIST, "ID=VALUE", "a tag of this node; none after = takes it away"),
            (("--remote-tag",), LIST, "ID=VALUE", "a tag of the other node"),
            (("--cap",), LIST, "ID", "a capability the sender holds; default: all of ours"),
            (("--owns",), LIST, "IP|MAC", "what the sender has a certificate for"),
        ),
        0,
        1,
    ),
    ("rules", "check"): Command(
        rules_check, "FILE", "What a controller makes of rules in a JSON file.", (), 1, 1
    ),
}
