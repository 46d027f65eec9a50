"""Traces as a collector gets them, from a service in a process of its own; and what they never carry."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from typer.testing import CliRunner

from app.cli import main
from app.errors import Unusable
from app.tracing import Tracing, discreet
from tests.app.collecting import Collector, collecting
from tests.app.conftest import NEED, OFFER, SECRET
from tests.app.test_cli import lines

QUERY = "private words on ceramic elbows"


def ready(address: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            if httpx.get(f"{address}/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < until
        time.sleep(0.1)


def proposed(address: str) -> None:
    until = time.monotonic() + 60
    while httpx.get(f"{address}/health/ready").json()["waiting"]:
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """What a collector has of a service that two listings were imported into, that was asked, and that has ended."""
    folder = tmp_path_factory.mktemp("traced")
    settings = {"DUKOU_HOME": str(folder), "DUKOU_MODEL": "hashing", "DUKOU_SECRET": SECRET}
    file = lines(folder / "in.jsonl", [OFFER, NEED])
    assert CliRunner(env=settings).invoke(main, ["import", str(file)]).exit_code == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    serve = [sys.executable, "-c", "from app.cli import main; main()", "serve", "--port", str(port), "--no-worker"]
    with collecting() as collector:
        environment = os.environ | settings | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address}
        process = subprocess.Popen(serve, env=environment, stderr=subprocess.DEVNULL)
        try:
            ready(address)
            proposed(address)
            body = {"text": QUERY, "side": "offer"}
            httpx.post(f"{address}/api/v1/search", json=body, headers={"X-Request-ID": "from-the-test"})
            httpx.get(f"{address}/", params={"q": QUERY})
            httpx.get(f"{address}/private-address")
            httpx.post(f"{address}/api/v1/session", json={"email": "private@example.org", "password": "private"})
        finally:
            process.terminate()
            process.wait(30)
        yield collector


def test_a_search_is_a_span_with_its_stages_and_statements_in_it(collected: Collector) -> None:
    assert collected.paths == {"/v1/traces"}
    (request,) = collected.named("POST /api/v1/search")
    assert request.service == "dukou"
    assert request.attributes["dukou.request_id"] == "from-the-test"
    assert request.attributes["http.route"] == "/api/v1/search"
    assert 200 in (request.attributes.get("http.status_code"), request.attributes.get("http.response.status_code"))
    own = [span for span in collected.spans if span.trace == request.trace]
    inside = {span.name: span for span in own if span.parent == request.id}
    assert {"dukou.encode", "dukou.rank", "SELECT"} <= set(inside)
    assert inside["dukou.encode"].attributes["dukou.texts"] == 1


def test_proposals_recorded_are_a_span_with_statements_in_it(collected: Collector) -> None:
    recorded = {span.id for span in collected.named("dukou.record")}
    assert len(recorded) >= 2
    assert any(span.parent in recorded for span in collected.named("UPDATE"))


def test_looking_for_work_and_health_checks_leave_no_spans(collected: Collector) -> None:
    assert all(span.parent for span in collected.named("SELECT"))
    assert not [span for span in collected.spans if "/health" in span.name]


def test_no_span_says_what_was_sent_or_who_sent_it(collected: Collector) -> None:
    assert len(collected.spans) > 10
    told = repr([(span.name, span.attributes, span.events, span.message) for span in collected.spans])
    for secret in ("private", "ceramic", "127.0.0.1", "example.org", "python-httpx", str(OFFER["title"]), SECRET):
        assert secret not in told


def test_an_error_is_told_by_its_type_alone() -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(discreet(kept)))
    tracer = provider.get_tracer("x")
    attributes = {"http.target": "/?q=secret"}
    with pytest.raises(ValueError, match="secret"), tracer.start_as_current_span("stage", attributes=attributes):
        float("the secret words")
    (span,) = kept.get_finished_spans()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert [dict(event.attributes or {}) for event in span.events] == [{"exception.type": "ValueError"}]
    assert "secret" not in span.to_json()
    provider.shutdown()


def test_without_a_collector_nothing_is_collected() -> None:
    Tracing("").stop()
    with trace.get_tracer("x").start_as_current_span("stage") as span:
        assert not span.is_recording()


@pytest.mark.parametrize("wrong", ["nonsense", "127.0.0.1:4318", "ftp://host", "http://"])
def test_an_endpoint_that_is_no_address_is_refused_by_name(wrong: str) -> None:
    with pytest.raises(Unusable, match="OTEL_EXPORTER_OTLP_ENDPOINT"):
        Tracing(wrong)


def test_the_settings_of_the_command_line_name_the_variable(tmp_path: Path) -> None:
    runner = CliRunner(env={"DUKOU_HOME": str(tmp_path), "DUKOU_MODEL": "hashing", "DUKOU_SECRET": SECRET})
    result = runner.invoke(main, ["serve"], env={"OTEL_EXPORTER_OTLP_ENDPOINT": "nonsense"})
    assert result.exit_code == 2
    assert result.stderr.startswith("OTEL_EXPORTER_OTLP_ENDPOINT: ")
