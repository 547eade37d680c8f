# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The trace in Python against the evaluator in Python and, step by step, against the trace of the
# core, over random rules and frames. CPython only: ctypes.

import collections
import random
import shutil

import _rules_cases as cases
import pytest
from _core_rules import Case, build, draws, load
from zt import explain, frametext, rules

STATE = explain.SET | explain.SKIP | explain.SUPER


@pytest.fixture(scope="module")
def lib(tmp_path_factory):
    cc = shutil.which("cc")
    if not cc:
        pytest.skip("no C compiler (Debian package gcc)")
    return load(build(str(tmp_path_factory.mktemp("explain") / "rules.so"), cc, ["-O2"]))


def _traced(case):
    numbers = draws(case.random)
    tracer = explain.Tracer(case.me, lambda n: next(numbers).to_bytes(n, "big"))
    return case.python(tracer), tracer


def test_random_cases_have_the_verdict_of_the_evaluator():
    seen = collections.Counter()
    for i in range(8000):
        case = cases.case(random.Random(i))
        (verdict, copies), tracer = _traced(case)
        assert (verdict, copies) == case.python(), case
        seen[verdict] += 1
        seen[tracer.steps[-1].result if tracer.steps else "none"] += 1
    for what in (0, 1, 2, 3, 4, explain.GOES_ON, "none"):
        assert seen[what] > 20, what


def test_random_cases_have_the_steps_of_the_core(lib):
    seen = collections.Counter()
    for i in range(8000):
        case = cases.case(random.Random(1000000 + i))
        (answer, steps), (mine, tracer) = case.steps(lib), _traced(case)
        assert answer[:2] == mine, case
        theirs = [(s.list, s.rule, s.type, s.match, s.state, s.result) for s in steps]
        ours = [(s.list, s.rule, s.type, s.match, s.state, s.result) for s in tracer.steps]
        assert ours == theirs, case
        for s in tracer.steps:
            seen[("match", s.match)] += 1
            seen[("state", s.state)] += 1
            seen[("result", s.result)] += 1
            if s.did:
                seen[s.did.split(" ")[0]] += 1
    for match in range(5):
        assert seen[("match", match)] > 50, match
    for result in (0, 1, 2, 3, 4, explain.GOES_ON):
        assert seen[("result", result)] > 50, result
    for state in range(STATE + 1):
        assert seen[("state", state)] > 0, state
    for word in ("drops", "accepts", "passed", "nothing:", "copies", "sends", "is", "ends"):
        assert seen[word] > 5, word


def test_random_cases_are_told_in_words():
    texts = collections.Counter()
    for i in range(3000):
        case = cases.case(random.Random(2000000 + i))
        expected = case.python()
        frame = frametext.Frame(case.inbound)
        frame.payload, frame.ethertype = case.payload, case.ethertype
        frame.mac_source, frame.mac_dest = case.mac_source, case.mac_dest
        frame.source, frame.dest, frame.no_tee = case.source, case.dest, case.no_tee
        x = _explained(case, frame)
        assert x["verdict"] == expected[0], case
        kinds = [(c["address"], c["length"]) for c in x["copies"]]
        assert kinds == [(to.hex(), n) for to, _, n in expected[1]]
        head = x["text"].split(" ")[0]
        redirected = any(c["kind"] == "REDIRECT" for c in x["copies"])
        assert (head == "accepted") == (expected[0] > 0), (case, x)
        assert (head == "redirected") == redirected
        texts[head] += 1
        for listed in x["lists"]:
            assert len(listed["steps"]) <= listed["rules"]
        assert frametext.in_words(frame.ethertype, frame.payload)
    assert min(texts[w] for w in ("accepted", "dropped", "redirected", "no", "rule")) > 5, texts


def _explained(case, frame):
    """explain() of the configuration that Case.python() would hand to a Filter."""
    numbers = draws(case.random)
    caught = {}

    class Catch(rules.Filter):
        def verdict(self, config, *rest):
            caught["config"] = config
            return 0

    case.python(Catch(case.me, None))
    tracer = explain.Tracer(case.me, lambda n: next(numbers).to_bytes(n, "big"))
    return explain.explain(tracer, caught["config"], case.remote, frame)


def test_a_case_is_the_same_twice():
    case = cases.case(random.Random(5))
    assert isinstance(case, Case) and _traced(case)[0] == _traced(case)[0]
