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


def test_the_api_page_names_every_network_status():
    page = _read("docs/api.md")
    for name in NET_STATUS_NAMES:
        assert "`%s`" % name in page, name
