"""From a module to tests that have not been confirmed yet."""

import ast
import importlib
import os
import random
import re
import sys
import time

from . import cases, clock, discover, emit, examples, guard, mutate, properties, tracer
from . import search as searching

# Lines that a millisecond of the budget stands for.
WORK_PER_MS = 400
# The budget in milliseconds where none is given: so much, and more for each target and each line above so many.
BUDGET, BUDGET_PER_TARGET, FEW_TARGETS, BUDGET_PER_LINE, FEW_LINES, MOST_BUDGET = 400, 20, 20, 1, 500, 4_000
# A search sees the clock stand still at 2025-06-15 12:00 UTC, so that its way does not depend on it.
FIXED = 1_749_988_800
MOST_CALLER_BYTES = 200_000
# Candidates, and of them those that reach nothing new but show another outcome.
MOST_CANDIDATES, MOST_SPARE = 1_200, 240
MOST_MUTANT_RUNS = 8_000
MOST_NEAR = 60
# Names of functions that an error lists.
MOST_NAMES = 30


class Failed(Exception):
    """Nothing can be generated; the text says why."""


def tests(request, watch, began):
    root = request["scratch"]
    file = os.path.normpath(os.path.join(root, request["file"]))
    with open(file, "rb") as opened:
        raw = opened.read()
    try:
        code = compile(raw, file, "exec", dont_inherit=True)
        tree_source = raw.decode("utf-8-sig")
        tree = ast.parse(tree_source)
    except (SyntaxError, ValueError) as error:
        raise Failed("%s does not compile: %s" % (request["file"], error))
    universe = tracer.Universe(code, tree)
    tracing = tracer.Tracer(file)
    tracing.first = universe.first
    clock.moved_to(FIXED)
    module = imported(request["module"], file, tracing, watch)
    import_lines, import_arcs = tracing.lines, tracing.arcs

    inside = discover.Module(tree_source, file, module)
    chosen, listed = chosen_targets(inside, request)
    if any(isinstance(node, ast.AsyncFunctionDef) for node in ast.walk(tree)):
        # Not while a case waits for it.
        importlib.import_module("asyncio")
    learn_examples(inside, request, root)
    status, planting = status_of(request["status"])
    runner = cases.Runner(inside, tracing, watch, status)
    rng = random.Random(request["seed"])
    late = began + request["wall_ms"] / 1000.0
    work = (request["budget_ms"] or budget(len(chosen), len(universe.lines))) * WORK_PER_MS
    looking = searching.Search(inside, universe, runner, rng, work, late - request["wall_ms"] / 4000.0, request["fatal"])
    looking.values.order = request["order"] or {}
    if request["lines"] is not None:
        looking.only(line for first, last in request["lines"] for line in range(first, min(last, 1 << 20) + 1))
    looking.lines |= import_lines
    looking.arcs |= import_arcs
    looking.go(chosen)
    promises = properties.surviving(inside, chosen, looking)
    pool = candidates(looking)
    planting()
    mutation = with_mutants(inside, file, chosen, pool, looking, request, late)

    emitter = emit.Emitter(request["module"], request["framework"], runner)
    by_target = {target.name: place for place, target in enumerate(inside.targets)}
    pool.sort(key=lambda case: (by_target[case.target.name], case.outcome.kind == "exception", case.order))
    blocks = []
    for promise in promises:
        blocks.append(dict(
            properties.block(promise, emitter), lines=sorted((promise.lines & universe.lines) - import_lines),
            branches=sorted((promise.arcs & universe.branches) - import_arcs),
        ))
    for case in pool:
        block = emitter.block(case)
        if block is not None:
            block.update(
                target=case.target.name, oracle=case.outcome.kind, kills=sorted(case.kills), cost=case.cost,
                lines=sorted((case.lines & universe.lines) - import_lines),
                branches=sorted((case.arcs & universe.branches) - import_arcs),
            )
            blocks.append(block)
    for name, event in sorted(runner.effects.items()):
        listed.append({"target": name, "status": "partly", "reason": "calls that did %s were refused" % event})
    return {
        "blocks": blocks, "targets": listed,
        "universe": {"lines": sorted(universe.lines), "branches": sorted(universe.branches)},
        "import": {"lines": sorted(import_lines & universe.lines), "branches": sorted(import_arcs & universe.branches)},
        "mutants": mutation and mutation["made"], "executed": runner.executed, "sources": looking.tried.counts,
        "late": looking.late or bool(mutation and mutation["late"]),
    }


def budget(targets, lines):
    """Milliseconds for so many targets and lines."""
    more = BUDGET_PER_TARGET * max(0, targets - FEW_TARGETS) + BUDGET_PER_LINE * max(0, lines - FEW_LINES)
    return min(BUDGET + more, MOST_BUDGET)


def imported(name, file, tracing, watch):
    """The module, imported under the eyes of the tracer."""
    error = None
    watch.active = watch.importing = True
    guard.alarm(5)
    tracing.start()
    try:
        module = importlib.import_module(name)
    except guard.TimeUp:
        error = "importing %s takes longer than 5 s" % name
    except BaseException as raised:
        error = "%s cannot be imported: %s: %s" % (name, type(raised).__name__, str(raised)[:300])
    finally:
        tracing.stop()
        guard.alarm(0)
        watch.active = watch.importing = False
    if error:
        raise Failed(error)
    # A package may have put a function of the same name in the module's place.
    module = sys.modules.get(name, module)
    found = getattr(module, "__file__", None)
    if not found or os.path.realpath(found) != os.path.realpath(file):
        raise Failed("%s is imported from elsewhere (%s), not from the project" % (name, found and os.path.basename(found)))
    return module


def chosen_targets(module, request):
    """Targets to search, and what is said of each."""
    wanted, skipped = request["functions"], dict(request["skip"])
    lines = request["lines"]
    if lines is not None:
        # A gap names lines: the functions that they are in are wanted, whatever they are called.
        wanted = [target.name for target in module.targets if any(first <= target.span[1] and target.span[0] <= last for first, last in lines)]
        wanted = [name for name in wanted if not any(other.startswith(name + ".") for other in wanted)]
        if not wanted:
            raise Failed("%s: no function or class of it has lines of the gap" % request["file"])
    chosen, listed = [], []
    for target in module.targets:
        if wanted and not any(target.name == one or target.name.startswith(one + ".") for one in wanted):
            continue
        last = target.name.split(".")[-1]
        private = any(part.startswith("_") and not part.startswith("__") for part in target.name.split("."))
        if private and not wanted:
            continue
        if last.startswith("__") and cases.SPECIAL.get(last, "") is None:
            continue
        target.effects = module.effects(target)
        reason = skipped.get(target.name)
        if target.effects and not request["allow_effects"]:
            reason = reason or "%s; allow_effects runs it" % target.effects
        elif target.kind == "class" and __import__("inspect").isabstract(target.obj):
            reason = "abstract"
        elif module.params(target) is None:
            reason = "its signature cannot be read"
        if reason:
            listed.append({"target": target.name, "status": "refused", "reason": reason})
            continue
        if request["allow_effects"]:
            target.effects = None
        chosen.append(target)
        listed.append({"target": target.name, "status": "searched", "reason": None})
    for one in wanted or ():
        if not any(entry["target"] == one or entry["target"].startswith(one + ".") for entry in listed):
            names = sorted(target.name for target in module.targets)
            raise Failed("there is no function or class %s in %s; %s" % (one, request["file"], listed_names(names)))
    return chosen, listed


def listed_names(names):
    """What there is instead, as the end of a sentence."""
    more = len(names) - MOST_NAMES
    shown = ", ".join(names[:MOST_NAMES]) or "nothing that can be called"
    return "it has %s%s" % (shown, " and %d more" % more if more > 0 else "")


def learn_examples(module, request, root):
    """Doctests, fenced code of the README, calls elsewhere in the project."""
    texts = []
    for name in request["documents"]:
        with open(os.path.join(root, name), encoding="utf-8", errors="replace") as opened:
            texts.append(opened.read())
    found = examples.shown(module, texts)
    by_name = {target.name: target for target in module.targets}
    for text in texts:
        for fence in re.findall(r"```(?:py|python|pycon)?\n(.*?)```", text, re.S)[:100]:
            _collect(fence, by_name, found)
    left = MOST_CALLER_BYTES
    names = [target.name.encode() for target in module.targets if target.kind in ("function", "class")]
    for name in request["callers"]:
        try:
            with open(os.path.join(root, name), "rb") as opened:
                raw = opened.read(left)
        except OSError:
            continue
        if any(one + b"(" in raw for one in names):
            left -= len(raw)
            _collect(raw, by_name, found)
        if left <= 0:
            break
    for target in module.targets:
        target.examples = found.get(target.name, []) if target.kind in ("function", "class") else []


def _collect(text, by_name, found):
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    examples.collect(tree, by_name, found)


def status_of(path):
    """Writes what is about to run, for whoever finds this process dead."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def written(target, expression):
        text = ("%s\n%s" % (target, expression)).encode("utf-8", "replace")[:500]
        os.pwrite(descriptor, text.ljust(500), 0)

    return lambda case: written(case.target.name, case.expression), lambda: written("", "planted faults")


def candidates(looking):
    """What may become a test: all that gained, and of the rest what shows other outcomes, the targets in turn."""
    pool = list(looking.kept[:MOST_CANDIDATES])
    most = min(MOST_CANDIDATES, len(pool) + MOST_SPARE)
    by_target = {}
    for case in looking.spare:
        by_target.setdefault(case.target.name, []).append(case)
    for turn in range(searching.MOST_SPARE):
        for spare in by_target.values():
            if turn < len(spare) and len(pool) < most:
                pool.append(spare[turn])
    return pool


def with_mutants(module, file, targets, pool, looking, request, late):
    """Which candidates notice which faults: numbers of faults in each case's `kills`. Of faults that none notices, neighbours
    of the cases that go there are tried; those that notice one become candidates."""
    runner, rng = looking.runner, looking.rng
    most = request["mutants"]
    if not most or not pool:
        return None
    reached = set().union(*(case.lines for case in pool))
    made, left, is_late = [], MOST_MUTANT_RUNS, False
    for number, mutant in enumerate(mutate.mutants(module, file, targets, most, rng, reached)):
        near = [case for case in pool if mutant.line in case.lines][:MOST_NEAR]
        if left < len(near):
            break
        left -= len(near)
        killers = mutate.run(mutant, near, runner, lambda: time.monotonic() > late)
        if killers is None:
            is_late = True
            break
        made.append({"target": mutant.target, "line": mutant.line, "mutation": mutant.what})
        if not killers:
            killers = mutate.neighbours(mutant, near, looking)
            pool.extend(killers)
        for case in killers:
            case.kills.add(number)
    return {"made": made, "late": is_late}


def search(request, watch, began):
    """The answer to a request."""
    try:
        return tests(request, watch, began)
    except Failed as failed:
        return {"failed": str(failed)}
