"""Inputs for a parameter, as source: what the annotation, the default, the name and the use of it let expect."""

import collections.abc
import enum
import inspect
import re
import typing

from . import order, strings, vocabulary

MOST = 48

INTS = ["0", "1", "-1", "2", "3", "7", "10", "100", "1000", "12345", "1000000", "-100", "999", "999999", "1023"]
FLOATS = ["0.0", "1.0", "-1.5", "0.5", "3.14159", "1e10", "1e-07", "9.99", "99.996", "float('inf')", "float('-inf')", "float('nan')"]
STRINGS = ["''", "'a'", "'hello world'", "'Hello, World! 123'", "'  padded  '", "'0'", "'42'", "'-3.5'", "'a-b_c.d'",
           "'\\u00fcn\\u00ef c\\u00f6d\\u00e9'", "'A'", "'line1\\nline2'", "'x' * 100", "'\\u5f71\\u5e08'", "'a,b;c'"]
BYTES = ["b''", "b'a'", "b'\\x00\\xff'", "b'hello world'"]
BOOLS = ["True", "False"]
LISTS = ["[]", "[1]", "[1, 2, 3]", "[3, 1, 2, 1]", "['a', 'b', 'c']", "[0, None, '', 'x']", "[[1, 2], [3, 4]]", "[1, 2, 3, 4, 5, 6, 7]",
         "[True, False, True]", "['b', 'a']", "[('a', 1), ('b', 2)]", "'abc'", "range(5)", "[1.5, 2.5]",
         "iter([1, 2, 3])", "[[1, [2, [3]]], 4]", "[]"]
TABLES = ["[['a', 1], ['b', 22]]", "[{'a': 1, 'b': 'x'}, {'a': 2, 'c': None}]", "{'a': [1, 2], 'b': ['x']}", "[['Name', 'Age'], ['Al', 1.5], ['B', None]]",
          "[[1.5, '2', True], [-10, 'x\\ny', None]]", "[]", "[[]]", "['a', 'b']", "[(1, 2), (3, 4)]", "[['1.25', b'x'], ['1e3', b'y']]",
          "{}", "iter([[1, 2], [3, 4]])", "[['\u5f71', '\\x1b[31mred\\x1b[0m']]", "range(3)"]
DICTS = ["{}", "{'a': 1}", "{'a': 1, 'b': 2}", "{1: 'x'}", "{'a': [1, 2], 'b': {'c': 3}}", "{'a': None}"]
SCALARS = ["1", "2", "0", "'a'", "'b'", "-1", "2.5", "None", "True", "''", "'1.5'", "10"]
KEYS = ["'a'", "'b'", "'c'", "1"]
CALLS = {
    0: ["lambda: 1", "lambda: None", "list", "iter([1, 2, 3]).__next__"],
    1: ["lambda x: x", "lambda x: not x", "str", "bool", "lambda x: x == 1", "len", "lambda x: x % 2 == 0", "lambda x: (x, x)", "lambda x: x > 2", "int",
        "lambda x: x[0]"],
    2: ["lambda x, y: x + y", "lambda x, y: x == y", "lambda x, y: x < y", "max", "operator.add", "lambda x, y: x != y"],
    3: ["lambda *args: len(args)", "lambda *args, **kwargs: sum(args)"],
}
DATES = ["datetime.date(2024, 2, 29)", "datetime.date.today()", "datetime.date.today() + datetime.timedelta(days=1)",
         "datetime.date.today() - datetime.timedelta(days=1)", "datetime.date.today() + datetime.timedelta(days=200)", "datetime.date(1970, 1, 1)", "datetime.date(1999, 12, 31)"]
DATETIMES = ["datetime.datetime.now()", "datetime.datetime.now() - datetime.timedelta(days=1)",
             "datetime.datetime(2024, 2, 29, 12, 30)", "datetime.datetime(1970, 1, 1)", "datetime.datetime(1999, 12, 31, 23, 59, 59)",
             "datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)"]
TIMEDELTAS = ["datetime.timedelta(0)", "datetime.timedelta(seconds=1)", "datetime.timedelta(seconds=59)", "datetime.timedelta(minutes=1)",
              "datetime.timedelta(minutes=5)", "datetime.timedelta(hours=1)", "datetime.timedelta(hours=5)", "datetime.timedelta(days=1)",
              "datetime.timedelta(days=10)", "datetime.timedelta(days=31)", "datetime.timedelta(days=40)", "datetime.timedelta(days=365)",
              "datetime.timedelta(days=400)", "datetime.timedelta(days=3650)", "datetime.timedelta(days=-3)", "datetime.timedelta(microseconds=5)",
              "datetime.timedelta(milliseconds=5)", "datetime.timedelta(days=2, hours=3, seconds=4)"]

FILE_METHODS = {"read", "readline", "readlines", "write", "seek", "tell"}
FILES = ["io.StringIO('a,b\\n1,2\\n')", "io.StringIO('')", "io.BytesIO(b'a,b\\n1,2\\n')", "io.StringIO('# a\\nkey = value\\n')"]

NAMES = (
    (re.compile(r"^(tabular_data|table|rows|records|matrix|grid|data)$|(_rows|_table|_records)$"), TABLES + LISTS[:6]),
    (re.compile(r"^(n|k|i|j|x|y|size|count|num|number|index|idx|length|width|height|limit|maxsplit|times|step|depth|level|port|year|month|day|start|stop|end|offset|position|pos|precision|digits|ndigits|places|max_length|min_length|r)$|(_size|_count|_length|_width|_index|_limit|^max_|^min_|^num_|^n_)"), INTS),
    (re.compile(r"^(s|text|string|str|name|title|label|word|words|line|msg|message|prefix|suffix|sep|separator|delimiter|path|url|fmt|format|pattern|encoding|char|chars|html|source|code|val|word)$|(_text|_string|_name|_prefix|_suffix|_sep|format)$"), STRINGS),
    (re.compile(r"^(iterable|iterables|iterator|it|seq|sequence|items|values|elements|lst|list|data|rows|args|array|collection|xs|tabular_data|headers|arr|pool)$|(_list|_items|_values|s_list)$"), LISTS),
    (re.compile(r"^(func|function|fn|callback|key|keyfunc|pred|predicate|callable|valuefunc|reducefunc|selector|transform|cb|f|g|factory)$|(_func|_fn|func)$"), CALLS[1] + CALLS[2]),
    (re.compile(r"^(mapping|dict|d|options|config|kwargs|params|mydict|replacements|map|mappings|attrs)$|(_map|_dict)$"), DICTS),
    (re.compile(r"^(flag|strict|verbose|reverse|is_|has_|allow_|use_|enable_|include_|ignore_)"), BOOLS),
    (re.compile(r"^(fp|file|stream|fileobj|fh|buf|buffer|out|output)$|(_file|_stream)$"), FILES),
    (re.compile(r"^(date|day)$"), DATES),
    (re.compile(r"^(dt|when|datetime|timestamp|now)$"), DATETIMES),
    (re.compile(r"^(delta|td|timedelta|duration|interval)$"), TIMEDELTAS),
)

STRING_METHODS = {name for name in dir(str) if not name.startswith("_")}
LIST_METHODS = {"append", "extend", "insert", "sort", "reverse", "pop"}
DICT_METHODS = {"items", "keys", "values", "get", "setdefault", "update", "popitem"}
DATE_ATTRIBUTES = {"year", "month", "day", "tzinfo", "strftime", "isoformat", "replace", "timetuple"}
DELTA_ATTRIBUTES = {"days", "seconds", "microseconds", "total_seconds"}

KINDS = {
    "int": INTS + ["2**31"], "float": FLOATS + INTS[:4], "str": STRINGS, "bytes": BYTES, "bool": BOOLS, "list": LISTS[:11], "tuple":
    ["()", "(1,)", "(1, 2)", "('a', 'b', 'c')"], "dict": DICTS, "set": ["set()", "{1}", "{1, 2, 3}"], "frozenset": ["frozenset()", "frozenset({1, 2})"],
    "datetime": DATETIMES, "date": DATES, "timedelta": TIMEDELTAS, "Decimal": ["decimal.Decimal('0')", "decimal.Decimal('1.50')", "decimal.Decimal('-3')"],
    "Fraction": ["fractions.Fraction(1, 3)", "fractions.Fraction(0)"], "complex": ["0j", "1+2j"], "Mapping": DICTS, "Iterable": LISTS, "Sequence": LISTS,
    "Callable": CALLS[1] + CALLS[2], "Number": INTS[:6] + FLOATS[:3], "NoneType": ["None"], "bytearray": ["bytearray(b'a b')", "bytearray()"], "Pattern": ["re.compile('[^a-z]+')", "re.compile('')"],
    "StringIO": FILES[:2], "TextIO": FILES[:2], "BinaryIO": FILES[2:3], "IO": FILES, "Path": ["pathlib.Path('a/b.txt')", "pathlib.Path('.')"],
}


def join(*lists):
    """One list without repetitions, in order."""
    return list(dict.fromkeys(item for one in lists for item in one))


def around(value):
    """A literal and its neighbours."""
    if isinstance(value, bool):
        return BOOLS
    if isinstance(value, int):
        return [repr(value), repr(value + 1), repr(value - 1)] + ([repr(-value)] if value else [])
    if isinstance(value, float):
        return [repr(value), repr(value * 2), repr(-value)]
    if isinstance(value, str):
        found = [repr(value)]
        if 0 < len(value) < 40:
            found += [repr(value + "x"), repr("1" + value), repr(value.upper()), repr("a" + value + "b")]
        return found
    if isinstance(value, bytes):
        return [repr(value)]
    return []


class Values:
    """Pools of inputs for a module's targets."""

    def __init__(self, module, rng):
        self.module, self.rng = module, rng
        self.vocabulary = vocabulary.Vocabulary(module, rng)
        # Expressions of which earlier cases showed that they come to an object of a class.
        self.made = {}
        # What earlier searches have learnt of sources; nothing: the order is the one below.
        self.order = {}
        # Of each target and parameter: which source a value is from.
        self.origins = {}
        self._pools = {}

    def of_annotation(self, annotation, depth=0):
        """Sources for a type; empty where it says nothing."""
        if annotation is None or annotation is inspect.Parameter.empty or annotation is typing.Any or depth > 4:
            return []
        if isinstance(annotation, str):
            return self._of_text(annotation)
        if annotation is type(None):
            return ["None"]
        origin, args = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is typing.Union or type(annotation).__name__ == "UnionType":
            pools = [self.of_annotation(one, depth + 1) for one in args]
            return join(*[pool[:14] for pool in pools])
        if type(annotation).__name__ in ("Literal", "_LiteralGenericAlias") or str(origin) == "typing.Literal":
            return [repr(one) for one in args] + ["'no such choice'"]
        if str(origin) in ("typing.Annotated", "typing.Final", "typing.ClassVar") and args:
            return self.of_annotation(args[0], depth + 1)
        if isinstance(annotation, typing.TypeVar):
            bound = annotation.__bound__
            return self.of_annotation(bound, depth + 1) if bound is not None else ["1", "'a'", "[1, 2]", "None"]
        if origin is not None:
            return self._of_generic(origin, args, depth)
        if isinstance(annotation, type):
            return self._of_class(annotation, depth)
        return []

    def _of_text(self, text):
        found = []
        for word in re.findall(r"[A-Za-z_]\w*", text):
            if word == "None":
                found.append("None")
            elif word == "Optional":
                found.append("None")
            elif word in KINDS:
                found.extend(KINDS[word])
            elif word in self.module.classes or word in self.module.enums:
                found.extend(self._of_class(vars(self.module.module)[word], 1))
        return join(found)

    def _of_generic(self, origin, args, depth):
        if origin in (collections.abc.Callable,):
            count = len(args[0]) if args and isinstance(args[0], (list, tuple)) else 1
            return join(CALLS.get(min(count, 3), []), CALLS[1])
        inner = [self.of_annotation(one, depth + 1) for one in args if one is not Ellipsis]
        if origin in (dict, collections.abc.Mapping, collections.abc.MutableMapping, collections.defaultdict):
            if len(inner) == 2 and inner[0] and inner[1]:
                keys, held = inner[0][:4], inner[1]
                made = ["{}"] + ["{%s: %s}" % (key, held[place % len(held)]) for place, key in enumerate(keys)]
                made.append("{%s}" % ", ".join("%s: %s" % (key, held[place % len(held)]) for place, key in enumerate(keys[:3])))
                return made
            return DICTS
        if origin is tuple:
            if args and args[-1] is not Ellipsis and all(inner):
                return ["(%s,)" % ", ".join(pool[(place + turn) % len(pool)] for place, pool in enumerate(inner)) for turn in range(8)]
            if inner and inner[0]:
                return ["()", "(%s,)" % inner[0][0], "(%s,)" % ", ".join(inner[0][:3])]
            return KINDS["tuple"]
        if isinstance(origin, type) and issubclass(origin, (collections.abc.Iterable, list, set, frozenset)):
            if inner and inner[0]:
                pool, plain = inner[0], origin not in (set, frozenset, collections.abc.Set)
                made = ["[%s]" % ", ".join(pool[1:3]), "[]", "[%s]" % pool[0], "[%s]" % pool[-1], "[%s]" % ", ".join(pool[:3]),
                        "[%s]" % ", ".join(pool[1:6]), "[%s]" % ", ".join(pool[:2] + pool[:2]), "[%s]" % ", ".join(pool[3:5])]
                return made if plain else ["set(%s)" % one for one in made[:4]]
            return LISTS
        if origin is type:
            return ["int", "str"]
        return self._of_class(origin, depth) if isinstance(origin, type) else []

    def _of_class(self, kind, depth):
        if kind is bool:
            return BOOLS
        if issubclass(kind, enum.Enum):
            name = self.module.names.get(kind)
            return ["%s.%s" % (name, member) for member in list(kind.__members__)[:12]] if name else []
        if kind in self.module.names:
            return self.objects(kind, depth)
        name = kind.__name__
        if name in KINDS:
            return KINDS[name]
        if kind in (collections.abc.Callable,):
            return CALLS[1] + CALLS[2]
        if issubclass(kind, collections.abc.Mapping):
            return DICTS
        if kind.__module__ == "collections.abc":
            return LISTS
        if kind is object:
            return ["1", "'a'", "None", "[1]"]
        return []

    def objects(self, kind, depth=0):
        """Ways to construct an object of a class of the module."""
        if depth > 3 or inspect.isabstract(kind):
            return []
        name = self.module.names[kind]
        target = next((one for one in self.module.targets if one.kind == "class" and one.obj is kind), None)
        if target is None or target.effects:
            return self.made.get(kind, [])
        params = self.module.params(target)
        if params is None:
            return []
        made = self.made.get(kind, [])[:6] + ["%s(%s)" % (name, ", ".join("%s=%s" % (k, v) if k else v for k, v in arguments)) for arguments in self.arguments(target, params, 20, depth + 1)]
        for args, kwargs in target.examples[:6]:
            made.insert(0, "%s(%s)" % (name, ", ".join(list(args) + ["%s=%s" % item for item in kwargs.items()])))
        return join(made)

    def arguments(self, target, params, most, depth=0):
        """A few argument lists: [(keyword or None, source)]."""
        pools = [(param, self.pool(target, param, depth)) for param in params]
        found = []
        for turn in range(most):
            arguments = []
            for place, (param, pool) in enumerate(pools):
                if param.kind in (param_kind.VAR_POSITIONAL, param_kind.VAR_KEYWORD):
                    continue
                if param.has_default and turn < 2:
                    continue
                if not pool:
                    pool = ["None"]
                keyword = param.name if param.kind == param_kind.KEYWORD_ONLY or (param.has_default and turn >= 2) else None
                arguments.append((keyword, pool[(turn + place * (turn > 3)) % len(pool)]))
            if arguments not in found:
                found.append(arguments)
        return found

    def pool(self, target, param, depth=0):
        """Sources for one parameter, the most telling first."""
        # Objects that were made since may be among them.
        key = target.name, param.name, depth, sum(map(len, self.made.values()))
        if key not in self._pools:
            self._pools[key] = self._pool(target, param, depth)
        return self._pools[key]

    def _pool(self, target, param, depth):
        typed = self.of_annotation(param.annotation, depth)
        own = self.own(target)
        default = []
        if param.has_default:
            default = self._default(param.default)
        compared = [text for value in param.compared for text in around(value)]
        strict = bool(typed)
        guess = typed or self._by_use(param, depth)
        if not guess:
            for pattern, pool in NAMES:
                if pattern.search(param.name):
                    guess = pool
                    break
        elif not strict:
            for pattern, pool in NAMES:
                if pattern.search(param.name):
                    guess = join(guess[:16], pool[:10])
                    break
        if param.has_default and not guess:
            guess = KINDS.get(type(param.default).__name__, [])
        sorts = {_sort(one) for one in guess}
        fitting = [text for text in own if not guess or _sort(text) in sorts]
        patterns = [repr(text) for pattern in param.patterns for text in strings.matching(pattern, self.rng)]
        if not guess:
            guess = ["1", "'a'", "[1, 2, 3]", "None", "0", "''", "{'a': 1}", "2.5", "True", "lambda *args: args"]
        texty = "str" in sorts or not sorts
        regexes = self._texts(target) if texty else []
        choices = [repr(one) for one in param.choices]
        groups = (
            ("default", default[:2]), ("comparison", compared[:MOST // 2]), ("kind", guess[:4]), ("pattern", patterns), ("literal", fitting[:20]),
            ("kind", guess[4:]), ("text", regexes), ("default", default[2:]), ("choice", choices),
        )
        others = [] if strict else ["None", "1" if texty else "'a'"]
        origin = self.origins.setdefault((target.name, param.name), {})
        for name, found in groups + (("other", others),):
            for text in found:
                origin.setdefault(text, name)
        if self.order:
            return order.dealt(groups + (("other", others),), self.order, MOST)
        pool = join(*(found for _, found in groups[:-1]))
        if not strict:
            pool = join(pool[:MOST - 4], others)
        return join(pool[:4], choices, pool[4:MOST])

    def _texts(self, target):
        found = getattr(target, "_texts", None)
        if found is None:
            found = self.vocabulary.matching(self.module.literals(target)) + self.vocabulary.spelt(target)
            target._texts = found
        return found

    def _by_use(self, param, depth):
        found = []
        for name in param.isinstances:
            last = name.split(".")[-1]
            if last in self.module.classes or last in self.module.enums:
                found += self._of_class(vars(self.module.module)[last], depth + 1)[:6]
            found += KINDS.get(last, [])[:10]
        methods = param.methods
        if methods & FILE_METHODS:
            found += FILES
        if methods & DELTA_ATTRIBUTES:
            found += TIMEDELTAS
        if methods & (DATE_ATTRIBUTES - {"replace"}):
            found += DATETIMES + DATES
        if methods & DICT_METHODS:
            found += DICTS
        if methods & LIST_METHODS:
            found += LISTS
        if methods & STRING_METHODS and not found:
            found += STRINGS
        uses = param.uses
        for use in sorted(uses):
            if use.startswith("called:"):
                found += CALLS.get(min(int(use[7:]), 3), CALLS[1])
        if "text" in uses:
            found += STRINGS
        if "integer" in uses:
            found += INTS
        if uses & {"number", "arithmetic", "ordered"} and not uses & {"iterated", "sized", "indexed"}:
            found += INTS + FLOATS
        if uses & {"iterated", "sized", "container", "indexed"}:
            found += LISTS + STRINGS[:3] + DICTS[:2]
        return join(found)

    def _default(self, value):
        if isinstance(value, bool):
            return [repr(value), repr(not value)]
        if value is None:
            return ["None"]
        if isinstance(value, (int, float, str, bytes)):
            return around(value)
        if isinstance(value, enum.Enum) and type(value) in self.module.names:
            return self._of_class(type(value), 0)
        if type(value) in (tuple, list, dict, set, frozenset):
            text = repr(value)
            return [text] if len(text) < 200 else []
        return []

    def composed(self, pool):
        """A new list, tuple or mapping of what a pool holds and of common scalars, nested at times."""
        rng = self.rng
        scalars = SCALARS + [one for one in pool if _sort(one) in ("str", "number", "bool", "bytes")][:12]
        items = [rng.choice(scalars) for _ in range(rng.randrange(5))]
        way = rng.randrange(6)
        if way == 0:
            return "{%s}" % ", ".join("%s: %s" % (rng.choice(KEYS), item) for item in items)
        if way == 1:
            width = rng.randint(1, 3)
            return "[%s]" % ", ".join("(%s,)" % ", ".join(rng.choice(scalars) for _ in range(width)) for _ in range(rng.randint(1, 3)))
        if way == 2:
            keys = rng.sample(KEYS, rng.randint(1, 3))
            return "[%s]" % ", ".join("{%s}" % ", ".join("%s: %s" % (key, rng.choice(scalars)) for key in keys) for _ in range(rng.randint(1, 3)))
        if way == 3:
            items = [rng.choice(SCALARS[:4])] * rng.randint(1, 4) + items[:1]
        return ("iter([%s])" if way == 4 else "[%s]") % ", ".join(items)

    def own(self, target):
        """Literals of the body, with neighbours."""
        found = getattr(target, "_own", None)
        if found is None:
            found = join([text for value in self.module.literals(target) for text in around(value)])
            target._own = found
        return found


param_kind = inspect.Parameter


def is_choice(param):
    """Whether a parameter chooses among a few ways: a literal type, an enumeration, yes or no, a key of a table, or what
    it is compared with."""
    annotation = param.annotation
    if annotation is bool or isinstance(param.default, (bool, enum.Enum)) or param.choices:
        return True
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return True
    kinds = (annotation,) + typing.get_args(annotation)
    return any(typing.get_origin(one) is typing.Literal for one in kinds) or bool(param.compared) and all(isinstance(one, (str, bool)) for one in param.compared)


def _sort(text):
    """The rough type of a source."""
    first = text[0]
    if first in "'\"":
        return "str"
    if first == "b" and text[1:2] in "'\"":
        return "bytes"
    if first.isdigit() or first == "-" or text.startswith("float("):
        return "number"
    if text in ("True", "False"):
        return "bool"
    return first
