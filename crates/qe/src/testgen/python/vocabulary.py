"""What texts of a module are made of: characters and words that its code looks for, and its regular expressions."""

import ast
import itertools
import re

from . import strings

MOST_WORDS, MOST_LETTERS, MOST_CALLEES = 160, 48, 8
COMMON = " -_.,:;/\\'\"0179azAZ\n\t\u00e9&<>%#()[]{}+=*"
# Items of a table that are looked at; its beginning and its end are what code gets wrong.
MOST_ITEMS, MOST_DEPTH = 4, 3


def docstrings(node):
    """Expressions that stand alone: docstrings, for the most part."""
    return {id(inner.value) for inner in ast.walk(node) if isinstance(inner, ast.Expr)}


def is_letter(number):
    return type(number) is int and 31 < number < 0x110000 and not 0xD800 <= number < 0xE000


def letters_in(value, depth=0):
    """Characters that a table names: as such, by their numbers, or by the first and the last of a range."""
    if isinstance(value, str):
        if len(value) == 1:
            yield value
    elif is_letter(value):
        yield chr(value)
    elif depth < MOST_DEPTH and isinstance(value, (tuple, list, set, frozenset, dict)):
        try:
            items = sorted(value) if isinstance(value, (set, frozenset)) else list(_told(value))
        except Exception:
            # Of what the project's own order says, nothing is known.
            return
        step = max(1, len(items) // MOST_ITEMS)
        for item in items[::step][:MOST_ITEMS] + items[-1:]:
            yield from letters_in(item, depth + 1)


def _told(table):
    """Of a mapping its keys, if they are numbers of characters or characters; else what it leads to."""
    is_of_letters = not isinstance(table, dict) or all(is_letter(one) or isinstance(one, str) and len(one) == 1 for one in table)
    return table if is_of_letters else table.values()


class Vocabulary:
    """Of one module."""

    def __init__(self, module, rng):
        self.module, self.rng = module, rng
        self._words = None
        self._letters, self._patterns, self._matching = {}, None, None

    def nodes(self, target):
        """The target's definition and those of functions of the module that it calls."""
        seen, queue = [], [target.node]
        while queue and len(seen) < MOST_CALLEES:
            node = queue.pop(0)
            if node in seen:
                continue
            seen.append(node)
            for inner in ast.walk(node):
                name = inner.func if isinstance(inner, ast.Call) else None
                name = name.attr if isinstance(name, ast.Attribute) else getattr(name, "id", None)
                if name in self.module.functions:
                    queue.append(self.module.functions[name])
        return seen

    def letters(self, target):
        """Characters that the target's code asks for; of numbers, where it takes numbers of characters."""
        found = self._letters.get(target.name)
        if found is not None:
            return found
        found, names = [], vars(self.module.module)
        for node in self.nodes(target):
            passed_over = docstrings(node)
            inner_nodes = [inner for inner in ast.walk(node) if id(inner) not in passed_over]
            has_numbers = any(isinstance(inner, ast.Name) and inner.id == "ord" for inner in inner_nodes)
            for inner in inner_nodes:
                if isinstance(inner, ast.Constant):
                    if isinstance(inner.value, str) and len(inner.value) < 4:
                        found.extend(inner.value)
                    elif has_numbers and is_letter(inner.value) and inner.value > 126:
                        found.append(chr(inner.value))
                elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
                    value = names.get(inner.id)
                    if isinstance(value, (tuple, list, set, frozenset, dict)) and (has_numbers or _has_text(value)):
                        found.extend(letters_in(value))
        self._letters[target.name] = found = list(dict.fromkeys(found))[:MOST_LETTERS]
        return found

    def words(self):
        """Short texts of the module, and keys of its tables."""
        if self._words is None:
            found, tree = [], self.module.tree
            passed_over = docstrings(tree)
            for inner in ast.walk(tree):
                if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and id(inner) not in passed_over:
                    found.append(inner.value)
            self._words = [one for one in dict.fromkeys(found) if 0 < len(one) <= 12][:MOST_WORDS]
        return self._words

    def patterns(self):
        """Compiled patterns of texts: the module's and its classes', in order of their names."""
        if self._patterns is None:
            held = [vars(self.module.module)] + [vars(kind) for _, kind in sorted(self.module.classes.items())]
            found = [value for names in held for _, value in sorted(names.items()) if isinstance(value, re.Pattern)]
            self._patterns = [one for one in found if isinstance(one.pattern, str)]
        return self._patterns

    def matching(self, literals):
        """Sources of texts that the module's patterns match."""
        if self._matching is None:
            self._matching = []
            for value in self.patterns():
                for text in strings.matching(value.pattern, self.rng, value.flags):
                    self._matching += [repr(text), repr("a " + text + " b")]
        found = list(self._matching)
        for value in literals:
            if isinstance(value, str) and re.search(r"[\\\[(][^ ]*[+*)\]]", value):
                found += [repr(text) for text in strings.matching(value, self.rng)]
        return list(dict.fromkeys(found))[:24]

    def spelt(self, target):
        """Sources of texts with each character that the code asks for, between others."""
        letters = self.letters(target)
        return [strings.quoted("a%sb" % one) for one in letters][:16]

    def mutated(self, target, text, pool):
        """A neighbour of a text."""
        rng, letters = self.rng, self.letters(target)
        way = rng.randrange(8)
        if way == 0 and text:
            place = rng.randrange(len(text))
            return text[:place] + text[place + 1:]
        if way == 1:
            place = rng.randint(0, len(text))
            return text[:place] + rng.choice(letters if letters and rng.random() < 0.5 else COMMON) + text[place:]
        if way == 2 and text:
            return text + text[-1]
        if way == 3:
            return rng.choice((text.upper(), text.lower(), text[::-1], text.strip(), text.title()))
        if way == 4 and text:
            return text[: rng.randrange(len(text))]
        if way == 5 and letters:
            return "".join(rng.choice(letters if rng.random() < 0.8 else COMMON) for _ in range(rng.randint(1, 6)))
        if way == 6 and self.patterns():
            value = rng.choice(self.patterns())
            return strings.one(value.pattern, rng, value.flags, self.words()) or text
        others = [one for one in pool if one[:1] in "'\""]
        if others:
            try:
                return (text + rng.choice(("", " ", "-")) + ast.literal_eval(rng.choice(others)))[:120]
            except (ValueError, SyntaxError):
                return text
        return text + "x"


def _has_text(value):
    """Whether a table has single characters."""
    return any(isinstance(one, str) and len(one) == 1 for one in itertools.islice(value, 8))
