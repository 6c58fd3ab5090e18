"""Properties that the names and the types of functions promise, kept if they hold for many inputs: there and back again,
twice as once, sorted, as long as before, in either order.

They say more than what one input gives, and they are found by the name alone: that a name promises it, nobody has said.
"""

import re

from . import cases

# Inputs for which a property has to hold, tries to find so many, and properties of a module.
RUNS, TRIES, MOST = 200, 1_000, 8
# Inputs that the test tries.
SHOWN = 8
# One input whose run says nothing is no loss; so many without one that says something are.
MOST_MUTE = 150

IDEMPOTENT = re.compile(
    r"^(normali[sz]e|canonicali[sz]e|clean|sanitize|slugify|simplify|dedupe?|deduplicate|uniq|unique|collapse|trim|squeeze|strip|dasherize"
    r"|underscore|parameterize|unidecode|titlecase|lowercase|uppercase|to_(lower|upper|ascii))(_|$)|_(normali[sz]ed?|cleaned|stripped)$"
)
SORTED = re.compile(r"(^|_)(sort|sorted)($|_)")
AS_LONG = re.compile(r"(^|_)(sort|sorted|reverse|reversed|shuffle|rotate|swapcase)($|_)")
COMMUTATIVE = re.compile(r"(^|_)(gcd|lcm|distance|hamming|levenshtein|similarity|union|intersection|intersect|overlaps?|add|multiply|are_equal|is_equal|is_anagram)($|_)")
BACK = (("encode", "decode"), ("dumps", "loads"), ("escape", "unescape"), ("quote", "unquote"), ("serialize", "deserialize"), ("pack", "unpack"),
        ("compress", "decompress"), ("encrypt", "decrypt"), ("marshal", "unmarshal"), ("to_", "from_"), ("format", "parse"))


class Property:
    """One promise. `setup` and `holds` say it of `names`; `telling` is false of inputs for which it is trivial."""

    def __init__(self, target, word, names, setup, left, right, telling):
        self.target, self.word, self.names = target, word, names
        self.setup, self.left, self.right, self.telling = setup, left, right, telling
        self.shown, self.lines, self.arcs = [], set(), set()


def promised(module, targets):
    """What the functions among the targets promise by their names."""
    by_name = {target.name: target for target in targets if target.kind == "function"}
    for name, target in by_name.items():
        params = [param for param in module.params(target) or () if not param.has_default]
        if not params or any(param.kind not in (cases.Parameter.POSITIONAL_ONLY, cases.Parameter.POSITIONAL_OR_KEYWORD) for param in params):
            continue
        one = "%s(value)" % name
        if len(params) == 1:
            if IDEMPOTENT.search(name):
                yield Property(target, "is_idempotent", ("value",), ["once = %s" % one], "%s(once)" % name, "once", "once != value")
            if SORTED.search(name):
                yield Property(target, "is_sorted", ("value",), ["result = list(%s)" % one], "result", "sorted(result)", "len(result) > 1")
            if AS_LONG.search(name):
                yield Property(target, "keeps_the_length", ("value",), ["result = %s" % one], "len(result)", "len(value)", "len(value) > 1 and result != value")
            for there, back in BACK:
                other = re.sub(r"(^|_)%s" % there, lambda match: match.group(1) + back, name, count=1)
                if other != name and other in by_name:
                    yield Property(target, "and_back", ("value",), ["there = %s" % one], "%s(there)" % other, "value", "there != value")
        elif len(params) == 2 and COMMUTATIVE.search(name):
            yield Property(target, "is_commutative", ("one", "other"), [], "%s(one, other)" % name, "%s(other, one)" % name, "one != other")


def surviving(module, targets, looking):
    """The promises that hold for all inputs that were tried, with some of these."""
    found = []
    for promise in promised(module, targets):
        if len(found) >= MOST:
            break
        if _survives(promise, module, looking):
            found.append(promise)
    return found


def _survives(promise, module, looking):
    params = [param for param in module.params(promise.target) if not param.has_default]
    pools = [looking.values.pool(promise.target, param) for param in params]
    ran, seen, told = 0, set(), set()
    for turn in range(TRIES):
        if ran >= RUNS or (turn >= MOST_MUTE and not ran):
            break
        inputs = []
        for place, pool in enumerate(pools):
            source = pool[turn] if turn < len(pool) and not place else looking.rng.choice(pool)
            inputs.append(looking.mutated(promise.target, source, pool) if turn >= len(pool) else source)
        if tuple(inputs) in seen:
            continue
        seen.add(tuple(inputs))
        setup = ["%s = %s" % pair for pair in zip(promise.names, inputs)] + promise.setup
        case = cases.Case(promise.target, setup, "(%s == %s, bool(%s), repr(%s))" % (promise.left, promise.right, promise.telling, promise.left), None, None)
        found = looking.runner.run(case)
        if found is None or found.kind == "exception":
            # Raised before there is anything to compare, it is no input for this; after, the promise is broken.
            if found is not None:
                return False
            continue
        if found.kind != "value" or not found.text.startswith("(True"):
            return False
        ran += 1
        is_new = (case.arcs - promise.arcs) or found.text not in told
        if found.text.startswith("(True, True") and is_new and len(promise.shown) < SHOWN:
            told.add(found.text)
            promise.shown.append(inputs)
            promise.lines |= case.lines
            promise.arcs |= case.arcs
    # Of two results at least: what is constant keeps any promise.
    return ran >= RUNS and len(told) > 1


def block(promise, emitter):
    """A test of a promise, as `Emitter.block` has it."""
    rows = [inputs[0] if len(inputs) == 1 else "(%s)" % ", ".join(inputs) for inputs in promise.shown]
    line = "for %s in [%s]:" % (", ".join(promise.names), ", ".join(rows))
    lines = [line] if len(line) <= 96 else ["for %s in [" % ", ".join(promise.names)] + ["    %s," % row for row in rows] + ["]:"]
    body = promise.setup + [
        "self.assertEqual(%s, %s)" % (promise.left, promise.right) if emitter.unittest else "assert %s == %s" % (promise.left, promise.right)
    ]
    lines += ["    " + text for text in body]
    text = emitter.function("test_", lines)
    name = re.sub(r"\W+", "_", promise.target.name).strip("_").lower()
    return {
        "name": "test_%s_%s" % (name, promise.word), "strong": text, "weak": None, "imports": emitter.imports(text),
        "target": promise.target.name, "oracle": "property", "kills": [], "cost": len(text) // 2,
    }
