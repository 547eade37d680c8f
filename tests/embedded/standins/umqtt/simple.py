# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The least of umqtt.simple, for the examples. `broken` is how many connections fail at first.

said = []
broken = [1]


class MQTTClient:
    def __init__(self, client_id, server, port=0, keepalive=0):
        self.client_id = client_id
        self.server = server

    def connect(self):
        if broken[0]:
            broken[0] -= 1
            raise OSError(113)
        said.append(("connect", self.client_id, self.server))

    def publish(self, topic, data):
        said.append(("publish", topic, data))

    def disconnect(self):
        said.append(("disconnect",))
