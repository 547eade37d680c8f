# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The form of a measured row, as build/bench.json and build/bench-embedded.json have it.


def row(name, value, unit, target=None, peer=None, peer_value=None, command="make bench"):
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "target": target,
        "peer": peer,
        "peer_value": peer_value,
        "command": command,
    }
