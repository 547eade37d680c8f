# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# What tools/board_test.py runs on the board, as texts for its raw REPL. Each prints one JSON value
# last; `nic` stays from one to the next.

# Of the secrets only whether there is one.
READ = """
import json, zt.card, zt.settings
if zt.card.active():  # a boot.py of the board brought it up
    zt.card.active().active(False)
_s = zt.settings.default()
def _hex(name):
    v = _s.get(name)
    return None if v is None else v.hex()
print(json.dumps({
    "address": (_s.get("identity.secret") or b"")[:10].decode(),
    "planet": _hex("planet"),
    "networks": _hex("networks"),
}))
"""
IDENTITY = """
_s.set("identity.secret", %r)
_s.set("identity.public", %r)
"""
WRITE = """
import zt.settings
zt.settings.default().set(%r, bytes.fromhex(%r))
"""
REMOVE = """
import zt.settings
zt.settings.default().set(%r, None)
"""
ABOUT = """
import json, sys, zt
print(json.dumps({
    "machine": sys.implementation[2] if len(sys.implementation) > 2 else sys.platform,
    "version": "microzt " + zt.__version__,
}))
"""

# Wi-Fi by the board's settings; an emulated board has a cable.
LINK = """
import json, network, time, zt.settings
_ip = %r
_t = time.ticks_ms()
if hasattr(network, "WLAN"):
    _w = network.WLAN(network.STA_IF)
    _w.active(True)
    if not _w.isconnected():
        _s = zt.settings.default()
        _w.connect(_s.text("wifi.ssid"), _s.text("wifi.psk") or None)
else:
    _w = network.LAN()
    if _ip:
        _w.ifconfig((_ip, "255.255.255.0", "0.0.0.0", "0.0.0.0"))
    _w.active(True)
while not _w.isconnected() and time.ticks_diff(time.ticks_ms(), _t) < 30000:
    time.sleep_ms(20)
_ms = time.ticks_diff(time.ticks_ms(), _t) if _w.isconnected() else -1
print(json.dumps({"ms": _ms}))
"""
ONLINE = """
import json, time, zt
_t = time.ticks_ms()
import zt.card
nic = zt.card.active() or zt.NIC()
nic.active(True)
while not nic.status("online") and time.ticks_diff(time.ticks_ms(), _t) < %d:
    time.sleep_ms(5)
assert nic.status("online"), "no root answers"
print(json.dumps({"ms": time.ticks_diff(time.ticks_ms(), _t)}))
"""
JOINED = """
_t = time.ticks_ms()
if %r:
    nic.join(%r)
while not nic.isconnected() and time.ticks_diff(time.ticks_ms(), _t) < %d:
    time.sleep_ms(5)
print(json.dumps({
    "ms": time.ticks_diff(time.ticks_ms(), _t) if nic.isconnected() else -1,
    "status": nic.status(),
    "ip": nic.ipconfig("addr4")[0],
}))
"""
SLEEP = """
import time
time.sleep_ms(%d)
"""
PING = """
print(json.dumps({"ms": [nic.ping(%r) for _ in range(%d)]}))
"""
SINK = """
import json, time, zt
_l = zt.socket.socket()
_l.setsockopt(zt.socket.SOL_SOCKET, zt.socket.SO_REUSEADDR, 1)
_l.bind(zt.socket.getaddrinfo("0.0.0.0", %d)[0][-1])
_l.listen(1)
print("listening")
_c, _ = _l.accept()
_buf = bytearray(1400)
_all = _n = _c.readinto(_buf)
_t = time.ticks_ms()
while _n == 1400 and not _buf[0]:  # whole pieces; the last one begins with 1
    _n = _c.readinto(_buf)
    _all += _n
_ms = time.ticks_diff(time.ticks_ms(), _t)
_c.close()
_l.close()
print(json.dumps({"bytes": _all, "ms": _ms}))
"""
SOURCE = """
import json, time, zt
_c = zt.socket.socket()
_c.connect(zt.socket.getaddrinfo(%r, %d)[0][-1])
_piece = bytes(1400)
_t = time.ticks_ms()
_all = 0
while time.ticks_diff(time.ticks_ms(), _t) < %d:
    _all += _c.write(_piece)
_c.close()
time.sleep_ms(500)
print(json.dumps({"bytes": _all}))
"""
MEMORY = """
import gc, json, zt
gc.collect()
try:
    _m = zt.memory()
except (ImportError, AttributeError):
    _m = {}
print(json.dumps({"used": gc.mem_alloc(), "free": gc.mem_free(), "node": _m}))
"""
# The radio goes and comes back; then the board only waits.
RADIO = """
import time, network, zt.settings
_w = network.WLAN(network.STA_IF)
_w.disconnect()
_w.active(False)
time.sleep_ms(%d)
_s = zt.settings.default()
_w.active(True)
_w.connect(_s.text("wifi.ssid"), _s.text("wifi.psk") or None)
print("radio on")
time.sleep(3600)
"""
STATUS = """
print(json.dumps({
    "status": nic.status(),
    "ip": nic.ipconfig("addr4")[0],
    "joined as": [id(n) for n in nic.node.vl2.networks.values()],  # another after a new join
}))
"""
