"""One walk from a posted text to the delivered feed, over real sockets, with the example receiver as a process."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient

from app import accounts, compliance
from app.access import OPERATOR, Permission, Principal
from app.clock import utc_now
from app.compliance import Decision
from app.main import create_app
from app.settings import Settings
from app.tables import ListingRow, PersonRow
from tests.app.conftest import NEED, OFFER, OTHERS, World, populated

RECEIVER = Path(__file__).parents[2] / "examples/receiving-platform/receiver.py"


@pytest.fixture
def served(settings: Settings) -> Iterator[tuple[World, str]]:
    with with_worker(settings) as one:
        yield one


@contextmanager
def with_worker(settings: Settings) -> Iterator[tuple[World, str]]:
    """The service with its worker on a port of its own, as `dukou serve` runs it."""
    app = create_app(settings.model_copy(update={"webhook_allow": "127.0.0.0/8"}), with_worker=True)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    eventually(lambda: server.started)
    app.state.loading.join()
    port = server.servers[0].sockets[0].getsockname()[1]
    yield populated(app, TestClient(app)), f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(40)
    assert not thread.is_alive()


def eventually(found: Callable[[], Any], patience: float = 20) -> Any:
    until = time.monotonic() + patience
    while not (value := found()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return value


@contextmanager
def receiving(feed: str, audience: str, key: str, database: Path) -> Iterator[Callable[[], Any]]:
    """A receiver that is subscribed; gives what asks it for its report."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with httpx.Client(base_url=feed, headers={"Authorization": f"Bearer {key}"}) as client:
        wanted = {"url": f"http://127.0.0.1:{port}/hook", "audience": audience}
        made = client.post("/api/v1/subscriptions", json=wanted)
        assert made.status_code == 201, made.text
        client.post(f"/api/v1/subscriptions/{made.json()['subscription']['id']}/ping")
    common = [sys.executable, str(RECEIVER)]
    where = ["--database", str(database)]
    serving = [*common, "serve", "--feed", feed, "--audience", audience, "--port", str(port), "--every", "0.5", *where]
    secrets = {"DUKOU_KEY": key, "WEBHOOK_SECRET": made.json()["secret"]}
    process = subprocess.Popen(serving, env={**os.environ, **secrets}, stdout=subprocess.DEVNULL)

    def report() -> Any:
        return json.loads(subprocess.check_output([*common, "report", *where], text=True))

    try:
        yield report
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def make_key(world: World, organisation: str, *scopes: Permission) -> str:
    with world.database.writing() as session:
        owner = accounts.organisation(session, OPERATOR, world.ids[organisation])
        return accounts.make_key(session, OPERATOR, owner, "receiver", [*scopes], utc_now())[1]


def step(client: TestClient, pairing_id: str, action: str, **more: Any) -> dict[str, Any]:
    path = f"/api/v1/pairings/{pairing_id}"
    etag = client.get(path).headers["etag"]
    response = client.post(f"{path}/steps", json={"action": action, **more}, headers={"If-Match": etag})
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


def screen(world: World, offer_id: str) -> None:
    """A named person's decision on the offer."""
    digest = world.app.state.live.catalogue.digest
    with world.database.writing() as session:
        offer, person = session.get(ListingRow, offer_id), session.get(PersonRow, world.ids["manager"])
        assert offer is not None
        assert person is not None
        who: Principal = accounts.of_person(session, person)
        compliance.keep_screening(session, offer, digest, [], utc_now())
        compliance.decide(session, who, offer, digest, Decision.NOT_COVERED, "sample reason", utc_now())


def walk(world: World) -> str:
    """From posted texts to a completed contract."""
    for record in (OFFER, NEED, *OTHERS):
        world.post(world.offerer if record["side"] == "offer" else world.seeker, record)
    assert world.offerer.post(f"/api/v1/listings/{world.ids['o2']}/withdraw").status_code == 200
    offer, need = world.ids["o1"], world.ids["n1"]

    def proposed() -> Any:
        items = world.manager.get("/api/v1/pairings").json()["items"]
        pairs = [one for one in items if (one["offer"]["id"], one["need"]["id"]) == (offer, need)]
        return pairs[0]["id"] if pairs else None

    pairing = str(eventually(proposed))
    step(world.manager, pairing, "shortlist")
    step(world.manager, pairing, "offer")
    step(world.offerer, pairing, "interest", consent=True)
    assert step(world.seeker, pairing, "interest", consent=True)["state"] == "mutual"
    screen(world, offer)
    step(world.manager, pairing, "introduce")
    step(world.manager, pairing, "negotiate")
    contract = {"type": "licence", "signed_on": "2026-01-02", "value": 100_000, "currency": "CNY"}
    response = world.manager.put(f"/api/v1/pairings/{pairing}/contract", json=contract)
    assert response.status_code == 200, response.text
    step(world.manager, pairing, "contract")
    assert step(world.manager, pairing, "complete")["state"] == "completed"
    return pairing


def complete(ask: Callable[[], Any], count: int) -> dict[str, int]:
    """The receiver's report, once all events and their webhooks, and the ping, have come."""

    def asked() -> Any:
        report = ask()
        return report if (report["events"], report["webhooks"]) == (count, count + 1) else None

    found: dict[str, int] = eventually(asked, patience=30)
    return found


def received(database: Path) -> list[tuple[int, str]]:
    connection = sqlite3.connect(database)
    rows = connection.execute("SELECT sequence, type FROM event ORDER BY rowid").fetchall()
    connection.close()
    return [(sequence, kind.removeprefix("dukou.")) for sequence, kind in rows]


def test_from_a_posted_text_to_the_delivered_feed(served: tuple[World, str], tmp_path: Path) -> None:
    world, feed = served
    own = make_key(world, "offerer", Permission.WEBHOOKS, Permission.CHANGES)
    trading = make_key(world, "offerer", Permission.WEBHOOKS, Permission.TRADING)
    first, second = tmp_path / "partner.db", tmp_path / "trading.db"
    with (
        receiving(feed, "organisation", own, first) as partner,
        receiving(feed, "trading", trading, second) as platform,
    ):
        walk(world)
        reports = [(complete(partner, 10), 10), (complete(platform, 4), 4)]
    for report, count in reports:
        assert report["webhooks"] == count + 1  # and the ping
        assert (report["doubled_in_feed"], report["only_in_feed"], report["only_by_webhook"]) == (0, 0, 0)
    states = ["introduced", "negotiating", "contracted", "completed"]
    traded = [f"pairing.{state}" for state in states]
    listed = [*["listing.published"] * 3, "listing.withdrawn"]
    assert [kind for _, kind in received(second)] == traded
    assert [kind for _, kind in received(first)] == [*listed, "pairing.offered", "pairing.mutual", *traded]
    for database in (first, second):
        sequences = [sequence for sequence, _ in received(database)]
        assert sequences == sorted(set(sequences))
