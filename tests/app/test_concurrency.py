"""Many at once, in threads and in processes: the feed misses nothing, nobody's change is lost, nothing is doubled."""

import multiprocessing
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlmodel import select

from app import accounts, listings, pairings
from app.access import OPERATOR
from app.audit import Audit
from app.clock import utc_now
from app.db import Database
from app.errors import AppError, Conflict, VersionMismatch
from app.events import Audience
from app.pairings import Action, Answer
from app.proposals import by_hand, lapse, lapse_unfound
from app.proposals import record as record_found
from app.proposing import propose_new
from app.queries import condition
from app.queries import events as event_queries
from app.queries import listings as queries
from app.queries import pairings as pairing_queries
from app.settings import Settings
from app.tables import OrganisationRow, PairingRow
from matching import Side
from tests.app.conftest import NEED, OFFER, SECRET, World
from tests.app.test_storage import organisation, partner, post, proposed

NOW = datetime(2026, 3, 1)
PROCESSES, THREADS, WRITES = 2, 4, 6


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    many = "100000/minute"
    secret = SecretStr(SECRET)
    return Settings(
        home=tmp_path / "home",
        database_url=database_url,
        model="hashing",
        secret=secret,
        public_limit=many,
        known_limit=many,
    )


def write_much(url: str, owner_id: str, pairing_ids: list[str], name: str) -> list[tuple[float, float, int]]:
    """One process: threads that post, revise and decide. Of each write: when it began and ended, and its number."""
    database = Database(url)
    with ThreadPoolExecutor(THREADS) as pool:
        parts = list(pool.map(lambda i: _writes(database, owner_id, pairing_ids, f"{name}-{i}"), range(THREADS)))
    database.close()
    return [one for part in parts for one in part]


def _writes(database: Database, owner_id: str, pairing_ids: list[str], name: str) -> list[tuple[float, float, int]]:
    rng, done = random.Random(name), list[tuple[float, float, int]]()
    for place in range(WRITES):
        began = time.monotonic()
        with database.writing() as session:
            owner = session.get_one(OrganisationRow, owner_id)
            reference = f"{name}-{rng.randrange(3)}"  # so that some are new and some are revised
            row = post(session, owner, OFFER | {"reference": reference, "title": f"Elbow {name} {place}"}, utc_now())
            number = row.revision
        done.append((began, time.monotonic(), number))
        _decide(database, rng.choice(pairing_ids), name)
    return done


def _decide(database: Database, pairing_id: str, name: str) -> None:
    """Read, think, decide: whoever is late is told so."""
    with database.reading() as session:
        row, _ = pairings.visible(session, OPERATOR, pairing_id)
    answer = Answer(Side.OFFER, note=name, consent=True)
    try:
        with database.writing() as session:
            now, sides = pairings.visible(session, OPERATOR, pairing_id)
            pairings.take(session, OPERATOR, now, sides, Action.INTEREST, answer, row.version, "none", utc_now())
            Audit(SECRET.encode()).record(session, OPERATOR, "pairing.interest", pairing_id, utc_now(), by=name)
    except (VersionMismatch, Conflict):
        pass


class Follower(threading.Thread):
    """Reads the change feed of the API by its cursor until it is told to stop, and then to its end."""

    def __init__(self, world: World, limit: int) -> None:
        super().__init__()
        self.world, self.limit, self.cursor = world, limit, ""
        self.seen: list[tuple[str, int]] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            self.read()
        while self.read():
            pass

    def read(self) -> bool:
        path = f"/api/v1/changes?audience=organisation&after={self.cursor}&limit={self.limit}"
        body = self.world.offerer.get(path).json()
        self.seen += [(one["id"], int(one["sequence"])) for one in body["items"]]
        self.cursor = body["cursor"]
        return bool(body["items"])


def test_readers_by_cursor_miss_nothing_while_processes_write(world: World, database_url: str) -> None:
    with world.database.writing() as session:
        maker = session.get_one(OrganisationRow, world.ids["offerer"])
        seeker = session.get_one(OrganisationRow, world.ids["seeker"])
        need = post(session, seeker, NEED)
        offers = [post(session, maker, OFFER | {"reference": f"pair-{i}"}) for i in range(3)]
        for offer in offers:
            by_hand(session, OPERATOR, proposed(offer.id, need.id, 0.5), NOW)
        pairing_ids = [row.id for row in session.exec(select(PairingRow).where(PairingRow.state == "proposed"))]
    followers = [Follower(world, limit) for limit in (4, 1_000)]
    for follower in followers:
        follower.start()
    jobs = [(database_url, maker.id, pairing_ids, f"p{i}") for i in range(PROCESSES)]
    try:
        with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
            written = [one for part in pool.starmap(write_much, jobs) for one in part]
    finally:
        for follower in followers:
            follower.over.set()
            follower.join()
    assert len({number for *_, number in written}) == PROCESSES * THREADS * WRITES
    began = 0.0
    for start, end, number in sorted(written, key=lambda one: one[2]):
        assert end > began, f"write {number} was over before one with a lower number had begun"
        began = max(began, start)
    with world.database.reading() as session:
        rows = event_queries.events_after(session, Audience.ORGANISATION, maker.id, 0, 100_000)
        due = [(row.id, row.sequence) for row in rows]
        assert len(due) == len(written) + len(offers)
        assert [follower.seen == due for follower in followers] == [True, True]
        steps = [step for name in pairing_ids for step in pairing_queries.steps(session, name)]
        taken = [step for step in steps if step.action == Action.INTEREST]
        verdict = Audit(SECRET.encode()).verify(session)
    assert verdict.broken is None
    assert len(taken) > 0
    audited = world.administrator.get("/api/v1/audit?limit=1000").json()["items"]
    lines = sorted(line["subject"] for line in audited if line["action"] == "pairing.interest")
    assert lines == sorted(step.pairing_id for step in taken)
    for name in pairing_ids:
        numbers = [step.number for step in steps if step.pairing_id == name]
        assert numbers == list(range(1, 1 + len(numbers)))


def at_once(count: int, ask: Callable[[int], Any]) -> list[Any]:
    """The answers of so many that ask at the same moment."""
    barrier = threading.Barrier(count)

    def one(place: int) -> Any:
        barrier.wait()
        return ask(place)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_of_two_managers_who_decide_at_once_one_is_told_to_read_again(world: World) -> None:
    offer, need = world.post(world.offerer, OFFER), world.post(world.seeker, NEED)
    body = {"offer": offer["id"], "need": need["id"]}
    pairing = world.centre.post("/api/v1/pairings", json=body).json()
    clients = [world.manager, world.other_manager, world.centre, world.administrator]
    steps = [{"action": "shortlist"}, {"action": "decline", "reason": "terms", "side": "need"}] * 2

    def decide(place: int) -> int:
        match = {"If-Match": f'"{pairing["version"]}"'}
        path = f"/api/v1/pairings/{pairing['id']}/steps"
        return int(clients[place].post(path, json=steps[place], headers=match).status_code)

    answers = at_once(4, decide)
    assert sorted(answers) == [201, 412, 412, 412]
    history = world.centre.get(f"/api/v1/pairings/{pairing['id']}/steps").json()["items"]
    assert [step["action"] for step in history] == ["propose", steps[answers.index(201)]["action"]]


def test_what_was_taken_up_by_hand_does_not_lapse_when_the_matching_does_not_find_it(database: Database) -> None:
    with database.writing() as session:
        offer, need = post(session, organisation(session), OFFER), post(session, organisation(session, "Mine"), NEED)
        row = by_hand(session, OPERATOR, proposed(offer.id, need.id, 0.01), NOW)
        assert not lapse(session, "posted 1", NOW, [offer.id, need.id])
        record_found(session, [proposed(offer.id, need.id, 0.02)], "night", NOW)
        assert not lapse_unfound(session, "next night", 1_000_000, "", 1_000, NOW)[0]
        assert (row.state, row.probability) == ("proposed", 0.02)


def test_two_who_revise_at_once_do_not_overwrite_each_other(world: World) -> None:
    listing = world.post(world.offerer, OFFER)
    read = world.offerer.get(f"/api/v1/listings/{listing['id']}")

    def revise(place: int) -> int:
        record = OFFER | {"title": f"Elbows, text {place}"}
        path = f"/api/v1/listings/{listing['id']}"
        return int(world.offerer.put(path, json=record, headers={"If-Match": read.headers["ETag"]}).status_code)

    answers = at_once(6, revise)
    assert sorted(answers) == [200, *5 * [412]]
    now = world.offerer.get(f"/api/v1/listings/{listing['id']}").json()
    assert (now["title"], now["version"]) == (f"Elbows, text {answers.index(200)}", 2)


def test_a_request_sent_eight_times_at_once_posts_one_listing(world: World) -> None:
    record = {key: value for key, value in OFFER.items() if key != "reference"}

    def ask(_: int) -> tuple[int, Any]:
        response = world.offerer.post("/api/v1/listings", json=record, headers={"Idempotency-Key": "once"})
        return response.status_code, response.json()

    answers = at_once(8, ask)
    assert answers == 8 * [(201, answers[0][1])]
    assert len(world.offerer.get("/api/v1/listings").json()["items"]) == 1
    told = world.offerer.get("/api/v1/changes?audience=organisation").json()["items"]
    assert [one["type"] for one in told] == ["dukou.listing.published"]


def test_a_reference_posted_eight_times_at_once_is_one_listing(world: World) -> None:
    answers = at_once(8, lambda _: world.offerer.post("/api/v1/listings", json=OFFER))
    assert sorted(one.status_code for one in answers) == [*7 * [200], 201]
    assert {(one.json()["id"], one.json()["version"]) for one in answers} == {(answers[0].json()["id"], 1)}


def test_different_texts_under_one_reference_at_once_are_all_kept_as_versions(world: World) -> None:
    answers = at_once(8, lambda i: world.offerer.post("/api/v1/listings", json=OFFER | {"title": f"Elbow {i}"}))
    assert sorted(one.json()["version"] for one in answers) == list(range(1, 9))
    kept = world.offerer.get(f"/api/v1/listings/{answers[0].json()['id']}/versions").json()["items"]
    assert {one["record"]["title"] for one in kept} == {f"Elbow {i}" for i in range(8)}


def test_the_same_organisation_added_at_once_is_one(database: Database) -> None:
    with database.writing() as session:
        node = accounts.add_node(session, "Almaty", "KZ", None, NOW)

    def add(_: int) -> str:
        try:
            with database.writing() as session:
                accounts.add_organisation(session, OPERATOR, node.id, NOW, name="Mine")
        except AppError as error:
            return type(error).__name__
        return "added"

    assert sorted(at_once(6, add)) == [*5 * ["Conflict"], "added"]


def test_thirty_two_writers_all_get_their_turn(database: Database) -> None:
    with database.writing() as session:
        owner = organisation(session)

    def write(place: int) -> int:
        with database.writing() as session:
            row = listings.post_listing(session, partner(owner), owner, OFFER | {"reference": f"o{place}"}, NOW).row
            time.sleep(0.02)
        return row.revision

    numbers = at_once(32, write)
    with database.reading() as session:
        assert max(numbers) <= queries.last_written(session)
    assert len(set(numbers)) == 32


def test_who_proposes_ends_after_the_listing_that_it_is_at_and_goes_on_there(filled: World) -> None:
    filled.app.state.proposer.stop()
    live = filled.app.state.live
    propose_new(live)
    for number in range(3):
        filled.post(filled.seeker, NEED | {"reference": f"later {number}"})
    asked = iter((False, True))
    propose_new(live, stopped=lambda: next(asked))
    with filled.database.reading() as session:
        assert condition.waiting(session) == 2
    propose_new(live)
    with filled.database.reading() as session:
        assert condition.waiting(session) == 0
