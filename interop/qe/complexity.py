"""Compares the cyclomatic complexity of functions with radon's (Python), ESLint's (JavaScript) lizard's (Go,
Java) or big-code-analysis' (Rust, Java, Go), and cognitive complexity with big-code-analysis'.

`python complexity.py radon|eslint|lizard|bca|bca-cognitive ROOT -- COMMAND…`; the command serves the tools with ROOT among its folders.
Functions are matched by file and first line; what one of them alone takes for a function is counted apart, as ESLint does with
initial values of fields. Prints counts, and the first differences; fails below 98 % equal of those
that both know.
"""

import collections
import json
import os
import re
import subprocess
import sys

from tools import check, finish, opened

FLOOR = 0.98


def radon(paths):
    from radon.visitors import ComplexityVisitor

    for path in paths:
        found = collections.defaultdict(list)

        def take(function):
            found[function.lineno].append(function.complexity)
            for closure in function.closures:
                take(closure)

        def of_class(block):
            for method in block.methods:
                take(method)
            for inner in block.inner_classes:
                of_class(inner)

        try:
            with open(path, encoding="utf-8") as file:
                visitor = ComplexityVisitor.from_code(file.read())
        except (SyntaxError, RecursionError, UnicodeDecodeError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            yield path, None
            continue
        for block in visitor.functions:
            take(block)
        for block in visitor.classes:
            of_class(block)
        yield path, found


def lizard(paths):
    import lizard as module

    for path in paths:
        found = collections.defaultdict(list)
        for function in module.analyze_file(path).function_list:
            found[function.start_line].append(function.cyclomatic_complexity)
        yield path, found


def eslint(paths):
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "eslint.mjs")
    run = subprocess.run(["node", script], input="\n".join(paths), stdout=subprocess.PIPE, text=True, check=True)
    for line in run.stdout.splitlines():
        path, functions = json.loads(line)
        found = collections.defaultdict(list)
        for at, complexity in functions or []:
            found[at].append(complexity)
        yield path, None if functions is None else found


def bca(paths, metric="cyclomatic"):
    program = os.path.join(os.path.dirname(sys.executable), "bca")
    command = [program, "metrics", "-O", "json", "--metrics", "cyclomatic,cognitive", "--no-config"]
    for start in range(0, len(paths), 500):
        run = subprocess.run(command + paths[start : start + 500], stdout=subprocess.PIPE, text=True, check=True)
        for unit in map(json.loads, run.stdout.splitlines()):
            found = collections.defaultdict(list)
            # A closure counts to the function around it, except in Go.
            folds = not unit["name"].endswith(".go")

            def walk(space, outer):
                value = space["metrics"][metric]["value"]
                if space["kind"] == "function":
                    if folds and space["name"] == "<anonymous>":
                        if outer is not None:
                            outer[0] += value - (metric == "cyclomatic")
                    else:
                        outer = [value]
                        found[space["start_line"]].append(outer)
                for inner in space["spaces"]:
                    walk(inner, outer)

            walk(unit, None)
            yield unit["name"], {at: [value for value, in values] for at, values in found.items()}


def bca_cognitive(paths):
    return bca(paths, "cognitive")


ORACLES = {"radon": (radon, [".py"]), "eslint": (eslint, [".js", ".mjs", ".cjs"]), "lizard": (lizard, [".go", ".java"])}
ORACLES |= {"bca": (bca, [".rs", ".java", ".go"]), "bca-cognitive": (bca_cognitive, [".rs", ".java", ".go", ".py"])}


def main():
    (oracle, root), tools = opened(sys.argv)
    items, page = tools.all("qe_quality_metrics", root=root, scope="all", group_by="function", sort="path")
    tools.close()
    run, extensions = ORACLES[oracle]
    ends = {(os.path.join(root, item["file"]), item["lines"][0]): item["lines"][1] for item in items}
    ours = collections.defaultdict(lambda: collections.defaultdict(list))
    for item in items:
        if item["file"].endswith(tuple(extensions)):
            ours[os.path.join(root, item["file"])][item["lines"][0]].append(item["cognitive" if oracle == "bca-cognitive" else "cyclomatic"])
    counts = collections.Counter()
    differences = []
    for path, theirs in run(sorted(ours)):
        functions = ours[path]
        if theirs is None:
            counts["files it cannot read"] += 1
            continue
        for at in sorted(functions.keys() | theirs.keys()):
            one, other = sorted(functions.get(at, [])), sorted(theirs.get(at, []))
            # Of those on one line it is not known which is which.
            if len(one) != len(other):
                counts["ours alone"] += max(len(one) - len(other), 0)
                counts["theirs alone"] += max(len(other) - len(one), 0)
                continue
            equal = sum(a == b for a, b in zip(one, other))
            counts["equal"] += equal
            counts["different"] += len(one) - equal
            if one != other and oracle == "bca" and path.endswith(".rs") and len(one) == 1:
                # It counts a loop without a condition as a branch.
                with open(path, encoding="utf-8") as file:
                    text = "".join(file.readlines()[at - 1 : ends[path, at]])
                if other[0] - one[0] == len(re.findall(r"\bloop\b", text)):
                    counts["equal"] += 1
                    counts["different"] -= 1
                    counts["equal but for `loop`"] += 1
                    continue
            if one != other:
                differences.append(f"{os.path.relpath(path, root)}:{at}: ours {one}, {oracle} {other}")
    matched = counts["equal"] + counts["different"]
    rate = counts["equal"] / matched if matched else 0
    figures = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    # Of cognitive complexity there is no one definition.
    floor = 0 if oracle == "bca-cognitive" else FLOOR
    check(f"complexity beside {oracle}", rate >= floor and matched > 0, f"{100 * rate:.2f} % of {matched} functions equal ({figures})")
    for difference in differences[:20]:
        print(difference)
    finish()


main()
