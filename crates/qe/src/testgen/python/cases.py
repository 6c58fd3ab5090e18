"""Cases: one call each, as source, and what running it does."""

import functools
import importlib
import inspect

from . import examples, guard, outcome, tracer

CASE_SECONDS = 0.25
CASE_LINES = 10_000
# What a case costs beside its lines, in lines.
CASE_WORK = 60

Parameter = inspect.Parameter

# How a special method is written by who uses it.
SPECIAL = {
    "__repr__": "repr({0})", "__str__": "str({0})", "__len__": "len({0})", "__bool__": "bool({0})", "__iter__": "list({0})",
    "__int__": "int({0})", "__float__": "float({0})", "__abs__": "abs({0})", "__neg__": "-{0}", "__hash__": "hash({0}) == hash({0})",
    "__eq__": "{0} == {1}", "__ne__": "{0} != {1}", "__lt__": "{0} < {1}", "__le__": "{0} <= {1}", "__gt__": "{0} > {1}",
    "__ge__": "{0} >= {1}", "__add__": "{0} + {1}", "__sub__": "{0} - {1}", "__mul__": "{0} * {1}", "__truediv__": "{0} / {1}",
    "__floordiv__": "{0} // {1}", "__mod__": "{0} % {1}", "__and__": "{0} & {1}", "__or__": "{0} | {1}",
    "__getitem__": "{0}[{1}]", "__contains__": "{1} in {0}", "__reversed__": "list(reversed({0}))",
    "__del__": None, "__enter__": None, "__call__": "{0}({1})", "__invert__": "~{0}", "__round__": "round({0})", "__next__": "next({0})",
    "__radd__": "{1} + {0}", "__rsub__": "{1} - {0}", "__rmul__": "{1} * {0}", "__rtruediv__": "{1} / {0}", "__pos__": "+{0}",
    "__init_subclass__": None, "__class_getitem__": None, "__setattr__": None, "__new__": None,
}


@functools.lru_cache(maxsize=512)
def _setup(text):
    return compile(text, "<case>", "exec")


# Results that many a fault would give, too.
EMPTY = {"''", "None", "[]", "0", "False", "{}", "()", "b''"}


class Case:
    """A call of a target: the statements before it, and its expression."""

    __slots__ = ("target", "setup", "expression", "receiver", "inputs", "outcome", "lines", "arcs", "order", "kills", "work", "code", "standard")

    def __init__(self, target, setup, expression, receiver, inputs):
        self.target, self.setup, self.expression, self.receiver = target, tuple(setup), expression, receiver
        # How it was made, for mutation: (chosen, receiver source, earlier calls).
        self.inputs = inputs
        self.outcome, self.lines, self.arcs, self.order, self.kills, self.work = None, frozenset(), frozenset(), 0, set(), 0
        self.code = self.standard = None

    @property
    def key(self):
        return self.setup + (self.expression,)

    def compiled(self):
        """Code of what is before the call, or None, and of the call. It runs many times: once for each planted fault."""
        if self.code is None:
            setup = _setup("\n".join(self.setup)) if self.setup else None
            self.code = setup, compile(self.expression, "<case>", "eval")
        return self.code

    @property
    def cost(self):
        """Readers prefer short tests, results that say something, values to types, and both to exceptions of wrong types."""
        cost = len(self.expression) + sum(map(len, self.setup)) + 10 * len(self.setup)
        if self.outcome is not None:
            if self.outcome.text in EMPTY:
                cost += 15
            cost += len(self.outcome.text) // 2
            cost += {"value": 0, "nan": 10, "type": 40, "exception": 60}[self.outcome.kind]
            if self.outcome.kind == "exception" and self.outcome.type in ("TypeError", "AttributeError"):
                cost += 120
        return cost


def rendered(params, chosen):
    """Arguments as they are written. `chosen`: name to source, tuples of sources for `*args`."""
    positional, keywords = [], []
    spread = any(param.kind == Parameter.VAR_POSITIONAL and chosen.get(param.name) for param in params)
    skipped = False
    for param in params:
        source = chosen.get(param.name)
        if param.kind == Parameter.VAR_POSITIONAL:
            positional.extend(source or ())
        elif param.kind == Parameter.VAR_KEYWORD:
            keywords.extend(source or ())
        elif param.kind == Parameter.KEYWORD_ONLY:
            if source is not None:
                keywords.append("%s=%s" % (param.name, source))
        elif source is None:
            if spread and param.has_default:
                positional.append(repr(param.default))
            skipped = True
        elif param.kind == Parameter.POSITIONAL_ONLY or not param.has_default or spread:
            if skipped and not spread:
                if param.kind != Parameter.POSITIONAL_ONLY:
                    keywords.append("%s=%s" % (param.name, source))
            else:
                positional.append(source)
        else:
            keywords.append("%s=%s" % (param.name, source))
    return ", ".join(positional + keywords)


def expression_of(target, params, chosen, receiver):
    """The expression that tests write."""
    arguments = rendered(params, chosen)
    if target.kind in ("function", "class"):
        return "%s(%s)" % (target.name, arguments)
    owner, name = target.name.split(".", 1)
    if target.kind in ("static", "classmethod"):
        return "%s.%s(%s)" % (owner, name, arguments)
    if target.kind == "property":
        return "%s.%s" % (receiver, name)
    if name in SPECIAL:
        form = SPECIAL[name]
        if form.count("{1}") != (1 if arguments else 0):
            return "%s.%s(%s)" % (receiver, name, arguments)
        return form.format(receiver, arguments)
    return "%s.%s(%s)" % (receiver, name, arguments)


class Runner:
    """Runs cases over the names that tests would import."""

    def __init__(self, module, tracing, watch, status):
        # What tests can import from the module; modules of Python's own are added when a case names them.
        self.names = {}
        for target in module.targets:
            if target.kind in ("function", "class"):
                self.names[target.name] = target.obj
        for name in list(module.enums) + list(module.classes):
            self.names[name] = vars(module.module)[name]
        self.standard = {name: None for name in examples.STANDARD_NAMES if name not in self.names}
        self.literals = {kind: name for kind, name in module.names.items() if self.names.get(name) is kind}
        self.tracer, self.guard, self.status = tracing, watch, status
        self.executed = self.refused = self.too_long = 0
        self.effects = {}

    def _standard(self, case):
        """Modules of Python's own that a case names."""
        if case.standard is None:
            text = "\n".join(case.key)
            case.standard = [name for name in self.standard if name + "." in text]
            for name in case.standard:
                self.standard[name] = self.standard[name] or importlib.import_module(name)
        return case.standard

    def run(self, case, traced=True, seconds=CASE_SECONDS, planted=False):
        """The outcome, or None if the case is of no use. Sets the case's lines and arcs. `planted`: a fault is in the code, and
        should it end the process, that is not the case's doing."""
        try:
            setup, expression = case.compiled()
        except (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError):
            return None
        if traced and not planted:
            self.status(case)
        # How often a run with a fault is tried again is a matter of the clock.
        self.executed += not planted
        names = dict(self.names)
        for name in self._standard(case):
            names[name] = self.standard[name]
        names["__name__"] = "__case__"
        found, form, begun, held = None, "", True, None
        watch = self.guard
        watch.seen, watch.active = None, True
        try:
            guard.alarm(seconds)
            if traced:
                self.tracer.start(CASE_LINES)
            try:
                if setup is not None:
                    begun = False
                    exec(setup, names)
                begun = True
                if case.target.kind == "method" and case.receiver:
                    held = outcome.data(names.get(case.receiver), self.literals)
                value = eval(expression, names)
                form = outcome.form_of(value)
                value, form = outcome.settle(value, form)
            finally:
                if traced:
                    self.tracer.stop()
            receiver = names.get(case.receiver) if case.receiver else None
            found = outcome.of_value(value, form, self.literals, receiver if value is None else None)
            if held is not None and value is not None:
                found.state = outcome.changed(held, receiver, self.literals)
        except (tracer.TooLong, guard.TimeUp):
            self.too_long += 1
        except guard.Refused as refused:
            watch.seen = str(refused)
        except (MemoryError, RecursionError, KeyboardInterrupt):
            pass
        except BaseException as error:
            # What raises before the call is another target's case.
            found = outcome.of_exception(error, form, self.tracer.file) if begun else None
        finally:
            # It may ring while it is being turned off.
            for _ in range(3):
                try:
                    guard.alarm(0)
                    break
                except guard.TimeUp:
                    continue
            watch.active = False
        if traced:
            case.lines, case.arcs = self.tracer.lines, self.tracer.arcs
            case.work = CASE_WORK + self.tracer.events
        if watch.seen is not None:
            self.refused += 1
            self.effects.setdefault(case.target.name, watch.seen)
            return None
        return found
