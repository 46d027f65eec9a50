"""Two services, as processes of their own, on one PostgreSQL: nothing is lost, doubled or decided twice."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from app import accounts
from app.access import OPERATOR, PARTNER_SCOPES, Role
from app.asking import COOKIE
from app.audit import Audit
from app.clock import utc_now
from app.db import Database
from app.queries import listings as queries
from app.queries import pairings as pairing_queries
from app.tables import PairingRow
from tests.app.conftest import NEED, OFFER, OTHERS, SECRET
from tests.app.test_openid import free_port

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 90  # seconds
ROWS = 8
Clients = list[httpx.Client]  # one for each service


@contextmanager
def service(home: Path, url: str) -> Iterator[str]:
    """`dukou serve`; its address, where it will answer."""
    home.mkdir()
    port = free_port()
    own = {"HOME": home, "DATABASE_URL": url, "SECRET": SECRET, "PORT": port, "MODEL": "hashing"}
    many = {"PUBLIC_LIMIT": "100000/minute", "KNOWN_LIMIT": "100000/minute"}
    env = os.environ | {f"DUKOU_{name}": str(value) for name, value in (own | many).items()} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", "from app.cli import main; main()", "serve"]
    with (home / "log").open("wb") as log, subprocess.Popen(command, cwd=ROOT, env=env, stderr=log) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def wait(done: Callable[[], bool], said: Callable[[], str] = lambda: "") -> None:
    until = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < until, said()
        time.sleep(0.1)


def clients(database: Database, addresses: list[str]) -> tuple[Clients, Clients, Clients]:
    """A program of an offering and one of a seeking organisation, and a manager of the centre, at each service."""
    now, headers = utc_now(), list[dict[str, str]]()
    with database.writing() as session:
        node = accounts.add_node(session, "Chongqing", "CN", None, now)
        for name in ("maker", "seeker"):
            owner = accounts.add_organisation(session, OPERATOR, node.id, now, name=name, trusted=True)
            _, key = accounts.make_key(session, OPERATOR, owner, name, sorted(PARTNER_SCOPES), now)
            headers.append({"Authorization": f"Bearer {key}"})
        person, _ = accounts.invite(session, "lin@example.org", "Lin", Role.MANAGER, None, [], now)
        signed = accounts.sign_in(session, person, now)
    headers.append({"X-CSRF-Token": signed.csrf, "Cookie": f"{COOKIE}={signed.token}"})
    maker, seeker, manager = (
        [httpx.Client(base_url=at, headers=own, timeout=60) for at in addresses] for own in headers
    )
    return maker, seeker, manager


def on_both(ask: Callable[[int, int], Any]) -> list[Any]:
    """The answers of eight that ask at the same moment; `ask` gets its number and that of its service."""
    barrier = threading.Barrier(8)

    def one(place: int) -> Any:
        barrier.wait()
        return ask(place, place % 2)

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(one, range(8)))


def rows(mark: str, side: str) -> bytes:
    """A file of so many listings that have nothing to do with each other."""
    rng = random.Random(mark)
    texts = [" ".join("".join(rng.choices("aeioumnrst", k=6)) for _ in range(12)) for _ in range(ROWS)]
    made = [
        {"reference": f"{mark}{i}", "side": side, "title": text[:20], "description": text, "country": "CN"}
        for i, text in enumerate(texts)
    ]
    return "\n".join(map(json.dumps, made)).encode()


def imported(client: httpx.Client, body: bytes) -> dict[str, Any]:
    """The report of an import, once it is over."""
    sent = client.post("/api/v1/imports", params={"format": "jsonl"}, content=body)
    assert sent.status_code == 202, sent.text
    place = sent.headers["location"]
    wait(lambda: client.get(place).json()["state"] != "running")
    report: dict[str, Any] = client.get(place).json()["report"]
    return report


def feed(client: httpx.Client) -> list[tuple[str, str, str]]:
    """Type, subject and number of an organisation's events."""
    items = client.get("/api/v1/changes", params={"audience": "organisation", "limit": 1000}).json()["items"]
    return [(one["type"], one["subject"], one["sequence"]) for one in items]


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_two_services_on_one_database_lose_nothing_and_do_nothing_twice(tmp_path: Path, database_url: str) -> None:
    database = Database(database_url)
    with ExitStack() as running:
        both = [running.enter_context(service(tmp_path / name, database_url)) for name in ("one", "two")]
        wait(lambda: all(map(ready, both)), lambda: "".join(log.read_text() for log in tmp_path.glob("*/log")))
        maker, seeker, manager = clients(database, both)
        for client in (*maker, *seeker, *manager):
            running.callback(client.close)
        shared = posting(maker)
        importing(maker, seeker)
        need = seeker[0].post("/api/v1/listings", json=NEED).json()
        assert seeker[1].get(f"/api/v1/listings/{need['id']}").json() == need
        wait(lambda: caught_up(database))
        deciding(manager)
        assert feed(maker[0]) == feed(maker[1])
        told = feed(maker[0])
    numbers = [int(number) for *_, number in told]
    assert numbers == sorted(set(numbers))
    with database.reading() as session:
        listings = queries.published_after(session, "", 100_000)
        published = Counter(subject for kind, subject, _ in told if kind == "dukou.listing.published")
        assert published == {row.id: 1 for row in listings if row.side == "offer"}
        assert len(listings) == 1 + 1 + 8 + 3 * ROWS + 1
        pairings = list(session.exec(select(PairingRow).where(col(PairingRow.state).in_(["proposed", "shortlisted"]))))
        assert (shared, need["id"]) in [(row.offer_id, row.need_id) for row in pairings]
        for row in pairings:
            assert [step.action for step in pairing_queries.steps(session, row.id)].count("propose") == 1
        assert Audit(SECRET.encode()).verify(session).broken is None
    database.close()


def posting(maker: Clients) -> str:
    """One under a key, one under a reference, eight of their own: each once, whichever service they were sent to.

    The id of the second.
    """
    unnamed = {key: value for key, value in OTHERS[0].items() if key != "reference"}
    key = {"Idempotency-Key": "once"}
    again = on_both(lambda _, at: maker[at].post("/api/v1/listings", json=unnamed, headers=key))
    assert [one.status_code for one in again] == 8 * [201]
    assert len({one.json()["id"] for one in again}) == 1
    shared = on_both(lambda _, at: maker[at].post("/api/v1/listings", json=OFFER))
    assert sorted(one.status_code for one in shared) == [*7 * [200], 201]
    own = on_both(lambda i, at: maker[at].post("/api/v1/listings", json=OTHERS[1] | {"reference": f"own {i}"}))
    assert [one.status_code for one in own] == 8 * [201]
    return str(shared[0].json()["id"])


def importing(maker: Clients, seeker: Clients) -> None:
    """Two files at once at two services; then the same file at the other."""
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(imported, maker[0], rows("a", "offer"))
        second = pool.submit(imported, seeker[1], rows("b", "need"))
        reports = [first.result(), second.result(), imported(maker[1], rows("c", "offer"))]
    again = imported(maker[1], rows("a", "offer"))
    assert [(one["new"], one["unchanged"], one["problem_count"]) for one in reports] == 3 * [(ROWS, 0, 0)]
    assert (again["new"], again["unchanged"]) == (0, ROWS)


def deciding(manager: Clients) -> None:
    """Eight decide on what they have read: the first does."""
    (pairing, *_) = manager[0].get("/api/v1/pairings", params={"state": "proposed"}).json()["items"]
    headers = {"If-Match": f'"{pairing["version"]}"'}
    path = f"/api/v1/pairings/{pairing['id']}/steps"
    answers = on_both(lambda _, at: manager[at].post(path, json={"action": "shortlist"}, headers=headers))
    assert sorted(one.status_code for one in answers) == [201, *7 * [412]]


def caught_up(database: Database) -> bool:
    with database.reading() as session:
        return queries.proposed_up_to(session) >= queries.last_written(session)
