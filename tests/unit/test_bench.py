# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The tools that measure: how a rate is searched, that one part's failure leaves the others' rows,
# what of the figures comes into the documents. Nothing is timed here.
# cpython-only: tools of the host

import json
import os
import sys
import xml.etree.ElementTree as ElementTree

import pytest

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(TOP, "tools"))

import bench  # noqa: E402
import bench_board  # noqa: E402
import bench_curve  # noqa: E402
import bench_doc  # noqa: E402
import bench_embedded  # noqa: E402
import bench_svg  # noqa: E402
import bench_udp  # noqa: E402
from bench_lab import Unmeasured  # noqa: E402
from bench_row import row  # noqa: E402


class Side:
    """Loses what is above its capacity, and can send no more than `most`."""

    name = "side"

    def __init__(self, capacity, most):
        self.capacity = capacity
        self.most = most

    def run(self, rate, ms):
        sent = self.most if rate == 0 else min(rate, self.most)
        return sent, min(sent, self.capacity), 1.0


def test_the_highest_rate_without_loss_is_found():
    assert bench_udp.search(Side(1000, 900), 1) == 0, "the sender is the limit"
    found = bench_udp.search(Side(100000, 900000), 1)
    assert 97000 <= found <= 101010
    assert bench_udp.figures(Side(100, 200).run(0, 1)) == (200, 100, 0.5)


def test_the_median_is_of_turns_with_little_loss():
    assert bench_udp.median([(9, 9, 0.5), (1, 1, 0), (3, 3, 0), (2, 2, 0)]) == (2, 2, 0)
    assert bench_udp.median([(9, 9, 0.5)]) == (9, 9, 0.5)


def _run(monkeypatch, folder, parts, *words):
    out = os.path.join(str(folder), "bench.json")
    monkeypatch.setattr(bench, "OUT", out)
    monkeypatch.setattr(bench, "PARTS", parts)
    monkeypatch.setattr(sys, "argv", ["bench.py", *words])
    status = bench.main()
    with open(out) as f:
        return status, {r["name"]: r for r in json.load(f)}


def _part(name, value):
    return (name, lambda world, quick: [row(name + "_row", value, "s")], False, False)


def _fails(world, quick):
    raise Unmeasured("no such thing here")


def test_a_part_that_fails_leaves_the_rows_of_the_others(monkeypatch, tmp_path, capsys):
    parts = (_part("a", 1), ("b", _fails, False, False), _part("c", 3))
    status, rows = _run(monkeypatch, tmp_path, parts)
    assert status == 1 and sorted(rows) == ["a_row", "c_row", "machine"]
    assert "b is not measured: no such thing here" in capsys.readouterr().err
    assert sorted(rows["a_row"]) == sorted(
        ("name", "value", "unit", "target", "peer", "peer_value", "command")
    )


def test_a_part_alone_can_keep_what_was_measured_before(monkeypatch, tmp_path):
    _run(monkeypatch, tmp_path, (_part("a", 1), _part("c", 3)))
    status, rows = _run(
        monkeypatch, tmp_path, (_part("a", 2), _part("c", 4)), "--only", "a", "--keep"
    )
    assert status == 0 and rows["a_row"]["value"] == 2 and rows["c_row"]["value"] == 3
    status, rows = _run(monkeypatch, tmp_path, (_part("a", 5), _part("c", 4)), "--only", "a")
    assert sorted(rows) == ["a_row", "machine"]


def test_tables_say_what_missed_its_target():
    rows = {
        "a": row("a", 400.0, "Mbit/s", 504, "them", 300, "make it"),
        "b": row("b", 0.2, "s", 0.3),
        "c": row("c", 70, "us", 60),
    }
    lines = bench_doc.table(rows, (("a", "A"), ("missing", "M"), ("b", "B"), ("c", "C")))
    assert lines[2:] == [
        "| A | 400 Mbit/s **(missed)** | 504 or more | them: 300 | `make it` |",
        "| B | 0.2 s | 0.3 or less |  | `make bench` |",
        "| C | 70 us **(missed)** | 60 or less |  | `make bench` |",
    ]


def test_only_what_is_between_the_marks_is_replaced():
    text = "before\n<!-- bench x -->\nold\n<!-- end -->\nafter <!-- bench y -->\n<!-- end -->"
    new = bench_doc.replace(text, "x", ["n1", "n2"])
    assert new == text.replace("old", "n1\nn2")
    with pytest.raises(SystemExit):
        bench_doc.replace(text, "z", [])


def test_the_page_and_the_readme_have_a_place_for_each_table():
    page = bench_doc.read(bench_doc.PAGE)
    for name in ("machine", "traffic", "node", "crypto", "curve", "embedded", "board", "sizes"):
        bench_doc.replace(page, name, [])
    bench_doc.replace(bench_doc.read("README.md"), "readme", [])


def _curve_rows():
    rates = {
        (way, frame, n): 1000000 - n * frame
        for way in ("rx", "tx")
        for frame in bench_curve.FRAMES
        for n in bench_curve.SIZES
    }
    found = bench_curve.curve("node", rates) + bench_curve.curve("plane", rates)
    found += [row("node_memory_%d" % n, 3 + n / 100, "MB") for n in bench_curve.SIZES]
    found += [row("plane_tables_%d" % n, 300 * n, "bytes") for n in bench_curve.SIZES]
    return {r["name"]: r for r in found}


def test_the_curve_is_a_table_and_a_picture():
    rows = _curve_rows()
    assert rows["node_rx_64_ratio"]["value"] == round(936000 / 999936, 3)
    lines = bench_doc.curve_table(rows)
    assert "| node, in, 64 bytes | 999,936 | 999,360 | 993,600 | 936,000 | 94 % |" in lines
    root = ElementTree.fromstring(bench_doc.picture(rows))
    curves = [e for e in root if e.tag.endswith("polyline")]
    assert len(curves) == 4 + 4 + 2


def test_points_of_a_curve_are_where_they_belong():
    lines = [("a", [100, 100, 90, 80])]
    root = ElementTree.fromstring(bench_svg.draw([("t", "%", lines, 90)], (1, 10, 100, 1000)))
    points = [e.get("points") for e in root if e.tag.endswith("polyline")][0]
    xy = [[float(v) for v in p.split(",")] for p in points.split()]
    assert [p[0] for p in xy] == sorted(p[0] for p in xy)
    assert xy[0][1] == xy[1][1] < xy[2][1] < xy[3][1]
    assert abs((xy[3][1] - xy[2][1]) - (xy[2][1] - xy[1][1])) < 0.2

def _stage(heap):
    return {
        "node_heap": heap,
        "static": 12000,
        "tables": 34388,
        "slots": 9648,
        "node": heap + 12000 + 34388 + 9648,
        "heap_free": 130 * 1024,
        "heap_largest_free": 100 * 1024,
    }


def test_each_row_of_the_board_has_its_line_on_the_page():
    assert sorted(name for name, _ in bench_doc.BOARD) == sorted(bench_board.ROWS)
    stages = {"boot": 50000, "online": 51000, "joined": 56000, "8_peers": 80000}
    made = bench_board.memory_rows({name: _stage(heap) for name, heap in stages.items()})
    made += [bench_board.row("flash_added_kb", 199.9), bench_board.row("tcp_in_ratio", 0.2)]
    assert {r["command"] for r in made} == {"make bench-embedded"}
    lines = bench_doc.table({r["name"]: r for r in made}, bench_doc.BOARD)
    assert [[c.strip() for c in x.split("|")[1:4]] for x in lines[2:]] == [
        [
            "flash added to the same firmware with lwIP and asyncio",
            "199.9 KiB",
            "200 or less",
        ],
        [
            "RAM of the node, with 8 peers: heap, statics, tables and slots",
            "132.8 KiB **(missed)**",
            "64 or less",
        ],
        ["heap of `lib/zt`, booted", "50,000 bytes", ""],
        ["online", "51,000 bytes", ""],
        ["joined", "56,000 bytes", ""],
        ["with 8 peers", "80,000 bytes", ""],
        ["statics of `firmware/`", "12,000 bytes", ""],
        ["tables of the plane, the network's interface", "34,388 bytes", ""],
        ["slots of the wires, when all six are at work", "9,648 bytes", ""],
        [
            "heap left for the application, with 8 peers",
            "130.0 KiB free",
            "128 or more",
        ],
        ["in one piece", "100.0 KiB free", ""],
        [
            "TCP in: of plain TCP on the same firmware",
            "0.2 of plain TCP **(missed)**",
            "0.33 or more",
        ],
    ]


def test_the_board_has_a_table_of_its_own(monkeypatch, tmp_path):
    """What make bench-embedded writes, make bench-doc puts where it belongs, and only there."""
    rows = [bench_board.row(name, 1.5) for name in bench_board.ROWS]
    rows += [bench_embedded.row("x25519_instr", 1700000, "instructions", 2000000)]
    rows += [bench_embedded.row("core_code_bytes_zt_wire.c", 752, "bytes")]
    for folder in ("build", "docs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "build" / "bench-embedded.json").write_text(json.dumps(rows))
    (tmp_path / bench_doc.PAGE).write_text(bench_doc.read(bench_doc.PAGE))
    monkeypatch.setattr(bench_doc, "TOP", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["bench_doc.py"])
    bench_doc.main()
    page = (tmp_path / bench_doc.PAGE).read_text()
    parts = {x.split(" -->")[0]: x.split("<!-- end")[0] for x in page.split("<!-- bench ")[1:]}
    assert parts["board"].count("`make bench-embedded`") == len(bench_board.ROWS)
    assert "X25519" in parts["embedded"] and "1.5" not in parts["embedded"]
    assert "| zt_wire.c | 752 |" in parts["sizes"]
