# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What to do about what esptool, the chip's ROM, its bootloader or MicroPython say: texts to look
# for, in the order of how much they explain, and advice. Texts of esptool 4 and 5 from its source,
# those of the chip from Espressif's.

import re

_TROUBLE = (
    (
        r"Permission denied|Errno 13",
        "no permission for the port: add yourself to the group it belongs to (dialout on Debian: "
        "adduser NAME dialout) and log in again",
    ),
    (
        r"Errno 2\]|No such file or directory|FileNotFoundError",
        "there is no such port: plug the board in, with a cable that has data lines, and look at "
        "the ports below",
    ),
    (
        r"Errno 11|Errno 16|exclusively lock|Access is denied|Resource busy",
        "the port is in use: close the terminal program that has it open",
    ),
    (
        r"Wrong boot mode detected",
        "the board started its program instead of the loader: hold BOOT (GPIO0; GPIO9 on a C3), "
        "press and release RESET, let BOOT go, and run this again",
    ),
    (
        r"getting no sync reply",
        "the board hears nothing: the line to its RX is open; check the wiring of the adapter",
    ),
    (
        r"No serial data received",
        "nothing answers on this port: is it the board's? If so hold BOOT (GPIO0; GPIO9 on a C3) "
        "while this connects; some boards cannot be reset by the adapter",
    ),
    (
        r"Invalid head of packet|Possible serial noise",
        "something else talks on this port: another device, or a program that does not stop; hold "
        "BOOT while this connects, or try --baud 115200",
    ),
    (
        r"This chip is (?P<a>[\w-]+), not (?P<b>[\w-]+)",
        "the chip is another one than the image is for: choose the board that has it with BOARD=",
    ),
    (r"is not an? ESP32[\w-]* image", "the image is for another chip: choose the right BOARD="),
    (
        r"requires chip revision",
        "the chip is older than this build supports; build with a lower minimum revision",
    ),
    (
        r"Secure Boot detected|Secure Download Mode|Flash Encryption|encrypt functionality",
        "this chip is locked by its fuses (secure boot or flash encryption); it takes only images "
        "signed for it",
    ),
    (
        r"will not fit in \d+ bytes of flash|doesn't fit|Detected size",
        "the image is larger than the flash: build it for a smaller one",
    ),
    (
        r"Failed to set baud rate|Unable to verify flash chip connection|Failed to start stub",
        "the link is not reliable at this speed: try --baud 115200, a shorter cable, no hub",
    ),
    (
        r"MD5 of file does not match|Hash of data does not match|Corrupt data|Digest mismatch",
        "what was written is not what is read back: a worn or badly powered flash; try again with "
        "--baud 115200 and another cable",
    ),
    (
        r"chip stopped responding|Packet content transfer stopped|Serial data stream stopped|"
        r"Lost connection|device disconnected|returned no data|Input/output error|Write timeout",
        "the board went away in the middle: mostly power or cable; another port, no hub, and try "
        "again; until then the board does not start",
    ),
    (
        r"No module named|not found",
        "esptool is missing: run it by `make flash`, which installs it",
    ),
)

# (text, what it means, is it the end)
_BOOT = (
    (
        rb"Brownout detector was triggered",
        "the supply collapses when the radio starts: another cable or port, no hub, a supply of "
        "500 mA and more, 10 uF and more at 3.3 V",
    ),
    (
        rb"waiting for download|DOWNLOAD\(|DOWNLOAD_BOOT",
        "the chip waits for a download: BOOT (GPIO0; GPIO9 on a C3) is held or pulled low; let it "
        "go and press RESET",
    ),
    (
        rb"Detected size\(\d+k\) smaller than the size in the binary image header",
        "the image is for a larger flash than the board has: build it for the smaller one",
    ),
    (
        rb"PSRAM ID read error|PSRAM chip not found|Failed to init external RAM",
        "the image expects PSRAM and finds none: take the variant without PSRAM (or the other "
        "kind: quad and octal differ)",
    ),
    (
        rb"No bootable app partitions|image corrupted|Image hash failed|Checksum failed|"
        rb"invalid segment length",
        "the application is not whole: flash it again, with --baud 115200",
    ),
    (
        rb"Image requires (?:efuse )?(?:blk|chip) rev",
        "the chip is older than this build supports; build with a lower minimum revision",
    ),
    (
        rb"invalid header: 0x|flash read err|ets_main\.c",
        "there is no bootloader where the chip looks for it: the image is for another chip, or "
        "the flash was not written; flash it again",
    ),
    (
        rb"Guru Meditation Error|abort\(\) was called|assert failed",
        "the firmware crashed at its start; please report the lines above with board and chip",
    ),
)
_RESETS = 4
_UNRELIABLE = (
    r"Failed to set baud rate|Unable to verify flash chip|Failed to start stub|Corrupt data|"
    r"Invalid head of packet|stopped responding|transfer stopped|stream stopped"
)


def of_esptool(text):
    """What to do about a failed run of esptool; None if its words are not known."""
    for pattern, advice in _TROUBLE:
        if re.search(pattern, text):
            return advice
    return None


def wants_slower(text):
    """Is it worth another attempt at 115200 baud?"""
    return "Failed to connect" not in text and re.search(_UNRELIABLE, text) is not None


def of_boot(log):
    """What a boot log shows to be wrong, or None."""
    for pattern, advice in _BOOT:
        if re.search(pattern, log):
            return advice
    if len(re.findall(rb"rst:0x", log)) >= _RESETS:
        return (
            "it starts again and again without saying why: power first (cable, hub), then the "
            "variant of the image (PSRAM, flash size)"
        )
    return None


def readable(log):
    """Share of the bytes that a terminal shows as they are; low means another speed or device."""
    if not log:
        return 1.0
    good = sum(1 for b in log if 32 <= b < 127 or b in b"\r\n\t\x1b")
    return good / len(log)
