# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Options of the vector runner, one pytest item per group of each source, and the closing line per
# source.

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
for folder in (os.path.join(TOP, "lib"), os.path.dirname(HERE), HERE):
    if folder not in sys.path:
        sys.path.insert(0, folder)

import harness  # noqa: E402


def pytest_addoption(parser):
    parser.addoption(
        "--vectors", nargs="+", metavar="FILE", help="vector files in place of the built-in ones"
    )
    parser.addoption(
        "--recordings", nargs="+", metavar="DIR", help="recordings in place of the built-in ones"
    )


def pytest_configure(config):
    config.zt_scores = {}
    given = config.getoption("vectors", None), config.getoption("recordings", None)
    config.zt_replaced = any(given)
    files, folders = (
        (given[0] or [], given[1] or []) if config.zt_replaced else harness.built_in(HERE)
    )
    config.zt_sources = [harness.Source(path) for path in files]
    config.zt_sources += [harness.RecordingSource(path) for path in folders]


def pytest_generate_tests(metafunc):
    if "group" in metafunc.fixturenames:
        pairs = [(s, g) for s in metafunc.config.zt_sources for g in s.groups()]
        metafunc.parametrize("source,group", pairs, ids=["%s-%s" % (s.name, g) for s, g in pairs])


def pytest_collection_modifyitems(config, items):
    # With sources of one's own only these count; the tests of the runner itself would blur the
    # exit status.
    if config.zt_replaced:
        items[:] = [item for item in items if "group" in getattr(item, "fixturenames", ())]


def pytest_sessionfinish(session, exitstatus):
    config = session.config
    ran = [s for s in config.zt_sources if s.score.touched]
    if not ran:
        return
    bad = any(s.score.failed for s in ran) or (
        config.zt_replaced and any(not s.score.passed for s in ran)
    )
    if bad or not any(s.score.passed for s in ran):
        session.exitstatus = 1
    elif config.zt_replaced and exitstatus == 5:
        session.exitstatus = 0


def pytest_terminal_summary(terminalreporter, config):
    for source in config.zt_sources:
        if source.score.touched:
            for line in source.notes:
                terminalreporter.write_line(line)
    for source in config.zt_sources:
        if source.score.touched:
            terminalreporter.write_line(source.closing_line())
