"""Compares generated tests with Pynguin's and with the project's own, on real packages: coverage, faults noticed, time.

`python compare.py FOLDER [--only NAME…] [--mutants N] -- COMMAND…`

The command serves the tools with FOLDER among its folders. What is needed is installed in FOLDER (Python's packages from PyPI
in two virtual environments, as Pynguin wants an older pytest; Node's from npm), and what was measured is kept there, so that
a run that was broken off goes on. Takes an hour or more; `--only` takes modules whose names have the
text, `--mutants 0` plants no faults.

Prints a table in Markdown: `suites.py` says how each figure is measured.
"""

import glob
import json
import os
import resource
import shutil
import subprocess
import sys
import time

import suites
from tools import opened

# What `pip` and `npm` install, in exact versions.
TOOLS = ["coverage==7.17.3", "pytest==9.2.0", "pytest-randomly==5.1.0", "cosmic-ray==8.7.0", "freezegun==1.5.5", "pretend", "hypothesis"]
PYNGUIN = "pynguin==0.48.0"
NODE_TOOLS = ["c8@10.1.3"]
# Package and version, folder of its modules in the sdist, and of each module its name and the project's own tests of it.
PYTHON = {
    "python-slugify==9.2.0": ("", {"slugify.slugify": ["tests"]}),
    "humanize==4.17.0": ("src", {name: [f"tests/test_{name.split('.')[1]}.py"] for name in ("humanize.lists", "humanize.filesize", "humanize.number", "humanize.time")}),
    "inflection==0.5.1": ("", {"inflection": ["test_inflection.py"]}),
    "wcwidth==0.9.4": ("", {"wcwidth._wcswidth": [f"tests/test_{name}.py" for name in ("core", "ambiguous", "emojis", "term_overrides")]}),
    "parse==1.22.4": ("", {"parse": ["tests"]}),
    "packaging==26.3": ("src", {"packaging.version": ["tests/test_version.py"], "packaging.specifiers": ["tests/test_specifiers.py"]}),
    "tabulate==0.10.0": ("", {"tabulate": ["test"]}),
    "more-itertools==11.2.1": ("", {"more_itertools.recipes": ["tests/test_recipes.py"]}),
}
NODE = {
    "ms@2.1.3": ["index.js"], "bytes@3.1.2": ["index.js"], "pluralize@8.0.0": ["pluralize.js"], "leven@4.1.0": ["index.js"],
    "semver@7.7.3": ["classes/semver.js", "functions/coerce.js"],
}
PYNGUIN_SECONDS = 60
# Its own limits are by the clock, and end it on a machine with more to do.
PYNGUIN_ARGS = ["--seed", "42", "--maximum-search-time", str(PYNGUIN_SECONDS), "--maximum-module-execution-timeout", "60", "--maximum-test-execution-timeout", "10"]
PYNGUIN_LIMIT = 900


def run(argv, folder, **env):
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=True, env={**os.environ, **env})


def environment(folder, packages):
    python = os.path.join(folder, ".venv", "bin", "python")
    if not os.path.exists(os.path.join(folder, ".ready")):
        os.makedirs(folder, exist_ok=True)
        run([sys.executable, "-m", "venv", ".venv"], folder)
        run([python, "-m", "pip", "install", "--quiet", *packages], folder)
        open(os.path.join(folder, ".ready"), "w", encoding="utf-8").close()
    return python


def sources(folder, python, package):
    """The unpacked sdist, and a copy without its tests."""
    name = package.partition("==")[0].replace("-", "_")
    whole, bare = os.path.join(folder, "sdists", name), os.path.join(folder, "projects", name)
    if not os.path.isdir(whole):
        into = os.path.join(folder, "sdists", name + ".d")
        os.makedirs(into, exist_ok=True)
        run([python, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "-d", into, package], folder)
        shutil.unpack_archive(glob.glob(into + "/*.tar.gz")[0], into)
        os.rename(next(one for one in glob.glob(into + "/*") if os.path.isdir(one)), whole)
        os.symlink(os.path.join(folder, "ours", ".venv"), os.path.join(whole, ".venv"))
    if not os.path.isdir(bare):
        shutil.copytree(whole, bare, symlinks=True, ignore=lambda at, names: [one for one in names if one in ("test", "tests") or one.startswith("test_")])
    return whole, bare


def processor_seconds(process):
    """Of a process and of those of its children that have ended."""
    with open(f"/proc/{process.pid}/stat", encoding="utf-8") as file:
        ticks = file.read().rsplit(")", 1)[1].split()[11:15]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def generated(tools, root, file):
    """Our tests of a file, written to the project, and what a search took in a server that runs."""
    arguments = {"root": root, "targets": [{"file": file}], "max_tests": 300}
    # Another one before it: then it is known who runs the project, and what the kernel permits.
    tools.call("qe_test_generate", **{**arguments, "seed": 1, "budget_ms": 20})
    began, used = time.monotonic(), processor_seconds(tools.process)
    result = tools.call("qe_test_generate", **arguments)["results"][0]
    wall, cpu = time.monotonic() - began, processor_seconds(tools.process) - used
    written = tools.call("qe_test_generate", **arguments, write="files")["results"][0]["test_file"]
    return [written["path"]], {"tests": written["tests"], "wall": wall, "cpu": cpu, "compile_rate": result["compile_rate"]}


def pynguin(folder, python, bare, import_root, module):
    """Pynguin's tests of a module, put into a copy of the project."""
    out = os.path.join(folder, "pynguin", module)
    done = os.path.join(out, "run.json")
    if not os.path.exists(done):
        shutil.rmtree(out, ignore_errors=True)
        os.makedirs(out)
        argv = [os.path.join(os.path.dirname(python), "pynguin"), "--project-path", os.path.join(bare, import_root), "--module-name", module,
                "--output-path", os.path.join(out, "tests"), "--report-dir", os.path.join(out, "report"), *PYNGUIN_ARGS]
        began, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        try:
            ended = subprocess.run(argv, cwd=out, capture_output=True, text=True, timeout=PYNGUIN_LIMIT, check=False, env={**os.environ, "PYNGUIN_DANGER_AWARE": "1", "PYTHONHASHSEED": "0"})
            code = ended.returncode
        except subprocess.TimeoutExpired:
            code = "time-out"
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        with open(done, "w", encoding="utf-8") as file:
            json.dump({"code": code, "wall": time.monotonic() - began, "cpu": now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime}, file)
    with open(done, encoding="utf-8") as file:
        figures = json.load(file)
    files = sorted(glob.glob(os.path.join(out, "tests", "test_*.py")))
    return files, {"wall": figures["wall"], "cpu": figures["cpu"], **({} if files else {"reason": f"Pynguin ended with {figures['code']} and no tests"})}


def of_python(folder, tools, only, mutants):
    ours_python = environment(os.path.join(folder, "ours"), TOOLS + [package for package in PYTHON])
    other_python = environment(os.path.join(folder, "pynguin"), [PYNGUIN] + [package for package in PYTHON if not package.startswith("packaging")])
    for package, (import_root, modules) in PYTHON.items():
        whole, bare = sources(folder, ours_python, package)
        for module, own in modules.items():
            if not any(one in module for one in only):
                continue
            file = os.path.join(import_root, module.replace(".", "/") + ".py")
            if not os.path.exists(os.path.join(bare, file)):
                file = file[:-3] + "/__init__.py"
            suite = suites.Python(folder, ours_python, module, file, import_root, mutants)
            yield module, "ours", suite.measured("ours", bare, lambda: generated(tools, bare, file))
            yield module, "Pynguin", suite.measured("pynguin", bare, lambda: pynguin(folder, other_python, bare, import_root, module))
            yield module, "the project", suite.measured("own", whole, lambda: (own, {}))


def of_node(folder, tools, only):
    home = os.path.join(folder, "node")
    if not os.path.isdir(os.path.join(home, "node_modules")):
        os.makedirs(home, exist_ok=True)
        with open(os.path.join(home, "package.json"), "w", encoding="utf-8") as file:
            json.dump({"private": True}, file)
        run(["npm", "install", "--no-audit", "--no-fund", *NODE_TOOLS, *NODE], home)
    for package, files in NODE.items():
        name = package.rpartition("@")[0]
        root = os.path.join(folder, "projects", "npm-" + name)
        if not os.path.isdir(root):
            shutil.copytree(os.path.join(home, "node_modules", name), root)
        for file in files:
            module = f"{name}/{file}"
            if any(one in module for one in only):
                suite = suites.Node(folder, os.path.join(home, "node_modules", ".bin", "c8"), module, file)
                yield module, "ours", suite.measured("ours", root, lambda: generated(tools, root, file))


def row(module, suite, figures):
    def shown(value, form="%.0f"):
        return "null" if value is None else form % value

    mutants = figures.get("mutants")
    return "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |" % (
        module, suite, shown(figures.get("tests"), "%d"), shown(figures.get("compile_rate") and 100 * figures["compile_rate"]), shown(figures.get("line"), "%.1f"), shown(figures.get("branch"), "%.1f"),
        "%d of %d" % tuple(mutants) if mutants else "null", "%d of %d" % tuple(figures["fresh"]) if figures.get("fresh") else "null",
        shown(figures.get("wall"), "%.2f"), shown(figures.get("cpu"), "%.2f"), figures.get("reason", ""),
    )


def main():
    (folder, *options), tools = opened(sys.argv)
    folder = os.path.realpath(folder)
    mutants = int(options.pop(options.index("--mutants") + 1)) if "--mutants" in options else suites.MUTANTS
    only = [one for one in options if not one.startswith("--")] or [""]
    print("| module | tests | n | compile % | line % | branch % | faults noticed | passed in fresh runs | s | processor s | |")
    print("|---|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for of in (of_python(folder, tools, only, mutants), of_node(folder, tools, only)):
        for module, suite, figures in of:
            print(row(module, suite, figures), flush=True)
    tools.close()


main()
