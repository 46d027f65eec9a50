"""The night: what it leaves, what a kill or a failure leaves, and that readers switch to it by themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from app import night, nights
from app.clock import utc_now
from app.db import Database
from app.errors import AppError, Conflict, StorageFull
from app.importing import import_file
from app.night import STAGES, run_night
from app.nights import Nights, last_due
from app.publishing import Publisher
from app.settings import Settings
from app.tables import NightRow, PairingRow, StepRow
from tests.app.conftest import NEED, OFFER, SECRET, World

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "data" / "samples" / "listings.jsonl"


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    database = Database(settings.url)
    try:
        yield database
    finally:
        database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def stocked(settings: Settings, request: pytest.FixtureRequest) -> Iterator[tuple[Settings, Database]]:
    """A database with all samples."""
    if request.param == "postgresql":
        settings = settings.model_copy(update={"database_url": request.getfixturevalue("postgresql").make()})
    with opened(settings) as database:
        import_file(database, SAMPLES)
        yield settings, database


def proposals(database: Database) -> dict[tuple[str, str], tuple[str, float]]:
    with database.reading() as session:
        rows = session.exec(select(PairingRow)).all()
    return {(row.offer_id, row.need_id): (row.state, row.probability) for row in rows}


def rows_of(database: Database) -> list[NightRow]:
    with database.reading() as session:
        return list(session.exec(select(NightRow).order_by(NightRow.started_at)))  # type: ignore[arg-type]


def test_a_night_proposes_publishes_and_reports_and_the_next_changes_nothing(
    stocked: tuple[Settings, Database],
) -> None:
    settings, database = stocked
    run, report = run_night(settings, database)
    found = proposals(database)
    assert len(found) == report["match"]["assigned"] == report["record"]["new"] > 50
    assert Publisher(settings.home).current() == run
    assert [*report] == list(STAGES)
    assert all(figures["seconds"] >= 0 for figures in report.values())
    assert report["match"]["good pairs"] <= report["match"]["pairs"] - report["match"]["in a direction not asked for"]
    assert report["match"]["exposure"]["assigned"]["reached_needs"] > 0.5
    assert report["embed"]["new texts"] == report["build"]["offers"] + report["build"]["needs"] == 162
    again, second = run_night(settings, database, clock=lambda: utc_now() + timedelta(days=1))
    assert again != run
    assert second["embed"]["new texts"] == 0
    assert second["record"]["updated"] == len(found)
    assert proposals(database) == found
    with database.reading() as session:
        assert len(session.exec(select(StepRow)).all()) == len(found), "a second night adds no step"
    assert [row.state for row in rows_of(database)] == ["done", "done"]


def test_caps_bound_every_listing_and_those_left_out_are_counted(stocked: tuple[Settings, Database]) -> None:
    settings, database = stocked
    _, report = run_night(settings.model_copy(update={"cap": 1}), database)
    found = proposals(database)
    for place in (0, 1):
        names = [pair[place] for pair in found]
        assert len(names) == len(set(names))
    assert report["match"]["left out by the caps"] > 0
    assert report["match"]["exposure"]["assigned"]["most_offers"] == 1


def command(settings: Settings) -> dict[str, Any]:
    env = os.environ | {
        "DUKOU_HOME": str(settings.home),
        "DUKOU_DATABASE_URL": settings.database_url,
        "DUKOU_MODEL": "hashing",
        "DUKOU_SECRET": SECRET,
        "PYTHONPATH": str(ROOT),
    }
    return {"args": [sys.executable, "-c", "from app.cli import main; main()", "night"], "env": env, "cwd": ROOT}


def stages_of(log: str) -> list[str]:
    """The stages that a night's log tells of, in their order."""
    events = [json.loads(line)["event"] for line in log.splitlines() if line.startswith("{")]
    return [event.split(": ")[1] for event in events if event.startswith("night ") and event.split(": ")[1] in STAGES]


def killed_at(settings: Settings, stage: str) -> list[str]:
    """Run a night and kill it as soon as it tells that it has come to a stage; the stages that it told of."""
    process = subprocess.Popen(**command(settings), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    log = ""
    for line in process.stderr:
        log += line
        if stages_of(line) == [stage]:
            process.kill()
    process.wait(60)
    process.stderr.close()
    assert process.returncode == -9, log
    return stages_of(log)


def test_a_night_killed_again_and_again_goes_on_behind_what_was_done(settings: Settings, tmp_path: Path) -> None:
    with opened(settings) as database:
        import_file(database, SAMPLES)
    told = [killed_at(settings, stage) for stage in ("build", "match", "record", "settle")]
    done = subprocess.run(**command(settings), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert [stages[-1] for stages in told] == ["build", "match", "record", "settle"]
    assert stages_of(done.stderr) == ["settle"], "what was done is not done again"
    with opened(settings) as database:
        (row,) = rows_of(database)
        assert row.state == "done"
        found = proposals(database)
        assert set(row.report) == set(STAGES)
    whole = settings.model_copy(update={"home": tmp_path / "another"})
    with opened(whole) as database:
        import_file(database, SAMPLES)
        run_night(whole, database)
        assert len(proposals(database)) == len(found)


def test_a_night_that_fails_leaves_yesterday_and_the_next_begins_anew(
    stocked: tuple[Settings, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, database = stocked
    run, _ = run_night(settings, database)
    found = proposals(database)

    def full(*_: object) -> None:
        raise StorageFull("cannot write: no space left")

    monkeypatch.setattr(night, "write_atomically", full)
    with pytest.raises(AppError, match="no space left"):
        run_night(settings, database, clock=lambda: utc_now() + timedelta(days=1))
    assert Publisher(settings.home).current() == run
    assert proposals(database) == found
    assert [(row.state, row.stage, row.error) for row in rows_of(database)][1] == (
        "failed",
        "match",
        "cannot write: no space left",
    )
    monkeypatch.undo()
    third, _ = run_night(settings, database, clock=lambda: utc_now() + timedelta(days=2))
    assert Publisher(settings.home).current() == third


def test_a_night_stopped_by_a_defect_does_not_stand_as_running_and_leaves_no_index(
    stocked: tuple[Settings, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, database = stocked

    def broken(*_: object) -> None:
        raise RuntimeError("not solved")

    monkeypatch.setattr(night, "assign", broken)
    with pytest.raises(RuntimeError, match="not solved"):
        run_night(settings, database)
    (row,) = rows_of(database)
    assert (row.state, row.error) == ("failed", "a defect: RuntimeError")
    assert Publisher(settings.home).names() == []
    monkeypatch.undo()
    run, report = run_night(settings, database, clock=lambda: utc_now() + timedelta(hours=1))
    assert run != row.id
    assert report["record"]["new"] > 50


def test_what_was_interrupted_long_ago_is_given_up_with_what_it_left(settings: Settings) -> None:
    with opened(settings) as database:
        import_file(database, SAMPLES)
    assert killed_at(settings, "record")[-1] == "record"
    index = settings.home / "index"
    (index / ".night-x-abc").mkdir()
    later = utc_now() + timedelta(days=2)
    with opened(settings) as database:
        run, report = run_night(settings, database, clock=lambda: later)
        old, new = rows_of(database)
        assert (old.state, old.error) == ("failed", "given up: interrupted more than a day ago")
        assert (new.id, new.state) == (run, "done")
        assert set(report) == set(STAGES)
        assert len(proposals(database)) == report["match"]["assigned"]
    assert not (index / ".night-x-abc").exists()
    assert list(index.glob("*.npz")) == []


def test_one_night_at_a_time(stocked: tuple[Settings, Database]) -> None:
    settings, database = stocked
    with Publisher(settings.home).alone() as mine:
        assert mine
        with pytest.raises(Conflict):
            run_night(settings, database)
    with database.alone(night.LOCK) as mine:
        assert mine
        if settings.database_url:
            with pytest.raises(Conflict):
                run_night(settings, database)
    assert rows_of(database) == []


def test_readers_switch_to_the_new_index_without_a_failed_request_and_back(filled: World, settings: Settings) -> None:
    query, stop, failures = {"text": "ceramic elbows for ore slurry pipelines", "limit": 50}, threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            response = filled.public.post("/api/v1/search", json=query)
            if response.status_code != 200 or "o1" not in filled.found(response):
                failures.append(response.text)
            time.sleep(0.01)

    before = filled.found(filled.public.post("/api/v1/search", json=query))
    thread = threading.Thread(target=ask)
    thread.start()
    run, _ = run_night(settings, filled.database)
    live = filled.app.state.live
    assert filled.found(filled.public.post("/api/v1/search", json=query)) == before
    assert live._snapshot.base.name == run
    filled.offerer.post(f"/api/v1/listings/{filled.ids['o2']}/withdraw")
    filled.post(filled.offerer, OFFER | {"reference": "late", "title": "Ceramic elbows, made later"})
    time.sleep(0.3)
    stop.set()
    thread.join()
    assert failures == []
    found = filled.found(filled.public.post("/api/v1/search", json=query))
    assert sorted(found) == sorted([*(set(before) - {"o2"}), "late"])
    second, _ = run_night(settings, filled.database, clock=lambda: utc_now() + timedelta(days=1))
    assert filled.found(filled.public.post("/api/v1/search", json=query))[0] in ("o1", "late")
    assert live._snapshot.base.name == second
    assert live.publisher.roll_back() == run
    assert sorted(filled.found(filled.public.post("/api/v1/search", json=query))) == sorted(found)
    assert live._pointer == run, "looked at; what was written since makes so small a market be built anew"


def test_proposals_for_what_was_posted_during_the_night_do_not_lapse(
    filled: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = night.Night._record

    def record(self: night.Night) -> dict[str, Any]:
        filled.post(filled.seeker, NEED | {"reference": "late"})
        deadline = time.monotonic() + 20
        while not any(pair[1] == filled.ids["late"] for pair in proposals(filled.database)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return real(self)

    monkeypatch.setattr(night.Night, "_record", record)
    run_night(settings, filled.database)
    own = [state for pair, (state, _) in proposals(filled.database).items() if pair[1] == filled.ids["late"]]
    assert own
    assert set(own) == {"proposed"}


def test_the_reports_are_shown_to_those_who_decide(filled: World, settings: Settings) -> None:
    run, report = run_night(settings, filled.database)
    body = filled.manager.get("/api/v1/nights").json()
    assert body["index"] == run
    assert body["items"][0]["report"]["match"]["assigned"] == report["match"]["assigned"]
    for language, word in (("en", "Overnight runs"), ("zh", "夜间匹配")):
        page = filled.manager.get(f"/nights?lang={language}")
        assert page.status_code == 200
        assert word in page.text
    assert filled.partner.get("/nights").status_code == 403


@pytest.mark.parametrize(
    ("at", "now", "due"),
    [
        ("", datetime(2026, 3, 2, 12), None),
        ("18:00", datetime(2026, 3, 2, 17, 59), datetime(2026, 3, 1, 18)),
        ("18:00", datetime(2026, 3, 2, 18, 0), datetime(2026, 3, 2, 18)),
        ("00:30", datetime(2026, 3, 1, 0, 10), datetime(2026, 2, 28, 0, 30)),
    ],
)
def test_a_night_is_due_once_a_day(at: str, now: datetime, due: datetime | None) -> None:
    assert last_due(at, now) == due


def test_the_worker_begins_a_night_when_it_is_due_and_makes_up_for_a_missed_one(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    monkeypatch.setattr(nights, "COMMAND", (sys.executable, "-c", f"open({str(told)!r}, 'a').write('.')"))

    def runs(one: Nights, now: datetime) -> int:
        one.look(now)
        if one._process is not None:
            one._process.wait(20)
        return len(told.read_text()) if told.exists() else 0

    noon = datetime(2026, 3, 2, 12)
    with opened(settings) as database:
        one = Nights(database, "18:00", noon)
        assert runs(one, noon + timedelta(hours=5)) == 0
        assert runs(one, noon + timedelta(hours=7)) == 1
        assert runs(one, noon + timedelta(hours=8)) == 1
        assert runs(one, noon + timedelta(hours=31)) == 2
        with database.writing() as session:
            session.add(NightRow(id="x", state="done", stage="settle", started_at=noon - timedelta(days=3), report={}))
        assert runs(Nights(database, "18:00", noon), noon) == 3, "missed while no worker was there"
        with database.writing() as session:
            session.add(NightRow(id="y", state="running", stage="match", started_at=noon, report={}))
        again = Nights(database, "18:00", noon + timedelta(minutes=1))
        assert runs(again, noon + timedelta(minutes=1)) == 4, "interrupted, with the worker that had begun it"
        assert runs(again, noon + timedelta(minutes=2)) == 4
