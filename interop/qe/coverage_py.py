"""Compares the reading of coverage.py's lcov, XML and JSON with coverage.py's own data.

`python coverage_py.py -- COMMAND…`; the command serves the tools with the current folder among its folders. Runs the
tests of nothing: it imports and calls packages that are installed (`humanize`, `slugify`) under coverage.py with branches,
in copies below the current folder, and asks for the totals of each file. Prints the counts; fails on the first
difference.
"""

import json
import os
import shutil
import sys
import tempfile

import coverage

from tools import check, finish, opened

CALLS = """
import datetime, humanize, slugify
for value in (0, 1, 999, 10**6, -5, 1.5):
    humanize.intcomma(value); humanize.intword(value); humanize.naturalsize(value); humanize.ordinal(int(value))
    humanize.naturaldelta(datetime.timedelta(seconds=int(value)))
for text in ("", "Hello, World!", "a" * 50, "\\u00e4\\u00f6 & 1,000"):
    slugify.slugify(text); slugify.slugify(text, max_length=5, word_boundary=True, stopwords=("hello",))
"""


def measured(root):
    """Runs the packages' copies below `root`; writes all reports; coverage.py's own figures of each file."""
    import humanize
    import slugify

    for package in (humanize, slugify):
        name = package.__name__
        shutil.copytree(os.path.dirname(package.__file__), os.path.join(root, "src", name))
    script = os.path.join(root, "calls.py")
    with open(script, "w", encoding="utf-8") as file:
        file.write(CALLS)
    code = (
        "import sys; sys.path.insert(0, 'src'); import coverage\n"
        "c = coverage.Coverage(branch=True, source=['src'], data_file='.data'); c.start()\n"
        "exec(compile(open('calls.py').read(), 'calls.py', 'exec')); c.stop(); c.save()\n"
        "c.lcov_report(outfile='lcov.info'); c.xml_report(outfile='coverage.xml')\n"
        "c.json_report(outfile='coverage.json')\n"
    )
    import subprocess

    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, stdout=subprocess.DEVNULL)
    figures = {}
    with open(os.path.join(root, "coverage.json"), encoding="utf-8") as file:
        for path, said in json.load(file)["files"].items():
            summary = said["summary"]
            branch = None
            if summary["num_branches"]:
                branch = (summary["covered_branches"], summary["num_branches"])
            figures[path] = ((summary["covered_lines"], summary["num_statements"]), branch)
    return figures


def main():
    _, tools = opened(sys.argv)
    compared = {}
    with tempfile.TemporaryDirectory(dir=".") as folder:
        root = os.path.abspath(folder)
        wanted = measured(root)
        uncovered = {}
        for report in ("lcov.info", "coverage.xml", "coverage.json"):
            groups, page = tools.all("qe_coverage_analyze", of="groups", root=root, reports=[report])
            if page["unmatched"]["total"]:
                sys.exit(f"{report}: unmatched {page['unmatched']}")
            found = {}
            for group in groups:
                pair = lambda counts: counts and (counts["covered"], counts["total"])
                found[group["path"]] = (pair(group["line"]), pair(group["branch"]))
            # A file without lines may be left out.
            for path, figures in wanted.items():
                got = found.get(path, ((0, 0), None))
                branch = got[1] if got[1] != (0, 0) else None
                if (got[0], branch) != figures:
                    sys.exit(f"{report}: {path}: {got} instead of {figures}")
            uncovered[report] = tools.uncovered(root, report)
            compared[report] = len(wanted)
        if len({frozenset(lines) for lines in uncovered.values()}) != 1:
            sys.exit("the three reports do not have the same uncovered lines")
        with open(os.path.join(root, "coverage.json"), encoding="utf-8") as file:
            missing = {
                (path, line) for path, said in json.load(file)["files"].items() for line in said["missing_lines"]
            }
        found = uncovered["lcov.info"]
        if not missing <= found:
            sys.exit(f"uncovered lines that are in no gap: {sorted(missing - found)[:5]}")
    tools.close()
    for report, files in compared.items():
        check(f"coverage.py {coverage.__version__} {report}", files > 0, f"lines and branches of {files} files equal")
    check("coverage.py uncovered lines", len(missing) > 0, f"{len(missing)}, the same from the three reports, and all in gaps")
    finish()


main()
