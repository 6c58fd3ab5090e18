"""Calls of a module's functions that people wrote down: in interactive sessions, in documents, elsewhere in a project."""

import ast
import copy
import re

from .discover import dotted

# Lines of interactive sessions that are looked at.
MOST_PROMPTS = 2000
MOST_OF_ONE = 40

PROMPT = re.compile(r"^[ \t]*>>> ?(.*(?:\n[ \t]*\.\.\. ?.*)*)", re.M)


def prompts(text):
    """What is typed in interactive sessions (as doctest reads them)."""
    for match in PROMPT.finditer(text):
        yield re.sub(r"\n[ \t]*\.\.\. ?", "\n", match.group(1))


def shown(module, texts):
    """Calls of the module's targets in doctests of the module and of `texts`: {target: [(args, kwargs)]} as sources."""
    found = {}
    by_name = {target.name: target for target in module.targets}
    docs = [ast.get_docstring(module.tree) or ""]
    for target in module.targets:
        docs.append(ast.get_docstring(target.node) or "")
    left = MOST_PROMPTS
    for doc in docs + texts:
        known = {}
        for source in prompts(doc):
            left -= 1
            try:
                tree = ast.parse(source) if left > 0 else None
            except SyntaxError:
                continue
            if tree is not None:
                collect(tree, by_name, found, known)
    return found


class Session(ast.NodeTransformer):
    """Puts what a name was given before in an interactive session in the place of the name."""

    def __init__(self, known):
        self.known = known

    def visit_Name(self, node):
        held = self.known.get(node.id)
        return held if held is not None and isinstance(node.ctx, ast.Load) else node

    def visit_Lambda(self, node):
        bound = {argument.arg for argument in node.args.args}
        return Session({name: held for name, held in self.known.items() if name not in bound}).generic_visit(node)


def remember(tree, by_name, known):
    """Names that a session gives to plain values, or takes from modules that tests may import."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module in STANDARD_NAMES and not node.level:
            for one in node.names:
                holder = ast.Name(node.module, ast.Load())
                known[one.asname or one.name] = ast.copy_location(ast.Attribute(holder, one.name, ast.Load()), node)
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            value = Session(known).visit(copy.deepcopy(node.value))
            if _is_plain(value, by_name) and sum(1 for _ in ast.walk(value)) < 60:
                known[node.targets[0].id] = value
            else:
                known.pop(node.targets[0].id, None)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            known.pop(node.name, None)


def collect(tree, by_name, found, known=None):
    """Adds the calls in a tree whose arguments are plain. `known`: what names stand for, and learns more."""
    if known is not None:
        remember(tree, by_name, known)
        if known:
            tree = Session(known).visit(tree)
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = dotted(call.func)
        name = name and name.split(".")[-1]
        if name not in by_name or len(found.get(name, ())) >= MOST_OF_ONE:
            continue
        if any(isinstance(argument, ast.Starred) for argument in call.args) or any(k.arg is None for k in call.keywords):
            continue
        if not all(_is_plain(argument, by_name) for argument in call.args + [k.value for k in call.keywords]):
            continue
        entry = ([_source(one) for one in call.args], {k.arg: _source(k.value) for k in call.keywords})
        if entry not in found.setdefault(name, []):
            found[name].append(entry)


# Modules whose names inputs may use.
STANDARD_NAMES = (
    "collections", "datetime", "decimal", "fractions", "functools", "io", "itertools", "math", "operator", "pathlib", "re",
)

PLAIN_NAMES = {"range", "list", "tuple", "set", "frozenset", "dict", "str", "int", "float", "bytes", "len", "sum", "max", "min",
               "iter", "True", "False", "None", "bool", "sorted", "abs", "zip", "enumerate", "map", "filter", "pow", "divmod",
               "object", "isinstance", "repr", "chr", "ord", "reversed"}


def _is_plain(node, by_name):
    """Builds on nothing but builtins, the module itself, modules that tests may import, and what it binds itself."""
    bound = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Lambda):
            bound |= {argument.arg for argument in inner.args.args}
            bound |= {one.arg for one in (inner.args.vararg, inner.args.kwarg) if one}
        elif isinstance(inner, ast.comprehension):
            bound |= {one.id for one in ast.walk(inner.target) if isinstance(one, ast.Name)}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and inner.id not in PLAIN_NAMES and inner.id not in bound:
            if inner.id not in STANDARD_NAMES and inner.id not in by_name:
                return False
        if isinstance(inner, (ast.Yield, ast.Await, ast.NamedExpr if hasattr(ast, "NamedExpr") else ast.Await)):
            return False
    return True


def _source(node):
    if hasattr(ast, "unparse"):
        return ast.unparse(node)
    # Python 3.8: literals alone can be written back.
    return repr(ast.literal_eval(node))
