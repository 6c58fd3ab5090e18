"""Compares what is read of a report with the sums that the report itself has: `python own_sums.py jacoco REPORT -- COMMAND…`, or
`python own_sums.py llvm REPORT LCOV -- COMMAND…`.

The command serves the tools with the folder of the report among its folders. REPORT is what JaCoCo or `llvm-cov export` wrote, LCOV what
`llvm-cov export -format=lcov` wrote of the same data. Of each file lines, branches and functions (methods) are compared. The
sources need not be there: files are made for them in a temporary folder, beside a copy of the report.

LLVM's own sums have a line as often as there are functions on it, so lines are compared with those in LCOV. And they leave out
decisions in functions that the linker dropped, which its report has: so only the outcomes that were taken are compared.
"""

import json
import os
import re
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

from tools import check, finish, opened


def of_llvm(text, lcov):
    """Sums by file, and the text with paths that are relative."""
    found = {}
    for file in (file for one in json.loads(text)["data"] for file in one["files"]):
        summary = file["summary"]
        functions, branches = summary["functions"], summary["branches"]
        found[file["filename"]] = {"function": (functions["covered"], functions["count"]), "branch": (branches["covered"], None)}
    for record in lcov.split("end_of_record"):
        if path := re.search(r"^SF:(.*)$", record, re.MULTILINE):
            hits = re.findall(r"^DA:\d+,(\d+)", record, re.MULTILINE)
            found[path.group(1)]["line"] = (sum(one != "0" for one in hits), len(hits))
    names = {path: path.lstrip("/") for path in found}
    for path, name in names.items():
        text = text.replace(json.dumps(path), json.dumps(name))
    return text, {names[path]: sums for path, sums in found.items()}


def of_jacoco(text):
    found = {}
    for package in ElementTree.fromstring(text).iter("package"):
        for file in package.findall("sourcefile"):
            counters = {one.get("type"): (int(one.get("covered")), int(one.get("covered")) + int(one.get("missed"))) for one in file.findall("counter")}
            sums = {kind: counters.get(name, (0, 0)) for kind, name in {"line": "LINE", "branch": "BRANCH", "function": "METHOD"}.items()}
            found[f"{package.get('name')}/{file.get('name')}"] = sums
    return text, found


def read(tools, folder, text):
    """Counts by file, of a copy of the report beside files that are long enough for it."""
    with open(os.path.join(folder, "report"), "w", encoding="utf-8") as file:
        file.write(text)
    groups, _ = tools.all("qe_coverage_analyze", of="groups", root=folder, reports=["report"])
    return {group["path"]: group for group in groups}


def compare(what, got, wanted, kinds):
    for kind in kinds:
        differing = []
        for path, sums in wanted.items():
            counts = got.get(path, {}).get(kind) or {"covered": 0, "total": 0}
            found = (counts["covered"], counts["total"])
            if sums[kind] not in (found, (found[0], None)):
                differing.append(f"{path}: {found} instead of {sums[kind]}")
        covered = sum(sums[kind][0] for sums in wanted.values())
        total = sum(sums[kind][1] or 0 for sums in wanted.values())
        figure = f"{len(wanted)} files, {covered} covered" + (f" of {total}" if total else "")
        check(f"{kind} sums of {what}", not differing, f"{figure}: {len(differing)} differ: {differing[:5]}" if differing else figure)


def main():
    (form, *reports), tools = opened(sys.argv)
    texts = []
    for report in reports:
        with open(report, encoding="utf-8") as file:
            texts.append(file.read())
    text, wanted = {"llvm": of_llvm, "jacoco": of_jacoco}[form](*texts)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(reports[0]))) as folder:
        for path in wanted:
            os.makedirs(os.path.join(folder, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(folder, path), "w", encoding="utf-8") as file:
                file.write("\n" * 100_000)
        compare(form, read(tools, folder, text), wanted, ("line", "branch", "function"))
        if form == "llvm":
            lcov = re.sub(r"^SF:/", "SF:", texts[1], flags=re.MULTILINE)
            compare("llvm's lcov", read(tools, folder, lcov), wanted, ("line", "branch", "function"))
    tools.close()
    finish()


main()
