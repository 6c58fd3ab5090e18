"""Tests, run in a process that knows nothing of the search."""

import sys
import types

from . import clock, guard

TEST_SECONDS = 2


def pytest_alone():
    """What of pytest generated tests use; importing the real one takes longer than they do."""
    module = types.ModuleType("pytest")

    class raises:
        def __init__(self, kind):
            self.kind = kind

        def __enter__(self):
            return self

        def __exit__(self, kind, error, trace):
            if kind is None:
                raise AssertionError("did not raise %s" % self.kind.__name__)
            self.value = error
            return issubclass(kind, self.kind)

    module.raises = raises
    return module


def run(request, watch):
    """Runs each block: its strong text, and where that fails its weak one."""
    if request["shift_days"]:
        clock.moved_by(request["shift_days"])
    if "pytest" not in sys.modules:
        sys.modules["pytest"] = pytest_alone()
    names = {"__name__": request["test_module"]}
    watch.active = watch.importing = True
    guard.alarm(10)
    try:
        exec(compile(request["header"], "<imports>", "exec"), names)
    except BaseException as error:
        return {"failed": "%s: %s" % (type(error).__name__, str(error)[:300])}
    finally:
        guard.alarm(0)
        watch.active = watch.importing = False
    results = [None] * len(request["blocks"])
    blocks = request["blocks"]
    places = range(len(blocks))
    for place in reversed(places) if request["backwards"] else places:
        block = blocks[place]
        verdict, error = one(block["strong"], names, request, watch)
        weak = None
        if verdict != "passed" and block["weak"]:
            weak, _ = one(block["weak"], names, request, watch)
        results[place] = {"strong": verdict, "weak": weak, "error": error}
    return {"results": results}


def one(text, names, request, watch):
    """`passed`, `failed` or `broken` (does not compile), and the error."""
    own = dict(names)
    try:
        if request["framework"] == "unittest":
            text = "class Generated(unittest.TestCase):\n" + "".join("    %s\n" % line for line in text.splitlines())
        exec(compile(text, "<test>", "exec"), own)
    except (SyntaxError, ValueError) as error:
        return "broken", str(error)[:300]
    watch.seen, watch.active = None, True
    try:
        guard.alarm(TEST_SECONDS)
        if request["framework"] == "unittest":
            own["Generated"]("test_").test_()
        else:
            own["test_"]()
    except BaseException as error:
        return "failed", ("%s: %s" % (type(error).__name__, error))[:300]
    finally:
        guard.alarm(0)
        watch.active = False
    return "passed", None
