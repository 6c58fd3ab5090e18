"""Tests as text: what a case did becomes what it has to do."""

import ast
import builtins
import re

from . import examples, outcome

LINE = 100


def name_of(target, found):
    """`test_<target>`, or `test_<target>_raises_<exception>`; numbers follow when it is known what stays."""
    base = re.sub(r"\W+", "_", target.name).strip("_")
    base = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", base).lower()
    base = re.sub(r"__+", "_", base)
    if found.kind == "exception":
        raised = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", found.type).lower()
        return "test_%s_raises_%s" % (base, raised)
    return "test_%s" % base


class Emitter:
    """Writes tests for one module in the form of one framework."""

    def __init__(self, module_name, framework, runner):
        self.module_name, self.unittest, self.names = module_name, framework == "unittest", runner.names

    def block(self, case):
        """Name, text, a weaker text or None, and imports, of a case with an outcome; None if it cannot be written. In the
        texts the name is `test_`: the real one is given at the end."""
        found = case.outcome
        call, before = self._call(case, found.form)
        lines = list(case.setup) + before
        if found.kind == "exception":
            raised = self._exception(found)
            if raised is None:
                return None
            name = name_of(case.target, found)
            strong = self._raises(case, found, call, before, raised[0], found.message)
            weak = self._raises(case, found, call, before, raised[0], None) if found.message else None
            imports = [raised[1]] if raised[1] else []
            if not self.unittest:
                imports.append(("pytest", None))
        else:
            name = name_of(case.target, found)
            strong = lines + self._assertions(call, found)
            weak = lines + self._type_assertions(call, found, ())
            if weak == strong:
                weak = None
            imports = []
        texts = [self.function("test_", body) for body in (strong, weak) if body]
        imports += self.imports(texts[0])
        return {
            "name": name, "strong": texts[0], "weak": texts[1] if weak else None,
            "imports": sorted(set(imports), key=lambda one: (one[0], one[1] or "")),
        }

    def _raises(self, case, found, call, before, kind, message):
        """Lines of a test that something is raised, and with which words if those are known."""
        holder = "self.assertRaises" if self.unittest else "pytest.raises"
        lines = list(case.setup) + ([] if found.form == "with" else before)
        lines.append("with %s(%s)%s:" % (holder, kind, " as raised" if message else ""))
        # The statement that raises is the `with` itself, if there is one.
        lines += ["    " + line for line in (before if found.form == "with" else [call])]
        if message:
            lines += self._equal("str(raised.%s)" % ("exception" if self.unittest else "value"), message)
        return lines

    def _call(self, case, form):
        text = case.expression
        if form == "await":
            return "asyncio.run(%s)" % text, []
        if form in ("async for", "endless"):
            return "asyncio.run(collect())", ["async def collect():", "    return [item async for item in %s]" % text]
        if form == "with":
            return "entered", ["with %s as entered:" % text, "    pass"]
        if form == "list":
            return "list(%s)" % text, []
        if form == "lists":
            return "[list(one) for one in %s]" % text, []
        if form == "islice":
            return "list(itertools.islice(%s, %d))" % (text, outcome.MOST_ITEMS), []
        if not isinstance(ast.parse(text, mode="eval").body, (ast.Call, ast.Attribute, ast.Subscript)):
            text = "(%s)" % text
        return text, []

    def _assertions(self, call, found):
        if found.kind == "nan":
            return ["result = " + call, self._truth("result != result")]
        if found.kind == "type":
            return self._type_assertions(call, found, found.attributes)
        lines = self._equal(call, found.text)
        for name, text in found.state[:3]:
            lines += self._equal("obj.%s" % name, text)
        return lines

    def _equal(self, call, text):
        if self.unittest:
            line = {"None": "self.assertIsNone(%s)" % call, "True": "self.assertIs(%s, True)" % call,
                    "False": "self.assertIs(%s, False)" % call}.get(text, "self.assertEqual(%s, %s)" % (call, text))
            return [line] if len(line) <= LINE else ["self.assertEqual(", "    %s," % call, "    %s," % text, ")"]
        form = "is" if text in ("None", "True", "False") else "=="
        line = "assert %s %s %s" % (call, form, text)
        return [line] if len(line) <= LINE else ["result = " + call, "assert result == %s" % text]

    def _type_assertions(self, call, found, attributes):
        lines = ["result = " + call]
        if self.unittest:
            lines.append("self.assertEqual(type(result).__name__, %r)" % found.type)
        else:
            lines.append("assert type(result).__name__ == %r" % found.type)
        for name, text in attributes:
            lines += self._equal("result.%s" % name, text)
        return lines

    def _truth(self, text):
        return "self.assertTrue(%s)" % text if self.unittest else "assert %s" % text

    def function(self, name, body):
        """A test of these lines."""
        arguments = "self" if self.unittest else ""
        return "\n".join(["def %s(%s):" % (name, arguments)] + ["    " + line for text in body for line in text.split("\n")]) + "\n"

    def _exception(self, found):
        """How the exception's type is written, and what has to be imported for it."""
        if found.module == "builtins":
            return (found.text, None) if hasattr(builtins, found.text) else None
        if "." in found.text or found.module.startswith("_") or found.module == "__case__":
            return None
        if found.module == self.module_name or found.text not in self.names:
            return found.text, (found.module, found.text)
        return None

    def imports(self, text):
        """What a text has to import: modules, and names of them."""
        used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
        found = []
        for name in sorted(used):
            if name in self.names:
                found.append((self.module_name, name))
            elif name in examples.STANDARD_NAMES or name == "asyncio":
                found.append((name, None))
        return found
