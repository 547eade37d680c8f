# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# How deep lwIP's task can get on an ESP32 with the data plane in it: the frames of all calls,
# added up along the worst way, by the compiler's own account of every function's frame and calls
# (rv32imc, as on the C3). Our files and lwIP 2.2.1's; what is ESP-IDF's below them has an
# allowance. A call through a pointer that this file does not know fails, so that no way is
# forgotten.
#
# The way is bounded by what the code guarantees, and told here: a datagram of the board's wire
# becomes a frame of a network once, since a datagram out of a network never gets to a wire
# (zt_hal_lwip.c), and a frame of a network goes out by a wire once, since a wire sends into the
# board's own interfaces only.
# cpython-only: a cross compiler

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from _esp32 import LWIP, MODULES, generated, need, run, sources
from test_esp32_compile import GCC, flags

STACK = 7680  # CONFIG_LWIP_TCPIP_TASK_STACK_SIZE
BAR = STACK * 3 // 4
# Of ESP-IDF, by our estimate: Wi-Fi's output, waking another task, and the rest (memory, locks).
ALLOWANCE = {"WIFI": 1024, "EVENT": 256}
OTHER = 256
# An Xtensa frame has 16 bytes for the caller's registers and is a multiple of 16 with them.
XTENSA_MORE = 32
SPARE = 1024  # for interrupts, which begin on the stack of whom they interrupt
FRAME_MAX = 256

TIMERS = (
    "acd_tmr arp_timer dhcp_coarse_tmr dhcp_fine_tmr dns_tmr etharp_tmr igmp_tmr ip6_reass_tmr "
    "ip_reass_tmr mld6_tmr __wrap_nd6_tmr tcp_tmr"
).split()
TCP = "accept_function err_tcp poll_tcp recv_tcp sent_tcp lwip_netconn_do_connected".split()
GROUPS = ["group_changed4", "group_changed6"]
IP6 = ["zt_netif_output6", "ethip6_output"]
WAKES = (
    "accept_function err_tcp lwip_netconn_do_close_internal lwip_netconn_do_connected poll_tcp "
    "lwip_netconn_do_delconn lwip_netconn_do_writemore recv_raw recv_tcp recv_udp sent_tcp"
).split()
# Caller -> whom it may call through a pointer.
POINTERS = {
    "tcpip_thread": ["ethernet_input", "entered", "netif_poll"],  # and lwIP's API messages
    "entered": [],  # what Python enters with, from the sources
    "with_plane": [],
    "sys_check_timeouts": ["tcpip_tcp_timer", "lwip_cyclic_timer", "solicit_new"],
    "lwip_cyclic_timer": TIMERS,
    "ip4_output_if_opt_src": ["etharp_output"],
    "ip4_frag": ["etharp_output"],
    "ip6_output_if_src": IP6,
    "ip6_frag": IP6,
    "nd6_send_q": IP6,
    "raw_input": ["recv_raw", "pong"],
    "pbuf_free": ["owned_free", "slot_free"],
    "owned_free": [],  # nobody lends frames on a board
    "deliver": ["zt_hal_nic_input"],
    "begin": ["wire_get"],
    "finish": ["wire_put"],
    "give_back": ["wire_put"],
    "zt_event_put": ["kick"],
    "zt_netif_link_output": ["zt_plane_linkoutput"],
    "netif_invoke_ext_callback": ["changed"],
    "netif_add": ["netif_start"],
    "dns_call_found": ["lwip_netconn_do_dns_found"],
    "igmp_joingroup_netif": GROUPS,
    "igmp_leavegroup_netif": GROUPS,
    "igmp_start": GROUPS,
    "igmp_stop": GROUPS,
    "mld6_joingroup_netif": GROUPS,
    "mld6_leavegroup_netif": GROUPS,
    "mld6_stop": GROUPS,
    "acd_arp_reply": [],  # of addresses by DHCP and AutoIP, in a network there are none
    "acd_netif_ip_addr_changed": [],
    "acd_restart": [],
    "acd_tmr": [],
}
POINTERS.update({caller: ["EVENT"] for caller in WAKES})
for caller in "tcp_abandon tcp_input tcp_input_delayed_close tcp_process_refused_data".split():
    POINTERS[caller] = TCP
POINTERS["tcp_slowtmr"] = TCP
WRAPPED = {"nd6_input": "__wrap_nd6_input", "__real_nd6_input": "nd6_input"}
WRAPPED.update({"nd6_tmr": "__wrap_nd6_tmr", "__real_nd6_tmr": "nd6_tmr"})


def base(name):
    return name.split(":")[-1].split(".")[0]


def entries():
    """The functions Python has called in lwIP's task."""
    found = []
    hal = ("zthal/modzthal", "zthal/zt_hal_board")
    for name in ("ztplane/zt_plane_run", "ztnet/zt_nic_py", *hal):
        with open(os.path.join(MODULES, name + ".c")) as f:
            found += re.findall(r"^static int (\w+)\(void \*arg\)", f.read(), re.M)
    assert len(found) > 30
    return found


class Graph:
    """frames {function: bytes}; calls {function: set}. A static one's name has its file in it."""

    def __init__(self, folder):
        self.frames, self.calls, self.named = {}, {}, {}
        for name in os.listdir(folder):
            if name.endswith(".ci"):
                with open(os.path.join(folder, name)) as f:
                    self._read(f.read())
        for name in self.frames:
            self.named.setdefault(base(name), []).append(name)
        POINTERS["entered"] = entries()
        POINTERS["with_plane"] = [n for n in entries() if n != "with_plane"]
        api = [n for n in self.named if n.startswith("lwip_netconn_do_")]
        POINTERS["tcpip_thread"] = ["ethernet_input", "entered", "netif_poll", *api]

    def _read(self, text):
        for name, label in re.findall(r'node: \{ title: "([^"]+)" label: "([^"]*)"', text):
            frame = re.search(r"\\n(\d+) bytes \((\w+)", label)
            if frame:
                assert frame.group(2) == "static", label  # no frame of unknown size
                self.frames[name] = int(frame.group(1))
        for caller, callee in re.findall(r'sourcename: "([^"]+)" targetname: "([^"]+)"', text):
            self.calls.setdefault(caller, set()).add(callee)

    def _pointed(self, caller, inside, outside):
        name = base(caller)
        if name == "ethernet_output":
            names = ["WIFI"] if outside else ["WIFI", "zt_netif_link_output"]
        elif name == "udp_input":
            names = ["recv_udp", "dns_recv", "dhcp_recv"] + ([] if inside else ["zt_hal_received"])
        else:
            assert name in POINTERS, "calls by a pointer nobody told of: " + caller
            names = POINTERS[name]
        return [x for n in names for x in self.named.get(n, [n] if n in ALLOWANCE else [])]

    def next(self, state):
        """States called: (function, a frame of a network?, on its way out by a wire?)."""
        caller, inside, outside = state
        for callee in sorted(self.calls.get(caller, ())):
            callee = WRAPPED.get(callee, callee)
            pointed = callee == "__indirect_call"
            for name in self._pointed(caller, inside, outside) if pointed else [callee]:
                yield (
                    name,
                    inside or base(name) == "zt_hal_nic_input",
                    outside or base(name) == "zt_plane_linkoutput",
                )

    def weight(self, state, more):
        name = state[0]
        return self.frames[name] + more if name in self.frames else ALLOWANCE.get(name, OTHER)

    def groups(self, root):
        """States that call each other in a circle are a group; it comes after all it calls."""
        index, low, on, stack, made = {}, {}, set(), [], []

        def visit(v):
            index[v] = low[v] = len(index)
            stack.append(v)
            on.add(v)
            for w in self.next(v):
                if w not in index:
                    visit(w)
                    low[v] = min(low[v], low[w])
                elif w in on:
                    low[v] = min(low[v], index[w])
            if low[v] == index[v]:
                group = stack[stack.index(v) :]
                del stack[stack.index(v) :]
                on.difference_update(group)
                made.append(group)

        visit(root)
        return made

    def deepest(self, more=0):
        """(bytes, [(bytes from here, names)]) of the worst way. A circle counts once, as a whole:
        what goes round in one is bounded by lwIP (a message in pieces, an aborted connection)."""
        (root,) = self.named["tcpip_thread"]
        worst, where = [], {}
        for k, group in enumerate(self.groups((root, False, False))):
            for state in group:
                where[state] = k
            called = {where[w] for v in group for w in self.next(v)} - {k}
            then = max(called, key=lambda g: worst[g][0], default=None)
            own = sum(self.weight(v, more) for v in group)
            names = sorted({base(v[0]) for v in group})
            worst.append((own + (worst[then][0] if then is not None else 0), names, then))
        way, k = [], len(worst) - 1
        while k is not None:
            way.append(worst[k][:2])
            k = worst[k][2]
        return worst[-1][0], way, {v[0] for v in where}


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    need(GCC)
    folder = str(tmp_path_factory.mktemp("stack"))
    more = [f for f in flags(folder, "ZT_ESP32_C3", "esp32c3") if not f.endswith("lwip_2_1")]
    generated(folder, more)
    lwip = [os.path.join(LWIP, "src", "netif", "ethernet.c")]
    lwip += [os.path.join(LWIP, "src", "api", n) for n in ("api_msg.c", "tcpip.c")]
    for where in ("core", "core/ipv4", "core/ipv6"):
        where = os.path.join(LWIP, "src", where)
        lwip += [os.path.join(where, n) for n in sorted(os.listdir(where)) if n.endswith(".c")]
    machine = ["-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs", "-std=gnu17"]
    hooks = '-DESP_IDF_LWIP_HOOK_FILENAME="zt_hooks_esp32.h"'

    def compile(path):
        out = os.path.join(folder, os.path.basename(path) + ".o")
        how = ["-Os", "-w", "-fcallgraph-info=su", hooks, *more]
        run([GCC[0], *machine, *how, "-c", "-o", out, path])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(compile, lwip + sources()))
    return Graph(folder)


def test_the_worst_way_fits_the_stack_of_lwips_task(graph):
    sys.setrecursionlimit(10000)
    total, way, _ = graph.deepest()
    xtensa, _, _ = graph.deepest(XTENSA_MORE)
    for left, names in way:
        print("%5d  %s" % (left, " ".join(names)))
    print("rv32imc %d bytes, Xtensa at most %d, of %d" % (total, xtensa, STACK))
    names = {n for _, group in way for n in group}
    assert names >= {"zt_hal_received", "zt_plane_rx", "zt_plane_tx", "zt_wire_send", "WIFI"}
    assert total <= BAR
    assert xtensa <= STACK - SPARE


def test_no_large_buffer_is_on_that_stack(graph):
    sys.setrecursionlimit(10000)
    _, _, reached = graph.deepest()
    known = [n for n in reached if n in graph.frames]
    frames = sorted(((graph.frames[n], base(n)) for n in known), reverse=True)
    print(frames[:8])
    assert len(frames) > 300
    assert frames[0][0] <= FRAME_MAX


def test_a_pointer_nobody_told_of_is_noticed(graph):
    saved = POINTERS.pop("deliver")
    try:
        with pytest.raises(AssertionError, match="nobody told of"):
            graph.deepest()
    finally:
        POINTERS["deliver"] = saved
