"""An OTLP/HTTP collector by OpenTelemetry's own Python classes, which keeps
what it gets and notes what breaks the protocol."""

import gzip
import http.server
import threading

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service

AUTHORIZATION = "Bearer interop"


def attributes(pairs):
    """Attributes as a dictionary; an error if a key comes twice."""
    found = {}
    for pair in pairs:
        if pair.key in found:
            raise ValueError(f"{pair.key} comes twice")
        found[pair.key] = getattr(pair.value, pair.value.WhichOneof("value"))
    return found


def unknown(message):
    """Names of messages that have fields which these classes do not know."""
    found = [message.DESCRIPTOR.full_name] if len(UnknownFieldSet(message)) else []
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            values = [value] if isinstance(value, Message) else value
            found += [name for each in values for name in unknown(each)]
    return found


class Collector:
    """Listens on a port of its own until the process ends."""

    def __init__(self):
        self.spans = []  # (span, resource)
        self.metrics = []  # of each request its metrics by name, and the resource
        self.faults = []
        self.encodings = set()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = collector.take(self.path, self.headers, body)
                self.send_response(status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_port}"

    def take(self, path, headers, body):
        try:
            return 200, self.taken(path, headers, body).SerializeToString()
        except (ValueError, KeyError, OSError, DecodeError) as error:
            self.faults.append(f"{path}: {error!r}")
            return 400, b""

    def taken(self, path, headers, body):
        if (headers["Content-Type"], headers["Authorization"]) != ("application/x-protobuf", AUTHORIZATION):
            raise ValueError(f"headers: {dict(headers)}")
        encoding = headers.get("Content-Encoding", "identity")
        self.encodings.add(encoding)
        if encoding not in ("identity", "gzip"):
            raise ValueError(f"encoding {encoding}")
        body = gzip.decompress(body) if encoding == "gzip" else body
        service, take = {
            "/v1/traces": (trace_service.ExportTraceServiceRequest, self.take_spans),
            "/v1/metrics": (metrics_service.ExportMetricsServiceRequest, self.take_metrics),
        }[path]
        request = service.FromString(body)
        if names := unknown(request):
            raise ValueError(f"unknown fields in {names}")
        return take(request)

    def take_spans(self, request):
        for group in request.resource_spans:
            resource = attributes(group.resource.attributes)
            for scope in group.scope_spans:
                self.spans += [(span, {**resource, "scope": scope.scope.name}) for span in scope.spans]
        return trace_service.ExportTraceServiceResponse()

    def take_metrics(self, request):
        for group in request.resource_metrics:
            resource = attributes(group.resource.attributes)
            metrics = [metric for scope in group.scope_metrics for metric in scope.metrics]
            by_name = {metric.name: metric for metric in metrics}
            if len(by_name) != len(metrics):
                raise ValueError("a metric comes twice")
            self.metrics.append((by_name, resource))
        return metrics_service.ExportMetricsServiceResponse()
