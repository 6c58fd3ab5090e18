"""What a case does: its value as a literal, or what can be said of it, or its exception."""

import collections.abc
import contextlib
import datetime
import enum
import itertools
import math
import types

from . import strings

MOST_ITEMS = 20
MOST_CHARS = 600
MOST_DEPTH = 6
MOST_MESSAGE = 100
# Attributes of an object that are looked at before and after a call.
MOST_DATA = 12
# Exceptions that say what they were given, and no more.
PLAIN_TEXTS = (Exception.__str__, BaseException.__str__)

SIMPLE = (bool, int, str, bytes, type(None), type(Ellipsis), complex)
# Types whose `repr` needs its module before it; by their names, for importing these takes long and few modules do.
STANDARD = {
    ("datetime", "datetime"), ("datetime", "date"), ("datetime", "time"), ("datetime", "timedelta"), ("decimal", "Decimal"),
    ("fractions", "Fraction"),
}


class NoLiteral(Exception):
    """There is no short literal that says the same."""


def literal(value, names, depth=0):
    """Source that evaluates to an equal value. `names`: enumerations and classes that tests can import, to their name."""
    if depth > MOST_DEPTH:
        raise NoLiteral()
    kind = type(value)
    if kind in SIMPLE:
        text = strings.quoted(value) if kind is str else repr(value)
        if kind is int and len(text) > 200:
            raise NoLiteral()
        if kind is str:
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                text = ascii(value)
    elif kind is float:
        if math.isnan(value):
            raise NoLiteral()
        text = repr(value) if math.isfinite(value) else "float(%r)" % repr(value)
    elif kind in (list, tuple, set, frozenset, dict) and len(value) > MOST_CHARS // 3:
        raise NoLiteral()
    elif kind in (list, tuple, set, frozenset):
        items = [literal(item, names, depth + 1) for item in value]
        if kind is list:
            text = "[%s]" % ", ".join(items)
        elif kind is tuple:
            text = "(%s,)" % items[0] if len(items) == 1 else "(%s)" % ", ".join(items)
        else:
            # The order of a set differs from process to process.
            items.sort()
            text = "{%s}" % ", ".join(items) if items else "set()"
            if kind is frozenset:
                text = "frozenset(%s)" % (text if items else "")
    elif kind is dict:
        text = "{%s}" % ", ".join(
            "%s: %s" % (literal(key, names, depth + 1), literal(item, names, depth + 1)) for key, item in value.items()
        )
    elif kind is range:
        text = repr(value)
    elif (kind.__module__, kind.__qualname__) in STANDARD or kind.__module__ == "datetime":
        if getattr(value, "tzinfo", None) is not None and value.tzinfo is not datetime.timezone.utc:
            raise NoLiteral()
        module = kind.__module__
        text = repr(value)
        if not text.startswith(module + "."):
            text = module + "." + text
    elif isinstance(value, enum.Enum) and kind in names and value.name in kind.__members__:
        text = "%s.%s" % (names[kind], value.name)
    elif isinstance(value, tuple) and hasattr(kind, "_fields") and kind in names:
        text = "%s(%s)" % (names[kind], ", ".join(
            "%s=%s" % (field, literal(getattr(value, field), names, depth + 1)) for field in kind._fields
        ))
    else:
        raise NoLiteral()
    if len(text) > MOST_CHARS:
        raise NoLiteral()
    return text


def is_lazy(value):
    """Something that has to be walked to do anything."""
    return isinstance(value, collections.abc.Iterator) and not hasattr(value, "read")


def form_of(value):
    """How a test has to write it that something happens: awaited, walked, or as it is."""
    if isinstance(value, types.CoroutineType):
        return "await"
    if isinstance(value, types.AsyncGeneratorType):
        return "async for"
    if isinstance(value, contextlib._GeneratorContextManager):
        return "with"
    if type(value) in (tuple, list) and 0 < len(value) <= MOST_ITEMS and all(map(is_lazy, value)):
        return "lists"
    return "list" if is_lazy(value) else ""


LOOPS = []


def awaited(coroutine):
    """What a coroutine comes to, as `asyncio.run` has it; a loop that nothing is left in is used again, for making one takes
    longer than most coroutines do."""
    import asyncio

    loop = LOOPS.pop() if LOOPS else asyncio.new_event_loop()
    try:
        found = loop.run_until_complete(coroutine)
        if not asyncio.all_tasks(loop):
            LOOPS.append(loop)
        return found
    finally:
        if not LOOPS:
            loop.close()


def settle(value, form):
    """Coroutines are awaited, iterators walked a bounded way: the value and its form."""
    if form == "await":
        return awaited(value), form
    if form == "async for":
        async def walk():
            found = []
            async for item in value:
                found.append(item)
                if len(found) >= MOST_ITEMS:
                    break
            return found

        found = awaited(walk())
        return found, form if len(found) < MOST_ITEMS else "endless"
    if form == "with":
        with value as entered:
            return entered, form
    if form == "lists":
        found = [list(itertools.islice(item, MOST_ITEMS)) for item in value]
        if any(len(one) == MOST_ITEMS for one in found):
            # It may be endless, and then a test must not walk it whole.
            return value, ""
        return found, form
    if form == "list":
        found = []
        for item in value:
            found.append(item)
            if len(found) >= MOST_ITEMS:
                break
        return found, form if len(found) < MOST_ITEMS else "islice"
    return value, form


def attributes(value, names):
    """Public data attributes of an object that have literals, in order of their names."""
    found = []
    try:
        held = dict(vars(value))
    except TypeError:
        held = {}
        for kind in type(value).__mro__:
            slots = kind.__dict__.get("__slots__", ())
            for slot in (slots,) if isinstance(slots, str) else slots:
                if hasattr(value, slot):
                    held[slot] = getattr(value, slot)
    for kind in type(value).__mro__:
        for name, member in vars(kind).items():
            if isinstance(member, property) and kind.__module__ not in ("builtins", "enum"):
                held.setdefault(name, None)
    for name in sorted(held):
        if name.startswith("_") or not name.isidentifier():
            continue
        try:
            text = literal(getattr(value, name), names)
        except BaseException:
            continue
        if len(text) <= 200:
            found.append((name, text))
        if len(found) >= 6:
            break
    return found


def data(value, names):
    """Public data of an object as literals; nothing of the project's code runs for it."""
    try:
        held = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    public = sorted(name for name in held if type(name) is str and name.isidentifier() and not name.startswith("_"))
    return {name: _short(held[name], names) for name in public[:MOST_DATA]}


def _short(value, names):
    try:
        text = literal(value, names)
    except (NoLiteral, RecursionError):
        return None
    return text if len(text) <= 200 else None


def changed(before, value, names):
    """What of that is another one than before."""
    return tuple((name, text) for name, text in data(value, names).items() if text is not None and before.get(name) != text)


class Outcome:
    """`kind`: value, type or exception. `key` is equal for equal outcomes."""

    __slots__ = ("kind", "text", "type", "attributes", "form", "module", "state", "called", "made", "message")

    def __init__(self, kind, text="", type_="", attributes_=(), form="", module="", state=(), called=False):
        # `called`: it is a function, which a test may call in turn.
        self.called, self.made, self.message = called, None, None
        self.kind, self.text, self.type = kind, text, type_
        self.attributes, self.form, self.module, self.state = tuple(attributes_), form, module, tuple(state)

    @property
    def key(self):
        return (self.kind, self.text, self.type, self.attributes, self.form, self.state, self.message)


def of_value(value, form, names, receiver=None):
    """The outcome of a case that returned."""
    state = attributes(receiver, names) if receiver is not None else ()
    kind = type(value)
    name = getattr(kind, "__name__", "object")
    try:
        text = literal(value, names)
        if form == "endless":
            raise NoLiteral()
        return Outcome("value", text, name, (), form, state=state)
    except (NoLiteral, RecursionError):
        pass
    if isinstance(value, float) and math.isnan(value):
        return Outcome("nan", "", name, (), form, state=state)
    called = form == "" and callable(value) and not isinstance(value, type)
    found = Outcome("type", "", name, attributes(value, names), form, state=state, called=called)
    found.made = kind
    return found


def of_exception(error, form, file):
    """The outcome of a case that raised; with what it says, if the module itself says it: of what others say the words change
    from version to version."""
    kind = type(error)
    found = Outcome("exception", kind.__qualname__, kind.__name__, (), form, kind.__module__)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is not None and trace.tb_frame.f_code.co_filename == file and kind.__str__ in PLAIN_TEXTS:
        try:
            text = str(error)
            found.message = literal(text, {}) if 0 < len(text) <= MOST_MESSAGE else None
        except BaseException:
            pass
    return found
