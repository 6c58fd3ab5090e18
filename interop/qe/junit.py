"""Compares the counts that the gate reads of JUnit reports with those that the tools print: `python junit.py -- COMMAND…`.

The command serves the tools with the current folder among its folders. pytest and `node --test` run tests that pass, fail, are
skipped and cannot run; so does Jest by jest-junit, where `jest` is on the path and JEST_JUNIT says where that is.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from tools import check, finish, opened

PYTEST = """
import pytest

def test_passes(): pass
def test_fails(): assert 1 == 2
@pytest.mark.skip
def test_later(): pass
@pytest.mark.xfail
def test_known(): assert False
@pytest.fixture
def broken(): raise RuntimeError("no database")
def test_cannot_run(broken): pass
@pytest.mark.parametrize("n", range(5))
def test_many(n): assert n < 4
"""
JEST = """
describe("sums & <differences>", () => {
  test("adds", () => { expect(1 + 1).toBe(2); });
  test("fails", () => { expect(1 + 1).toBe(3); });
  test.skip("later", () => {});
  test.each([1, 2, 3, 4])("each %i", (n) => { expect(n).toBeLessThan(4); });
});
test("throws", () => { throw new Error("]]> no database"); });
"""
NODE = """
const { describe, it, test } = require("node:test");
const assert = require("node:assert");
describe("sums & <differences>", () => {
  it("adds", () => assert.equal(1 + 1, 2));
  it("fails", () => assert.equal(1 + 1, 3));
  it("later", { skip: true }, () => {});
});
test("throws", () => { throw new Error("]]> no database"); });
test("passes", () => {});
"""


def write(root, path, text):
    with open(os.path.join(root, path), "w", encoding="utf-8") as file:
        file.write(text)


def run(root, *command, **env):
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, env={**os.environ, **env})
    return done.stdout + done.stderr


def counts(failed, skipped, total):
    return {"tests_failed": failed, "tests_skipped": skipped, "tests_total": total}


def by_pytest(root):
    """Counted by its last line: `2 failed, 5 passed, 1 skipped, 1 xfailed, 1 error in 0.1s`."""
    write(root, "test_all.py", PYTEST)
    last = run(root, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=pytest.xml").strip().splitlines()[-1]
    found = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|xfailed|errors?)", last)}
    failed = found.get("failed", 0) + found.get("error", 0) + found.get("errors", 0)
    # JUnit has no word for what is known to fail: pytest writes it as skipped.
    return "pytest.xml", counts(failed, found.get("skipped", 0) + found.get("xfailed", 0), sum(found.values()))


def by_jest(root):
    """Counted by `Tests: 3 failed, 1 skipped, 4 passed, 8 total`."""
    write(root, "all.test.js", JEST)
    write(root, "package.json", "{}")
    reporters = ["--reporters=default", f"--reporters={os.environ['JEST_JUNIT']}"]
    said = run(root, "jest", "--ci", "--rootDir", root, *reporters, JEST_JUNIT_OUTPUT_NAME="jest.xml")
    found = {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", re.search(r"^Tests:.*$", said, re.MULTILINE).group())}
    return "jest.xml", counts(found.get("failed", 0), found.get("skipped", 0), found["total"])


def by_node(root):
    """Counted by the lines `# tests 5`, `# fail 2` and so on."""
    write(root, "all.test.cjs", NODE)
    to = ["--test-reporter=tap", "--test-reporter-destination=stdout", "--test-reporter=junit", "--test-reporter-destination=node.xml"]
    said = run(root, "node", "--test", *to, "all.test.cjs")
    found = {word: int(number) for word, number in re.findall(r"^# (tests|fail|skipped|cancelled) (\d+)", said, re.MULTILINE)}
    return "node.xml", counts(found["fail"] + found["cancelled"], found["skipped"], found["tests"])


def main():
    _, tools = opened(sys.argv)
    for tool in (by_pytest, by_node, *([by_jest] if shutil.which("jest") else [])):
        with tempfile.TemporaryDirectory(dir=".") as folder:
            root = os.path.realpath(folder)
            report, wanted = tool(root)
            conditions = [{"metric": metric, "op": "==", "value": value} for metric, value in wanted.items()]
            verdict = tools.call("qe_quality_gate", root=root, inputs={"junit": [report]}, conditions=conditions)
            holds = verdict["status"] == "passed" and wanted["tests_total"] > 0
            check(f"JUnit of {tool.__name__[3:]}", holds, wanted if holds else f"{wanted}: {json.dumps(verdict['conditions'])}")
    tools.close()
    finish()


main()
