"""Test generation with sources of values in the learned order, against the fixed one: what of real modules is covered, and how many
planted faults are noticed.

Usage: ordering.py FOLDER [--seeds N] [--budget MS]
  FOLDER  has a virtual environment `.venv` with packages of MODULES; copies of them are made in it

It runs the search of `qe_test_generate` for Python (crates/qe/src/testgen/python) by itself, and learns as the tool does: at most TRIALS
trials of each source and search, Beta(1 + successes, 1 + failures). What is learnt is never of the module that it is tried on: the
modules are two halves, and each is tried with what searches of the other have taught. The budget is counted in lines run and not in
seconds, so that both orders have the same on any machine. The interval is of the mean over modules (each the mean of its seeds), by
10,000 resamplings of modules.
"""

import concurrent.futures
import json
import os
import random
import shutil
import subprocess
import sys

from tools import check, finish

MODULES = [
    "slugify/slugify.py", "humanize/number.py", "humanize/filesize.py", "humanize/time.py", "inflection.py", "parse/__init__.py",
    "natsort/utils.py", "semver/version.py", "roman/__init__.py", "webcolors/_conversion.py", "packaging/version.py",
    "packaging/specifiers.py", "boltons/strutils.py", "boltons/timeutils.py", "boltons/iterutils.py", "tabulate/__init__.py",
    "more_itertools/recipes.py", "toolz/itertoolz.py",
]
# Planted faults of a module; trials of a source and search; seeds of the searches that teach.
MUTANTS, TRIALS, TEACHING = 40, 50, (101, 102)
# The clock is to have no part in it; what takes longer is left out, and counted.
LONGEST_S = 900
HARNESS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../crates/qe/src/testgen/python")
START = "import sys; sys.path.insert(0, sys.argv[1]); from aqe_testgen.main import run; run()"


def copied(folder, site, file):
    """A project of one package, and a folder beside it for what the search writes."""
    top = file.split("/")[0]
    root = os.path.join(folder, "projects", file.replace("/", "."), "project")
    if not os.path.isdir(root):
        os.makedirs(root)
        source = os.path.join(site, top)
        if top.endswith(".py"):
            shutil.copy(source, root)
        else:
            shutil.copytree(source, os.path.join(root, top), ignore=shutil.ignore_patterns("__pycache__", "test", "tests"))
    return root


def search(folder, root, file, seed, budget, order):
    """What one search answers; `None` if it did not end by itself."""
    others = sorted(os.path.relpath(os.path.join(path, name), root) for path, _, names in os.walk(root) for name in names if name.endswith(".py"))
    request = {
        "mode": "search", "scratch": root, "import_root": "", "file": file, "module": file.removesuffix(".py").removesuffix("/__init__").replace("/", "."),
        "functions": [], "lines": None, "skip": [], "fatal": [], "seed": seed, "budget_ms": budget, "wall_ms": LONGEST_S * 1000, "mutants": MUTANTS,
        "framework": "pytest", "allow_effects": False, "status": f"{root}-status-{seed}-{bool(order)}", "documents": [],
        "callers": [one for one in others if one != file][:60], "order": order, "memory": 2 << 30, "cpu_seconds": LONGEST_S, "file_bytes": 64 << 20,
    }
    python = os.path.join(folder, ".venv/bin/python")
    environment = {"PYTHONHASHSEED": "0", "TZ": "UTC", "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run([python, "-c", START, os.path.join(folder, "search")], input=json.dumps(request).encode(), capture_output=True, env=environment, timeout=2 * LONGEST_S)
        answer = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return None
    return None if "failed" in answer or answer["late"] else answer


def learnt(answers):
    """The mean of each source's chance, as the tool has it after these searches."""
    sums = {}
    for answer in answers:
        for name, (tried, gained) in answer["sources"].items():
            trials = min(tried, TRIALS)
            if trials:
                sums.setdefault(name, [0, 0])
                sums[name][0] += round(gained * trials / tried)
                sums[name][1] += trials
    return {name: (1 + successes) / (2 + trials) for name, (successes, trials) in sorted(sums.items())}


def reached(answer):
    """Of a hundred: lines and branches that tests of the search reach, and planted faults that they notice."""
    lines, branches = set(answer["import"]["lines"]), {tuple(one) for one in answer["import"]["branches"]}
    killed = set()
    for block in answer["blocks"]:
        lines |= set(block["lines"])
        branches |= {tuple(one) for one in block["branches"]}
        killed |= set(block["kills"])
    universe = answer["universe"]
    covered = 100 * (len(lines) + len(branches)) / (len(universe["lines"]) + len(universe["branches"]))
    made = answer["mutants"]
    return covered, 100 * len(killed) / len(made) if made else None


def interval(means):
    """95 % of the means of resampled modules."""
    chance = random.Random(7)
    drawn = sorted(sum(chance.choices(means, k=len(means))) / len(means) for _ in range(10_000))
    return drawn[250], drawn[9_749]


def told(what, by_module):
    means = [sum(one) / len(one) for one in by_module.values() if one]
    if len(means) < 2:
        print(f"{what}: null (fewer than two modules)")
        return
    low, high = interval(means)
    better, worse = sum(one > 0 for one in means), sum(one < 0 for one in means)
    mean = sum(means) / len(means)
    print(f"{what}: learned - fixed {mean:+.2f} (95 % {low:+.2f} .. {high:+.2f}); of {len(means)} modules {better} better, {worse} worse", flush=True)


def main():
    folder, *words = sys.argv[1:]
    folder = os.path.realpath(folder)
    options = dict(zip(words[::2], words[1::2]))
    seeds, budget = range(1, int(options.get("--seeds", 5)) + 1), int(options.get("--budget", 100))
    site = next(path for path, _, _ in os.walk(os.path.join(folder, ".venv/lib")) if path.endswith("site-packages"))
    # Where the search, which the kernel holds to what it has to read, finds its own code.
    shutil.copytree(HARNESS, os.path.join(folder, "search/aqe_testgen"), dirs_exist_ok=True)
    there = [file for file in MODULES if os.path.exists(os.path.join(site, file))]
    print(f"{len(there)} modules, {len(seeds)} seeds, budget {budget} ms ({400 * budget} lines run), {MUTANTS} faults; absent: {sorted(set(MODULES) - set(there))}")
    roots = {file: copied(folder, site, file) for file in there}
    coverage, faults, left_out = {file: [] for file in there}, {file: [] for file in there}, 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        def searched(tasks):
            return list(pool.map(lambda task: search(folder, roots[task[0]], task[0], task[1], budget, task[2]), tasks))

        halves = [there[0::2], there[1::2]]
        for number, tried in enumerate(halves):
            taught = searched([(file, seed, None) for file in halves[1 - number] for seed in TEACHING])
            order = learnt([answer for answer in taught if answer])
            print(f"half {number}: learnt {json.dumps({name: round(mean, 3) for name, mean in order.items()})}", flush=True)
            for file in tried:
                found = searched([(file, seed, one) for seed in seeds for one in (None, order)])
                for fixed, learned in zip(found[0::2], found[1::2]):
                    if not fixed or not learned:
                        left_out += 1
                        continue
                    (before, missed), (after, noticed) = reached(fixed), reached(learned)
                    coverage[file].append(after - before)
                    if missed is not None and noticed is not None:
                        faults[file].append(noticed - missed)
                count = max(1, len(coverage[file]))
                print(f"  {file}: covered {sum(coverage[file]) / count:+.2f}, noticed {sum(faults[file]) / count:+.2f} ({len(coverage[file])} seeds)", flush=True)
    told("lines and branches covered, points of a hundred", coverage)
    told("planted faults noticed, points of a hundred", faults)
    check("searches that count", left_out * 4 <= len(there) * len(seeds), f"{left_out} of {len(there) * len(seeds)} pairs left out")
    finish()


if __name__ == "__main__":
    main()
