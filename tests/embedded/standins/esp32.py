# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The least of an ESP32's module esp32, for tests: two slots for firmware in memory, as MicroPython
# 1.25 shows them. `state` is what the boot loader keeps.

APP = 0
BLOCK = 4096
BLOCKS = 8

state = {"running": "ota_0", "boot": "ota_0", "valid": True, "cut": None}
flash = {"ota_0": bytearray(BLOCK * BLOCKS), "ota_1": bytearray(BLOCK * BLOCKS)}


class PowerCut(Exception):
    pass


class Partition:
    RUNNING = 1
    BOOT = 0

    def __init__(self, which):
        self.label = state["running"] if which == self.RUNNING else which

    def info(self):
        return (APP, 16, 65536, BLOCK * BLOCKS, self.label, False)

    def get_next_update(self):
        return Partition("ota_1" if self.label == "ota_0" else "ota_0")

    def readblocks(self, n, buf):
        buf[:] = flash[self.label][n * BLOCK : n * BLOCK + len(buf)]

    def writeblocks(self, n, buf):
        if state["cut"] is not None:
            state["cut"] -= 1
            if state["cut"] < 0:
                raise PowerCut()
        if len(buf) % BLOCK:
            raise ValueError("whole blocks only")
        flash[self.label][n * BLOCK : n * BLOCK + len(buf)] = buf

    def set_boot(self):
        state["boot"] = self.label
        state["valid"] = False

    @staticmethod
    def mark_app_valid_cancel_rollback():
        state["valid"] = True


def restart():
    """What the boot loader does at a reset: an image that was started once and not found valid
    gives way to the other."""
    if state["boot"] == state["running"] and not state["valid"]:
        state["boot"] = "ota_1" if state["boot"] == "ota_0" else "ota_0"
        state["valid"] = True
    state["running"] = state["boot"]
