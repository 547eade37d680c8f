# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Posts a measurement each minute over MQTT to a server that is a member of the network. Set SERVER
# and PIN below; then, on a board that boot.py brings onto the network:
#     mpremote cp examples/board/sensor.py :main.py
#     mpremote reset
# and on the server, for one: mosquitto_sub -t 'sensor/#'. The module umqtt.simple is in our
# firmware; where it is not: mpremote mip install umqtt.simple.

import json
import time

import machine
from umqtt.simple import MQTTClient
from zt import card

SERVER = "10.147.20.7"  # the server's address on the network
PIN = 4  # on an ESP32 one of 32 to 39: the other inputs do not measure beside Wi-Fi
EVERY_S = 60

nic = card.active()
sensor = machine.ADC(machine.Pin(PIN))


def post(topic, value):
    """One message, on a connection of its own: a sleeping NAT on the way does no harm."""
    client = MQTTClient(b"microzt-" + nic.config("address").encode(), SERVER, keepalive=30)
    client.connect()
    try:
        client.publish(topic, json.dumps({"value": value}).encode())
    finally:
        client.disconnect()


while True:
    if nic.isconnected():
        try:
            post(b"sensor/" + nic.config("address").encode(), sensor.read_u16())
        except OSError as e:
            print("sensor: not posted:", e)
    time.sleep(EVERY_S)
