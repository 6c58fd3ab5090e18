"""How a suite of tests is measured, whoever wrote it: each in a copy of the project of its own, by programs of others.

Of Python: coverage.py with `--branch`; pytest in fresh processes, three times in a random order (pytest-randomly); and
cosmic-ray, of whose faults a sample is planted, the same one for all suites of a module. Of Node: c8, and `node --test` in
three fresh processes. What was measured is written to `results` and not measured again.
"""

import json
import os
import re
import shutil
import subprocess

ORDERS = (1, 2, 3)
# Faults of a module that are planted: each costs a run of the suite.
MUTANTS, SEED = 40, 42
SECONDS, MUTANT_SECONDS = 900, 60
# wcwidth's own tests ask for this where its part in C is not built.
SURROUNDINGS = {"WCWIDTH_PYTHON": "1"}
PYTEST = ["-q", "-c", os.devnull, "--rootdir", ".", "-p", "no:cacheprovider"]

# Run by the Python that has cosmic-ray: leaves a sample of the faults, and says what became of it.
SAMPLE = """
import random, sys
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import WorkResult, WorkerOutcome
with use_db(sys.argv[1], WorkDB.Mode.open) as db:
    items = sorted(db.pending_work_items, key=lambda item: [(one.start_pos, one.operator_name, one.occurrence) for one in item.mutations])
    items = [item.job_id for item in items]
    kept = set(random.Random(int(sys.argv[3])).sample(items, min(int(sys.argv[2]), len(items))))
    for one in items:
        if one not in kept:
            db.set_result(one, WorkResult(output="not in the sample", worker_outcome=WorkerOutcome.SKIPPED))
"""
COUNT = """
import sys
from cosmic_ray.work_db import WorkDB, use_db
with use_db(sys.argv[1], WorkDB.Mode.open) as db:
    outcomes = [str(result.test_outcome).rsplit(".", 1)[-1].lower() for _, result in db.results if result.test_outcome is not None]
    print(sum(one == "killed" for one in outcomes), sum(one != "incompetent" for one in outcomes))
"""


class Suite:
    """Of one module."""

    def __init__(self, folder, module, file):
        self.folder, self.module, self.file = folder, module, file
        self.results = os.path.join(folder, "results")
        os.makedirs(self.results, exist_ok=True)

    def measured(self, name, root, made):
        """`made` gives the test files and what is known of them beforehand."""
        path = os.path.join(self.results, f"{re.sub(r'[^a-z0-9]+', '-', self.module)}.{name}.json")
        if not os.path.exists(path):
            files, figures = made()
            if files:
                copy = os.path.join(self.folder, "copies", f"{re.sub(r'[^a-z0-9]+', '-', self.module)}-{name}")
                shutil.rmtree(copy, ignore_errors=True)
                shutil.copytree(root, copy, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
                figures |= self.figures(copy, [self.placed(copy, one) for one in files])
            with open(path, "w", encoding="utf-8") as file:
                json.dump(figures, file)
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    @staticmethod
    def placed(copy, file):
        """A test file by its path in the copy; one from elsewhere is put there."""
        if os.path.isabs(file):
            return os.path.relpath(shutil.copy(file, copy), copy)
        return file

    def run(self, argv, folder, seconds=SECONDS, **env):
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **env}
        try:
            return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=seconds, env=env, check=False)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(argv, 124, "", "time-out")


class Python(Suite):
    """Run by pytest."""

    def __init__(self, folder, python, module, file, import_root, mutants):
        super().__init__(folder, module, file)
        self.python, self.import_root, self.mutants = python, import_root, mutants

    def figures(self, copy, files):
        path = {"PYTHONPATH": os.path.join(copy, self.import_root), **SURROUNDINGS}
        passed = [self.run([self.python, "-m", "pytest", *PYTEST, "-p", "randomly", f"--randomly-seed={seed}", *files], copy, **path) for seed in ORDERS]
        found = {"fresh": (sum(one.returncode == 0 for one in passed), len(passed))}
        covered = self.run([self.python, "-m", "coverage", "run", "--rcfile", os.devnull, "--branch", f"--include={os.path.join(copy, self.file)}", "-m", "pytest", *PYTEST, "-p", "no:randomly", *files], copy, **path)
        count = re.search(r"(\d+) passed", covered.stdout)
        self.run([self.python, "-m", "coverage", "json", "-q", "-o", "covered.json"], copy)
        try:
            with open(os.path.join(copy, "covered.json"), encoding="utf-8") as file:
                totals = json.load(file)["totals"]
        except OSError:
            return found | {"reason": "coverage.py saw nothing of the module: " + (covered.stdout + covered.stderr)[-120:].replace("\n", " ")}
        found |= {
            "tests": int(count[1]) if count else 0, "line": 100 * totals["covered_lines"] / totals["num_statements"],
            "branch": 100 * totals["covered_branches"] / max(1, totals["num_branches"]),
        }
        if not self.mutants:
            return found
        if covered.returncode:
            last = (covered.stdout.strip().splitlines() or [""])[-1]
            return found | {"reason": f"no faults planted: the suite fails without them ({last.strip('= ')})"}
        return found | {"mutants": self.noticed(copy, files, path)}

    def noticed(self, copy, files, path):
        """Faults noticed, and planted."""
        command = " ".join([self.python, "-m", "pytest", "-x", *PYTEST, "-p", "no:randomly", *files])
        with open(os.path.join(copy, "faults.toml"), "w", encoding="utf-8") as file:
            file.write(f"[cosmic-ray]\nmodule-path = {json.dumps(self.file)}\ntimeout = {MUTANT_SECONDS}.0\nexcluded-modules = []\ntest-command = {json.dumps(command)}\n[cosmic-ray.distributor]\nname = 'local'\n")
        tool = os.path.join(os.path.dirname(self.python), "cosmic-ray")
        self.run([tool, "init", "faults.toml", "faults.sqlite"], copy, **path)
        self.run([self.python, "-c", SAMPLE, "faults.sqlite", str(self.mutants), str(SEED)], copy)
        self.run([tool, "exec", "faults.toml", "faults.sqlite"], copy, seconds=self.mutants * MUTANT_SECONDS, **path)
        return [int(one) for one in self.run([self.python, "-c", COUNT, "faults.sqlite"], copy).stdout.split()]


class Node(Suite):
    """Run by `node --test`."""

    def __init__(self, folder, c8, module, file):
        super().__init__(folder, module, file)
        self.c8 = c8

    def figures(self, copy, files):
        passed = sum(self.run(["node", "--test", *files], copy).returncode == 0 for _ in ORDERS)
        self.run([self.c8, "--clean", "--include", self.file, "--reporter", "json-summary", "--reports-dir", "covered", "node", "--test", *files], copy)
        found = {"fresh": (passed, len(ORDERS)), "reason": "npm has no tests of the package; no independent tool planted faults"}
        try:
            with open(os.path.join(copy, "covered", "coverage-summary.json"), encoding="utf-8") as file:
                totals = next(one for name, one in json.load(file).items() if name.endswith(self.file))
        except (OSError, StopIteration):
            return found | {"reason": "c8 saw nothing of the module"}
        return found | {"line": totals["lines"]["pct"], "branch": totals["branches"]["pct"]}
