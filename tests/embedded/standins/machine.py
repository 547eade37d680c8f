# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The least of MicroPython's module machine, for the examples. A deep sleep ends the program.

memory = [b""]
said = []


class Asleep(Exception):
    pass


class Pin:
    OUT = 3

    def __init__(self, number, mode=None):
        self.number = number
        self._value = 0

    def value(self, value=None):
        if value is None:
            return self._value
        self._value = int(value)


class ADC:
    def __init__(self, pin):
        self.pin = pin

    def read_u16(self):
        return 1000 + self.pin.number


class RTC:
    def memory(self, data=None):
        if data is None:
            return memory[0]
        if len(data) > 2048:
            raise ValueError("buffer too long")
        memory[0] = bytes(data)


def deepsleep(ms):
    said.append(("deepsleep", ms))
    raise Asleep()
