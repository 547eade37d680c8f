# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A small node that is asked for more than it holds refuses the excess by name and goes on.

from _full import fill
from _people import IDS
from zt import hal


def check(said):
    assert "networks" in said["networks"] and said["joined"] == 4
    assert said["groups"] == 32
    assert said["rules"] == "configuration exceeds the limit rules"
    assert said["status"] == "REQUESTING_CONFIGURATION" and said["then"] == "OK"
    assert said["peers"] == 32
    refused = said["refused"]
    assert refused["networks"] == 1 and refused["groups"] == 3 and refused["rules"] == 1
    assert refused["config_bytes"] >= 1 and refused["packet_bytes"] == 1
    assert refused["peers"] == 5 and refused["multicast_groups"] == 1
    assert said["log"] == sorted(refused), "each is named once"


def test_what_does_not_fit_is_refused_by_name():
    check(fill(IDS["A"], IDS["R"], hal.random))
