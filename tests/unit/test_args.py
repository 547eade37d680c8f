# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The option parser: what a command line means, and which make no sense.

from zt.args import FLAG, INT, LIST, TEXT, UsageError, help_lines, parse

OPTIONS = (
    (("--port", "-p"), INT, "N", "a number"),
    (("--join",), LIST, "NWID", "many"),
    (("--allow-loopback",), FLAG, "", "a flag"),
    (("--home",), TEXT, "DIR", "a text"),
)


def refused(words):
    try:
        parse(words, OPTIONS)
    except UsageError as e:
        return str(e)
    raise AssertionError("accepted: %s" % words)


def test_nothing_given_means_the_empty_values():
    args = parse([], OPTIONS)
    assert args.port is None
    assert args.join == []
    assert args.allow_loopback is False
    assert args.rest == []


def test_options_and_arguments_may_be_mixed():
    args = parse(["x", "--port", "7", "y", "--join=a", "--allow-loopback", "--join", "b"], OPTIONS)
    assert args.port == 7
    assert args.join == ["a", "b"]
    assert args.allow_loopback is True
    assert args.rest == ["x", "y"]


def test_lists_of_two_parses_are_not_shared():
    parse(["--join", "a"], OPTIONS)
    assert parse([], OPTIONS).join == []


def test_after_two_dashes_everything_is_an_argument():
    assert parse(["--", "--port", "x"], OPTIONS).rest == ["--port", "x"]


def test_a_script_keeps_its_own_options():
    args = parse(["--port", "1", "a.py", "--port", "2"], OPTIONS, True)
    assert args.port == 1
    assert args.rest == ["a.py", "--port", "2"]


def test_a_dash_and_a_negative_number_are_arguments():
    assert parse(["-", "-5"], OPTIONS).rest == ["-", "-5"]


def test_bad_lines_are_refused_with_the_option_named():
    assert "--frob" in refused(["--frob"])
    assert "--port" in refused(["--port"])
    assert "--port" in refused(["--port", "x"])
    assert "--port" in refused(["--port", "-1"])
    assert "--allow-loopback" in refused(["--allow-loopback=1"])
    assert "-z" in refused(["-z"])


def test_help_names_every_option():
    text = "\n".join(help_lines(OPTIONS))
    for names, _, _, words in OPTIONS:
        assert names[0] in text
        assert words in text
