# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The example of two nodes in memory does what its head says, and docs/api.md shows that file; the
# pages name every limit and every option of the node.

from zt import limits
from zt.const import NET_STATUS_NAMES

_TOP = "/".join(__file__.replace("\\", "/").split("/")[:-1] + ["..", ".."])


def _read(name):
    with open(_TOP + "/" + name) as f:
        return f.read()


def _run(name):
    """Run an example; what it printed, a list of words per line."""
    lines = []

    def show(*words):
        lines.append([str(w) for w in words])

    exec(compile(_read(name), name, "exec"), {"__name__": "__main__", "print": show})
    return lines


def test_two_nodes_in_memory_exchange_a_frame():
    lines = _run("examples/two_nodes.py")
    assert ["A", "online"] in lines
    assert ["B", "online"] in lines
    assert lines.count(["B", "network", "up"]) == 1
    assert lines[-1] == ["A", "received", "b'hello'"]
    assert len([line for line in lines if "received" in line]) == 1


def test_the_api_page_shows_the_example_as_it_is():
    page = _read("docs/api.md")
    assert "```python\n" + _read("examples/two_nodes.py") + "```\n" in page


def test_the_limits_page_names_every_limit_and_its_sizes():
    page = _read("docs/limits.md")
    unix = limits.Limits("unix")
    small = limits.Limits("small")
    for name in unix.names():
        row = "| `%s` | %d | %d |" % (name, getattr(unix, name), getattr(small, name))
        assert row in page, row


def _define(text, name):
    """The C expression that #define gives a name, the first time."""
    rest = text.split("#define %s " % name)[1].split("\n")[0].split("//")[0]
    return rest.strip()


def _both(text, name):
    """A size of lwipopts.h for a computer and for a board."""
    inside = _define(text, name).split("ZT_EITHER(")[1].split(")")[0]
    return [eval(x.strip()) for x in inside.split(",")]


def test_the_limits_page_has_the_sizes_of_the_stack():
    page = _read("docs/limits.md")
    stack = _read("firmware/modules/ztnet/include/lwipopts.h")
    board, unix = _read("firmware/netif/zt_netif_limits.h").split("#else", 1)
    rows = {}
    for what, name in (
        ("networks with an interface", "ZT_NETIF_MAX"),
        ("managed routes", "ZT_NETIF_ROUTES"),
        ("largest frame sent", "ZT_NETIF_MTU_MAX"),
        ("frames on their way", "ZT_NETIF_QUEUE"),
    ):
        rows[what] = [eval(_define(text, name)) for text in (unix, board)]
    for what, name in (
        ("IPv6 addresses", "LWIP_IPV6_NUM_ADDRESSES"),
        ("packet memory", "ZT_LWIP_HEAP"),
        ("TCP connections", "MEMP_NUM_TCP_PCB"),
        ("TCP listening", "MEMP_NUM_TCP_PCB_LISTEN"),
        ("UDP sockets", "MEMP_NUM_UDP_PCB"),
        ("raw sockets", "MEMP_NUM_RAW_PCB"),
        ("ARP entries", "ARP_TABLE_SIZE"),
        ("IPv6 neighbours", "LWIP_ND6_NUM_NEIGHBORS"),
    ):
        rows[what] = _both(stack, name)
    sizes = _both(stack, "TCP_MSS")
    for name in ("TCP_SND_BUF", "TCP_WND"):
        rows["TCP send buffer"] = [n * m for n, m in zip(_both(stack, name), sizes)]
    for what in rows:
        (line,) = [x for x in page.split("\n") if x.startswith("| " + what)]
        found = [int(x.strip().replace(",", "")) for x in line.split("|")[-3:-1]]
        assert found == rows[what], (line, rows[what])


def test_the_api_page_names_every_network_status():
    page = _read("docs/api.md")
    for name in NET_STATUS_NAMES:
        assert "`%s`" % name in page, name
