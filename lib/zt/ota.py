# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# A firmware image over the air: who made it is proven before anything is written, what was written
# is read back before it is started, and it stays only if the node comes online with it. Where the
# bytes come from is the caller's business: any stream will do. For ESP32 boards with two slots.
#
# A stream is a head of 140 bytes and the image. The head: "ZTOTA1", 2 zeros, length of the image
# (4), its SHA-256 (32), name of the board (32, zeros behind), Ed25519 signature of all that (64).

import hashlib

from . import crypto, hal, log
from ._compat import be32, const, elapsed, ticks_ms, u32

KEY = "ota.key"  # settings: the 32 bytes of the public key whose images we take
TRIAL = "ota.trial"  # label of the slot whose image is on trial

HEAD = const(140)
_SIGNED = const(76)
_MAGIC = b"ZTOTA1\0\0"
_BLOCK = const(4096)
_TRIAL_MS = const(300000)  # our choice
_MARGIN_MS = const(30000)  # so that the judge, who says why, comes before the guard


class Refused(Exception):
    """The image is not taken; the reason is its text. The running firmware stays as it is."""


def pack_head(image, board, seed, public):  # not on boards
    """The head for an image, signed with an Ed25519 key (32-byte seed and public key)."""
    name = board.encode()
    if not 1 <= len(name) <= 32:
        raise ValueError("a board's name has 1 to 32 bytes")
    head = _MAGIC + be32(len(image)) + hashlib.sha256(image).digest()
    head += name + bytes(32 - len(name))
    return head + crypto.ed25519_sign(seed, public, head)


def install(stream, settings, board, slot=None):
    """Take an image from `stream` (readinto) into the other slot and make it the one to start.

    Then reset the machine. Refused says why not; OSError is the flash's. `slot` is for tests.
    """
    key = settings.get(KEY)
    if key is None or len(key) != 32:
        raise Refused("no key: the setting ota.key must hold the 32 bytes of a public key")
    head = bytearray(HEAD)
    if _fill(stream, memoryview(head)) != HEAD or head[:8] != _MAGIC:
        raise Refused("this is no signed image")
    if not crypto.ed25519_verify(key, bytes(head[:_SIGNED]), bytes(head[_SIGNED:])):
        raise Refused("the signature is not by the key in the setting ota.key")
    name = bytes(head[44:_SIGNED]).rstrip(b"\0").decode()
    if name != board:
        raise Refused("the image is for the board %s" % name)
    if slot is None:
        slot = _other()
    size = u32(head, 8)
    if not 0 < size <= slot.info()[3]:
        raise Refused("the image is longer than the slot")
    digest = bytes(head[12:44])
    buf = bytearray(_BLOCK)
    if _copy(stream, slot, size, buf) != digest:
        raise Refused("the image came damaged")
    if _read_back(slot, size, buf) != digest:
        raise Refused("the flash does not hold what was written")
    settings.set(TRIAL, slot.info()[4])
    slot.set_boot()
    log.warn("ota", "%d bytes are in %s; reset to start them" % (size, slot.info()[4]))


def _other():
    from esp32 import Partition

    return Partition(Partition.RUNNING).get_next_update()


def _fill(stream, view):
    """Read until the view is full or the stream ends; how much."""
    n = 0
    while n < len(view):
        got = stream.readinto(view[n:])
        if not got:
            break
        n += got
    return n


def _copy(stream, slot, size, buf):
    view = memoryview(buf)
    seen = hashlib.sha256()
    for block in range((size + _BLOCK - 1) // _BLOCK):
        part = min(_BLOCK, size - block * _BLOCK)
        if _fill(stream, view[:part]) != part:
            raise Refused("the image ends early")
        seen.update(view[:part])
        for i in range(part, _BLOCK):
            buf[i] = 0xFF
        slot.writeblocks(block, buf)
    return seen.digest()


def _read_back(slot, size, buf):
    view = memoryview(buf)
    seen = hashlib.sha256()
    for block in range((size + _BLOCK - 1) // _BLOCK):
        slot.readblocks(block, buf)
        seen.update(view[: min(_BLOCK, size - block * _BLOCK)])
    return seen.digest()


def check(nic, within_ms=_TRIAL_MS):
    """Call after each start, when the zt.NIC was made active or could not be. Does the firmware
    that runs stand on trial?

    "trial": it has `within_ms` to come online, else the machine is reset and the boot loader goes
    back to the firmware before; at once where the node is not active. "rolled back": that has
    happened. None: neither.
    """
    label = nic.settings.text(TRIAL)
    if label is None:
        return None
    from esp32 import Partition

    if Partition(Partition.RUNNING).info()[4] != label:
        nic.settings.set(TRIAL, None)
        log.error("ota", "the firmware in %s did not come online; this is the one before" % label)
        return "rolled back"
    if not nic.active():
        _back(label)
    _guard(within_ms + _MARGIN_MS)
    began = ticks_ms()

    def judge(now, online):
        if online:
            Partition.mark_app_valid_cancel_rollback()
            _guard(0)
            nic.settings.set(TRIAL, None)
            log.warn("ota", "the firmware in %s is online and stays" % label)
            return None
        if elapsed(now, began, within_ms):
            _back(label)
        return judge

    nic.on_trial(judge)
    return "trial"


def extend(within_ms):
    """For a program that needs longer than half a minute until it calls check(): firmware on
    trial is taken back `within_ms` from now, unless check() is called and says otherwise. True
    if it is on trial, else nothing happens."""
    return _guard(within_ms or 1)  # 0 would end it


def _guard(ms):
    # What takes firmware on trial back whatever its program does; ports that start it have it.
    return hal.guard(ms) if hasattr(hal, "guard") else False


def _back(label):
    import machine

    log.error("ota", "the firmware in %s does not come online; back" % label)
    machine.reset()
