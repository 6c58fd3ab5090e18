"""Compares lines of code, comments and blank lines of each file with cloc's: `python lines.py ROOT -- COMMAND…`.

Prints how many files agree, and the lines of code of all. cloc goes by patterns and not by a grammar: it takes a text in triple
quotes for a comment wherever it stands, and `//` in a text of JavaScript. So 85 % of the files must agree, and the sums within 1 %.
"""

import collections
import json
import os
import subprocess
import sys

from tools import check, finish, opened

FLOOR = 0.85


def main():
    (root,), tools = opened(sys.argv)
    items, page = tools.all("qe_quality_metrics", root=root, scope="all", group_by="file", sort="path")
    tools.close()
    command = [os.environ.get("CLOC", "cloc"), "--by-file", "--json", "--quiet", "--skip-uniqueness", root]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    theirs = {os.path.relpath(path, root): of for path, of in json.loads(run.stdout).items() if "blank" in of}
    counts, differences, sums = collections.Counter(), [], collections.Counter()
    for item in items:
        other = theirs.get(item["path"])
        if other is None:
            counts["ours alone"] += 1
            continue
        one = (item["ncloc"], item["comment"])
        other = (other["code"], other["comment"])
        sums["ncloc"] += one[0]
        sums["cloc"] += other[0]
        counts["equal" if one == other else "different"] += 1
        if one != other:
            differences.append(f"{item['path']}: ours {one}, cloc {other}")
    rate = counts["equal"] / max(counts["equal"] + counts["different"], 1)
    holds = rate >= FLOOR and abs(sums["ncloc"] - sums["cloc"]) <= 0.01 * sums["cloc"] and rate > 0
    figures = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    check("lines beside cloc", holds, f"{100 * rate:.1f} % of files ({figures}), {sums['ncloc']} lines of code and {sums['cloc']}")
    for difference in differences[:10]:
        print(difference)
    finish()


main()
