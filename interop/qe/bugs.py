"""Bugs for a source: one operator or number changed, always the same ones for the same text."""

import ast
import io
import re
import tokenize

# What is put for what.
OPERATORS = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "===": "!==", "!==": "===", "+": "-", "-": "+", "*": "+",
    "/": "*", "//": "/", "%": "*", "&&": "||", "||": "&&", "and": "or", "or": "and", "+=": "-=", "-=": "+=",
}
# Tokens of JavaScript, as far as they matter here: texts, comments and regular expressions are passed over whole.
JAVASCRIPT = re.compile(
    r"//[^\n]*|/\*.*?\*/|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|`(?:\\.|[^`\\])*`"
    r"|(?<=[(,=:!&|])\s*/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/"
    r"|===|!==|=>|\+\+|--|<<|>>>?|[<>=!+\-*/%&|]=|&&|\|\||[<>+\-*/%=]|\b\d+(?:\.\d+)?\b|[A-Za-z_$][\w$]*|\s+|.",
    re.DOTALL,
)


def instead(token):
    if token in OPERATORS:
        return OPERATORS[token]
    return str(int(token) + 1) if re.fullmatch(r"\d{1,9}", token) else None


def of_python(text):
    """Start and end of what is changed, and what stands there then; within functions, and not in what they declare."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    bodies = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for statement in node.body:
                # Not functions within: they have bodies of their own.
                if not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                    bodies.update(range(statement.lineno, statement.end_lineno + 1))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        new = instead(token.string) if token.type in (tokenize.OP, tokenize.NUMBER, tokenize.NAME) else None
        # `*` and `-` with nothing before them are other operators; what does not compile is no bug.
        if new and token.start[0] in bodies:
            at = starts[token.start[0] - 1] + token.start[1]
            yield at, at + len(token.string), new


def of_javascript(text):
    depth = 0
    for match in JAVASCRIPT.finditer(text):
        token = match.group()
        depth += (token == "{") - (token == "}")
        if depth and (new := instead(token)):
            yield match.start(), match.end(), new


def chosen(text, language, most):
    """`most` of them, evenly spread over the text: `(line, old, new, whole text)`."""
    every = list(of_python(text) if language == "python" else of_javascript(text))
    step = max(1, len(every) / most)
    for number in range(min(most, len(every))):
        start, end, new = every[int(number * step)]
        changed = text[:start] + new + text[end:]
        if language == "python":
            try:
                compile(changed, "changed", "exec")
            except SyntaxError:
                continue
        yield text.count("\n", 0, start) + 1, text[start:end], new, changed
