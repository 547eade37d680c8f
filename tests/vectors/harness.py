# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# Finds the checker of each vector group, runs it over the cases of a file, and keeps score. A case
# passes, fails, or is not built; what nobody checks is not built. Knows nothing of the protocol.

import glob
import importlib
import json
import os
import traceback

# Scalars at the top of a file describe it; these objects are context for the groups, not groups.
CONTEXT = ()


class NotBuilt(Exception):
    """The module or cipher that a case needs does not exist; the text is what to call it in the
    closing line.
    """


def need(name):
    """Import a module of lib/zt, or NotBuilt if it does not exist."""
    try:
        return importlib.import_module(name)
    except ImportError as e:
        if e.name and (e.name == name or e.name.startswith("zt.")):
            raise NotBuilt(None) from None
        raise


def same(what, got, want):
    """AssertionError that shows both values shortly, unless they are equal."""
    if got != want:
        raise AssertionError("%s: got %s, expected %s" % (what, _show(got), _show(want)))


def _show(value):
    if isinstance(value, (bytes, bytearray, memoryview)):
        value = bytes(value).hex()
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 300 else "%s...(%d)" % (text[:300], len(text))


def run(cases, check, label=None):
    """Yield (name, None, text of failure, or NotBuilt) for each case; check(case) raises what is
    wrong.
    """
    for i, case in enumerate(cases):
        name = str(i)
        if label:
            name = "%d %s" % (i, label(case) if callable(label) else case.get(label, ""))
        try:
            check(case)
            yield name, None
        except NotBuilt as e:
            yield name, e
        except Exception as e:  # a checker must survive whatever a broken module does
            yield name, _text(e)


def _text(e):
    if isinstance(e, AssertionError) and e.args:
        return str(e)
    last = traceback.extract_tb(e.__traceback__)[-1]
    return "%s: %s (%s:%d)" % (type(e).__name__, e, os.path.basename(last.filename), last.lineno)


class Score:
    def __init__(self):
        self.touched = False
        self.passed = 0
        self.failed = 0
        self.not_built = {}

    def skip(self, name, count=1):
        self.not_built[name] = self.not_built.get(name, 0) + count


class _Source:
    def __init__(self, path):
        self.path = path
        self.name = path
        self.score = Score()
        self.notes = []

    def closing_line(self):
        s = self.score
        names = ", ".join(sorted(s.not_built))
        count = sum(s.not_built.values())
        return "%s: %d passed, %d failed, %d not built: %s" % (
            self.name,
            s.passed,
            s.failed,
            count,
            names,
        )

    def count(self, group, results):
        """Add a checker's results to the score; the list of failures."""
        failures = []
        for name, result in results:
            if result is None:
                self.score.passed += 1
            elif isinstance(result, NotBuilt):
                self.score.skip(result.args[0] or group)
            else:
                self.score.failed += 1
                failures.append("%s [%s]: %s" % (group, name, result))
        return failures


class Source(_Source):
    """One vector file."""

    _checkers = None

    def __init__(self, path):
        _Source.__init__(self, path)
        self.document = None
        self.problem = None
        try:
            with open(path) as f:
                self.document = json.load(f)
        except (OSError, ValueError) as e:
            self.problem = str(e)
        if self.problem is None and not isinstance(self.document, dict):
            self.problem = "not a vector file"

    def groups(self):
        if self.problem:
            return ["(unreadable)"]
        return [
            k for k, v in self.document.items() if isinstance(v, (dict, list)) and k not in CONTEXT
        ]

    def check(self, group):
        """Run one group; the list of failures, or None when all of it is not built."""
        self.score.touched = True
        if self.problem:
            self.score.failed += 1
            return ["%s: %s" % (self.path, self.problem)]
        cases = self.document[group]
        checker = find(group, self.document)
        if checker is None:
            self.score.skip(group, size(cases))
            return None
        try:
            results = list(checker(cases, self.document))
        except NotBuilt as e:
            self.score.skip(e.args[0] or group, size(cases))
            return None
        except Exception as e:  # the file's form is not what the checker knows
            results = [("all", _text(e))]
        failures = self.count(group, results)
        if results and all(isinstance(r, NotBuilt) for _, r in results):
            return None
        return failures


class RecordingSource(_Source):
    """One folder with a capture of real nodes."""

    def groups(self):
        return ["recording"]

    def check(self, group):
        self.score.touched = True
        recordings = importlib.import_module("recordings_check")
        try:
            results = list(recordings.check(self.path, self.notes.append))
        except NotBuilt as e:
            self.score.skip(e.args[0] or group)
            return None
        except Exception as e:
            results = [("all", _text(e))]
        return self.count(group, results)


def size(cases):
    """How many cases a group holds."""
    return max(len(cases), 1) if isinstance(cases, list) else 1


def find(group, document):
    """The function check_<group> of the modules for this document's set, or None."""
    if Source._checkers is None:
        here = os.path.dirname(os.path.abspath(__file__))
        Source._checkers = {}
        for path in sorted(glob.glob(os.path.join(here, "check_vl*.py"))):
            module = importlib.import_module(os.path.basename(path)[:-3])
            part = os.path.basename(path)[6:9]
            for name in dir(module):
                if name.startswith("check_"):
                    Source._checkers[part, name[6:]] = getattr(module, name)
    part = "vl2" if "vl2" in str(document.get("format", "")) else "vl1"
    return Source._checkers.get((part, group))


def built_in(here):
    """(vector files, recording folders) that belong to the project."""
    files = sorted(glob.glob(os.path.join(here, "vl*.json")))
    folders = sorted(glob.glob(os.path.join(here, "recordings", "*", "")))
    return [os.path.relpath(p) for p in files], [os.path.relpath(p) for p in folders]
