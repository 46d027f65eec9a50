"""What the service says about itself to Prometheus. docs/operations.md lists every name.

Counters and histograms are this process's own, from its start; gauges are read when they are asked for, from the
database and the search. No label holds what a sender chooses: a route is its template, an unknown method is "other".
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.pool import QueuePool

from app.condition import IndexState
from app.db import Database
from app.errors import AppError
from app.queries.condition import Backlog, backlog
from app.spans import span

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
QUICK = (0.005, 0.02, 0.08, 0.15, 0.3, 0.6, 1.2, 2.5, 5.0, 10.0)  # seconds
SLOW = (0.001, 0.005, 0.02, 0.08, 0.3, 1.2, 5.0, 20.0, 80.0, 300.0, 1200.0, 5000.0)  # seconds

disable_created_metrics()  # type: ignore[no-untyped-call]  # one more series for each, which nobody reads
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
REQUESTS = Histogram(
    "dukou_request_seconds", "Requests answered", ["route", "method", "status"], registry=REGISTRY, buckets=QUICK
)
SEARCHES = Histogram("dukou_search_seconds", "Searches answered", ["by"], registry=REGISTRY, buckets=QUICK)
STAGES = Histogram("dukou_stage_seconds", "Stages of the work", ["stage"], registry=REGISTRY, buckets=SLOW)
ENCODED = Counter("dukou_encoded_texts", "Texts and listings encoded", registry=REGISTRY)
PROPOSALS = Counter("dukou_proposals", "Proposals recorded, by what became of them", ["outcome"], registry=REGISTRY)


def request_answered(method: str, route: str | None, status: int, seconds: float) -> None:
    """Count a request; `route` is its template, None where no route was found."""
    known = method if method in METHODS else "other"
    REQUESTS.labels(route or "none", known, str(status)).observe(seconds)


@contextmanager
def searching(by: str) -> Iterator[None]:
    """Around an answered search, by a "text" or by a "listing"; one that fails is not counted."""
    start = time.perf_counter()
    yield
    SEARCHES.labels(by).observe(time.perf_counter() - start)


@contextmanager
def stage(name: str, **numbers: int) -> Iterator[None]:
    """Around a stage of the work such as "rank": its seconds, and a span that carries the numbers."""
    with STAGES.labels(name).time(), span(name, **numbers):
        yield


@contextmanager
def encoding(texts: int) -> Iterator[None]:
    """Around a call of the encoder for so many texts, without the wait for it to be free."""
    with stage("encode", texts=texts):
        yield
    ENCODED.inc(texts)


def proposals_recorded(counts: Mapping[str, int]) -> None:
    """Count what became of proposals (`proposals.record`, `proposals.lapse`), after the commit."""
    for outcome, number in counts.items():
        PROPOSALS.labels(outcome).inc(number)


def exposition(database: Database, index: IndexState | None, now: datetime) -> bytes:
    """Everything in Prometheus' text format. Where the database does not answer, `dukou_database_up` is 0."""
    gauges = CollectorRegistry()
    gauges.register(_Gauges(database, index, now))
    return generate_latest(REGISTRY) + generate_latest(gauges)


class _Gauges(Collector):
    """What is read at each scrape."""

    def __init__(self, database: Database, index: IndexState | None, now: datetime) -> None:
        self._database, self._index, self._now = database, index, now

    def describe(self) -> Iterator[Metric]:
        """Nothing is read before it is asked for."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """All gauges, the database's last: it may be slow or away."""
        yield _gauge("dukou_search_ready", "Whether searches are answered", self._index is not None)
        if self._index is not None:
            yield from _of_index(self._index, self._now)
        found = _read(self._database, self._now)
        yield _gauge("dukou_database_up", "Whether the database answers", found is not None)
        yield from _of_pool(self._database)
        if found is not None:
            yield from _of_backlog(found, self._now)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _read(database: Database, now: datetime) -> Backlog | None:
    try:
        with database.reading() as session:
            return backlog(session, now)
    except AppError:
        return None


def _of_index(index: IndexState, now: datetime) -> Iterator[Metric]:
    model = GaugeMetricFamily("dukou_model_info", "The model in use", labels=["model"])
    model.add_metric([index.model], 1)
    yield model
    age = (now - index.built_at).total_seconds()
    yield _gauge("dukou_index_age_seconds", "Time since the index in use was built", age)
    yield _gauge("dukou_index_revision", "The write up to which the index in use was built", index.revision)
    yield _gauge("dukou_index_listings", "Listings in the index in use", index.listings)
    yield _gauge("dukou_index_tail", "Listings written since, which stand beside the index", index.tail)


def _of_pool(database: Database) -> Iterator[Metric]:
    pool = database.engine.pool
    if isinstance(pool, QueuePool):
        found = GaugeMetricFamily("dukou_database_connections", "Connections of this process", labels=["state"])
        found.add_metric(["in use"], pool.checkedout())
        found.add_metric(["idle"], pool.checkedin())
        yield found


def _of_backlog(found: Backlog, now: datetime) -> Iterator[Metric]:
    yield _gauge("dukou_revision", "The number of the last write", found.revision)
    yield _gauge("dukou_listings_waiting", "Listings that wait for their proposals", found.waiting)
    pairings = GaugeMetricFamily("dukou_pairings", "Pairings in each state", labels=["state"])
    for state, number in sorted(found.pairings.items()):
        pairings.add_metric([state], number)
    yield pairings
    deliveries = GaugeMetricFamily("dukou_deliveries", "Webhook deliveries not made", labels=["state"])
    for state, number in (("pending", found.pending), ("due", found.due), ("dead", found.dead)):
        deliveries.add_metric([state], number)
    yield deliveries
    late = (now - found.oldest_due).total_seconds() if found.oldest_due is not None else 0.0
    yield _gauge("dukou_delivery_late_seconds", "How long the oldest due delivery has been due", late)
    yield _gauge("dukou_imports_running", "Imports that run or wait", found.imports)
