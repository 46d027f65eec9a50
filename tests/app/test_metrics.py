"""The metrics: who may read them, what they say, and what they never say."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from app.clock import utc_now
from app.condition import IndexState
from app.db import Database
from app.main import create_app
from app.metrics import exposition
from app.proposing import propose_new
from app.queries import accounts as account_queries
from app.queries.condition import backlog
from app.settings import Settings
from app.tables import DeliveryRow, EventRow, ImportRow, OrganisationRow, SubscriptionRow
from tests.app.conftest import NEED, OFFER, OTHERS, World, populated, problem

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
TOKEN = "a token of the tests, long enough for one"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def monitored(settings: Settings) -> Iterator[World]:
    app = create_app(settings.model_copy(update={"metrics_token": SecretStr(TOKEN)}))
    with TestClient(app, raise_server_exceptions=False) as public:
        app.state.loading.join()
        yield populated(app, public)


def scraped(world: World) -> Samples:
    """All samples that are told, by name and labels."""
    answer = world.public.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return samples(answer.text)


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def number(found: Samples, name: str, **labels: str) -> float:
    return found.get((name, tuple(sorted(labels.items()))), 0.0)


def test_only_who_has_the_token_or_administers_reads_the_metrics(monitored: World) -> None:
    assert number(scraped(monitored), "dukou_search_ready") == 1
    assert monitored.administrator.get("/metrics").status_code == 200
    for header in (TOKEN, f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer ", "Bearer ü"):
        answer = monitored.public.get("/metrics", headers={"Authorization": header.encode()})
        problem(answer, 401)
    problem(monitored.public.get("/metrics"), 401)
    for client in (monitored.centre, monitored.partner, monitored.offerer):
        problem(client.get("/metrics"), 403)


def test_without_a_token_in_the_settings_no_token_opens(world: World) -> None:
    for sent in ("Bearer ", "Bearer", f"Bearer {TOKEN}"):
        problem(world.public.get("/metrics", headers={"Authorization": sent}), 401)


def test_a_token_that_can_be_guessed_is_refused_at_the_start(settings: Settings) -> None:
    with pytest.raises(Exception, match="DUKOU_METRICS_TOKEN must hold at least 32"):
        create_app(settings.model_copy(update={"metrics_token": SecretStr("short")}))


def test_a_request_counts_under_its_template_and_never_under_what_was_sent(monitored: World) -> None:
    before = scraped(monitored)
    offer = monitored.post(monitored.offerer, OFFER)
    monitored.public.get(f"/api/v1/listings/{offer['id']}?private=words")
    monitored.public.get("/nowhere/private")
    monitored.public.request("PRIVATE", "/health/live")
    monitored.public.post("/api/v1/search", json={"text": "private elbows", "side": "offer"})
    monitored.public.get(f"/api/v1/listings/{offer['id']}/matches")
    found = scraped(monitored)

    def more(name: str, **labels: str) -> float:
        return number(found, name, **labels) - number(before, name, **labels)

    count, listing = "dukou_request_seconds_count", "/api/v1/listings/{listing_id}"
    assert more(count, route=listing, method="GET", status="200") == 1
    assert more(count, route="/api/v1/listings", method="POST", status="201") == 1
    assert more(count, route="none", method="GET", status="404") == 1
    assert more(count, route="/health/live", method="other", status="405") == 1
    assert more("dukou_search_seconds_count", by="text") == 1
    assert more("dukou_stage_seconds_count", stage="rank") >= 1
    assert more("dukou_encoded_texts_total") >= 1
    told = " ".join(f"{name} {labels}" for name, labels in found)
    assert offer["id"] not in told
    assert "rivate" not in told.lower()


def test_gauges_say_what_the_index_holds_and_what_waits(monitored: World) -> None:
    state = monitored.app.state
    state.proposer.stop()
    for record in (OFFER, NEED, *OTHERS):
        monitored.post(monitored.offerer if record["side"] == "offer" else monitored.seeker, record)
    found = scraped(monitored)
    assert number(found, "dukou_listings_waiting") == 5
    assert number(found, "dukou_revision") > number(found, "dukou_index_revision") == 0
    assert number(found, "dukou_model_info", model="hashing-256") == 1
    assert 0 <= number(found, "dukou_index_age_seconds") < 60
    assert number(found, "dukou_database_up") == 1
    assert number(found, "dukou_database_connections", state="idle") >= 1
    before = number(found, "dukou_proposals_total", outcome="new")
    made = propose_new(state.live)["new"]
    found = scraped(monitored)
    assert number(found, "dukou_listings_waiting") == 0
    assert number(found, "dukou_proposals_total", outcome="new") - before == made > 0
    assert number(found, "dukou_pairings", state="proposed") == made
    assert number(found, "dukou_index_listings") + number(found, "dukou_index_tail") == 5


def test_deliveries_and_imports_are_counted_as_they_stand(monitored: World) -> None:
    now = utc_now()
    with monitored.database.writing() as session:
        owner = session.get_one(OrganisationRow, monitored.ids["offerer"])
        told = {"organisation_id": owner.id, "audience": "organisation", "created_by": "x", "created_at": now}
        for name, active in (("open", True), ("paused", False)):
            session.add(SubscriptionRow(id=name, url="https://example.org", types=[], active=active, **told))
        for place in range(1, 5):
            facts = {"audience": "organisation", "type": "test.ping", "subject": "x", "data": {}, "at": now}
            session.add(EventRow(sequence=place, id=f"e{place}", **facts))
        session.flush()
        for event, subscription, status, minutes in (
            ("e1", "open", "pending", -5),
            ("e2", "open", "pending", 5),
            ("e3", "open", "dead", -5),
            ("e4", "open", "delivered", -5),
            ("e1", "paused", "pending", -50),
        ):
            key = {"subscription_id": subscription, "event_id": event, "status": status}
            due = now + timedelta(minutes=minutes)
            session.add(DeliveryRow(due_at=due, created_at=now, updated_at=now, **key))
        for state in ("running", "done"):
            facts = {"organisation_id": owner.id, "actor": "x", "rows": 1, "report": {}}
            session.add(ImportRow(state=state, created_at=now, updated_at=now, **facts))
    found = samples(exposition(monitored.database, None, now).decode())
    deliveries = {state: number(found, "dukou_deliveries", state=state) for state in ("pending", "due", "dead")}
    assert deliveries == {"pending": 3, "due": 1, "dead": 1}
    assert number(found, "dukou_delivery_late_seconds") == 300
    assert number(found, "dukou_imports_running") == 1
    assert number(found, "dukou_search_ready") == 0


def test_a_database_that_does_not_answer_is_said_and_the_rest_still_told(tmp_path: Path) -> None:
    path, now = tmp_path / "dukou.db", utc_now()
    database = Database(f"sqlite:///{path}")
    assert number(samples(exposition(database, None, now).decode()), "dukou_database_up") == 1
    database.close()
    path.write_bytes(b"no database " * 500)
    index = IndexState("a model", revision=7, listings=5, tail=1, built_at=now - timedelta(minutes=2))
    found = samples(exposition(database, index, now).decode())
    database.close()
    assert number(found, "dukou_database_up") == 0
    assert ("dukou_revision", ()) not in found
    assert (number(found, "dukou_search_ready"), number(found, "dukou_index_age_seconds")) == (1, 120)


def test_every_metric_is_described_and_none_is_made_up(monitored: World) -> None:
    answer = monitored.public.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    names = {family.name for family in text_string_to_metric_families(answer.text)}
    described = set(re.findall(r"^\| `(dukou_[a-z_]+)`", PAGE.read_text("utf-8"), re.MULTILINE))
    assert {re.sub("_total$", "", name) for name in described} == {name for name in names if name.startswith("dukou_")}


def test_an_empty_database_has_nothing_that_waits(world: World) -> None:
    with world.database.reading() as session:
        found = backlog(session, utc_now())
        assert account_queries.node_named(session, "Chongqing") is not None
    assert (found.waiting, found.pending, found.due, found.oldest_due, found.dead, found.imports) == (
        0,
        0,
        0,
        None,
        0,
        0,
    )
