"""Small faults in a module's functions, each in place of the real code for a moment: which cases notice it?"""

import ast
import copy
import inspect
import types

from . import cases

COMPARES = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
            ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In}
OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Div,
             ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Pow: ast.Mult}


# A fault that makes a case endless is noticed by that. It costs what many other cases do: of one fault so many are waited for.
MUTANT_SECONDS = 0.03
MOST_ENDLESS = 2
# Cases that notice a fault, after which no more are looked for.
MOST_KILLERS = 12
# Neighbours that are tried for a fault that no case notices.
NEIGHBOURS = 10


class Mutant:
    """One fault."""

    __slots__ = ("target", "line", "what", "code", "function", "killed")

    def __init__(self, target, line, what, code, function):
        self.target, self.line, self.what, self.code, self.function, self.killed = target, line, what, code, function, False


def sites(node):
    """(node, what, change) for each place; `change` is applied to a copy of it."""
    docs = {id(inner.value) for inner in ast.walk(node) if isinstance(inner, ast.Expr)}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Compare):
            for place, op in enumerate(inner.ops):
                if type(op) in COMPARES:
                    new = COMPARES[type(op)]
                    yield inner, "%s -> %s" % (type(op).__name__, new.__name__), ("op", place, new)
        elif isinstance(inner, ast.BinOp) and type(inner.op) in OPERATORS:
            new = OPERATORS[type(inner.op)]
            yield inner, "%s -> %s" % (type(inner.op).__name__, new.__name__), ("binop", 0, new)
        elif isinstance(inner, ast.BoolOp):
            new = ast.Or if isinstance(inner.op, ast.And) else ast.And
            yield inner, "%s -> %s" % (type(inner.op).__name__, new.__name__), ("binop", 0, new)
        elif isinstance(inner, ast.Constant) and id(inner) not in docs:
            if isinstance(inner.value, bool):
                yield inner, "%s -> %s" % (inner.value, not inner.value), ("constant", 0, not inner.value)
            elif isinstance(inner.value, (int, float)):
                yield inner, "%r -> %r" % (inner.value, inner.value + 1), ("constant", 0, inner.value + 1)
            elif isinstance(inner.value, str) and len(inner.value) < 40:
                yield inner, "%r -> %r" % (inner.value, inner.value + "?"), ("constant", 0, inner.value + "?")
        elif isinstance(inner, (ast.If, ast.While, ast.IfExp)):
            yield inner, "not (condition)", ("negate", 0, None)
        elif isinstance(inner, ast.Return) and inner.value is not None:
            yield inner, "return None", ("return", 0, None)


def _apply(node, change):
    kind, place, new = change
    if kind == "op":
        node.ops[place] = new()
    elif kind == "binop":
        node.op = new()
    elif kind == "constant":
        node.value = new
    elif kind == "negate":
        node.test = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)
    else:
        node.value = ast.copy_location(ast.Constant(None), node.value)


def mutants(module, file, targets, most, rng, lines):
    """At most `most` faults in lines that cases reach, spread over the targets; the same for the same seed."""
    found = []
    for target in list(targets) + module.private(targets):
        function = _function(target)
        if function is None:
            continue
        node = node_of(target)
        if node is None:
            continue
        for inner, what, change in sites(node):
            if getattr(inner, "lineno", None) in lines and inner.lineno > node.lineno - 1:
                if not any(inner in ast.walk(decorator) for decorator in getattr(node, "decorator_list", ())):
                    found.append((target, function, inner, what, change))
    if len(found) > most:
        found = [found[place] for place in sorted(rng.sample(range(len(found)), most))]
    for target, function, inner, what, change in found:
        before = copy.copy(inner)
        if isinstance(inner, ast.Compare):
            before.ops = list(inner.ops)
        try:
            _apply(inner, change)
            code = _code(compile(_alone(target, node_of(target)), file, "exec"), function.__code__.co_name)
        except (SyntaxError, ValueError, TypeError, RecursionError):
            code = None
        finally:
            inner.__dict__.clear()
            inner.__dict__.update(before.__dict__)
        if code is not None and code.co_freevars == function.__code__.co_freevars:
            yield Mutant(target.name, inner.lineno, what, code, function)


def _function(target):
    obj = target.obj
    if target.kind == "class":
        obj = target.obj.__dict__.get("__init__")
    if isinstance(obj, (staticmethod, classmethod)):
        obj = obj.__func__
    if isinstance(obj, property):
        obj = obj.fget
    try:
        obj = inspect.unwrap(obj)
    except ValueError:
        return None
    return obj if isinstance(obj, types.FunctionType) else None


def node_of(target):
    """The definition of what a target runs."""
    if target.kind != "class":
        return target.node
    return next((one for one in target.node.body if getattr(one, "name", None) == "__init__"), None)


def _alone(target, node):
    """A module of the one definition, in its class if it is in one: compiling all the rest again would take long."""
    node = copy.copy(node)
    node.decorator_list = []
    owner = target.obj if target.kind == "class" else target.owner
    if owner is not None:
        holder = ast.parse("class _: pass").body[0]
        holder.name, holder.body = owner.__name__, [node]
        node = holder
    module = ast.parse("")
    module.body = [node]
    return ast.fix_missing_locations(module)


def _code(code, name):
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            if const.co_name == name:
                return const
            inner = _code(const, name)
            if inner is not None:
                return inner
    return None


def run(mutant, near, runner, late):
    """The cases that notice a fault."""
    real = mutant.function.__code__
    mutant.function.__code__ = mutant.code
    killers, endless = [], 0
    try:
        for case in near:
            if late():
                return None
            began = runner.too_long
            found = runner.run(case, traced=False, seconds=MUTANT_SECONDS)
            if runner.too_long > began:
                # By the clock, which is another one on each machine; counted in lines, it is the same on all.
                began = runner.too_long
                found = runner.run(cases.Case(case.target, case.setup, case.expression, case.receiver, None), planted=True)
                endless += runner.too_long > began
            if found is None or found.key != case.outcome.key:
                killers.append(case)
            if len(killers) >= MOST_KILLERS or endless >= MOST_ENDLESS:
                break
    finally:
        mutant.function.__code__ = real
    return killers


def neighbours(mutant, near, looking):
    """A new case that notices a fault, beside those that go there and do not, if one is soon found: `[case]`."""
    origins = [case for case in near if case.inputs is not None]
    real = mutant.function.__code__
    for _ in range(NEIGHBOURS if origins else 0):
        case = looking.neighbour(looking.rng.choice(origins))
        if case is None:
            continue
        case.outcome = looking.runner.run(case, planted=True)
        if case.outcome is None or case.outcome.kind == "exception":
            continue
        looking.order += 1
        case.order = looking.order
        copied = cases.Case(case.target, case.setup, case.expression, case.receiver, None)
        mutant.function.__code__ = mutant.code
        try:
            found = looking.runner.run(copied, planted=True)
        finally:
            mutant.function.__code__ = real
        if found is None or found.key != case.outcome.key:
            return [case]
    return []
