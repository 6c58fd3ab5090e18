"""Compares duplicated lines with jscpd's: `python duplication.py FORMAT EXTENSION ROOT -- COMMAND…`, as `python .py`.

jscpd is asked for the same: 50 words, 5 lines, comments and white space not looked at (`--mode weak`). What a word is differs:
a text between quotes, a docstring among them, is one for us and several for jscpd, and so are some operators. So a duplicate near 50
words may be one for either alone. Prints how many lines each finds, the share of jscpd's that we find too, and that among
its duplicates of at least 100 words; fails below 94 % of the last, since docstrings are long in some projects.
"""

import collections
import json
import os
import subprocess
import sys
import tempfile

from tools import check, finish, opened

FLOOR = 0.94


def jscpd(language, root):
    with tempfile.TemporaryDirectory() as folder:
        program = os.environ.get("JSCPD", "jscpd")
        options = "--mode weak --min-tokens 50 --min-lines 5 --reporters json --silent --max-size 5mb --max-lines 100000"
        command = [program, *options.split(), "--format", language, "--output", folder, root]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        with open(os.path.join(folder, "jscpd-report.json"), encoding="utf-8") as file:
            return json.load(file)["duplicates"]


def main():
    (language, extension, root), tools = opened(sys.argv)
    items, page = tools.all("qe_quality_metrics", root=root, scope="all", group_by="duplicate")
    tools.close()
    ours, theirs, long = (collections.defaultdict(set) for _ in range(3))
    for item in items:
        for place in item["places"]:
            if place["file"].endswith(extension):
                ours[place["file"]].update(range(place["lines"][0], place["lines"][1] + 1))
    for clone in jscpd(language, os.path.realpath(root)):
        for place in (clone["firstFile"], clone["secondFile"]):
            path = os.path.realpath(os.path.join(root, place["name"]))
            if path.endswith(extension):
                lines = range(place["start"], place["end"] + 1)
                theirs[os.path.relpath(path, os.path.realpath(root))].update(lines)
                if clone["tokens"] >= 100:
                    long[os.path.relpath(path, os.path.realpath(root))].update(lines)

    def share(wanted):
        every = sum(map(len, wanted.values()))
        return sum(len(ours[file] & wanted[file]) for file in wanted) / every if every else 1

    lines = lambda found: sum(map(len, found.values()))
    rate = share(long)
    figures = f"{100 * rate:.1f} % of {lines(long)} lines in its long duplicates, {100 * share(theirs):.1f} % of all its {lines(theirs)}, ours {lines(ours)}"
    check("duplicates beside jscpd", rate >= FLOOR and lines(long) > 0, figures)
    missed = ((file, sorted(long[file] - ours[file])) for file in long)
    for file, lines in sorted(missed, key=lambda of: -len(of[1]))[:10]:
        print(f"{file}: {len(lines)} lines that jscpd alone finds, from {lines[:1]}")
    finish()


main()
