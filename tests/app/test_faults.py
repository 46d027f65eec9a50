"""What goes wrong around the service: a full disk, a lock, a clock that jumps, a database that goes and comes back."""

import contextlib
import multiprocessing
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.migration import MigrationContext
from fastapi.testclient import TestClient
from limits.storage import MemoryStorage
from pydantic import SecretStr
from sqlalchemy import create_engine, event, text

from app import asking
from app.access import PUBLIC
from app.asking import Limits
from app.clock import utc_now
from app.db import Database, with_driver
from app.errors import TooMany
from app.main import create_app
from app.queries import listings as queries
from app.settings import Settings
from scripts.postgres import Server
from tests.app.conftest import NEED, OFFER, SECRET, World, populated, problem

YEAR = timedelta(days=365)
LONG = OFFER | {"reference": "long", "description": "ceramic elbows for slurry " * 300}


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(home=tmp_path / "home", database_url=database_url, model="hashing", secret=SecretStr(SECRET))


def counts(world: World) -> dict[str, int]:
    """How many rows each table has."""
    with world.database.engine.connect() as connection:
        names = ("listing", "listing_version", "event", "audit", "pairing_step", "idempotency")
        return {name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() for name in names}


def settled(world: World) -> None:
    """Wait until the proposing thread has seen all that was posted."""
    for _ in range(200):
        with world.database.reading() as session:
            if queries.proposed_up_to(session) >= queries.last_written(session):
                return
        time.sleep(0.1)
    raise AssertionError("proposals do not catch up")


def paired(world: World) -> dict[str, Any]:
    offer, need = world.post(world.offerer, OFFER), world.post(world.seeker, NEED)
    settled(world)
    body = {"offer": offer["id"], "need": need["id"]}
    found: dict[str, Any] = world.centre.post("/api/v1/pairings", json=body).json()
    return found


def shortlist(world: World, pairing: dict[str, Any], note: str = "") -> Any:
    headers = {"If-Match": f'"{pairing["version"]}"'}
    body = {"action": "shortlist", "note": note}
    return world.centre.post(f"/api/v1/pairings/{pairing['id']}/steps", json=body, headers=headers)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_on_a_full_disk_requests_are_507_and_leave_nothing_and_later_ones_work(world: World) -> None:
    pairing = paired(world)
    with world.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.connection.execute("VACUUM")  # pages that are free would take what is written
    before, full = counts(world), True

    @event.listens_for(world.database.engine, "connect")
    def limit(connection: sqlite3.Connection, _record: object) -> None:
        if full:
            connection.execute("PRAGMA max_page_count=1")

    world.database.engine.dispose()
    headers = {"Idempotency-Key": "k"}
    assert problem(world.offerer.post("/api/v1/listings", json=LONG, headers=headers), 507)["title"] == "Storage full"
    assert problem(shortlist(world, pairing, "因" * 4_000), 507)["title"] == "Storage full"
    assert counts(world) == before
    assert world.offerer.get("/api/v1/listings").status_code == 200
    assert world.offerer.get("/api/v1/changes?audience=organisation").status_code == 200

    full = False
    world.database.engine.dispose()
    assert world.offerer.post("/api/v1/listings", json=LONG, headers=headers).status_code == 201
    assert shortlist(world, pairing, "因" * 4_000).status_code == 201


@contextlib.contextmanager
def locked(url: str) -> Iterator[None]:
    """Somebody else writes and does not come to an end."""
    engine = create_engine(with_driver(url))
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.connection.driver_connection.isolation_level = None  # type: ignore[union-attr]
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql("SELECT number FROM revision FOR UPDATE")
        yield
        connection.exec_driver_sql("ROLLBACK")
    engine.dispose()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.db.PATIENCE", 1)


@pytest.mark.usefixtures("impatient")
def test_a_locked_database_is_503_with_retry_after_while_reading_goes_on(settings: Settings) -> None:
    app = create_app(settings)
    with TestClient(app, raise_server_exceptions=False) as public:
        app.state.loading.join()
        world = populated(app, public)
        pairing = paired(world)
        with locked(settings.url):
            for response in (world.offerer.post("/api/v1/listings", json=LONG), shortlist(world, pairing)):
                assert problem(response, 503)["title"] == "Storage busy"
                assert int(response.headers["Retry-After"]) > 0
            assert world.seeker.get("/api/v1/listings").status_code == 200
            assert world.public.get("/api/v1/listings").status_code == 200
        assert world.offerer.post("/api/v1/listings", json=LONG).status_code == 201
        assert shortlist(world, pairing).status_code == 201


@pytest.mark.parametrize("jump", [-YEAR, YEAR], ids=["back", "ahead"])
def test_a_clock_that_jumps_a_year_stops_neither_feeds_nor_listings(world: World, jump: timedelta) -> None:
    world.post(world.offerer, OFFER)
    first = world.offerer.get("/api/v1/changes?audience=organisation").json()
    world.app.dependency_overrides[asking.now] = lambda: utc_now() + jump
    response = world.offerer.post("/api/v1/listings", json=LONG, headers={"Idempotency-Key": "k"})
    assert response.status_code == 201
    again = world.offerer.post("/api/v1/listings", json=LONG, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.json()) == (201, response.json())
    then = world.offerer.get(f"/api/v1/changes?audience=organisation&after={first['cursor']}").json()
    assert [one["subject"] for one in then["items"]] == [response.json()["id"]]
    signed_in = world.centre.get("/api/v1/session").json()["role"]
    assert signed_in == ("manager" if jump < timedelta() else "public")  # twelve hours are over, or are not

    world.app.dependency_overrides.clear()
    world.post(world.offerer, NEED | {"reference": "third"})
    whole = world.offerer.get("/api/v1/changes?audience=organisation").json()["items"]
    assert [one["subject"] for one in whole] == [world.ids["o1"], response.json()["id"], world.ids["third"]]
    assert world.centre.get("/api/v1/session").json()["role"] == "manager"
    assert len(world.offerer.get("/api/v1/listings").json()["items"]) == 3
    assert world.administrator.get("/api/v1/audit").status_code == 200


def test_rate_limits_hold_no_longer_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    limits, start = Limits("2/minute", "2/minute", "2/minute"), time.time()

    def ask(at: float) -> bool:
        monkeypatch.setattr(time, "time", lambda: at)
        try:
            limits.count(PUBLIC, "192.0.2.1")
        except TooMany:
            return False
        return True

    assert [ask(start), ask(start + 1), ask(start + 2)] == [True, True, False]
    back = start - YEAR.total_seconds()
    assert [ask(back), ask(back + 1), ask(back + 2)] == [True, True, False]
    assert [ask(back + 1), ask(back + 62)] == [False, True]  # a clock put right by a second changes nothing
    assert ask(start + YEAR.total_seconds())


def test_the_store_of_rate_limits_can_be_emptied() -> None:
    """`Limits` counts on it."""
    storage = MemoryStorage()
    assert storage.acquire_entry("k", 1, 60)
    assert not storage.acquire_entry("k", 1, 60)
    storage.reset()
    assert storage.acquire_entry("k", 1, 60)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_database_that_restarts_costs_a_503_at_most_and_nothing_acknowledged(
    world: World, postgresql: Server, mode: str
) -> None:
    world.post(world.offerer, OFFER)
    over, answers, kept = threading.Event(), list[int](), list[str]()

    def go_on(name: int) -> None:
        place = 0
        while not over.is_set():
            place += 1
            reference = f"{name}-{place}"
            response = world.offerer.post("/api/v1/listings", json=OFFER | {"reference": reference})
            answers.append(response.status_code)
            if response.status_code == 201:
                kept.append(reference)
            elif response.status_code == 503:
                assert "Retry-After" in response.headers
                time.sleep(0.05)

    with ThreadPoolExecutor(3) as pool:
        threads = [pool.submit(go_on, name) for name in range(3)]
        time.sleep(0.5)
        postgresql.restart(mode)
        time.sleep(0.5)
        over.set()
        for thread in threads:
            thread.result()
    assert set(answers) <= {201, 503}
    assert world.offerer.get("/api/v1/listings").status_code == 200  # at once: dead connections are not used again
    with world.database.reading() as session:
        stored = {row.reference for row in queries.owned(session, world.ids["offerer"])}
    assert stored >= {"o1", *kept}
    told = world.offerer.get("/api/v1/changes?audience=organisation&limit=1000").json()["items"]
    assert sorted(one["data"]["reference"] for one in told) == sorted(stored)


def open_and_close(url: str) -> str:
    Database(url).close()
    return "opened"


def test_processes_that_start_at_once_migrate_once(empty_url: str) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert pool.map(open_and_close, 3 * [empty_url], chunksize=1) == 3 * ["opened"]
    engine = create_engine(with_driver(empty_url))
    with engine.connect() as connection:
        assert len(MigrationContext.configure(connection).get_current_heads()) == 1
        assert connection.execute(text("SELECT count(*) FROM revision")).scalar_one() == 1
    engine.dispose()
