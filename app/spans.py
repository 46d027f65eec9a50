"""The stages of the work as OpenTelemetry spans. Without app/tracing.py, which collects them, they cost nothing.

A span says how long and how many, never what: no text, no name, no address.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace

REQUEST_ID = "dukou.request_id"

_tracer = trace.get_tracer("dukou")


@contextmanager
def span(name: str, **numbers: int) -> Iterator[None]:
    """A span of that name around the block; what is raised in it marks it as failed and is not written down."""
    attributes = {f"dukou.{key}": value for key, value in numbers.items()}
    with _tracer.start_as_current_span(f"dukou.{name}", attributes=attributes, record_exception=False):
        yield


def note_request(request_id: str) -> None:
    """Give the request's span the id that its answer and its log lines carry."""
    trace.get_current_span().set_attribute(REQUEST_ID, request_id)
