"""Compares the reading of what Node.js, nyc and c8 write of one run with their own sums of it: `python javascript_coverage.py -- COMMAND…`.

The command serves the tools with the current folder among its folders. Installed packages, copied below the current folder, are
called under each of the three. Of each file, lines, branches and functions must be the ones that the tool counted itself, from
each format that has them: lcov, Istanbul's JSON, Cobertura and Clover. What is not compared, and why:

* functions in Clover: Istanbul writes only their sum, no function of its own
* branches in Cobertura and Clover: both hang them on lines with statements, so a decision on a line without is lost; there must
  not be more than the tool counted, and those that are there are counted in the figure

The uncovered lines must be the same from all formats of one run, too.
"""

import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from tools import MODULES, check, finish, opened

PACKAGES = {
    "semver": "m.parse('1.2.3-a.1'); m.inc('1.2.3', 'minor'); m.satisfies('1.2.3', '>=1 <2 || ^3'); m.coerce('v3.4'); m.diff('1.0.0', '2.0.0')",
    "ms": "m('2 days'); m(60000); m(60000, { long: true }); try { m({}) } catch {}",
    "bytes": "m('1kb'); m(1024 * 1024); m.parse('x'); m.format(1e9, { unit: 'MB' })",
    "content-type": "m.parse('text/html; charset=utf-8'); m.format({ type: 'a/b', parameters: { c: 'd e' } })",
    "escape-html": "m('<a href=\"x\">&</a>')",
    "cookie": "m.parse('a=1; b=\"x y\"; a=2'); m.serialize('a', 'ü', { maxAge: 5, httpOnly: true })",
    "range-parser": "m(100, 'bytes=0-5,7-9', { combine: true }); m(10, 'x')",
    "picomatch": "m('*.{js,ts}')('a.js'); m('**/[a-c]!(x)*', { dot: true })('q/bz')",
    "balanced-match": "(m.balanced || m.default || m)('{', '}', 'pre{in{nest}}post'); (m.balanced || m.default || m)(/a/, 'b', 'xaxb')",
    "path-to-regexp": "(m.match)('/a/:b')('/a/c'); m.compile('/x{/:y}')({ y: 'z' })",
}
KINDS = {"line": "lines", "branch": "branches", "function": "functions"}
# The reporters of Istanbul, and the file that each writes.
REPORTERS = {"lcovonly": "lcov.info", "json": "coverage-final.json", "cobertura": "cobertura-coverage.xml", "clover": "clover.xml"}
# Of Node.js: its own sums as they are, from the event that its reporters get.
SUMMARY = """module.exports = async function* (events) {
  for await (const { type, data } of events) if (type === "test:coverage") yield JSON.stringify(data.summary);
};
"""


def compiled(source, to):
    """Copies a file without its source map: lines are those of the file itself then."""
    if source.endswith((".js", ".cjs", ".json")):
        with open(source, encoding="utf-8") as file:
            text = file.read()
        with open(to, "w", encoding="utf-8") as file:
            file.write(re.sub(r"^//# sourceMappingURL=.*$", "", text, flags=re.MULTILINE))


def project(root):
    calls = []
    for name, code in PACKAGES.items():
        shutil.copytree(os.path.join(MODULES, name), os.path.join(root, "src", name), copy_function=compiled, ignore=shutil.ignore_patterns("node_modules", "test"))
        calls.append(f"{{ const m = require('./src/{name}'); {code}; }}")
    with open(os.path.join(root, "calls.cjs"), "w", encoding="utf-8") as file:
        file.write("\n".join(calls))
    with open(os.path.join(root, "calls.test.cjs"), "w", encoding="utf-8") as file:
        file.write("require('node:test')('calls', () => {" + "\n".join(calls) + "});")
    with open(os.path.join(root, "summary.cjs"), "w", encoding="utf-8") as file:
        file.write(SUMMARY)


def run(root, *command):
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def of_istanbul(root, name, *options):
    """Runs nyc or c8; its own counts of each file, and the reports."""
    folder = os.path.join(root, name)
    reporters = [f"--reporter={reporter}" for reporter in [*REPORTERS, "json-summary"]]
    run(root, name, *options, *reporters, "--report-dir", folder, "node", "calls.cjs")
    with open(os.path.join(folder, "coverage-summary.json"), encoding="utf-8") as file:
        said = json.load(file)
    pair = lambda counts: (counts["covered"], counts["total"])
    wanted = {
        os.path.relpath(path, root): {"line": pair(of["lines"]), "branch": pair(of["branches"]), "function": pair(of["functions"])}
        for path, of in said.items()
        if path != "total"
    }
    return wanted, {reporter: f"{name}/{file}" for reporter, file in REPORTERS.items()}


def of_node(root):
    os.makedirs(os.path.join(root, "node"))
    reporters = {"lcov": "node/lcov.info", "./summary.cjs": "node/summary.json"}
    options = [word for reporter, file in reporters.items() for word in (f"--test-reporter={reporter}", f"--test-reporter-destination={file}")]
    run(root, "node", "--test", "--experimental-test-coverage", "--test-coverage-include=src/**", *options, "calls.test.cjs")
    with open(os.path.join(root, "node/summary.json"), encoding="utf-8") as file:
        said = json.load(file)
    names = {"line": "Line", "branch": "Branch", "function": "Function"}
    wanted = {
        os.path.relpath(of["path"], root): {kind: (of[f"covered{name}Count"], of[f"total{name}Count"]) for kind, name in names.items()}
        for of in said["files"]
    }
    return wanted, {"lcov": "node/lcov.info"}


def found(tools, root, report):
    """Counts of each file, and the uncovered lines."""
    groups, _ = tools.all("qe_coverage_analyze", of="groups", root=root, reports=[report])
    pair = lambda counts: (counts["covered"], counts["total"]) if counts else (0, 0)
    counts = {group["path"]: {kind: pair(group[kind]) for kind in KINDS} for group in groups}
    return counts, tools.uncovered(root, report)


def compare(tools, root, tool, wanted, reports):
    uncovered = {}
    for reporter, report in reports.items():
        got, uncovered[reporter] = found(tools, root, report)
        tally, first = collections.Counter(), None
        for path, of in wanted.items():
            for kind in KINDS:
                if kind == "function" and reporter == "clover":
                    continue
                covered, total = got.get(path, {}).get(kind, (0, 0))
                is_partial = kind == "branch" and reporter in ("cobertura", "clover")
                holds = covered <= of[kind][0] and total <= of[kind][1] if is_partial else (covered, total) == of[kind]
                tally[kind] += total
                tally["wanted", kind] += of[kind][1]
                if not holds:
                    first = first or f"{path}: {kind} {covered, total} instead of {of[kind]}"
        if first is None and (more := got.keys() - wanted.keys()):
            first = f"files that {tool} does not count: {sorted(more)[:3]}"
        figures = ", ".join(f"{tally[kind]} of {tally['wanted', kind]} {KINDS[kind]}" for kind in KINDS if tally["wanted", kind])
        check(f"{tool} {reporter}", first is None and tally["line"] > 0, first or f"{len(wanted)} files equal; {figures}")
    if len(uncovered) > 1:
        of_each = {reporter: len(lines) for reporter, lines in uncovered.items()}
        is_one = len({frozenset(lines) for lines in uncovered.values()}) == 1
        check(f"{tool} uncovered lines by format", is_one, of_each)


def main():
    _, tools = opened(sys.argv)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        root = os.path.realpath(folder)
        project(root)
        compare(tools, root, "Node.js", *of_node(root))
        compare(tools, root, "nyc", *of_istanbul(root, "nyc", "--all", "--include=src/**", "--no-clean", f"--temp-dir={root}/nyc-data"))
        compare(tools, root, "c8", *of_istanbul(root, "c8", "--all", "--include=src/**", f"--temp-directory={root}/c8-data"))
    tools.close()
    finish()


main()
