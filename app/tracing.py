"""Traces for an OpenTelemetry collector, over OTLP/HTTP: of requests, of the stages in them, of the database.

Off unless the settings name a collector. The instrumentations of FastAPI and SQLAlchemy note more than anybody outside
should learn: addresses with what was searched for, who asked, what an error said. So a span leaves with the attributes
that are named here, its name made of templates, and of an exception no more than its type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import FastAPI

from app.db import Database
from app.errors import Unusable

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

NAME = "dukou"
UNTRACED = "/health/,/metrics"  # what programs ask for all the time
OUR_OWN = "dukou."  # attributes that app/spans.py sets: numbers, and the request's id
DATABASE = ("db.system", "db.system.name")
TOLD = frozenset(
    {
        *DATABASE,
        "db.statement",  # with placeholders where the values stood
        "db.query.text",
        "http.method",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "http.status_code",
        "exception.type",
    }
)


class Tracing:
    """What collects and sends spans; with an empty endpoint nothing at all. One in a process.

    Raises Unusable for an endpoint that is no web address.
    """

    def __init__(self, endpoint: str) -> None:
        self._provider = None
        if not endpoint:
            return
        if urlsplit(endpoint).scheme not in ("http", "https") or not urlsplit(endpoint).hostname:
            raise Unusable(
                f"OTEL_EXPORTER_OTLP_ENDPOINT: {endpoint!r} must be an address such as http://127.0.0.1:4318"
            )
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        resource = Resource.create({"service.name": NAME}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(discreet(exporter)))
        trace.set_tracer_provider(self._provider)

    def watch_application(self, app: FastAPI) -> None:
        """A span for each request that comes; call it before the application starts."""
        if self._provider is None:
            return
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        FastAPIInstrumentor.instrument_app(
            app, tracer_provider=self._provider, excluded_urls=UNTRACED, exclude_spans=["receive", "send"]
        )

    def watch_database(self, database: Database) -> None:
        """A span for each statement that belongs to a request or a stage."""
        if self._provider is None:
            return
        from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

        # It says that it is for SQLAlchemy below 2.1; that it works with ours is tried by tests/app/test_tracing.py.
        SQLAlchemyInstrumentor().instrument(engine=database.engine, tracer_provider=self._provider, skip_dep_check=True)

    def stop(self) -> None:
        """Send what is left."""
        if self._provider is not None:
            self._provider.shutdown()


def discreet(exporter: SpanExporter) -> SpanExporter:
    """An exporter that hands on what may be told. Statements outside of any span are left out: loops that look."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Discreet(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            told = [_told(one) for one in spans if one.parent is not None or not _is_statement(one)]
            return exporter.export(told) if told else SpanExportResult.SUCCESS

        def shutdown(self) -> None:
            exporter.shutdown()

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            return exporter.force_flush(timeout_millis)

    return Discreet()


def _is_statement(span: ReadableSpan) -> bool:
    return any(key in (span.attributes or {}) for key in DATABASE)


def _told(span: ReadableSpan) -> ReadableSpan:
    """The span without what is nobody's business; a statement's name is its first word, without the database's."""
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Status

    attributes = {
        key: value for key, value in (span.attributes or {}).items() if key in TOLD or key.startswith(OUR_OWN)
    }
    return ReadableSpan(
        name=span.name.split(" ")[0] if _is_statement(span) else span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        events=[_told_event(event) for event in span.events],
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _told_event(event: Event) -> Event:
    from opentelemetry.sdk.trace import Event

    kept = {key: value for key, value in (event.attributes or {}).items() if key in TOLD}
    return Event(event.name, kept, event.timestamp)
