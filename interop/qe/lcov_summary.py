"""Compares sums with those of lcov: `python lcov_summary.py -- COMMAND…`; the command serves the tools with the current folder among its folders.

Reports of coverage.py and Node.js of code that is made here, in two shards. `lcov --summary` must say of each the sums that we
say; of both, which `lcov -a` joins, those that we make of both files; and of what it then writes, what we say of that. Of
coverage.py's reports only lines are compared: they have the functions of lcov 2 and branches with names, neither of which
lcov 1 reads.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

from tools import check, finish, opened

PYTHON = """
def sign(n):
    if n < 0:
        return -1
    return 1 if n else 0

def never(n):
    for _ in range(n):
        print(n)

def parts(text, sep=","):
    found = []
    for part in text.split(sep):
        if part:
            found.append(part)
        else:
            found.append(None)
    return found
"""
JAVASCRIPT = """
function sign(n) {
  if (n < 0) {
    return -1;
  }
  return n ? 1 : 0;
}
function never(n) {
  while (n > 0) n--;
}
module.exports = { sign, never, or: (a, b) => a || b };
"""
# Two runs of each, with the calls of the one or the other.
CALLS = {"py": ("m.sign(-1); m.parts('a,b')", "m.sign(3); m.sign(0); m.parts(',')"), "js": ("m.sign(-1); m.or(1, 2)", "m.sign(3); m.or(0, 2)")}
LCOV = ["lcov", "--rc", "lcov_branch_coverage=1"]


def run(root, *command):
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout


def write(root, path, text):
    with open(os.path.join(root, path), "w", encoding="utf-8") as file:
        file.write(text)


def reports(root):
    """The shards of each tool."""
    write(root, "measured.py", PYTHON)
    write(root, "measured.cjs", JAVASCRIPT)
    for number, calls in enumerate(CALLS["py"]):
        write(root, "calls.py", f"import measured as m\n{calls}\n")
        run(root, sys.executable, "-m", "coverage", "run", "--branch", "--include=measured.py", "calls.py")
        run(root, sys.executable, "-m", "coverage", "lcov", "-o", f"python-{number}.info")
    for number, calls in enumerate(CALLS["js"]):
        write(root, "calls.test.cjs", f"const m = require('./measured.cjs'); require('node:test')('calls', () => {{ {calls} }});")
        options = ["--experimental-test-coverage", "--test-coverage-include=measured.cjs", "--test-reporter=lcov"]
        write(root, f"node-{number}.info", run(root, "node", "--test", *options, "calls.test.cjs"))
    return {tool: [f"{tool}-{number}.info" for number in (0, 1)] for tool in ("python", "node")}


def theirs(root, report):
    """`lines......: 75.0% (6 of 8 lines)`; what is not in the report is told in words."""
    done = subprocess.run([*LCOV, "--summary", report], cwd=root, capture_output=True, text=True, check=True)
    found = re.findall(r"^\s*(line|function|branch)\w*\.*:.*\((\d+) of (\d+)", done.stdout + done.stderr, re.MULTILINE)
    return {kind: (int(covered), int(total)) for kind, covered, total in found}


def ours(tools, root, names):
    totals = tools.call("qe_coverage_analyze", root=root, reports=names)["totals"]
    return {kind: (counts["covered"], counts["total"]) for kind, counts in totals.items() if counts and counts["total"]}


def main():
    _, tools = opened(sys.argv)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        root = os.path.realpath(folder)
        for tool, shards in reports(root).items():
            joined = f"{tool}-all.info"
            run(root, *LCOV, *(word for shard in shards for word in ("-a", shard)), "-o", joined)
            each = [(shard, shard, [shard]) for shard in shards]
            for name, of_theirs, of_ours in [*each, (f"{tool}'s, joined", joined, shards), (f"{tool}'s, written by lcov", joined, [joined])]:
                wanted, got = theirs(root, of_theirs), ours(tools, root, of_ours)
                if tool == "python":
                    wanted, got = {"line": wanted.get("line")}, {"line": got["line"]}
                check(f"lcov --summary of {name}", wanted == got and "line" in wanted, json.dumps(got) if wanted == got else f"{got} instead of {wanted}")
    tools.close()
    finish()


main()
