# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Wakes up, sends one measurement to a member of the network, sleeps deeply. What the node knew of
# its peers survives in the RTC's memory, its configuration in the flash: it asks first where it
# was last answered, and writes nothing to the flash. It does without boot.py:
#     tools/provision.py --port PORT --wifi SSID --network NWID
# Authorize the node, whose address that prints, on the network's controller; set SERVER and PIN
# below; receive there, for instance with: nc -ulk 5000. Then
#     mpremote cp examples/board/sleeper.py :main.py
#     mpremote reset
# Ctrl-C in mpremote repl gives the prompt, but only while it is awake.

import socket
import sys
import time

import machine
import network
import zt

SERVER = ("10.147.20.7", 5000)  # takes UDP datagrams; its address on the network
PIN = 4  # on an ESP32 one of 32 to 39: the other inputs do not measure beside Wi-Fi
SLEEP_MS = 300000
AWAKE_MS = 15000  # at most

start = time.ticks_ms()
rtc = machine.RTC()
nic = zt.NIC(carried=rtc.memory())


def until(done):
    """Wait for it, as long as the board may be awake."""
    while not done() and time.ticks_diff(time.ticks_ms(), start) < AWAKE_MS:
        time.sleep_ms(20)
    return done()


try:
    wlan = network.WLAN(network.WLAN.IF_STA)
    wlan.active(True)
    wlan.connect(nic.settings.text("wifi.ssid"), nic.settings.text("wifi.psk"))
    if until(wlan.isconnected):
        nic.active(True)
        # A configuration from the flash is there at once; a root's answer takes a round trip.
        if until(lambda: nic.isconnected() and nic.status("online")):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.sendto(b"%d" % machine.ADC(machine.Pin(PIN)).read_u16(), SERVER)
            time.sleep_ms(500)  # for ARP and the datagram behind it
            s.close()
        rtc.memory(nic.suspend())
except Exception as e:  # not Ctrl-C, which gives the prompt
    sys.print_exception(e)
machine.deepsleep(SLEEP_MS)
