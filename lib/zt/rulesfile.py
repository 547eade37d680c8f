# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Rules in a JSON file as the controller takes them: a list of rules, or a network's object with
# "rules", "capabilities" and "tags". Finds everything the controller would refuse or ignore; what
# the rules do is in rules.py.

from . import jsontext, osutil, rulesjson
from .jsontext import boolean, integer
from .netconf import MAX_CAPABILITIES, MAX_RULES, MAX_TAGS
from .osutil import Failure

_MAX_CAPABILITY_RULES = 64
_U32 = 0xFFFFFFFF
_OPTIONAL = ("icmpCode", "flags", "length", "end")


class RuleList:
    """Rules of a network (`capability` None) or of a capability with this id and `default`.

    `items` are the objects, `wires` the bytes of each or None, `refused` (index, why) and `notes`
    (index, what) of those that say something the controller does not read, or too little.
    """

    def __init__(self, items, capability=None, default=False):
        self.items = items
        self.capability = capability
        self.default = default
        self.refused = []
        self.notes = []
        most = MAX_RULES if capability is None else _MAX_CAPABILITY_RULES
        self.wires = [rulesjson.from_json(item) for item in items]
        for i, item in enumerate(items):
            why = rulesjson.refusal(item)
            if i >= most:
                why = "more than %d rules" % most
                self.wires[i] = None
            if why is not None:
                self.refused.append((i, why))
            else:
                self._look(i, item)

    @property
    def wire(self):
        return b"".join([w for w in self.wires if w is not None])

    @property
    def name(self):
        return "rules" if self.capability is None else "capability %d" % self.capability

    def _look(self, i, item):
        read = rulesjson.to_json(self.wires[i])[0]
        names = rulesjson.fields(read["type"])
        for key in sorted(item):
            if key in ("type", "not", "or"):
                continue
            if key not in names:
                self.notes.append((i, "%s is not read" % key))
            elif item[key] is not None and not _alike(item[key], read[key]):
                self.notes.append((i, "%s is read as %s" % (key, jsontext.dumps(read[key]))))
        for key in names:
            if key not in item and key not in _OPTIONAL:
                self.notes.append((i, "%s is missing: %s" % (key, jsontext.dumps(read[key]))))
        for key in ("not", "or"):
            if key in item and not isinstance(item[key], bool):
                said = jsontext.dumps(boolean(item[key]))
                self.notes.append((i, "%s is read as %s" % (key, said)))
            if key not in read and boolean(item.get(key)):
                self.notes.append((i, "%s means nothing for an action" % key))


def _alike(said, read):
    if isinstance(said, str) and isinstance(read, str):
        return said.lower() == read
    return said == read


class RulesFile:
    """`lists` (RuleList, the network's first), `tags` {id: default or None}."""

    def __init__(self, path):
        try:
            value = jsontext.loads(osutil.read_file(path))
        except OSError as e:
            raise Failure("%s: %s" % (path, osutil.errtext(e)))
        except ValueError:
            raise Failure("%s: not valid JSON" % path)
        if isinstance(value, list):
            value = {"rules": value}
        if not isinstance(value, dict) or "rules" not in value:
            raise Failure("%s: neither a list of rules nor an object with rules" % path)
        self.lists = [RuleList(_items(path, value, "rules", "rules"))]
        self.tags = {}
        capabilities = _items(path, value, "capabilities", "capabilities")
        tags = _items(path, value, "tags", "tags")
        for name, n, most in (
            ("capabilities", len(capabilities), MAX_CAPABILITIES),
            ("tags", len(tags), MAX_TAGS),
        ):
            if n > most:
                raise Failure("%s: more than %d %s" % (path, most, name))
        for c in capabilities:
            if not isinstance(c, dict):
                raise Failure("%s: a capability is not an object" % path)
            id = integer(c.get("id")) & _U32
            if self.capability(id):
                raise Failure("%s: capability %d is there twice" % (path, id))
            items = _items(path, c, "rules", "rules of capability %d" % id)
            self.lists.append(RuleList(items, id, boolean(c.get("default"))))
        for t in tags:
            if not isinstance(t, dict):
                raise Failure("%s: a tag is not an object" % path)
            default = t.get("default")
            if default is not None:
                default = integer(default) & _U32
            self.tags[integer(t.get("id")) & _U32] = default

    def capability(self, id):
        found = [x for x in self.lists if x.capability == id and id is not None]
        return found[0] if found else None

    def refused(self):
        """How many rules the controller would leave out."""
        return sum([len(x.refused) for x in self.lists])


def _items(path, value, key, what):
    items = value.get(key)
    if items is None:
        return []
    if not isinstance(items, list):
        raise Failure("%s: %s: must be a list" % (path, what))
    return items
