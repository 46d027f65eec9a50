"""A collector for OpenTelemetry traces on a real port: takes OTLP over HTTP and keeps what comes."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Collected:
    """One span as it came: names, the ids that connect it with others, attributes, events."""

    name: str
    service: str
    id: bytes
    parent: bytes
    trace: bytes
    attributes: dict[str, Any]
    events: tuple[dict[str, Any], ...]
    message: str


@dataclass
class Collector:
    """A running collector: where it listens, what it was sent, and on which paths."""

    address: str
    spans: list[Collected] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)

    def named(self, name: str) -> list[Collected]:
        """All spans of that name."""
        return [span for span in self.spans if span.name == name]


def values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def read(body: bytes) -> Iterator[Collected]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = values(resource.resource.attributes)["service.name"]
        for scope in resource.scope_spans:
            for one in scope.spans:
                events = tuple(values(event.attributes) for event in one.events)
                ids = (one.span_id, one.parent_span_id, one.trace_id)
                yield Collected(one.name, service, *ids, values(one.attributes), events, one.status.message)


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port of this machine."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            collector.paths.add(self.path)
            collector.spans.extend(read(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    collector = Collector(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
