# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Between a node and the controller it carries: requests go in as VL2 received them, answers,
# pushes and revocations go out as packets, or straight back when the node asks about a network of
# its own.

from .const import (
    VERB_ERROR,
    VERB_NETWORK_CONFIG,
    VERB_NETWORK_CONFIG_REQUEST,
    VERB_NETWORK_CREDENTIALS,
    VERB_OK,
)

_IN_RE = bytes([VERB_NETWORK_CONFIG_REQUEST])


def _nowhere(verb, *parts):
    """Where a node's answer to its own push goes."""


class ControllerPort:
    """Node.controller: forwards everything else to the Controller it wraps."""

    def __init__(self, node, controller):
        self.node = node
        self.controller = controller
        self._own = None
        controller.out = self

    def __getattr__(self, name):
        return getattr(self.controller, name)

    def request(self, now, nwid, identity, packet_id, metadata, reply):
        """A request as VL2 has it; `reply` is used only for the node's own."""
        self._own = reply if identity.address == self.node.address else None
        try:
            self.controller.request(now, nwid, identity, packet_id, metadata)
        finally:
            self._own = None

    # --- what the controller sends

    def config(self, now, dest, nwid, packet_id, chunks):
        node = self.node
        for chunk in chunks:
            if dest != node.address:
                if packet_id is None:
                    node.send(now, dest, VERB_NETWORK_CONFIG, chunk)
                else:
                    node.send(now, dest, VERB_OK, _IN_RE, packet_id, chunk)
            elif self._own is not None and packet_id is not None:
                self._own(VERB_OK, _IN_RE, packet_id, chunk)
            else:
                self._to_self(now, VERB_NETWORK_CONFIG, chunk)

    def error(self, now, dest, nwid, packet_id, code, extra):
        node = self.node
        if dest != node.address:
            node.send(now, dest, VERB_ERROR, _IN_RE, packet_id, bytes([code]), nwid, extra)
        elif self._own is not None:
            self._own(VERB_ERROR, _IN_RE, packet_id, bytes([code]), nwid, extra)
        else:
            body = memoryview(bytes(nwid) + extra)
            node.vl2.error(now, dest, VERB_NETWORK_CONFIG_REQUEST, packet_id, code, body)

    def credentials(self, now, dest, payload):
        if dest != self.node.address:
            self.node.send(now, dest, VERB_NETWORK_CREDENTIALS, payload)
        else:
            self._to_self(now, VERB_NETWORK_CREDENTIALS, payload)

    def _to_self(self, now, verb, payload):
        node = self.node
        node.vl2.handle(now, verb, node.address, node.random(8), memoryview(payload), _nowhere)
