"""Which lines and arcs of one file run, and which there are.

An arc leads from a line to the next line that runs in the same frame; `-first` stands for leaving the frame. What is
there is read from the byte code, so that both sides count alike.
"""

import ast
import dis
import sys
import types

NO_JUMP = {"RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE", "INTERPRETER_EXIT"}
ALWAYS = {
    "JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT", "JUMP_ABSOLUTE", "JUMP", "JUMP_NO_INTERRUPT",
    "CONTINUE_LOOP",
}
# Jumps that only the interpreter's own loops take.
HIDDEN = {"SEND", "SETUP_FINALLY", "SETUP_WITH", "SETUP_ASYNC_WITH", "SETUP_CLEANUP", "SETUP_LOOP", "SETUP_EXCEPT"}


class TooLong(BaseException):
    """One case ran more lines than a case may."""


def codes(code):
    """A code object and all inside of it."""
    yield code
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from codes(const)


def lines_of(code):
    """Lines that a code object can run. Line 0 is the module's own beginning."""
    return {line for _, line in dis.findlinestarts(code) if line}


def branches_of(code):
    """The arcs that leave lines with more than one successor: {(from, to)}."""
    instructions = list(dis.get_instructions(code))
    index = {instruction.offset: number for number, instruction in enumerate(instructions)}
    starts = dict(dis.findlinestarts(code))
    line, where = None, []
    for instruction in instructions:
        line = starts.get(instruction.offset, line)
        where.append(line)
    jumps = set(dis.hasjrel) | set(dis.hasjabs)

    def next_of(number):
        instruction = instructions[number]
        after = []
        if instruction.opname not in NO_JUMP and instruction.opname not in ALWAYS and number + 1 < len(instructions):
            after.append(number + 1)
        if instruction.opcode in jumps and instruction.opname not in HIDDEN:
            target = index.get(instruction.argval)
            if target is not None:
                after.append(target)
        return after

    leaving = {}
    for number, at in enumerate(where):
        if at is None:
            continue
        if instructions[number].opname in ("RETURN_VALUE", "RETURN_CONST"):
            leaving.setdefault(at, set()).add(-code.co_firstlineno)
        for successor in next_of(number):
            # What has no line, or begins none, is passed over.
            seen, to = set(), successor
            while where[to] is None and to not in seen:
                seen.add(to)
                further = next_of(to)
                if not further:
                    break
                to = further[0]
            if where[to] is not None and where[to] != at:
                leaving.setdefault(at, set()).add(where[to])
    found = set()
    for at, to in leaving.items():
        if len(to) > 1:
            found.update((at, one) for one in to)
    return found


def first_lines(tree):
    """For lines of a statement after its first one, that one: as people, and coverage.py, count statements."""
    found = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt):
            continue
        first, last = node.lineno, node.end_lineno
        if isinstance(getattr(node, "body", None), list) and node.body and not isinstance(node, ast.Try):
            # Of a compound statement, what stands before its body. Decorators are lines of their own.
            last = min(getattr(one, "lineno", last) for one in node.body[:1]) - 1
            decorators = getattr(node.body[0], "decorator_list", None)
            if decorators:
                last = decorators[0].lineno - 1
        elif isinstance(getattr(node, "body", None), list):
            continue
        for line in range(first + 1, last + 1):
            found.setdefault(line, first)
    return found


def docstrings(tree):
    """First lines of docstrings: they are stored, not run."""
    return {
        node.body[0].lineno
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef)) and node.body and isinstance(node.body[0], ast.Expr)
        and isinstance(node.body[0].value, ast.Constant) and isinstance(node.body[0].value.value, str)
    }


class Tracer:
    """Counts what one file runs between `start` and `stop`."""

    def __init__(self, file):
        self.file = file
        self.lines = set()
        self.arcs = set()
        # Line events since the last `start`: the measure of work, equal on every machine.
        self.events = 0
        self.most = 0
        self.first = {}
        # Of each frame, the lines in the order in which they ran. What they come to is counted afterwards, all at once.
        self.trails = []

    def start(self, most=1 << 62):
        self.trails, self.events, self.most = [], 0, most
        sys.settrace(self._call)

    def stop(self):
        sys.settrace(None)
        lines, arcs = set(), set()
        for trail in self.trails:
            self.events += len(trail) - 2
            lines.update(trail)
            arcs.update(zip(trail, trail[1:]))
        self.trails = []
        first = self.first
        self.lines = {first.get(line, line) for line in lines if line > 0}
        arcs = {(first.get(one, one), first.get(to, to)) for one, to in arcs}
        self.arcs = {arc for arc in arcs if arc[0] != arc[1]}

    def _call(self, frame, event, arg):
        # A long way round through other files counts too, a little.
        self.events += 1
        most = self.most - self.events
        if most < 0:
            self._too_long()
        code = frame.f_code
        if code.co_filename != self.file:
            return None
        outside = -code.co_firstlineno
        trail = [outside]
        self.trails.append(trail)
        append = trail.append

        def local(frame, event, arg):
            if event == "line":
                append(frame.f_lineno)
                if len(trail) > most:
                    self._too_long()
            elif event == "return":
                append(outside)
            return local

        return local

    def _too_long(self):
        # Raised once: what the code does to get out of it is not counted again.
        self.most = 1 << 62
        raise TooLong()


class Universe:
    """All lines and branches of a file, and per function."""

    def __init__(self, code, tree):
        self.first = first_lines(tree)
        self.lines, self.branches = set(), set()
        for one in codes(code):
            self.lines |= {self.first.get(line, line) for line in lines_of(one)}
            leaving = {}
            for at, to in branches_of(one):
                at, to = self.first.get(at, at), self.first.get(to, to)
                if at != to:
                    leaving.setdefault(at, set()).add(to)
            self.branches |= {(at, one) for at, to in leaving.items() if len(to) > 1 for one in to}
        self.lines -= docstrings(tree)
