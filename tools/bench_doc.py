#!/usr/bin/env python3
# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Writes what `make bench` and `make bench-embedded` measured into docs/performance.md, its picture
# and README.md: the tables between "<!-- bench NAME -->" and "<!-- end -->", from build/bench.json
# and build/bench-embedded.json; a table whose file is missing stays as it is. The text around the
# tables is not touched. --note TEXT is put below the machine's line ("preliminary", say).
#
# usage: bench_doc.py [--note TEXT]

import argparse
import json
import os
import re
import sys

import bench_svg

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join("docs", "performance.md")
PICTURE = os.path.join("docs", "curve.svg")
SIZES = (1, 10, 100, 1000)
CURVES = (
    ("rx_64", "in, 64 bytes"),
    ("tx_64", "out, 64 bytes"),
    ("rx_1400", "in, 1,400 bytes"),
    ("tx_1400", "out, 1,400 bytes"),
)

# Table -> rows of (name in bench.json, what it is).
TABLES = {
    "traffic": (
        ("tcp_ratio", "TCP, one stream, node to node: times libzt's"),
        ("tcp_one_stream", "the same"),
        ("tcp_tap", "TCP, one stream, `--tap` on both sides, iperf3"),
        ("udp_64_ratio", "64-byte frames a second, UDP: of a bare pair of sockets"),
        ("udp_64_received", "received"),
        ("udp_64_offered", "offered"),
        ("udp_64_lost", "lost"),
        ("udp_64_of_batched", "against a bare pair with UDP_SEGMENT and UDP_GRO"),
        ("ping_added", "ping in the process, idle direct path, over the bare veth: medians"),
        ("ping_added_least", "least over least"),
        ("ping_added_tap", "the same with `--tap` on both sides: medians"),
        ("ping_added_tap_least", "least over least"),
    ),
    "node": (
        ("start_to_online", "start to ONLINE"),
        ("start_to_network_ok", "start to network OK"),
        ("resident_memory", "resident memory after 1 GB of TCP, receiver"),
        ("resident_growth", "growth since the first second of it"),
        ("resident_memory_sender", "sender"),
        ("resident_memory_tap", "with `--tap`"),
    ),
    "crypto": (
        ("seal_1400_mib_s", "seal, 1,400 bytes"),
        ("open_1400_mib_s", "open, 1,400 bytes"),
        ("seal_92_mib_s", "seal, 92 bytes"),
        ("open_92_mib_s", "open, 92 bytes"),
        ("salsa20_12_mib_s", "Salsa20/12, 16 KiB"),
        ("poly1305_mib_s", "Poly1305, 16 KiB"),
        ("agree_ms", "agreement, from Python"),
        ("sign_ms", "signature, from Python"),
        ("verify_ms", "verification, from Python"),
        ("identity_generation_mean_s", "making an identity, mean"),
        ("identity_generation_p90_s", "making an identity, 9 of 10 below"),
    ),
    "readme": (
        ("start_to_online", "start to ONLINE"),
        ("start_to_network_ok", "start to network OK"),
        ("tcp_one_stream", "TCP, one stream"),
        ("tcp_tap", "the same with `--tap`, under iperf3"),
        ("udp_64_received", "64-byte UDP frames a second, each node on one core"),
        ("resident_memory", "resident memory after 1 GB"),
        ("seal_1400_mib_s", "seal, 1,400 bytes"),
        ("agree_ms", "agreement"),
        ("identity_generation_mean_s", "making an identity, mean"),
    ),
}
EMBEDDED = (
    ("seal_1400_instr_per_byte", "seal, 1,400 bytes"),
    ("open_1400_instr_per_byte", "open, 1,400 bytes"),
    ("seal_92_instr", "seal, 92 bytes"),
    ("x25519_instr", "X25519"),
    ("sign_instr", "signature"),
    ("verify_instr", "verification"),
    ("core_code_bytes", "code of the core, -Os"),
    ("plane_8_peers_bytes", "plane of a board: 8 peers, 4 networks"),
    ("plane_peer_bytes", "a peer"),
    ("plane_network_bytes", "a network"),
    ("plane_member_bytes", "a member"),
    ("plane_event_bytes", "a record for Python, beside its bytes"),
    ("plane_fixed_bytes", "the rest, with the buffer for LZ4"),
)

BOARD = (
    ("flash_added_kb", "flash added to the same firmware with lwIP and asyncio"),
    ("firmware_flash_kb", "flash, the whole firmware"),
    ("firmware_static_ram_kb", "static RAM, the whole firmware"),
    ("node_ram_kb", "RAM of the node, with 8 peers: heap, statics, tables and slots"),
    ("node_heap_boot", "heap of `lib/zt`, booted"),
    ("node_heap_online", "online"),
    ("node_heap_joined", "joined"),
    ("node_heap_8_peers", "with 8 peers"),
    ("node_static", "statics of `firmware/`"),
    ("node_tables", "tables of the plane, the network's interface"),
    ("node_slots", "slots of the wires, when all six are at work"),
    ("heap_free_8_peers_kb", "heap left for the application, with 8 peers"),
    ("heap_largest_free_8_peers_kb", "in one piece"),
    ("boot_to_network_instr", "power-on to network OK"),
    ("tcp_in_ratio", "TCP in: of plain TCP on the same firmware"),
    ("tcp_network_in_instr_per_byte", "through the network"),
    ("tcp_plain_in_instr_per_byte", "plain"),
    ("tcp_out_ratio", "TCP out: of plain TCP on the same firmware"),
    ("tcp_network_out_instr_per_byte", "through the network"),
    ("tcp_plain_out_instr_per_byte", "plain"),
)


def load(name):
    """{row name: row} of build/NAME, empty where it was not measured."""
    path = os.path.join(TOP, "build", name)
    if not os.path.exists(path):
        return {}
    with open(path) as f:
        return {r["name"]: r for r in json.load(f)}


def number(v):
    if isinstance(v, str):
        return v
    if isinstance(v, float) and abs(v) < 100:
        return "%.3g" % v
    return "{:,}".format(round(v))


def measure(r, value):
    if r["unit"].startswith("KiB"):
        return "%.1f %s" % (value, r["unit"])  # to the tenth, as near a target as they are
    return ("%s %s" % (number(value), r["unit"])).strip()


def target(r):
    if r["target"] is None:
        return ""
    least = r["unit"] in ("Mbit/s", "MiB/s", "frames/s") or r["unit"].startswith("of ")
    least = least or r["unit"] in ("1000 peers of 1", "KiB free")
    return number(r["target"]) + (" or more" if least else " or less")


def met(r):
    if r["target"] is None:
        return ""
    more = target(r).endswith("more")
    good = r["value"] >= r["target"] if more else r["value"] <= r["target"]
    return "" if good else " **(missed)**"


def table(rows, names):
    lines = ["| | measured | target | beside it | command |", "|---|---:|---:|---|---|"]
    for name, text in names:
        if name not in rows:
            continue
        r = rows[name]
        peer = "%s: %s" % (r["peer"], number(r["peer_value"])) if r["peer"] else ""
        cells = (text, measure(r, r["value"]) + met(r), target(r), peer, "`%s`" % r["command"])
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def short_table(rows, names):
    lines = ["| | microzt | beside it |", "|---|---:|---|"]
    for name, text in names:
        if name in rows:
            r = rows[name]
            peer = "%s: %s" % (r["peer"], number(r["peer_value"])) if r["peer"] else ""
            lines.append("| %s | %s | %s |" % (text, measure(r, r["value"]), peer))
    return lines


def curve_table(rows):
    head = "| frames a second of one core | 1 peer | 10 | 100 | 1,000 | 1,000 of 1 |"
    lines = [head, "|---|---:|---:|---:|---:|---:|"]
    for prefix, what in (("node", "node"), ("plane", "plane alone")):
        for key, text in CURVES:
            name = "%s_%s" % (prefix, key)
            if name + "_ratio" not in rows:
                continue
            cells = [number(rows["%s_%d" % (name, n)]["value"]) for n in SIZES]
            r = rows[name + "_ratio"]
            cells.append("%.0f %%%s" % (100 * r["value"], met(r)))
            lines.append("| %s, %s | %s |" % (what, text, " | ".join(cells)))
    for name, text, unit in (
        ("node_memory_%d", "node, resident", "MB"),
        ("plane_tables_%d", "plane's tables", "KB"),
        ("node_upkeep_%d", "node, each peer a frame a second", "%"),
    ):
        if name % 1 in rows:
            values = [rows[name % n]["value"] for n in SIZES]
            cells = ["%.1f %s" % (v / 1000 if unit == "KB" else v, unit) for v in values]
            lines.append("| %s | %s | |" % (text, " | ".join(cells)))
    return lines


def picture(rows):
    panels = []
    for prefix, title in (("node", "one node, its own core"), ("plane", "the plane alone")):
        lines = []
        for key, text in CURVES:
            name = "%s_%s" % (prefix, key)
            if name + "_1" in rows:
                first = rows[name + "_1"]["value"]
                values = [100 * rows["%s_%d" % (name, n)]["value"] / first for n in SIZES]
                lines.append((text, values))
        panels.append((title, "% of 1 peer", lines, 90))
    memory = [
        ("node, resident", [rows["node_memory_%d" % n]["value"] for n in SIZES]),
        ("of it the tables", [rows["plane_tables_%d" % n]["value"] / 1e6 for n in SIZES]),
    ]
    panels.append(("memory", "MB", memory, None))
    return bench_svg.draw(panels, SIZES)


def core_table(rows):
    """What the core alone does and takes: all that is not the board's."""
    known = [name for name, _ in EMBEDDED + BOARD]
    more = [n for n in rows if n not in known and not n.startswith("core_code_bytes_")]
    names = list(EMBEDDED) + [
        (n, "`%s`" % n) for n in more if not n.startswith(("seal", "open", "plane"))
    ]
    return table(rows, names)


def sizes_table(rows):
    lines = ["| file | bytes, rv32imc -Os |", "|---|---:|"]
    prefix = "core_code_bytes_"
    found = [(r["value"], n[len(prefix) :]) for n, r in rows.items() if n.startswith(prefix)]
    lines += ["| %s | %s |" % (name, number(v)) for v, name in sorted(found, reverse=True)]
    return lines


def replace(text, name, lines):
    pattern = r"(<!-- bench %s -->\n).*?(<!-- end -->)" % name
    if not re.search(pattern, text, re.S):
        raise SystemExit("bench_doc: no place for '%s'" % name)
    body = "\n".join(lines) + "\n"
    return re.sub(pattern, lambda m: m.group(1) + body + m.group(2), text, flags=re.S)


def write(path, text):
    with open(os.path.join(TOP, path), "w") as f:
        f.write(text)


def read(path):
    with open(os.path.join(TOP, path)) as f:
        return f.read()


def main():
    parser = argparse.ArgumentParser(description="Write measured figures into the documents.")
    parser.add_argument("--note", help="a sentence about the figures")
    args = parser.parse_args()
    rows, board = load("bench.json"), load("bench-embedded.json")
    if not rows and not board:
        raise SystemExit("bench_doc: nothing measured; run make bench, make bench-embedded")
    page = read(PAGE)
    if rows:
        machine = [rows["machine"]["value"] + "."] + ([args.note] if args.note else [])
        page = replace(page, "machine", machine)
        for name in ("traffic", "node", "crypto"):
            page = replace(page, name, table(rows, TABLES[name]))
        short = short_table(rows, TABLES["readme"])
        write("README.md", replace(read("README.md"), "readme", machine + [""] + short))
        if "node_memory_1" in rows:
            page = replace(page, "curve", curve_table(rows))
            write(PICTURE, picture(rows))
    if board:
        page = replace(page, "embedded", core_table(board))
        page = replace(page, "board", table(board, BOARD))
        page = replace(page, "sizes", sizes_table(board))
    write(PAGE, page)
    print("written: %s, README.md, %s" % (PAGE, PICTURE))


if __name__ == "__main__":
    sys.exit(main())
