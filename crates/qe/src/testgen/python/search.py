"""The search for inputs: examples, one at a time, pairs, random, mutation of what gained arcs.

How far it goes is measured in lines run, not in seconds, so that a seed gives the same on every machine; the clock only
ends what is far too slow.
"""

import ast
import enum
import time

from . import cases, discover, order, strings, values

Parameter = cases.Parameter

# A target is left when so many cases in a row gained nothing.
PATIENCE = 260
# How often it has its turn, as long as something of it is missing.
TURNS = 3
# Of what gained, the last ones have it more often.
LAST_GAINED = 8
# And when so many cases of it did not end.
MOST_ENDLESS = 3
# A function that is returned is called in turn, with these arguments; so many of one target's.
FOLLOWING = ("()", "(1)", "('a')", "([1, 2, 3])", "(lambda *args: args)", "(2, 3)", "(lambda *args: args)(1)")
MOST_FOLLOWED = 4
# Expressions of one class that are remembered.
MOST_MADE = 12
# Values that say little.
EMPTY = cases.EMPTY | {"0.0", "set()", "frozenset()", "[[]]"}
# Values of one parameter before the next one has its turn.
VALUES_AT_A_TIME = 12
# Cases beyond those that gain, kept for what they may kill.
MOST_SPARE = 40


class Search:
    """Over one module."""

    def __init__(self, module, universe, runner, rng, work, deadline, fatal):
        self.module, self.universe, self.runner, self.rng = module, universe, runner, rng
        self.values = values.Values(module, rng)
        self.tried = order.Tried(self.values.origins)
        # The parameter and value that are the only change of the case under way.
        self.changed = None
        self.work_left, self.deadline = work, deadline
        self.lines, self.arcs = set(), set()
        self.own = {}
        # What is worth searching for; all, if nothing else is said.
        self.wanted_lines, self.wanted_arcs = universe.lines, universe.branches
        self.kept, self.spare = [], []
        self.seen = set()
        self.outcomes, self.objects, self.found = {}, {}, {}
        self.late = False
        # Expressions that ended the process before.
        self.fatal = set(fatal)
        self.order = 0

    def only(self, lines):
        """Other lines are not searched for."""
        lines = {self.universe.first.get(line, line) for line in lines}
        self.wanted_lines = self.universe.lines & lines
        self.wanted_arcs = {arc for arc in self.universe.branches if arc[0] in lines}

    def go(self, targets):
        """Searches all targets, then those that have something left once more."""
        for turn in range(TURNS):
            for number, target in enumerate(targets):
                if self.work_left <= 0 or self.late:
                    return
                if turn and not self.missing(target):
                    continue
                left = len(targets) - number
                share = 2 * self.work_left // (left + 1)
                self.one(target, share, turn)

    def missing(self, target):
        """Lines and branches of a target that nothing has reached."""
        lines, arcs = self._own(target)
        return len(lines - self.lines) + len(arcs - self.arcs)

    def _own(self, target):
        """Lines and branches of a target and of its helpers; of them those that are wanted, if not all are."""
        found = self.own.get(target.name)
        if found is None:
            spans = [target.span] + [discover.span(node) for node in self.module.helpers(target)]
            lines = {line for line in self.universe.lines if any(first < line <= last for first, last in spans)}
            arcs = {arc for arc in self.universe.branches if any(first <= arc[0] <= last for first, last in spans)}
            found = self.own[target.name] = lines & self.wanted_lines, arcs & self.wanted_arcs
        return found

    def one(self, target, share, turn):
        self.changed = None
        params = self.module.params(target)
        if params is None:
            return
        if target.name.endswith(".__exit__"):
            params = []
        receivers = [None]
        if target.kind in ("method", "property"):
            receivers = self._objects(target.owner)
            if not receivers:
                return
        pools = {param.name: self.values.pool(target, param) for param in params}
        if target.name.split(".")[-1] in cases.SPECIAL and target.owner in self.module.names:
            for param in params:
                pools[param.name] = self.values.objects(target.owner)[:5] + pools[param.name]
        idle = ran = endless = followed = 0
        # What gained in earlier turns, and the inputs that went through most of the code without an exception.
        gained, furthest = self.found.setdefault(target.name, ([], []))
        most = 0
        end = self.work_left - share
        for inputs in self._inputs(target, params, pools, receivers, gained, furthest, turn):
            if self.work_left <= end:
                break
            if idle >= PATIENCE * (1 + turn) or (ran >= 60 and not self.missing(target) and idle >= 40):
                break
            case = self._case(target, params, inputs)
            if case is None or case.key in self.seen or case.expression in self.fatal:
                idle += 0.2
                continue
            self.seen.add(case.key)
            if time.monotonic() > self.deadline:
                self.late = True
                break
            ran += 1
            long = self.runner.too_long
            has_gained = self.try_one(case)
            if self.changed:
                self.tried.tell(target, *self.changed, has_gained)
            if has_gained:
                gained.append(inputs)
                idle = 0
            else:
                idle += 1
            if case.outcome is not None and case.outcome.kind != "exception" and len(case.arcs) > most:
                most = len(case.arcs)
                furthest[:] = [inputs[0]]
            if case.outcome is not None and case.outcome.called and followed < MOST_FOLLOWED:
                followed += 1
                for arguments in FOLLOWING:
                    further = cases.Case(target, case.setup, "%s%s" % (case.expression, arguments), case.receiver, None)
                    if further.key not in self.seen:
                        self.seen.add(further.key)
                        idle = 0 if self.try_one(further) else idle
            endless += self.runner.too_long - long
            if endless >= MOST_ENDLESS:
                break

    def try_one(self, case):
        """Whether a case gained lines or arcs."""
        found = self.runner.run(case)
        self.work_left -= case.work
        if found is None:
            return False
        case.outcome = found
        if found.made in self.module.names and not case.setup and not found.form:
            made = self.values.made.setdefault(found.made, [])
            if len(made) < MOST_MADE and case.target.obj is not found.made:
                made.append(case.expression)
        case.order = self.order = self.order + 1
        gains = (case.lines & self.universe.lines) - self.lines or case.arcs - self.arcs
        if gains:
            self.lines |= case.lines
            self.arcs |= case.arcs
            self.kept.append(case)
            return True
        # Another outcome over known ground may still tell right from wrong.
        known = self.outcomes.setdefault(case.target.name, set())
        if found.kind in ("value", "nan") and found.key not in known and len(known) < MOST_SPARE:
            known.add(found.key)
            self.spare.append(case)
        return False

    def _objects(self, owner):
        """Ways to make an object of a class that do make one."""
        if owner not in self.objects and issubclass(owner, enum.Enum):
            name = self.module.names.get(owner)
            self.objects[owner] = ["%s.%s" % (name, member) for member in list(owner.__members__)[:10]] if name else []
        if owner not in self.objects:
            name = self.module.names.get(owner)
            target = next((one for one in self.module.targets if one.kind == "class" and one.obj is owner), None)
            found = []
            for source in self.values.objects(owner)[:24] if name and target else ():
                case = cases.Case(target, (), source, None, None)
                made = self.runner.run(case)
                self.work_left -= case.work
                if made is not None and made.kind != "exception":
                    found.append(source)
            self.objects[owner] = found[:10]
        return values.join(self.objects[owner], self.values.made.get(owner, ()))

    def _case(self, target, params, inputs):
        chosen, receiver, before = inputs
        setup, name = [], None
        if target.kind in ("method", "property"):
            if receiver is None:
                return None
            name = "obj"
            setup.append("%s = %s" % (name, receiver))
            setup.extend(before)
            if target.name.endswith(".__exit__"):
                # What a block leaves behind is seen at the object.
                setup.append("with obj:\n    pass")
                return cases.Case(target, setup, name, name, inputs)
        return cases.Case(target, setup, cases.expression_of(target, params, chosen, name), name, inputs)

    def _inputs(self, target, params, pools, receivers, gained, furthest, turn):
        rng = self.rng
        base = {param.name: self._base(param, pools[param.name]) for param in params}
        required = {name: source for name, source in base.items() if source is not None}
        if not turn:
            for args, kwargs in target.examples:
                chosen = self._example(params, args, kwargs)
                if chosen is not None:
                    yield chosen, receivers[0], ()
            for receiver in receivers:
                yield required, receiver, ()
            yield from self._one_by_one(params, pools, required, receivers[0], furthest)
        containers = {
            param.name for param in params
            if param.kind != Parameter.VAR_KEYWORD and any(source[0] in "[{" for source in pools[param.name])
        }
        calls = self._earlier(target) if target.kind in ("method", "property") else []
        if calls:
            for call in calls[:20]:
                yield required, receivers[0], (call,)
        if not params and not calls and len(receivers) < 2:
            return
        # Pairs: each two parameters together, the others as they are or as something that gained.
        for turn_ in range(30 * len(params) if len(params) > 1 else 0):
            one, other = rng.sample(range(len(params)), 2)
            chosen = dict(rng.choice(gained)[0] if gained and rng.random() < 0.7 else required)
            for place in (one, other):
                self._choose(params[place], pools, chosen)
            yield chosen, rng.choice(receivers), ()
        needed = [param for param in params if not param.has_default]
        few = [param for param in params if values.is_choice(param)]
        while True:
            if gained and rng.random() < 0.75:
                chosen, receiver, before = rng.choice(gained[-LAST_GAINED:] if rng.random() < 0.5 else gained)
                chosen = dict(chosen)
            else:
                chosen, receiver, before = dict(required), rng.choice(receivers), ()
                for param in params:
                    if not param.has_default or rng.random() < 0.5:
                        self._choose(param, pools, chosen)
            for _ in range(rng.choice((1, 1, 2))):
                if not params:
                    break
                way = rng.random()
                param = rng.choice(needed if needed and way < 0.35 else few if few and way > 0.8 else params)
                if param.name in containers and rng.random() < 0.3:
                    source = self.values.composed(pools[param.name])
                    chosen[param.name] = (source,) if param.kind == Parameter.VAR_POSITIONAL else source
                elif rng.random() < 0.5 or not isinstance(chosen.get(param.name), str):
                    self._choose(param, pools, chosen)
                else:
                    chosen[param.name] = self.mutated(target, chosen[param.name], pools[param.name])
            if calls and len(before) < 3 and rng.random() < 0.5:
                before = before + (rng.choice(calls),)
            yield chosen, receiver if rng.random() < 0.8 else rng.choice(receivers), before

    def _one_by_one(self, params, pools, required, receiver, furthest):
        """Each parameter in turn, with the others as they are: first those that choose among a few ways, then all by a few
        values at a time, so that none waits for all that another could be."""
        few = [param for param in params if values.is_choice(param)]
        rounds = [(few, 0, 2 * VALUES_AT_A_TIME)]
        # Those without a default first: the others then vary with what went furthest, and they with that once more.
        every = sorted(params, key=lambda param: param.has_default)
        rounds += [(every, first, first + VALUES_AT_A_TIME) for first in range(0, values.MOST, VALUES_AT_A_TIME)]
        needed = [param for param in params if not param.has_default]
        rounds.insert(2, (needed if len(needed) < len(params) else [], 0, values.MOST))
        for some, first, last in rounds:
            for param in some:
                base = furthest[0] if furthest else required
                for source in pools[param.name][first:last]:
                    self.changed = param, source
                    if param.kind == Parameter.VAR_POSITIONAL:
                        yield dict(base, **{param.name: (source,)}), receiver, ()
                        yield dict(base, **{param.name: (source, pools[param.name][0])}), receiver, ()
                    elif param.kind != Parameter.VAR_KEYWORD:
                        yield dict(base, **{param.name: source}), receiver, ()
        self.changed = None

    def neighbour(self, case):
        """A case that was not tried yet, with one argument changed; None if that comes to one that was."""
        target = case.target
        params = self.module.params(target)
        chosen, receiver, before = case.inputs
        changed = [param for param in params or () if isinstance(chosen.get(param.name), str)] or params
        if not changed:
            return None
        param = self.rng.choice(changed)
        pool = self.values.pool(target, param)
        held = chosen.get(param.name)
        if isinstance(held, str) and self.rng.random() < 0.6:
            chosen = dict(chosen, **{param.name: self.mutated(target, held, pool)})
        else:
            chosen = dict(chosen)
            self._choose(param, {param.name: pool}, chosen)
        found = self._case(target, params, (chosen, receiver, before))
        if found is None or found.key in self.seen or found.expression in self.fatal:
            return None
        self.seen.add(found.key)
        return found

    def _base(self, param, pool):
        if param.kind == Parameter.VAR_POSITIONAL:
            return (pool[0],) if pool else None
        if param.kind == Parameter.VAR_KEYWORD or param.has_default:
            return None
        # What is empty hides what the other parameters do.
        return next((source for source in pool if source not in EMPTY), pool[0] if pool else "None")

    def _choose(self, param, pools, chosen):
        pool = pools[param.name]
        if param.kind == Parameter.VAR_POSITIONAL:
            chosen[param.name] = tuple(self.rng.choice(pool) for _ in range(self.rng.randint(0, 3))) if pool else ()
        elif param.kind == Parameter.VAR_KEYWORD:
            chosen[param.name] = ("a=%s" % self.rng.choice(pool),) if pool and self.rng.random() < 0.5 else ()
        elif pool:
            chosen[param.name] = self.rng.choice(pool)

    def _example(self, params, args, kwargs):
        chosen, left = {}, list(args)
        for param in params:
            if param.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD):
                if left:
                    chosen[param.name] = left.pop(0)
                elif param.name in kwargs:
                    chosen[param.name] = kwargs[param.name]
            elif param.kind == Parameter.VAR_POSITIONAL:
                chosen[param.name], left = tuple(left), []
            elif param.kind == Parameter.KEYWORD_ONLY and param.name in kwargs:
                chosen[param.name] = kwargs[param.name]
        if left or set(kwargs) - set(chosen):
            return None
        missing = [p for p in params if p.name not in chosen and not p.has_default
                   and p.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)]
        return None if missing else chosen

    def _earlier(self, target):
        """Calls of other methods that bring an object into another state."""
        found = []
        for other in self.module.targets:
            if other.kind == "method" and other.owner is target.owner and other.name != target.name and not other.effects:
                name = other.name.split(".", 1)[1]
                if name.startswith("_"):
                    continue
                params = self.module.params(other)
                if params is None:
                    continue
                for arguments in self.values.arguments(other, params, 4):
                    found.append("obj.%s(%s)" % (name, ", ".join("%s=%s" % (k, v) if k else v for k, v in arguments)))
        return found

    def mutated(self, target, source, pool):
        """A neighbour of a literal; another of the pool where it is none."""
        rng = self.rng
        try:
            value = ast.literal_eval(source)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return rng.choice(pool) if pool else source
        if isinstance(value, bool) or value is None:
            return rng.choice(pool) if pool else source
        if isinstance(value, int):
            value = rng.choice((value + 1, value - 1, value * 10, -value, value // 2, value * 2, value + rng.randint(-100, 100)))
        elif isinstance(value, float):
            value = rng.choice((value + 1, value * 10, -value, value / 3, value * 1000))
        elif isinstance(value, str):
            value = self.values.vocabulary.mutated(target, value, pool)
        elif isinstance(value, bytes):
            value = value + bytes([rng.randrange(256)]) if rng.random() < 0.5 else value[1:]
        elif isinstance(value, (list, tuple)):
            items = list(value)
            way = rng.randrange(4)
            if way == 0 and items:
                items.pop(rng.randrange(len(items)))
            elif way == 1 and items:
                items.insert(rng.randrange(len(items) + 1), rng.choice(items))
            elif way == 2:
                rng.shuffle(items)
            elif items:
                place = rng.randrange(len(items))
                items[place] = ast.literal_eval(self.mutated(target, repr(items[place]), [repr(items[place])]))
            value = type(value)(items)
        else:
            return rng.choice(pool) if pool else source
        text = strings.quoted(value) if isinstance(value, str) else repr(value)
        return text if len(text) <= 200 else source
