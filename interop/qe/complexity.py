"""Compares the cyclomatic complexity of functions with radon's (Python) or lizard's (all languages).

`python complexity.py radon|lizard ROOT -- COMMAND…`; the command serves the tools with ROOT among its folders. Functions are
matched by file and first line. Prints a JSON line of counts, and the first differences; fails below 98 % equal.
"""

import collections
import json
import os
import sys

from tools import opened

FLOOR = 0.98


def radon(path):
    from radon.visitors import ComplexityVisitor

    with open(path, encoding="utf-8") as file:
        visitor = ComplexityVisitor.from_code(file.read())
    found = {}

    def take(function):
        found[function.lineno] = function.complexity
        for closure in function.closures:
            take(closure)

    def of_class(block):
        for method in block.methods:
            take(method)
        for inner in block.inner_classes:
            of_class(inner)

    for block in visitor.functions:
        take(block)
    for block in visitor.classes:
        of_class(block)
    return found


def lizard(path):
    import lizard as module

    found = {}
    for function in module.analyze_file(path).function_list:
        # Two on one line cannot be told apart.
        at = function.start_line
        found[at] = None if at in found else function.cyclomatic_complexity
    return found


def main():
    (oracle, root), tools = opened(sys.argv)
    items, page = tools.all("qe_quality_metrics", root=root, scope="all", group_by="function", sort="path")
    tools.close()
    ours = collections.defaultdict(dict)
    for item in items:
        at = item["lines"][0]
        known = ours[item["file"]]
        known[at] = None if at in known else (item["cyclomatic"], item["name"])
    counts = collections.Counter(functions=len(items))
    differences = []
    for file, functions in sorted(ours.items()):
        if oracle == "radon" and not file.endswith(".py"):
            continue
        try:
            theirs = {"radon": radon, "lizard": lizard}[oracle](os.path.join(root, file))
        except (SyntaxError, RecursionError, UnicodeDecodeError) as error:
            counts["files it cannot read"] += 1
            print(f"{file}: {error}", file=sys.stderr)
            continue
        for at, value in functions.items():
            if value is None or theirs.get(at) is None:
                counts["ours alone" if value and at not in theirs else "ambiguous"] += 1
            elif value[0] == theirs[at]:
                counts["equal"] += 1
            else:
                counts["different"] += 1
                differences.append(f"{file}:{at} {value[1]}: ours {value[0]}, {oracle} {theirs[at]}")
        counts["theirs alone"] += len(theirs.keys() - functions.keys())
    matched = counts["equal"] + counts["different"]
    rate = counts["equal"] / matched if matched else 0
    print(json.dumps({"oracle": oracle, **counts, "rate": round(rate, 4)}))
    for difference in differences[:20]:
        print(difference)
    sys.exit(rate < FLOOR)


main()
