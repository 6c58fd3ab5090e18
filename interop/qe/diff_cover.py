"""Compares the coverage of changes with diff-cover's, on random commits, from lcov and from XML.

`python diff_cover.py [COMMITS] -- COMMAND…`; the command serves the tools with the current folder among its folders.
Makes a repository below the current folder, changes its sources at random, gives them made-up coverage, and compares the
number of lines, the percentage and each line that is not covered. Prints the counts; fails on the first
difference.
"""

import json
import os
import random
import subprocess
import sys
import tempfile

from tools import check, finish, opened

FILES = ("pkg/one.py", "pkg/two words.py", "pkg/sub/three.py", "four.py")


def git(root, *args):
    who = ("-c", "user.name=A", "-c", "user.email=a@x", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *args], cwd=root, check=True, stdout=subprocess.DEVNULL)


def write(root, path, text):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def read(root, path):
    try:
        with open(os.path.join(root, path), encoding="utf-8") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def changed(rng, lines):
    """Some lines replaced, added and taken away."""
    lines = list(lines)
    for _ in range(rng.randint(1, 6)):
        at = rng.randint(0, len(lines))
        many = rng.randint(0, 4)
        lines[at : at + rng.randint(0, 4)] = [f"x{rng.randint(0, 10**6)} = 1" for _ in range(many)]
    return lines


def cover(rng, root):
    """Hits of some lines of each file that is there, as lcov and as XML."""
    lcov, xml = [], []
    for path in FILES:
        lines = read(root, path)
        if not lines or rng.random() < 0.15:
            continue
        hits = {n: rng.choice((0, 0, 1, 7)) for n in range(1, len(lines) + 1) if rng.random() < 0.7}
        lcov += [f"SF:{path}", *(f"DA:{n},{h}" for n, h in hits.items()), "end_of_record"]
        each = "".join(f'<line number="{n}" hits="{h}"/>' for n, h in hits.items())
        xml.append(f'<class name="c" filename="{path}"><methods/><lines>{each}</lines></class>')
    write(root, "lcov.info", "\n".join(lcov) + "\n")
    write(
        root,
        "coverage.xml",
        f'<coverage line-rate="0.5" version="x" timestamp="9999999999999"><sources><source>{root}</source></sources>'
        f'<packages><package name="p"><classes>{"".join(xml)}</classes></package></packages></coverage>',
    )
    return bool(lcov)


def theirs(root, report):
    out = os.path.join(root, "out.json")
    command = [os.path.join(os.path.dirname(sys.executable), "diff-cover"), report, "--compare-branch", "base"]
    subprocess.run([*command, "--format", f"json:{out}"], cwd=root, check=True, capture_output=True)
    with open(out, encoding="utf-8") as file:
        said = json.load(file)
    os.remove(out)
    missing = {
        (path, line) for path, stats in said["src_stats"].items() for line in stats["violation_lines"]
    }
    return said["total_num_lines"], said["total_num_violations"], missing


def ours(tools, root, report):
    patch = tools.call("qe_coverage_analyze", root=root, reports=[report], base="base")["patch"]
    covered, total = patch["line"]["covered"], patch["line"]["total"]
    if patch["uncovered"]["total"] != len(patch["uncovered"]["first"]):
        sys.exit("more files than are told")
    ranges = [(entry["file"], *pair) for entry in patch["uncovered"]["first"] for pair in entry["ranges"]]
    return total, total - covered, ranges


def main():
    words, tools = opened(sys.argv)
    commits = int(words[0]) if words else 15
    compared = lines = 0
    with tempfile.TemporaryDirectory(dir=".") as folder:
        root = os.path.abspath(folder)
        git(root, "init", "-q", "-b", "base")
        write(root, ".gitignore", "lcov.info\ncoverage.xml\nout.json\n")
        rng = random.Random(6)
        for path in FILES[:3]:
            write(root, path, "\n".join(changed(rng, [f"a{n} = {n}" for n in range(60)])) + "\n")
        git(root, "add", ".")
        git(root, "commit", "-qm", "base")
        git(root, "checkout", "-qb", "work")
        for number in range(commits):
            # With changes both committed and not, diff-cover numbers the lines of the former as they were before the
            # latter: so it is either the one or the other.
            is_committed = number % 3 != 0
            git(root, "add", ".")
            git(root, "commit", "-qm", f"before {number}", "--allow-empty")
            if not is_committed or number % 7 == 6:
                git(root, "branch", "-f", "base", "HEAD")
            for path in rng.sample(FILES, rng.randint(1, 3)):
                # Always with a line break at the end: after "\ No newline at end of file" within a hunk, diff-cover is
                # a line off.
                write(root, path, "\n".join(changed(rng, read(root, path))) + "\n")
            # It leaves untracked files out.
            git(root, "add", "--intent-to-add", ".")
            if is_committed:
                git(root, "commit", "-qam", f"commit {number}", "--allow-empty")
            if not cover(rng, root):
                continue
            for report in ("lcov.info", "coverage.xml"):
                total, missing, where = theirs(root, report)
                got_total, got_missing, ranges = ours(tools, root, report)
                inside = {(path, n) for path, start, end in ranges for n in range(start, end + 1)}
                if (total, missing) != (got_total, got_missing) or not where <= inside:
                    sys.exit(f"{number} {report}: {got_total, got_missing} instead of {total, missing}: {where - inside}")
                compared += 1
                lines += total
    tools.close()
    check("coverage of changes beside diff-cover", lines > 0, f"{compared} of {compared} reports with {lines} changed lines equal")
    finish()


main()
