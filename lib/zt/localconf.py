# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# local.conf: what the owner of the machine decides about this node (VL2 8.4). Knows the JSON and
# which keys this build honours; the others are named, never ignored in silence.

from . import inet, jsontext, log

_KNOWN = ("primaryPort", "bind", "interfacePrefixBlacklist", "allowManagementFrom")


class LocalConf:
    """Parsed settings; `raw` is the JSON object as it stands in the file."""

    def __init__(self):
        self.raw = {}
        self.primary_port = None
        self.bind = []  # ip bytes
        self.blacklist = []  # interface name prefixes
        self.management = []  # (ip bytes, bits) besides loopback
        self.unknown = []  # names of keys not honoured


def _strings(settings, key, name):
    value = settings.get(key, [])
    if not isinstance(value, list):
        raise ValueError("%s: settings.%s must be a list" % (name, key))
    for item in value:
        if not isinstance(item, str):
            raise ValueError("%s: settings.%s must be a list of strings" % (name, key))
    return value


def _ip(text, key, name):
    try:
        return inet.parse_ip(text)
    except ValueError:
        raise ValueError("%s: settings.%s: %s is not an IP address" % (name, key, text))


def _net(text, key, name):
    ip, slash, bits = text.partition("/")
    ip = _ip(ip, key, name)
    if not slash:
        return ip, 8 * len(ip)
    if not bits.isdigit() or int(bits) > 8 * len(ip):
        raise ValueError("%s: settings.%s: %s is not a network" % (name, key, text))
    return ip, int(bits)


def parse(data, name="local.conf"):
    """Read the bytes of a local.conf. ValueError names the file and the reason."""
    conf = LocalConf()
    if data is None or not data.strip():
        return conf
    try:
        raw = jsontext.loads(bytes(data))
    except ValueError:
        raise ValueError("%s: not valid JSON" % name)
    if not isinstance(raw, dict):
        raise ValueError("%s: not a JSON object" % name)
    settings = raw.get("settings", {})
    if not isinstance(settings, dict):
        raise ValueError("%s: settings must be an object" % name)
    conf.raw = raw
    conf.unknown = sorted(
        [k for k in raw if k != "settings"]
        + ["settings." + k for k in settings if k not in _KNOWN]
    )
    port = settings.get("primaryPort")
    if port is not None:
        if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
            raise ValueError("%s: settings.primaryPort must be 0 to 65535" % name)
        conf.primary_port = port
    conf.bind = [_ip(t, "bind", name) for t in _strings(settings, "bind", name)]
    conf.blacklist = _strings(settings, "interfacePrefixBlacklist", name)
    conf.management = [
        _net(t, "allowManagementFrom", name)
        for t in _strings(settings, "allowManagementFrom", name)
    ]
    return conf


def load(store):
    """The local.conf of a home; unknown settings are named in the log."""
    conf = parse(store.get("local.conf"), store.name("local.conf"))
    for key in conf.unknown:
        log.warn("localconf", "%s is not supported and has no effect" % key)
    return conf
