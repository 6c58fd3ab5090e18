"""A gateway exports traces and metrics to a collector by OpenTelemetry's Python
classes. On both sides of it the official SDK records spans, too, so that what
others make of our traces is seen, and what we make of theirs.

Prints a line `ok …` or `not ok …` for each check. Everything listens on
loopback.
"""

import argparse
import asyncio
import collections
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import warnings

from mcp import Client, MCPError
from opentelemetry import trace
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from collector import AUTHORIZATION, Collector, attributes

ERAS = {"legacy": "2025-11-25", "2026-07-28": "2026-07-28"}
UPSTREAMS = {"web": "tcp", "pipe": "pipe"}
SEEN = 5
PATIENCE_SECONDS = 10
RESOURCE = {"service.name": "gate", "deployment.environment.name": "interop"}
SERVER, CLIENT = trace_pb2.Span.SPAN_KIND_SERVER, trace_pb2.Span.SPAN_KIND_CLIENT


def check(what, holds, detail=""):
    print(f"ok {what}" if holds else f"not ok {what}: {detail}", flush=True)


def equal(what, found, expected):
    check(what, found == expected, f"{found}, not {expected}")


def wait_until(holds):
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds() and time.monotonic() < end:
        time.sleep(0.1)


def listening(command, **more):
    """A program, and the URL that its first line of output tells."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **more)
    line = process.stdout.readline()
    return process, line.split()[1] if line.startswith("listening ") else json.loads(line)["url"]


def configuration(options, collector, web):
    # A TOML basic string takes the escapes of JSON.
    program = [sys.executable, str(pathlib.Path(__file__).with_name("traced.py"))]
    mark = {name: value for name, value in os.environ.items() if name == "AQE_INTEROP_RUN"}
    path = options.dir / "aqe.toml"
    path.write_text(
        "[monitoring.otlp]\n"
        f"endpoint = {json.dumps(collector.url)}\n"
        f"headers = {{ authorization = {json.dumps(AUTHORIZATION)} }}\n"
        f"service_name = {json.dumps(RESOURCE['service.name'])}\n"
        'resource_attributes = { "deployment.environment.name" = "interop" }\n'
        "metrics_interval_s = 1\n"
        f'[[upstream]]\nname = "web"\nurl = {json.dumps(web)}\n'
        f'[[upstream]]\nname = "pipe"\ncommand = {json.dumps(program[0])}\nargs = {json.dumps(program[1:])}\n'
        + "".join(f"env = {{ {name} = {json.dumps(value)} }}\n" for name, value in mark.items())
    )
    return path


class Load:
    """What the clients have done and seen."""

    def __init__(self):
        self.calls = collections.Counter()  # by tool
        self.answers = []  # (upstream, what its tool `seen` has told)
        self.seconds = 0.0
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        trace.set_tracer_provider(provider)

    async def call(self, client, tool):
        began = time.perf_counter()
        try:
            return await client.call_tool(tool, {})
        except MCPError as error:
            return error.error.code
        finally:
            self.seconds += time.perf_counter() - began
            self.calls[tool] += 1

    async def run(self, url):
        for era in ERAS:
            async with Client(url, mode=era) as client:
                for upstream in UPSTREAMS:
                    for _ in range(SEEN):
                        told = await self.call(client, f"{upstream}__seen")
                        self.answers.append((upstream, json.loads(told.content[0].text)))
                    failed = await self.call(client, f"{upstream}__fails")
                    check(f"{era}: a tool of {upstream} fails", failed.is_error, failed)
                    equal(f"{era}: a tool of {upstream} refuses", await self.call(client, f"{upstream}__refuses"), -32050)
                equal(f"{era}: no such tool", await self.call(client, "nowhere"), -32602)


def traces(collector, load):
    spans = [span for span, _ in collector.spans]
    by_id = {span.span_id.hex(): span for span in spans}
    theirs = {format(span.context.span_id, "016x"): span for span in load.exporter.get_finished_spans()}
    equal("every span has an id of its own", len(by_id), len(spans))
    servers = [span for span in spans if span.kind == SERVER]
    clients = [span for span in spans if span.kind == CLIENT]
    equal("every span is a server's or a client's", len(servers) + len(clients), len(spans))

    parents = collections.Counter(span.parent_span_id.hex() for span in servers)
    strangers = [span.name for span in servers if span.parent_span_id.hex() not in theirs]
    check("every request belongs to a span of the client", servers and not strangers, strangers)
    requests = {name for name, span in theirs.items() if span.name.startswith("MCP send")}
    equal("every request of the client is one span", parents, collections.Counter(requests))
    same = [format(theirs[span.parent_span_id.hex()].context.trace_id, "032x") == span.trace_id.hex() for span in servers]
    check("in its trace", all(same), same)
    orphans = [span.name for span in clients if getattr(by_id.get(span.parent_span_id.hex()), "kind", None) != SERVER]
    check("every attempt belongs to a request", clients and not orphans, orphans)
    outside = [
        span.name
        for span in clients
        if not (parent := by_id[span.parent_span_id.hex()]).start_time_unix_nano <= span.start_time_unix_nano
        or span.end_time_unix_nano > parent.end_time_unix_nano
        or span.trace_id != parent.trace_id
    ]
    check("and lasts no longer, in the same trace", not outside, outside)
    remote = [span.name for span in spans if span.flags != (0x301 if span.kind == SERVER else 0x101)]
    check("flags say: sampled, and whether the parent is remote", not remote, remote)

    astray = []
    for upstream, told in load.answers:
        attempt = by_id.get(told["parent"])
        trace_id = attempt.trace_id.hex() if attempt and attempt.kind == CLIENT else None
        traceparent = f"00-{trace_id}-{told['parent']}-01"
        header = traceparent if upstream == "web" else None
        if told != {"meta": traceparent, "header": header, "trace": trace_id, "parent": told["parent"]}:
            astray.append((upstream, told))
    check("the SDK behind us continues our attempts", load.answers and not astray, astray)
    said(servers, clients)


def said(servers, clients):
    """Names, attributes and status, by the conventions for MCP."""
    methods = collections.Counter(attributes(span.attributes)["mcp.method.name"] for span in servers)
    equal("a legacy client's handshake is a span", methods["initialize"], 1)
    calls = len(ERAS) * (len(UPSTREAMS) * (SEEN + 2) + 1)
    equal("every call is a span", methods["tools/call"], calls)
    for span in servers + clients:
        found = attributes(span.attributes)
        method, tool = found["mcp.method.name"], found.get("gen_ai.tool.name")
        name = f"{method} {tool}" if tool else method
        wrong = []
        if span.name != name:
            wrong.append(f"not called {name}")
        if (method == "tools/call") != (found.get("gen_ai.operation.name") == "execute_tool"):
            wrong.append("gen_ai.operation.name")
        if found.get("mcp.protocol.version") not in ERAS.values() or "jsonrpc.request.id" not in found:
            wrong.append("no revision or id")
        if span.kind == SERVER:
            legacy = found["mcp.protocol.version"] == ERAS["legacy"]
            wrong += [] if legacy == ("mcp.session.id" in found) else ["mcp.session.id"]
            wrong += [] if found.get("network.transport") == "tcp" else ["network.transport"]
            ours = (found.get("aqe.upstream"), found.get("aqe.cached"))
            wrong += [] if ours == (tool.split("__")[0] if tool else None, False) else [f"{ours}"]
        else:
            web = found["aqe.upstream"] == "web"
            wrong += [] if found.get("network.transport") == UPSTREAMS[found["aqe.upstream"]] else ["network.transport"]
            wrong += [] if (found.get("server.address") == "127.0.0.1") == web == ("server.port" in found) else ["server"]
        kind = {"fails": "tool_error", "refuses": "-32050"}.get((tool or "").split("__")[-1])
        if span.kind == SERVER and method == "tools/call" and not tool:
            kind = "-32602"
        if found.get("error.type") != kind or (span.status.code == trace_pb2.Status.STATUS_CODE_ERROR) != bool(kind):
            wrong.append(f"status {span.status} and {found.get('error.type')}, not {kind}")
        if (kind or "").startswith("-") != ("rpc.response.status_code" in found):
            wrong.append("rpc.response.status_code")
        if wrong:
            check(f"what the span {span.name} says", False, f"{wrong} of {found}")
    check("names, attributes and status are read", servers and clients)


def points(metrics, name, **wanted):
    """The points of a metric whose attributes hold these."""
    metric = metrics.get(name)
    if not metric:
        return []
    found = getattr(metric, metric.WhichOneof("data")).data_points
    return [point for point in found if wanted.items() <= attributes(point.attributes).items()]


def total(metrics, name, **wanted):
    return sum(point.as_int for point in points(metrics, name, **wanted))


def metrics(collector, load):
    last, _ = collector.metrics[-1]
    calls = sum(load.calls.values())
    equal("requests", total(last, "aqe_requests", method="tools/call"), calls)
    equal("handshakes", total(last, "aqe_requests", method="initialize"), 1)
    for tool, count in load.calls.items():
        if tool != "nowhere":
            equal(f"calls of {tool}", total(last, "aqe_tool_requests", tool=tool), count)
    failures = len(ERAS) * len(UPSTREAMS)
    for kind, count in {"tool_error": failures, "upstream_error": failures, "invalid_request": len(ERAS)}.items():
        equal(f"errors of kind {kind}", total(last, "aqe_request_errors", method="tools/call", kind=kind), count)

    (duration,) = points(last, "aqe_request_duration_seconds", method="tools/call")
    equal("durations", duration.count, calls)
    check("took no longer than the client has waited", 0 < duration.sum <= load.seconds, (duration.sum, load.seconds))
    shapes(collector)


def shapes(collector):
    """Every metric of every request, by the data model."""
    before, wrong = {}, []
    for metrics, _ in collector.metrics:
        for name, metric in metrics.items():
            kind = metric.WhichOneof("data")
            data = getattr(metric, kind)
            cumulative = metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE
            if kind != "gauge" and data.aggregation_temporality != cumulative or kind == "sum" and not data.is_monotonic:
                wrong.append(f"{name}: temporality")
            if metric.unit not in ("1", "s", "By") or not metric.description:
                wrong.append(f"{name}: unit {metric.unit} or no description")
            series = [(name, tuple(sorted(attributes(point.attributes).items()))) for point in data.data_points]
            if len(set(series)) != len(series) or not series:
                wrong.append(f"{name}: a series is there twice, or none")
            for key, point in zip(series, data.data_points):
                if kind == "gauge":
                    continue
                count, value = (point.count, point.sum) if kind == "histogram" else (0, point.as_int or point.as_double)
                start, at, counted, summed = before.get(key, (point.start_time_unix_nano, 0, 0, 0))
                if not 0 < start == point.start_time_unix_nano <= point.time_unix_nano or at > point.time_unix_nano:
                    wrong.append(f"{key}: times")
                if count < counted or value < summed:
                    wrong.append(f"{key}: shrank")
                before[key] = (start, point.time_unix_nano, count, value)
                if kind == "histogram":
                    bounds, buckets = list(point.explicit_bounds), list(point.bucket_counts)
                    rising = all(low < high for low, high in zip(bounds, bounds[1:]))
                    least = sum(low * n for low, n in zip([0, *bounds], buckets))
                    most = sum(high * n for high, n in zip([*bounds, float("inf")], buckets) if n)
                    if not rising or len(buckets) != len(bounds) + 1 or sum(buckets) != point.count:
                        wrong.append(f"{key}: bounds {bounds}, counts {buckets}, of {point.count}")
                    # The sum is made of the histogram's own buckets, which are narrower than these.
                    if not least <= point.sum <= most and point.count:
                        wrong.append(f"{key}: a sum of {point.sum}, not {least} to {most}")
    check(f"{len(before)} series in {len(collector.metrics)} exports keep to the data model", before and not wrong, wrong[:5])


def resources(collector):
    all_of_them = [resource for _, resource in collector.spans] + [resource for _, resource in collector.metrics]
    expected = {*RESOURCE.items()}
    check("the resource is the configured one", all(expected <= {*resource.items()} for resource in all_of_them), all_of_them[:1])
    same = {(resource.get("service.instance.id"), resource.get("service.version")) for resource in all_of_them}
    check("and of one instance and version", len(same) == 1 and all(*same), same)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gateway", required=True, help="the program")
    parser.add_argument("--dir", required=True, type=pathlib.Path, help="an empty folder")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    collector, load, started = Collector(), Load(), []
    try:
        web, url = listening([sys.executable, str(pathlib.Path(__file__).with_name("traced.py")), "--http"])
        started.append(web)
        config = configuration(options, collector, url)
        command = [options.gateway, "mcp", "start", "--json", "--transport", "http", "--listen", "127.0.0.1:0"]
        gateway, url = listening([*command, "--no-builtin", "--config", str(config)])
        started.append(gateway)
        asyncio.run(load.run(url))
        calls = sum(load.calls.values())
        # Metrics count what has ended up to the last full second.
        wait_until(lambda: collector.metrics and total(collector.metrics[-1][0], "aqe_requests", method="tools/call") == calls)
        exports = len(collector.metrics)
        gateway.send_signal(signal.SIGTERM)
        equal("the gateway ends on SIGTERM", gateway.wait(PATIENCE_SECONDS), 0)
        check("and exports once more", len(collector.metrics) > exports, exports)
    finally:
        for process in started:
            process.kill()
            process.wait()
    check("no request broke the protocol", not collector.faults, collector.faults)
    traces(collector, load)
    metrics(collector, load)
    resources(collector)
    print(f"ok {len(collector.spans)} spans came as {', '.join(sorted(collector.encodings))}")


main()
