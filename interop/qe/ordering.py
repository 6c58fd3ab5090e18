"""Test generation with sources of values in the learned order, against the fixed one: what of real modules is covered, and how many
planted faults are noticed.

Usage: ordering.py FOLDER [--seeds N] [--budget MS] -- SERVE
  FOLDER  has a virtual environment `.venv` with the packages of MODULES; copies and stores are made in it
  SERVE   the program that `cargo build -p aqe-qe --example serve` makes

What is learnt is never of the module that it is tried on: the modules are two halves, and each half is tried with what searches of the
other have taught. Every search begins with that and nothing else: the store is copied for each. The budget is counted in lines run,
not in seconds, so that both have the same on any machine. The interval is of the mean over modules (each the mean of its seeds),
by 10,000 resamplings of modules.
"""

import json
import os
import random
import shutil
import sys

from tools import Tools, check, finish

MODULES = [
    "slugify/slugify.py", "humanize/number.py", "humanize/filesize.py", "humanize/time.py", "inflection.py", "parse/__init__.py", "natsort/utils.py",
    "semver/version.py", "roman/__init__.py", "webcolors/_conversion.py", "packaging/version.py", "packaging/specifiers.py", "boltons/strutils.py",
    "boltons/timeutils.py", "tabulate/__init__.py", "more_itertools/recipes.py", "toolz/itertoolz.py", "sortedcontainers/sortedlist.py",
]
MUTANTS = 40
# Searches that teach: of each module of the other half one with each of these seeds.
TEACHING = (101, 102)


def copied(folder, site, file):
    """A project of one package."""
    top = file.split("/")[0]
    root = os.path.join(folder, "projects", top.removesuffix(".py"))
    if not os.path.isdir(root):
        os.makedirs(root)
        source = os.path.join(site, top)
        if top.endswith(".py"):
            shutil.copy(source, root)
        else:
            shutil.copytree(source, os.path.join(root, top), ignore=shutil.ignore_patterns("__pycache__", "test", "tests"))
        os.symlink(os.path.join(folder, ".venv"), os.path.join(root, ".venv"))
    return root


class Searches:
    """Calls of the tool over a store of their own."""

    def __init__(self, serve, folder, store):
        self.tools = Tools([*serve, "--store", store, folder])
        self.tools.initialize()

    def search(self, root, file, seed, budget, order):
        arguments = {"root": root, "targets": [{"file": file}], "seed": seed, "budget_ms": budget, "mutants": MUTANTS, "max_tests": 300, "order": order}
        return self.tools.call("qe_test_generate", **arguments)["results"][0]

    def close(self):
        self.tools.close()


def reached(result):
    """Lines and branches reached, of all; faults noticed, of all; `None` if the clock had a part in it."""
    if not result.get("deterministic"):
        return None
    after, mutation = result["after"], result["mutation"]
    line, branch = after["line"], after["branch"]
    covered = 100 * (line["covered"] + branch["covered"]) / (line["total"] + branch["total"])
    noticed = 100 * mutation["killed"] / mutation["total"] if mutation and mutation["total"] else None
    return covered, noticed, result["executed"]


def interval(means):
    """95 % of the means of resampled modules."""
    chance = random.Random(7)
    drawn = sorted(sum(chance.choices(means, k=len(means))) / len(means) for _ in range(10_000))
    return drawn[250], drawn[9_749]


def told(what, by_module):
    means = [sum(one) / len(one) for one in by_module.values() if one]
    if len(means) < 2:
        print(f"{what}: null (fewer than two modules)")
        return None
    low, high = interval(means)
    mean = sum(means) / len(means)
    better, worse = sum(one > 0 for one in means), sum(one < 0 for one in means)
    print(f"{what}: learned - fixed {mean:+.3f} (95 % {low:+.3f} .. {high:+.3f}); {better} modules better, {worse} worse, of {len(means)}", flush=True)
    return mean


def main():
    at = sys.argv.index("--")
    words, serve = sys.argv[1:at], sys.argv[at + 1 :]
    folder = os.path.realpath(words[0])
    options = dict(zip(words[1::2], words[2::2]))
    seeds, budget = range(1, int(options.get("--seeds", 5)) + 1), int(options.get("--budget", 100))
    site = next(path for path, _, files in os.walk(os.path.join(folder, ".venv/lib")) if path.endswith("site-packages"))
    there = [file for file in MODULES if os.path.exists(os.path.join(site, file))]
    print(f"{len(there)} modules, {len(seeds)} seeds, budget {budget} ms (of {400 * budget} lines run), {MUTANTS} faults; absent: {sorted(set(MODULES) - set(there))}")
    roots = {file: copied(folder, site, file) for file in there}
    halves = [there[0::2], there[1::2]]
    coverage, faults = {file: [] for file in there}, {file: [] for file in there}
    left_out = 0
    for number, tried in enumerate(halves):
        taught = os.path.join(folder, f"taught-{number}.db")
        for old in (taught, taught + "-wal", taught + "-shm"):
            if os.path.exists(old):
                os.remove(old)
        teacher = Searches(serve, folder, taught)
        for file in halves[1 - number]:
            for seed in TEACHING:
                teacher.search(roots[file], file, seed, budget, "fixed")
        teacher.close()
        for file in tried:
            for seed in seeds:
                found = {}
                for order in ("fixed", "learned"):
                    store = os.path.join(folder, "store.db")
                    for ending in ("", "-wal", "-shm"):
                        if os.path.exists(store + ending):
                            os.remove(store + ending)
                        if os.path.exists(taught + ending):
                            shutil.copy(taught + ending, store + ending)
                    searches = Searches(serve, folder, store)
                    result = searches.search(roots[file], file, seed, budget, order)
                    searches.close()
                    found[order] = reached(result) if "after" in result else None
                    if order == "learned" and file == tried[0] and seed == 1:
                        print(f"half {number}: learnt {json.dumps({name: round(mean, 3) for name, mean in result.get('order', {}).items()})}")
                if not all(found.values()):
                    left_out += 1
                    continue
                fixed, learned = found["fixed"], found["learned"]
                coverage[file].append(learned[0] - fixed[0])
                if fixed[1] is not None and learned[1] is not None:
                    faults[file].append(learned[1] - fixed[1])
                print(f"  {file} seed {seed}: covered {fixed[0]:.2f} -> {learned[0]:.2f} %, noticed {fixed[1] or 0:.1f} -> {learned[1] or 0:.1f} %, calls {fixed[2]} -> {learned[2]}", flush=True)
    told("lines and branches covered, points of a hundred", coverage)
    told("planted faults noticed, points of a hundred", faults)
    check("searches that count", left_out * 4 <= len(there) * len(seeds), f"{left_out} left out: the clock had a part, or nothing was found")
    finish()


main()
