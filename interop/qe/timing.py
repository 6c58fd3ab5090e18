"""Times `qe_quality_metrics`: `python timing.py ROOT -- COMMAND…`; the first call of a new process, then ten more, then one
after a file has changed, which is put back. Prints milliseconds as the caller sees them."""

import json
import os
import statistics
import sys
import time

from tools import opened


def main():
    (root,), tools = opened(sys.argv)

    def timed():
        began = time.perf_counter()
        answer = tools.call("qe_quality_metrics", root=root, scope="all")
        return round(1000 * (time.perf_counter() - began), 1), answer

    cold, answer = timed()
    warm = [timed()[0] for _ in range(10)]
    path = os.path.join(root, answer["items"][0]["path"])
    with open(path, "rb") as file:
        content = file.read()
    try:
        with open(path, "ab") as file:
            file.write(b"\n")
        changed, again = timed()
    finally:
        with open(path, "wb") as file:
            file.write(content)
    tools.close()
    project = answer["project"]
    lines = project["ncloc"] + project["comment"] + project["blank"]
    figures = {"files": project["files"], "lines": lines, "cold": cold, "warm": statistics.median(warm)}
    print(json.dumps({**figures, "warm_max": max(warm), "one_changed": changed, "measured_then": again["computed_files"]}))


main()
