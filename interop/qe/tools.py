"""Calls of the built-in tools over standard input and output, and what the oracles have in common.

The command is either the gateway (`aqe-v3 mcp start --transport stdio …`) or, for trying things out, the tools alone:
`cargo run --release -p aqe-qe --example serve -- FOLDER`.
"""

import glob
import json
import os
import subprocess
import sys

# Where `cargo xtask interop` installs: this script is in its `scripts/qe`.
BASE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODULES = os.path.join(BASE, "node_modules")
# Programs by their names: those of this Python environment, of the npm packages, and the Node.js among them.
PLACES = [os.path.dirname(sys.executable), os.path.join(MODULES, ".bin"), *glob.glob(os.path.join(MODULES, "node-linux-*/bin"))]
os.environ["PATH"] = os.pathsep.join([*PLACES, os.environ["PATH"]])


def check(what, holds, figure):
    """One line, which the run counts; what does not hold is also the script's failure."""
    check.failed |= not holds
    print(f"{'ok' if holds else 'not ok'} {what}: {figure}", flush=True)


check.failed = False


def finish():
    sys.exit(check.failed)


class Tools:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.number = 0

    def send(self, message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()

    def request(self, method, params):
        self.number += 1
        self.send({"id": self.number, "method": method, "params": params})
        for line in self.process.stdout:
            reply = json.loads(line)
            if reply.get("id") == self.number:
                return reply
        sys.exit(f"{method}: the tools have ended")

    def initialize(self):
        info = {"name": "oracle", "version": "1"}
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
        self.request("initialize", params)
        self.send({"method": "notifications/initialized"})

    def call(self, name, **arguments):
        reply = self.request("tools/call", {"name": name, "arguments": arguments})
        result = reply.get("result", {})
        if "structuredContent" not in result:
            sys.exit(f"{name} {arguments}: {reply}")
        self.micros = reply.get("micros")
        return result["structuredContent"]

    def all(self, name, of="items", **arguments):
        """The list `of` of all pages, and the last page."""
        items, cursor = [], {}
        while True:
            page = self.call(name, max_items=200, **arguments, **cursor)
            items += page[of]
            if "next_cursor" not in page:
                return items, page
            cursor = {"cursor": page["next_cursor"]}

    def uncovered(self, root, report):
        """Lines that no test runs, as file and line."""
        gaps, _ = self.all("qe_coverage_gaps", of="gaps", root=root, reports=[report])
        return {(gap["file"], line) for gap in gaps for start, end in gap["ranges"] for line in range(start, end + 1)}

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def opened(argv):
    """`SCRIPT [options] ROOT -- COMMAND…`: the words before `--`, and the tools."""
    at = argv.index("--")
    tools = Tools(argv[at + 1 :])
    tools.initialize()
    return argv[1:at], tools
