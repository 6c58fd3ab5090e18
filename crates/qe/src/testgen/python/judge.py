"""Tests that somebody else wrote, run and judged one by one."""

import ast
import os
import random
import sys

from . import discover, generate, guard, mutate, tracer

TEST_SECONDS = 5
EXCERPT = 600


class Seen:
    """What the tests of one run did, by name."""

    def __init__(self, tracing, watch, backwards, traced=True):
        self.tracing, self.watch, self.backwards, self.traced = tracing, watch, backwards, traced
        self.tests, self.broken = {}, []

    def entry(self, name):
        return self.tests.setdefault(name, {"outcome": "passed", "error": None, "lines": [], "arcs": []})

    def begin(self):
        self.watch.seen, self.watch.active = None, True
        guard.alarm(TEST_SECONDS)
        if self.traced:
            self.tracing.start()

    def end(self, name):
        if self.traced:
            self.tracing.stop()
        guard.alarm(0)
        self.watch.active = False
        entry = self.entry(name)
        if self.traced:
            entry["lines"], entry["arcs"] = self.tracing.lines, self.tracing.arcs
        if self.watch.seen is not None:
            entry["outcome"], entry["error"] = "failed", "%s is not allowed here" % self.watch.seen


def plugin(seen, pytest):
    """For pytest: notes each test and what it reaches."""

    class Plugin:
        def pytest_collection_modifyitems(self, items):
            if seen.backwards:
                items.reverse()

        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtest_call(self, item):
            seen.begin()
            yield
            seen.end(item.nodeid)

        def pytest_runtest_logreport(self, report):
            entry = seen.entry(report.nodeid)
            if report.failed:
                entry["outcome"], entry["error"] = "failed", str(report.longrepr)[-EXCERPT:]
            elif report.skipped:
                entry["outcome"] = "skipped"

        def pytest_collectreport(self, report):
            if report.failed:
                seen.broken.append({"path": report.nodeid, "error": str(report.longrepr)[-EXCERPT:]})

    return Plugin()


def with_pytest(request, seen):
    import pytest

    # The project's own options may ask for plugins or reports that have no place here.
    args = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-o", "addopts=", "--rootdir", request["scratch"]]
    try:
        pytest.main(args + request["paths"], plugins=[plugin(seen, pytest)])
    except BaseException as error:
        seen.broken.append({"path": "", "error": "%s: %s" % (type(error).__name__, str(error)[:EXCERPT])})


def with_unittest(request, seen):
    import unittest

    for path in request["paths"]:
        names = {"__name__": "candidate", "__file__": path}
        try:
            with open(os.path.join(request["scratch"], path), encoding="utf-8") as opened:
                exec(compile(opened.read(), path, "exec"), names)
        except BaseException as error:
            seen.broken.append({"path": path, "error": "%s: %s" % (type(error).__name__, str(error)[:EXCERPT])})
            continue
        runs = []
        for name, value in names.items():
            if isinstance(value, type) and issubclass(value, unittest.TestCase):
                for test in unittest.defaultTestLoader.getTestCaseNames(value):
                    runs.append(("%s::%s::%s" % (path, name, test), value(test).debug))
            elif name.startswith("test") and callable(value) and not isinstance(value, type):
                runs.append(("%s::%s" % (path, name), value))
        for name, run in reversed(runs) if seen.backwards else runs:
            error = None
            seen.begin()
            try:
                run()
            except BaseException as raised:
                error = raised
            seen.end(name)
            if isinstance(error, unittest.SkipTest):
                seen.entry(name)["outcome"] = "skipped"
            elif error is not None:
                seen.entry(name).update(outcome="failed", error=("%s: %s" % (type(error).__name__, error))[:EXCERPT])


def run(request, watch):
    """Runs the candidates once; with `mutants`, once more for each planted fault."""
    file = os.path.normpath(os.path.join(request["scratch"], request["file"]))
    with open(file, "rb") as opened:
        raw = opened.read()
    try:
        universe = tracer.Universe(compile(raw, file, "exec", dont_inherit=True), ast.parse(raw))
    except (SyntaxError, ValueError) as error:
        return {"failed": "%s does not compile: %s" % (request["file"], error)}
    tracing = tracer.Tracer(file)
    tracing.first = universe.first
    try:
        module = generate.imported(request["module"], file, tracing, watch)
    except generate.Failed as failed:
        return {"failed": str(failed)}
    lines, arcs = tracing.lines, tracing.arcs
    try:
        import pytest  # noqa: F401
        judge, by = with_pytest, "pytest"
    except ImportError:
        judge, by = with_unittest, "unittest"
    sys.path.insert(1, request["scratch"])
    watch.scratch, watch.allow = os.path.realpath(os.path.dirname(request["scratch"])) + os.sep, True
    seen = Seen(tracing, watch, request["backwards"])
    judge(request, seen)
    tests = [
        {"name": name, "outcome": entry["outcome"], "error": entry["error"],
         "lines": sorted((set(entry["lines"]) & universe.lines) - lines),
         "branches": sorted((set(entry["arcs"]) & universe.branches) - arcs), "kills": []}
        for name, entry in sorted(seen.tests.items())
    ]
    made = plant(request, raw, file, module, tests, judge, tracing, watch) if request["mutants"] else None
    return {
        "tests": tests, "broken": seen.broken, "by": by, "mutants": made,
        "universe": {"lines": sorted(universe.lines), "branches": sorted(universe.branches)},
        "import": {"lines": sorted(lines & universe.lines), "branches": sorted(arcs & universe.branches)},
    }


def plant(request, raw, file, module, tests, judge, tracing, watch):
    """Plants faults where tests that pass go, and notes which of them fail by it."""
    inside = discover.Module(raw.decode("utf-8-sig"), file, module)
    reached = set().union(*(set(test["lines"]) for test in tests if test["outcome"] == "passed")) if tests else set()
    by_name = {test["name"]: test for test in tests if test["outcome"] == "passed"}
    made = []
    rng = random.Random(request["seed"])
    for number, mutant in enumerate(mutate.mutants(inside, file, inside.targets, request["mutants"], rng, reached)):
        real = mutant.function.__code__
        mutant.function.__code__ = mutant.code
        seen = Seen(tracing, watch, False, traced=False)
        try:
            judge(request, seen)
        finally:
            mutant.function.__code__ = real
        made.append({"target": mutant.target, "line": mutant.line, "mutation": mutant.what})
        for name, entry in seen.tests.items():
            if name in by_name and entry["outcome"] == "failed":
                by_name[name]["kills"].append(number)
    return made
