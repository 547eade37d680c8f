# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Brings Wi-Fi and the network up at each start:
#     tools/provision.py --port PORT --wifi SSID --network NWID
#     mpremote cp examples/board/boot.py :boot.py
#     mpremote reset
# then authorize the node, whose address the first prints, on the network's controller. A program
# in main.py finds the interface as `nic`. Wi-Fi that is lost and found again needs nothing here:
# the chip connects again by itself, and the node sees its address change and goes on.

import time

import network
import zt

WIFI_MS = 20000


def wifi(settings):
    """Connect to the access point of the settings; the board goes on without it, too."""
    ssid = settings.text("wifi.ssid")
    if ssid is None:
        print("boot: no Wi-Fi is set; tools/provision.py sets it")
        return
    name = settings.text("hostname")
    if name:
        network.hostname(name)
    wlan = network.WLAN(network.WLAN.IF_STA)
    wlan.active(True)
    if not wlan.isconnected():
        wlan.connect(ssid, settings.text("wifi.psk") or "")
    start = time.ticks_ms()
    while not wlan.isconnected() and time.ticks_diff(time.ticks_ms(), start) < WIFI_MS:
        time.sleep_ms(100)
    print("boot: Wi-Fi", wlan.ifconfig()[0] if wlan.isconnected() else "is not there yet")


nic = zt.NIC()
wifi(nic.settings)
try:
    nic.active(True)
    print("boot: node", nic.config("address"), "on", nic.config("networks"))
except OSError as e:
    print("boot:", e)
if nic.settings.get("ota.trial"):  # firmware that came over the network: does it stay?
    print("boot: firmware", zt.ota.check(nic))
