"""What there is to test in a module, and what its source says of inputs."""

import ast
import enum
import inspect
import typing

MOST_LITERALS = 60
MOST_CHOICES = 60
# Calls that a parameter is followed through.
MOST_HANDED_ON = 4

# Calls by dotted name, or by the last part of a method's name, that touch what is outside.
EFFECT_NAMES = {
    "open", "input", "exec", "breakpoint", "exit", "quit",
}
EFFECT_MODULES = {
    "subprocess", "socket", "shutil", "requests", "httpx", "urllib", "http", "ftplib", "smtplib", "aiohttp", "boto3",
    "paramiko", "sqlite3", "psycopg2", "multiprocessing", "webbrowser", "tempfile", "ctypes", "signal",
}
PURE_IN_MODULES = {"urllib.parse", "http.HTTPStatus", "shutil.get_terminal_size", "shutil.which"}
OS_PURE = {"path", "environ", "getenv", "sep", "linesep", "getcwd", "fspath", "fsencode", "fsdecode", "cpu_count", "getpid",
           "PathLike", "name", "altsep", "curdir", "pardir", "pathsep", "devnull", "strerror", "get_terminal_size"}
EFFECT_METHODS = {
    "write_text", "write_bytes", "unlink", "rmdir", "mkdir", "rmtree", "touch", "rename", "symlink_to", "hardlink_to",
    "chmod", "sendall", "connect", "urlopen", "Popen", "check_call", "check_output",
}


def dotted(node):
    """`a.b.c` of an expression, or None."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
        return ".".join(reversed(parts))
    return None


def span(node):
    """First and last line of a definition, with its decorators."""
    first = min([node.lineno] + [decorator.lineno for decorator in getattr(node, "decorator_list", [])])
    return first, getattr(node, "end_lineno", node.lineno)


class Target:
    """A function, method or class that tests call."""

    def __init__(self, name, kind, node, obj, owner=None):
        self.name, self.kind, self.node, self.obj, self.owner = name, kind, node, obj, owner
        self.effects = None
        self.examples = []
        self.span = span(node)


class Param:
    """One parameter and what is known of it."""

    def __init__(self, name, kind, annotation, default, has_default):
        self.name, self.kind, self.annotation = name, kind, annotation
        self.default, self.has_default = default, has_default
        self.methods, self.compared, self.isinstances, self.uses, self.patterns = set(), [], [], set(), []
        # Keys of tables that it is looked up in.
        self.choices = []


class Module:
    """The source of a module, and the module itself."""

    def __init__(self, source, file, module):
        self.tree = ast.parse(source, file)
        self.module = module
        self.names = {}
        self.functions = {}
        self.targets = []
        self.enums, self.classes = {}, {}
        self.constants = self._constants()
        self._effects, self._params = {}, {}
        self._collect()

    def _constants(self):
        found = {}
        for node in self.tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
            for target in targets:
                if isinstance(target, ast.Name) and node.value is not None:
                    found[target.id] = node.value
        return found

    def _collect(self):
        for name in sorted(vars(self.module)):
            value = vars(self.module)[name]
            if isinstance(value, type) and not name.startswith("__"):
                if issubclass(value, enum.Enum):
                    self.enums[name] = value
                if value.__module__ == self.module.__name__:
                    self.classes[name] = value
                    self.names[value] = name
                elif issubclass(value, (enum.Enum, tuple)) and value is not tuple:
                    self.names[value] = name
        seen = set()
        for node in _defined(self.tree.body):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self.functions[node.name] = node
                obj = vars(self.module).get(node.name)
                if obj is not None and callable(obj) and node.name not in seen:
                    if not _is_overload(node):
                        seen.add(node.name)
                        self.targets.append(Target(node.name, "function", node, obj))
            elif isinstance(node, ast.ClassDef):
                self._collect_class(node)

    def _collect_class(self, node):
        cls = vars(self.module).get(node.name)
        if not isinstance(cls, type):
            return
        if not issubclass(cls, enum.Enum):
            self.targets.append(Target(node.name, "class", node, cls))
        for inner in node.body:
            if not isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)) or inner.name == "__init__" or _is_overload(inner):
                continue
            self.functions.setdefault(inner.name, inner)
            raw = cls.__dict__.get(inner.name)
            kind = (
                "static" if isinstance(raw, staticmethod) else "classmethod" if isinstance(raw, classmethod)
                else "property" if isinstance(raw, property) or type(raw).__name__ == "cached_property" else "method"
            )
            if raw is None or (kind == "property" and inner.decorator_list and dotted(inner.decorator_list[0]) is not None
                               and "." in dotted(inner.decorator_list[0]) and "cached" not in dotted(inner.decorator_list[0])):
                continue
            self.targets.append(Target("%s.%s" % (node.name, inner.name), kind, inner, raw, cls))

    def helpers(self, target):
        """Private functions that a target calls, and those that they call: nobody else's tests reach them."""
        found, queue = [], [target.node]
        while queue:
            for inner in ast.walk(queue.pop()):
                if isinstance(inner, ast.Call):
                    name = (dotted(inner.func) or "").split(".")[-1]
                    node = self.functions.get(name)
                    if name.startswith("_") and not name.startswith("__") and node is not None and node not in found:
                        found.append(node)
                        queue.append(node)
        return found

    def private(self, targets):
        """Functions of the module that only these targets call."""
        chosen = {target.node for target in targets}
        helpers = [node for target in targets for node in self.helpers(target)]
        nodes = dict.fromkeys(node for node in helpers if node not in chosen)
        names = vars(self.module)
        return [Target(node.name, "function", node, names[node.name]) for node in nodes if callable(names.get(node.name))]

    def effects(self, target):
        """Why a target is not called, or None."""
        node = target.node
        if target.kind == "class":
            node = next((one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)
            if node is None:
                return None
        return self._effects_of(node, ())

    def _effects_of(self, node, way):
        if node in self._effects:
            return self._effects[node]
        if node in way or len(way) > 20:
            return None
        found = None
        for call in ast.walk(node):
            if isinstance(call, ast.Call):
                found = _effect(call.func, call)
                if found is None:
                    name = dotted(call.func)
                    local = name and name.split(".")[-1]
                    if local in self.functions and (name == local or name.startswith(("self.", "cls."))):
                        found = self._effects_of(self.functions[local], way + (node,))
                if found is not None:
                    break
        if not way or found is not None:
            self._effects[node] = found
        return found

    def params(self, target):
        """Parameters that a caller gives, or None if nobody can tell."""
        if target.name not in self._params:
            self._params[target.name] = self._params_of(target)
        return self._params[target.name]

    def _params_of(self, target):
        obj, node = target.obj, target.node
        if target.kind == "class":
            node = next((one for one in node.body if isinstance(one, ast.FunctionDef) and one.name in ("__init__", "__new__")), None)
            bound = True
        else:
            bound = target.kind in ("method", "classmethod")
            if target.kind in ("static", "classmethod"):
                obj = obj.__func__
        if target.kind == "property":
            return []
        try:
            signature = inspect.signature(obj)
        except (ValueError, TypeError):
            return None
        hints = {}
        try:
            hints = typing.get_type_hints(inspect.unwrap(obj) if target.kind != "class" else obj.__init__)
        except Exception:
            pass
        found = list(signature.parameters.values())
        if bound and target.kind != "class":
            found = found[1:]
        params = []
        for one in found:
            annotation = hints.get(one.name, one.annotation)
            if annotation is inspect.Parameter.empty:
                annotation = None
            has = one.default is not inspect.Parameter.empty
            params.append(Param(one.name, one.kind, annotation, one.default if has else None, has))
        if node is not None:
            self._usage(node, {param.name: param for param in params}, ())
        return params

    def _usage(self, node, params, way):
        """What a body does with its parameters, and functions of this module that it hands them on to."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name) and inner.value.id in params:
                params[inner.value.id].methods.add(inner.attr)
            elif isinstance(inner, ast.Compare):
                sides = [inner.left] + inner.comparators
                named = [side.id for side in sides if isinstance(side, ast.Name) and side.id in params]
                for name in named:
                    for side in sides:
                        params[name].compared.extend(self._literals(side))
                    if any(isinstance(op, (ast.In, ast.NotIn)) for op in inner.ops):
                        if isinstance(inner.comparators[0], ast.Name) and inner.comparators[0].id == name:
                            params[name].uses.add("container")
                    if any(isinstance(op, (ast.Lt, ast.Gt, ast.LtE, ast.GtE)) for op in inner.ops):
                        params[name].uses.add("ordered")
                for side in sides:
                    if isinstance(side, ast.Call) and isinstance(side.func, ast.Name) and side.func.id == "len":
                        for argument in side.args:
                            if isinstance(argument, ast.Name) and argument.id in params:
                                params[argument.id].uses.add("sized")
            elif isinstance(inner, ast.Call):
                self._call_usage(inner, params)
                self._handed_on(inner, params, way + (node,))
            elif isinstance(inner, (ast.For, ast.AsyncFor, ast.comprehension)) and isinstance(inner.iter, ast.Name):
                if inner.iter.id in params:
                    params[inner.iter.id].uses.add("iterated")
            elif isinstance(inner, ast.Subscript):
                if isinstance(inner.value, ast.Name) and inner.value.id in params:
                    params[inner.value.id].uses.add("indexed")
                self._looked_up(inner.value, inner.slice, params)
            elif isinstance(inner, ast.BinOp):
                for side in (inner.left, inner.right):
                    if isinstance(side, ast.Name) and side.id in params:
                        other = inner.right if side is inner.left else inner.left
                        text = isinstance(other, ast.Constant) and isinstance(other.value, str) or isinstance(other, ast.JoinedStr)
                        params[side.id].uses.add("text" if text else "arithmetic")

    def _handed_on(self, call, params, way):
        if len(way) > MOST_HANDED_ON:
            return
        name = dotted(call.func)
        callee = self.functions.get(name.split(".")[-1]) if name else None
        if callee is None or callee in way or not (name.count(".") == 0 or name.startswith(("self.", "cls."))):
            return
        names = [argument.arg for argument in callee.args.posonlyargs + callee.args.args]
        if names[:1] in (["self"], ["cls"]) and "." in name:
            names = names[1:]
        given = list(zip(names, call.args)) + [(keyword.arg, keyword.value) for keyword in call.keywords]
        inner = {name: params[value.id] for name, value in given if isinstance(value, ast.Name) and value.id in params}
        if inner:
            self._usage(callee, inner, way)

    def _looked_up(self, container, key, params):
        """Keys of a module's table in which a parameter is looked up."""
        if isinstance(key, ast.Call) and isinstance(key.func, ast.Attribute) and not key.args:
            # As `text.upper()`.
            key = key.func.value
        if isinstance(key, ast.Name) and key.id in params and isinstance(container, ast.Name):
            table = vars(self.module).get(container.id)
            if isinstance(table, type) and issubclass(table, enum.Enum):
                names = list(table.__members__)[:MOST_CHOICES]
                params[key.id].choices.extend(dict.fromkeys(way(name) for way in (str, str.lower) for name in names))
            elif isinstance(table, dict) and container.id in self.constants:
                params[key.id].choices.extend(one for one in list(table)[:MOST_CHOICES] if isinstance(one, (int, float, str, bytes)))

    def _call_usage(self, call, params):
        name = dotted(call.func)
        if isinstance(call.func, ast.Attribute) and call.func.attr in ("get", "pop", "setdefault") and call.args:
            self._looked_up(call.func.value, call.args[0], params)
        if isinstance(call.func, ast.Name) and call.func.id in params:
            params[call.func.id].uses.add("called:%d" % len(call.args))
        for place, argument in enumerate(call.args):
            if not (isinstance(argument, ast.Name) and argument.id in params):
                continue
            param = params[argument.id]
            if name == "isinstance" and len(call.args) == 2 and place == 0:
                kinds = call.args[1].elts if isinstance(call.args[1], ast.Tuple) else [call.args[1]]
                param.isinstances.extend(filter(None, (dotted(kind) for kind in kinds)))
            elif name in ("len", "iter", "enumerate", "zip", "sorted", "list", "tuple", "set", "sum", "min", "max", "map",
                          "filter", "reversed", "any", "all", "chain", "islice", "tee", "deque", "next", "dict", "str", "int",
                          "float", "bytes", "range", "abs", "round", "bool"):
                param.uses.add({"len": "sized", "int": "number", "float": "number", "abs": "number", "round": "number",
                                "range": "integer", "str": "any", "bool": "any"}.get(name, "iterated"))
            elif name and name.split(".")[0] in ("re", "regex"):
                param.uses.add("text")
            elif name and name.split(".")[-1] in ("match", "search", "fullmatch", "sub", "findall", "split", "finditer", "subn"):
                base = name.rsplit(".", 1)[0]
                param.uses.add("text")
                pattern = getattr(vars(self.module).get(base), "pattern", None)
                if isinstance(pattern, str):
                    param.patterns.append(pattern)

    def _literals(self, node):
        found = []
        for inner in ast.walk(node):
            if isinstance(inner, ast.Constant) and inner.value is not None and inner.value is not Ellipsis:
                found.append(inner.value)
            elif isinstance(inner, ast.UnaryOp) and isinstance(inner.op, ast.USub) and isinstance(inner.operand, ast.Constant):
                try:
                    found.append(-inner.operand.value)
                except TypeError:
                    pass
            elif isinstance(inner, ast.Name) and inner.id in self.constants:
                value = vars(self.module).get(inner.id)
                if isinstance(value, (int, float, str, bytes)):
                    found.append(value)
                elif isinstance(value, (tuple, list, set, frozenset, dict)):
                    found.extend(item for item in sorted(list(value)[:40], key=repr) if isinstance(item, (int, float, str, bytes)))
        return found

    def literals(self, target):
        """Literals of the target's own body and of functions of this module that it calls; none of docstrings."""
        found, seen, queue = [], set(), [target.node]
        while queue and len(seen) < 8:
            node = queue.pop(0)
            if node in seen:
                continue
            seen.add(node)
            skipped = {id(inner.value) for inner in ast.walk(node) if isinstance(inner, ast.Expr)}
            for inner in ast.walk(node):
                if id(inner) in skipped:
                    continue
                found.extend(self._literals(inner) if isinstance(inner, (ast.Constant, ast.UnaryOp, ast.Name)) else ())
                if isinstance(inner, ast.Call):
                    name = dotted(inner.func)
                    if name and name.split(".")[-1] in self.functions:
                        queue.append(self.functions[name.split(".")[-1]])
        unique = []
        for value in found:
            if (type(value), value) not in [(type(other), other) for other in unique]:
                unique.append(value)
        return unique[:MOST_LITERALS]


def _defined(body):
    """Definitions at the top, also below `if` and `try`."""
    for node in body:
        if isinstance(node, (ast.If, ast.Try)):
            for part in ("body", "orelse", "finalbody"):
                yield from _defined(getattr(node, part, []))
            for handler in getattr(node, "handlers", []):
                yield from _defined(handler.body)
        else:
            yield node


def _is_overload(node):
    return any((dotted(decorator) or "").endswith("overload") for decorator in node.decorator_list)


def _effect(function, call):
    name = dotted(function)
    line = call.lineno
    if name is None:
        if isinstance(function, ast.Attribute) and function.attr in EFFECT_METHODS:
            return "calls .%s() (line %d)" % (function.attr, line)
        return None
    root, last = name.split(".")[0], name.split(".")[-1]
    if name in EFFECT_NAMES:
        return "calls %s() (line %d)" % (name, line)
    if root == "os" and "." in name and name.split(".")[1] not in OS_PURE:
        return "calls %s() (line %d)" % (name, line)
    if root in EFFECT_MODULES and "." in name and not any(name.startswith(pure) for pure in PURE_IN_MODULES):
        return "calls %s() (line %d)" % (name, line)
    if "." in name and last in EFFECT_METHODS:
        return "calls %s() (line %d)" % (name, line)
    return None
