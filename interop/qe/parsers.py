"""Times public parsers of coverage reports: `python parsers.py FOLDER`, by hand.

FOLDER has the reports that `cargo bench -p aqe-qe --bench coverage -- --write FOLDER` writes, which that bench reads without
`--write`: compare the two on one machine. Those that are installed are timed: diff-cover (lcov, Cobertura), pycobertura, and,
where `node` finds it, istanbul-lib-coverage. Each reads the file and has the hits of all lines at hand in the end. Prints MB for
each second of the processor, the best of three.
"""

import importlib.util
import os
import subprocess
import sys
import time

NODE = """
const { createCoverageMap } = require('istanbul-lib-coverage');
const text = require('fs').readFileSync(process.argv[1], 'utf8');
let best = Infinity;
for (let n = 0; n < 3; n++) {
  const began = process.cpuUsage();
  const map = createCoverageMap(JSON.parse(text));
  for (const file of map.files()) map.fileCoverageFor(file).getLineCoverage();
  const used = process.cpuUsage(began);
  best = Math.min(best, (used.user + used.system) / 1e6);
}
console.log(best);
"""


def diff_cover(kind):
    from diff_cover.git_path import GitPathTool
    from diff_cover.violationsreporters import violations_reporter as reporters

    # It wants to be in a repository.
    GitPathTool.set_cwd(os.path.dirname(os.path.abspath(__file__)))

    if kind == "lcov":
        return lambda path: reporters.LcovCoverageReporter.parse(path)
    import xml.etree.ElementTree as etree

    def read(path):
        reporter = reporters.XmlCoverageReporter([etree.parse(path)])
        # It looks for one file at a time, in the whole tree.
        for file in ("src/f0.py", "src/f1.py"):
            reporter.violations(file)

    return read


def pycobertura(path):
    from pycobertura import Cobertura

    report = Cobertura(path)
    for file in report.files():
        report.missed_statements(file), report.hit_statements(file)


def least(run):
    times = []
    for _ in range(3):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return min(times)


def main():
    (folder,) = sys.argv[1:]

    def show(report, name, seconds):
        size = os.path.getsize(os.path.join(folder, report)) / 1e6
        print(f"{report:<10} {name:<24} {size / seconds:>8.1f} MB/CPU-s")

    def timed(report, name, read):
        if importlib.util.find_spec(name):
            show(report, name, least(lambda: read(os.path.join(folder, report))))

    timed("lcov", "diff_cover", lambda path: diff_cover("lcov")(path))
    timed("cobertura", "diff_cover", lambda path: diff_cover("cobertura")(path))
    timed("cobertura", "pycobertura", pycobertura)
    run = subprocess.run(
        ["node", "-e", NODE, os.path.join(folder, "istanbul")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    if run.returncode == 0:
        show("istanbul", "istanbul-lib-coverage", float(run.stdout))


main()
