"""A real Prometheus scrapes a gateway under load: what it stores is what the
client of the load has seen, in both text formats; the published alert rules
are understood, and one of them fires.

Prints a line `ok …` or `not ok …` for each check. Needs Debian's package
`prometheus` (with promtool) on the path. Everything listens on loopback.
"""

import argparse
import http.client
import http.server
import json
import math
import pathlib
import re
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

REVISION = "2026-07-28"
# Milliseconds that the server sleeps, and how often.
SLEEPS = [(5, 120), (60, 40), (250, 8)]
FAILURES = 60
SCRAPE_SECONDS = 2
# Between the first scrape and the last.
WATCHED_SECONDS = 22
PATIENCE_SECONDS = 30


def check(what, holds, detail=""):
    print(f"ok {what}" if holds else f"not ok {what}: {detail}", flush=True)


def promtool(*arguments, text=None):
    ran = subprocess.run(["promtool", *map(str, arguments)], input=text, capture_output=True, text=True)
    said = (ran.stdout + ran.stderr).strip()
    return ran.returncode, said


class Client:
    """An MCP client of the stateless revision, on one connection."""

    def __init__(self, url):
        self.url = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPConnection(self.url.netloc)

    def call(self, identity, tool, arguments):
        meta = {
            "io.modelcontextprotocol/protocolVersion": REVISION,
            "io.modelcontextprotocol/clientInfo": {"name": "load", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        params = {"name": tool, "arguments": arguments, "_meta": meta}
        body = json.dumps({"jsonrpc": "2.0", "id": identity, "method": "tools/call", "params": params})
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": REVISION,
            "Mcp-Method": "tools/call",
            "Mcp-Name": tool,
        }
        began = time.perf_counter()
        self.connection.request("POST", self.url.path, body, headers)
        answer = self.connection.getresponse().read()
        return time.perf_counter() - began, len(body), len(answer)


class Seen:
    """What the clients have seen of the sleeping tool."""

    def __init__(self):
        self.lock = threading.Lock()
        self.least, self.most, self.sent, self.received, self.calls = [], [], 0, 0, 0

    def add(self, least, most, sent, received):
        with self.lock:
            self.least.append(least)
            self.most.append(most)
            self.sent += sent
            self.received += received
            self.calls += 1


def load(url, seen):
    """Four clients at once; the last ends after everything else was asked."""
    work = [("sleep", ms) for ms, count in SLEEPS for _ in range(count)] + [("reply", None)] * FAILURES
    # Mixed, in an order that is the same each time.
    work.sort(key=lambda item: hash((item[1] or 0) * 7919) % 13)
    lock = threading.Lock()
    failed = []

    def client(number):
        try:
            mine = Client(url)
            while True:
                with lock:
                    if not work:
                        return
                    tool, ms = work.pop()
                if tool == "sleep":
                    most, sent, received = mine.call(number, tool, {"ms": ms})
                    seen.add(ms / 1000, most, sent, received)
                else:
                    mine.call(number, tool, {"error": '{"code":-32000,"message":"no"}'})
        except Exception as error:  # Shown as a failed check.
            failed.append(error)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check("the load was answered", not failed, failed)


def old_format(url):
    """Serves the same metrics to whoever asks for OpenMetrics in the old format: Prometheus asks for nothing else."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            with urllib.request.urlopen(url) as answer:
                body = answer.read()
                self.send_response(200)
                self.send_header("Content-Type", answer.headers["Content-Type"])
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_port}"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Prometheus:
    def __init__(self, folder, targets, rules):
        self.address = f"127.0.0.1:{free_port()}"
        config = {
            "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": "1s"},
            "rule_files": [str(path) for path in rules],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [target]}]} for job, target in targets.items()
            ],
        }
        # JSON is YAML.
        path = folder / "prometheus.yml"
        path.write_text(json.dumps(config))
        code, said = promtool("check", "config", path)
        check("promtool takes the configuration with the published rules", code == 0, said)
        self.log = open(folder / "prometheus.log", "w")
        self.process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={path}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address={self.address}",
            ],
            stdout=self.log,
            stderr=self.log,
        )
        until(lambda: self.is_ready(), "Prometheus is ready")

    def is_ready(self):
        try:
            return urllib.request.urlopen(f"http://{self.address}/-/ready").status == 200
        except OSError:
            return False

    def api(self, path, **query):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url) as answer:
            return json.load(answer)["data"]

    def value(self, query):
        """The only value of a query; None for none."""
        found = self.api("query", query=query)["result"]
        if len(found) > 1:
            raise ValueError(f"{query} has {len(found)} values")
        return float(found[0]["value"][1]) if found else None

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def until(holds, what):
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.2)
    check(what, False, f"not within {PATIENCE_SECONDS} s")
    return False


def published(root):
    """The published files by themselves."""
    rules = root / "dist/prometheus/aqe-v3.rules.yml"
    for path in [rules, root / "interop/monitoring/dashboard.rules.yml"]:
        code, said = promtool("check", "rules", path)
        check(f"promtool check rules {path.name}", code == 0, said)
    code, said = promtool("test", "rules", root / "dist/prometheus/aqe-v3.rules.test.yml")
    check("promtool test rules", code == 0, said)
    return rules


def scraped(text):
    """Both formats, as they are served."""
    code, said = promtool("check", "metrics", text=text)
    check("promtool check metrics has nothing to complain of", code == 0 and not said, said)


def figures(prometheus, job, seen):
    """What Prometheus has stored of one scraped format."""
    of = f'job="{job}"'
    calls = seen.calls + FAILURES
    label = f'{of},method="tools/call"'
    for what, query, expected in [
        ("requests", f"aqe_requests_total{{{label}}}", calls),
        ("errors", f"sum(aqe_request_errors_total{{{label}}})", FAILURES),
        ("errors of the kind", f'aqe_request_errors_total{{{label},kind="upstream_error"}}', FAILURES),
        ("calls of the tool", f'aqe_tool_requests_total{{{of},tool="sleep"}}', seen.calls),
        ("failures of the tool", f'aqe_tool_failures_total{{{of},tool="reply"}}', FAILURES),
        ("bytes sent", f'aqe_tool_request_bytes_total{{{of},tool="sleep"}}', seen.sent),
        ("bytes received", f'aqe_tool_response_bytes_total{{{of},tool="sleep"}}', seen.received),
        ("count of durations", f'aqe_tool_duration_seconds_count{{{of},tool="sleep"}}', seen.calls),
        ("calls of the upstream", f'aqe_upstream_duration_seconds_count{{{of},upstream="up"}}', calls),
    ]:
        until(lambda: prometheus.value(query) == expected, f"{job}: {what}")
        check(f"{job}: {what}", prometheus.value(query) == expected, f"{prometheus.value(query)}, not {expected}")
    quantiles(prometheus, job, seen)
    for what, query in [
        ("no scrape failed", f"min_over_time(up{{{of}}}[1m])"),
        ("counters never shrank", f'1 - max(resets(aqe_tool_requests_total{{{of}}}[1m]) > bool 0)'),
    ]:
        check(f"{job}: {what}", prometheus.value(query) == 1, prometheus.value(query))
    scrapes = prometheus.value(f"count_over_time(up{{{of}}}[1m])")
    check(f"{job}: scraped again and again", scrapes >= WATCHED_SECONDS / SCRAPE_SECONDS - 1, scrapes)


def quantiles(prometheus, job, seen):
    buckets = prometheus.api("query", query=f'aqe_tool_duration_seconds_bucket{{job="{job}",tool="sleep"}}')["result"]
    bounds = sorted(float(bucket["metric"]["le"]) for bucket in buckets)
    least, most = sorted(seen.least), sorted(seen.most)
    for share in [0.5, 0.9, 0.99]:
        rank = max(math.ceil(share * seen.calls), 1) - 1
        told = prometheus.value(
            f'histogram_quantile({share}, aqe_tool_duration_seconds_bucket{{job="{job}",tool="sleep"}})'
        )
        # From the bound below what the server slept to the bound above what the client has waited.
        low = max([bound for bound in bounds if bound <= least[rank]], default=0)
        high = min(bound for bound in bounds if bound > most[rank])
        check(f"{job}: quantile {share} is within its bucket", low <= told <= high, f"{told}, not {low} to {high}")


def rules_and_alerts(prometheus):
    groups = prometheus.api("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    wrong = [(rule["name"], rule["health"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"]
    check("every rule was evaluated without an error", len(rules) > 20 and not wrong, wrong)

    def firing(name):
        alerts = prometheus.api("alerts")["alerts"]
        return any(alert["labels"]["alertname"] == name and alert["state"] == "firing" for alert in alerts)

    until(lambda: firing("AqeErrorRate"), "the rule of the error rate fires under load")
    check("the rule of the error rate fires under load", firing("AqeErrorRate"), prometheus.api("alerts"))
    check("no rule fires that has no reason", not firing("AqeDown") and not firing("AqeReplicaDown"), "")
    targets = prometheus.api("targets")["activeTargets"]
    errors = [target["lastError"] for target in targets if target["lastError"]]
    check("no target has an error", not errors, errors)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True, help="MCP endpoint of the gateway")
    parser.add_argument("--root", required=True, type=pathlib.Path, help="the project")
    parser.add_argument("--dir", required=True, type=pathlib.Path, help="an empty folder")
    options = parser.parse_args()
    rules = published(options.root)
    # As published, and a second time without the patience that a test has not.
    hasty = options.dir / "hasty.rules.yml"
    hasty.write_text(re.sub(r"for: \S+", "for: 1s", rules.read_text()).replace("name: aqe-v3", "name: hasty"))
    target = urllib.parse.urlsplit(options.url).netloc
    metrics = f"http://{target}/metrics"
    targets = {"aqe-v3": target, "old": old_format(metrics)}
    prometheus = Prometheus(options.dir, targets, [rules, hasty, options.root / "interop/monitoring/dashboard.rules.yml"])
    try:
        until(lambda: prometheus.value("sum(up)") == 2, "both formats are scraped")
        began = time.monotonic()
        # A rate needs a scrape from before.
        time.sleep(SCRAPE_SECONDS + 1)
        seen = Seen()
        load(options.url, seen)
        with urllib.request.urlopen(metrics) as answer:
            scraped(answer.read().decode())
        time.sleep(max(0, WATCHED_SECONDS - (time.monotonic() - began)))
        for job in targets:
            figures(prometheus, job, seen)
        rules_and_alerts(prometheus)
    finally:
        prometheus.stop()


main()
