"""Generates tests for modules of real packages, whose own tests are not there, and checks them by other means.

`python testgen.py python|node|short FOLDER [--times N] -- COMMAND…`

`python`: FOLDER has a virtual environment `.venv` with the packages of MODULES, pytest, pytest-randomly and coverage; each
test file is run by pytest three times in random order, and once under coverage.py (lines and branches).
`node`: FOLDER has `node_modules` with the packages of FILES; each test file is run by `node --test` twice, and once with
Node's own coverage.
`short`: a few modules of both, with the packages of this Python environment and of the npm packages beside it. What is kept
must pass in fresh processes, three times in random order where the runner can; then BUGS bugs are put into a copy of each
module, one after the other, and the kept tests must notice at least one of them in each, and half of all.

The command serves the tools with FOLDER among its folders. Prints a line of JSON for each module; fails if a kept test
fails or if two calls with one seed differ.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import bugs
from tools import MODULES as PACKAGES, check, finish, opened

MODULES = {
    "slugify": ["slugify/slugify.py"],
    "humanize": ["humanize/filesize.py", "humanize/lists.py", "humanize/number.py", "humanize/time.py"],
    "tabulate": ["tabulate/__init__.py"],
    "more_itertools": ["more_itertools/recipes.py", "more_itertools/more.py"],
}
FILES = {
    "ms": ["index.js"], "bytes": ["index.js"], "pluralize": ["pluralize.js"], "camelcase": ["index.js"], "leven": ["index.js"],
    "escape-string-regexp": ["index.js"], "semver": ["classes/semver.js", "functions/inc.js", "functions/coerce.js"],
}
RANDOM = (1, 2, 3)
SHORT = [
    ("python", "slugify", "slugify/_legacy.py"), ("python", "humanize", "humanize/filesize.py"), ("python", "humanize", "humanize/lists.py"),
    ("node", "ms", "index.js"), ("node", "bytes", "index.js"),
]
BUGS = 6


def run(argv, folder, **env):
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, env={**os.environ, **env})


def of_python(folder, package, file):
    """A project of one package; its own tests are no part of a wheel."""
    root = os.path.join(folder, "projects", package)
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(root)
    site = run([os.path.join(folder, ".venv/bin/python"), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder)
    shutil.copytree(os.path.join(site.stdout.strip(), package), os.path.join(root, package), ignore=shutil.ignore_patterns("__pycache__"))
    os.symlink(os.path.join(folder, ".venv"), os.path.join(root, ".venv"))
    return root


def check_python(root, test, file):
    python = os.path.join(root, ".venv/bin/python")
    passed = 0
    for seed in RANDOM:
        result = run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--randomly-seed={seed}", test], root)
        passed += result.returncode == 0
        if result.returncode:
            print(result.stdout[-1500:], file=sys.stderr)
    data = os.path.join(root, "data")
    run([python, "-m", "coverage", "run", f"--data-file={data}", "--branch", f"--include={file}", "-m", "pytest", "-q", "-p", "no:randomly", test], root)
    report = os.path.join(root, "report.json")
    run([python, "-m", "coverage", "json", f"--data-file={data}", "-o", report], root)
    totals = json.load(open(report, encoding="utf-8"))["totals"]
    return passed / len(RANDOM), {
        "line": round(100 * totals["covered_lines"] / totals["num_statements"], 1),
        "branch": round(100 * totals["covered_branches"] / max(1, totals["num_branches"]), 1),
        "line+branch": round(totals["percent_covered"], 1),
    }


def of_node(folder, package, file):
    root = os.path.join(folder, "projects", package)
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(os.path.join(folder, "node_modules", package), root)
    return root


def check_node(root, test, file):
    passed = sum(run(["node", "--test", test], root).returncode == 0 for _ in range(2))
    report = run(["node", "--test", "--experimental-test-coverage", "--test-reporter=lcov", test], root).stdout
    line = branch = None
    for record in report.split("end_of_record"):
        if f"SF:{file}\n" in record:
            of = {key: int(value) for key, _, value in (entry.partition(":") for entry in record.split()) if key in ("LF", "LH", "BRF", "BRH")}
            line = round(100 * of["LH"] / max(1, of["LF"]), 1)
            branch = round(100 * of["BRH"] / max(1, of["BRF"]), 1)
    return passed / 2, {"line": line, "branch": branch}


def fails(language, root, test):
    """Whether the kept tests notice something: a run of them in a fresh process fails."""
    python = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", test]
    argv = python if language == "python" else ["node", "--test", test]
    # A group of its own: `node --test` runs the tests in a child, which a bug may keep busy for ever.
    process = subprocess.Popen(argv, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    try:
        return process.wait(timeout=10) != 0
    except subprocess.TimeoutExpired:
        # Which is noticed, too.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True


def short(folder, tools):
    caught_of_all = bugs_of_all = 0
    for language, package, file in SHORT:
        source = os.path.dirname(__import__(package).__file__) if language == "python" else os.path.join(PACKAGES, package)
        root = os.path.join(os.path.realpath(folder), f"{package}-{os.path.basename(file)}")
        to = os.path.join(root, package) if language == "python" else root
        shutil.copytree(source, to, ignore=shutil.ignore_patterns("__pycache__", "test", "tests"))
        began = time.monotonic()
        result = tools.call("qe_test_generate", root=root, targets=[{"file": file}], max_tests=200, write="files")["results"][0]
        seconds = time.monotonic() - began
        test, kept = result["test_file"]["path"], result["test_file"]["tests"]
        orders = [["-p", "randomly", f"--randomly-seed={seed}"] for seed in RANDOM]
        argv = [[sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *order, test] for order in orders]
        fresh = [run(one, root, PYTHONDONTWRITEBYTECODE="1") for one in (argv if language == "python" else [["node", "--test", test]] * 3)]
        passed = sum(one.returncode == 0 for one in fresh)
        where = f"{language} {package}/{os.path.basename(file)}"
        said = next((one.stdout.strip().splitlines()[-1:] for one in fresh if one.returncode), "")
        check(f"kept tests of {where} pass in fresh runs", passed == len(fresh) and kept > 0, f"{passed} of {len(fresh)} runs of {kept} tests, generated in {seconds:.1f} s {said}")
        path = os.path.join(root, file)
        with open(path, encoding="utf-8") as opened_file:
            text = opened_file.read()
        seeded = list(bugs.chosen(text, language, BUGS))
        missed = []
        for line, old, new, changed in seeded:
            with open(path, "w", encoding="utf-8") as opened_file:
                opened_file.write(changed)
            if not fails(language, root, test):
                missed.append(f"line {line}: {old} → {new}")
        caught = len(seeded) - len(missed)
        caught_of_all, bugs_of_all = caught_of_all + caught, bugs_of_all + len(seeded)
        check(f"bugs in {where} are noticed", caught > 0, f"{caught} of {len(seeded)}" + (f"; missed {', '.join(missed)}" if missed else ""))
    check("bugs in all of them", 2 * caught_of_all >= bugs_of_all, f"{caught_of_all} of {bugs_of_all}")


def main():
    (language, folder, *options), tools = opened(sys.argv)
    if language == "short":
        short(folder, tools)
        tools.close()
        finish()
    folder = os.path.realpath(folder)
    times = int(options[1]) if options[:1] == ["--times"] else 3
    of, checked, corpus = (of_python, check_python, MODULES) if language == "python" else (of_node, check_node, FILES)
    bad = 0
    for package, files in corpus.items():
        for file in files:
            root = of(folder, package, file)
            arguments = {"root": root, "targets": [{"file": file}], "max_tests": 200}
            walls, contents = [], set()
            for _ in range(times):
                began = time.monotonic()
                answer = tools.call("qe_test_generate", **arguments)
                walls.append(time.monotonic() - began)
                result = answer["results"][0]
                contents.add(json.dumps([result["tests"], result.get("test_file")]))
            written = tools.call("qe_test_generate", write="files", **arguments)["results"][0]["test_file"]
            passed, coverage = checked(root, written["path"], file)
            mutation = result["mutation"]
            line = {
                "module": f"{package}/{file}" if language == "node" else file, "tests": written["tests"], "candidates": result["counts"]["candidates"],
                "compile_rate": result["compile_rate"], "pass_rate": result["pass_rate"], "flaky": result["counts"]["flaky"],
                "fresh_runs_passed": passed, "ours": {kind: ratio and ratio["pct"] for kind, ratio in result["after"].items()},
                "measured": coverage, "mutation": mutation and f"{mutation['killed']}/{mutation['total']}",
                "seconds": sorted(round(wall, 2) for wall in walls)[len(walls) // 2], "deterministic": result["deterministic"], "same_bytes": len(contents) == 1,
            }
            print(json.dumps(line), flush=True)
            bad += passed < 1 or (result["deterministic"] and len(contents) > 1)
    tools.close()
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
