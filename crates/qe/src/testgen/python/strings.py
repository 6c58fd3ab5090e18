"""Strings that a regular expression matches, by walking its parsed form."""

import functools
import re

try:
    from re import _parser as parser  # 3.11
except ImportError:
    import sre_parse as parser

MOST_CHARS = 60


def quoted(text):
    """A text as source in which everything can be seen: marks that join the character before them are written as numbers."""
    if not text.isascii():
        import unicodedata

        if any(unicodedata.category(one)[0] == "M" for one in text):
            return ascii(text)
    return repr(text)


# Flags that say how a pattern is written, not what it matches.
WRITTEN = re.VERBOSE | re.ASCII


@functools.lru_cache(maxsize=256)
def parsed(pattern, flags):
    """Its form as a tree."""
    return parser.parse(pattern, flags)


def matching(pattern, rng, flags=0):
    """Up to six strings: shortest, longest, random ones. None if the pattern cannot be walked."""
    if len(pattern) > 4000:
        return []
    try:
        tree = parsed(pattern, flags & WRITTEN)
    except Exception:
        return []
    found = []
    for way in ("short", "long") + ("random",) * (1 if len(pattern) < 30 else 4):
        try:
            text = "".join(_walk(tree, way, rng, {}))[:MOST_CHARS]
        except (NotImplementedError, RecursionError):
            return found
        if text and text not in found:
            found.append(text)
    return found


def one(pattern, rng, flags, words):
    """A random text that a pattern matches; where much may stand, a word may. `None` if the pattern cannot be walked."""
    if len(pattern) > 4000:
        return None
    try:
        return "".join(_walk(parsed(pattern, flags & WRITTEN), "random", rng, {}, words))[:MOST_CHARS]
    except Exception:
        return None


CATEGORIES = {"CATEGORY_DIGIT": "7", "CATEGORY_SPACE": " ", "CATEGORY_WORD": "w", "CATEGORY_NOT_DIGIT": "x",
              "CATEGORY_NOT_SPACE": "x", "CATEGORY_NOT_WORD": "-"}


def _walk(tree, way, rng, groups, words=()):
    for op, arg in tree:
        name = str(op)
        if name == "LITERAL":
            yield chr(arg)
        elif name == "NOT_LITERAL":
            yield "x" if chr(arg) != "x" else "y"
        elif name == "ANY":
            yield "a"
        elif name == "IN":
            yield _one_of(arg, way, rng)
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            low, high, inner = arg
            if words and int(high) > 3 and len(inner) == 1 and str(inner[0][0]) in ("IN", "ANY", "NOT_LITERAL") and rng.random() < 0.6:
                word = rng.choice(words)
                if len(word) >= low and all(_fits(letter, *inner[0]) for letter in word):
                    yield word
                    continue
            high = min(int(high), low + 3)
            count = low if way == "short" else high if way == "long" else rng.randint(low, high)
            for _ in range(min(count, 12)):
                yield from _walk(inner, way, rng, groups, words)
        elif name == "SUBPATTERN":
            text = "".join(_walk(arg[-1], way, rng, groups, words))
            groups[arg[0]] = text
            yield text
        elif name == "ATOMIC_GROUP":
            yield from _walk(arg, way, rng, groups, words)
        elif name == "BRANCH":
            ways = arg[1]
            pick = 0 if way == "short" else len(ways) - 1 if way == "long" else rng.randrange(len(ways))
            yield from _walk(ways[pick], way, rng, groups, words)
        elif name == "GROUPREF":
            yield groups.get(arg, "")
        elif name in ("AT", "ASSERT_NOT", "FAILURE"):
            continue
        elif name == "ASSERT":
            # What has to follow may as well be there.
            if arg[0] > 0:
                yield from _walk(arg[1], way, rng, groups, words)
        else:
            raise NotImplementedError(name)


def _fits(letter, op, arg):
    """Whether a character may stand where a pattern has one of several."""
    name = str(op)
    if name == "ANY":
        return letter != "\n"
    if name == "NOT_LITERAL":
        return ord(letter) != arg
    negated = found = False
    for op, arg in arg:
        name = str(op)
        if name == "NEGATE":
            negated = True
        elif name == "LITERAL":
            found |= arg == ord(letter)
        elif name == "RANGE":
            found |= arg[0] <= ord(letter) <= arg[1]
        elif name == "CATEGORY":
            is_of = {"DIGIT": letter.isdigit(), "SPACE": letter.isspace(), "WORD": letter.isalnum() or letter == "_"}
            found |= is_of.get(str(arg).rsplit("_", 1)[-1], False) != ("NOT" in str(arg))
    return found != negated


def _one_of(items, way, rng):
    plain, negated = [], False
    for op, arg in items:
        name = str(op)
        if name == "NEGATE":
            negated = True
        elif name == "LITERAL":
            plain.append(chr(arg))
        elif name == "RANGE":
            low, high = arg
            plain.append(chr(low if way == "short" else high if way == "long" else rng.randint(low, high)))
        elif name == "CATEGORY":
            plain.append(CATEGORIES.get(str(arg), "x"))
    if negated:
        return next(one for one in "x7 -_#~" if one not in plain)
    return plain[0] if way == "short" else plain[-1] if way == "long" else rng.choice(plain)
