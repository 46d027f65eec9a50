"""The page of the overnight runs: what it says of a run's report, and of what people decided, counted by hand."""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from app import judging
from app.judging import Decided
from app.queries.overview import Told
from app.tables import NightRow
from tests.app.conftest import World
from tests.app.programme import add_listing, add_pairing

BEGAN = datetime(2026, 11, 18, 18)


def spread(reached: float) -> dict[str, Any]:
    shares = {"gini_offers": 0.4, "gini_needs": 0.3, "reached_offers": reached, "reached_needs": 0.9}
    return {"proposals": 60, "total": 123.4, "most_offers": 5, "most_needs": 6} | shares


REPORT: dict[str, dict[str, Any]] = {
    "embed": {"new texts": 7, "seconds": 30.0},
    "build": {"offers": 40, "needs": 50, "revision": 90, "space": "3f2a", "seconds": 20.0},
    "match": {
        "model": "hashing",
        "weights": "a1b2c3d4e5f6",
        "threshold": 0.42,
        "pairs": 2000,
        "in a direction not asked for": 900,
        "good pairs": 75,
        "assigned": 60,
        "left out by the caps": 15,
        "exposure": {"assigned": spread(0.8), "top 10": spread(0.5)},
        "seconds": 40.0,
    },
    "publish": {"index": "night-2", "seconds": 0.0},
    "record": {"new": 31, "updated": 20, "kept": 8, "reopened": 1, "seconds": 10.0},
    "settle": {"lapsed": 4, "seconds": 0.0},
}


def add_night(world: World, name: str, day: int, state: str = "done", **facts: Any) -> None:
    at = BEGAN + timedelta(days=day)
    given = {"report": REPORT, "stage": "settle", "finished_at": at + timedelta(seconds=90)} | facts
    with world.database.writing() as session:
        session.add(NightRow(id=name, state=state, started_at=at, **given))


@pytest.fixture
def reported(world: World) -> World:
    add_night(world, "night-1", 0)
    add_night(world, "night-2", 1)
    return world


def table(world: World, name: str, **query: str) -> list[list[str]]:
    response = world.centre.get(f"/nights/{name}.csv", params={"lang": "en"} | query)
    assert response.status_code == 200, response.text
    assert response.content.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"))))


def test_a_run_is_told_whole(reported: World) -> None:
    page = reported.centre.get("/nights?lang=en").text
    tiles = dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd></div>", page))
    assert tiles["new proposals"] == "31"
    assert tiles["left as people decided"] == "8"
    assert tiles["lapsed, no longer found"] == "4"
    assert tiles["left out, no longer published"] == "0"
    assert re.findall(r'<rect x="([\d.]+)%" width="([\d.]+)%"', page) == [
        ("0.0", "30.0"),
        ("30.0", "20.0"),
        ("50.0", "40.0"),
        ("90.0", "0.0"),
        ("90.0", "10.0"),
        ("100.0", "0.0"),
    ]
    for text in ("a1b2c3d4e5f6", "hashing", "0.42", "3f2a", "1.5 minutes", "dukou roll-back", "Open the queue"):
        assert text in page
    assert "style=" not in page


def test_every_pair_is_in_one_row_of_what_was_left_out(reported: World) -> None:
    drops = table(reported, "drops")
    assert [int(line[1]) for line in drops[1:]] == [900, 1025, 15, 60]
    assert sum(int(line[1]) for line in drops[1:]) == REPORT["match"]["pairs"]


def test_exposure_stands_against_the_ten_best(reported: World) -> None:
    exposure = table(reported, "exposure")
    assert exposure[:2] == [["Figure", "assigned", "ten best of each"], ["share of offers reached", "0.8", "0.5"]]
    assert ["proposals", "60", "60"] in exposure
    assert len(exposure) == 1 + 8


def test_the_last_nights_are_listed_and_one_can_be_chosen(reported: World) -> None:
    add_night(reported, "night-3", 2, "failed", report={}, stage="match", error="the disk is full <b>")
    page = reported.centre.get("/nights?lang=en").text
    assert "It stopped at: Match and assign" in page
    assert "the disk is full &lt;b&gt;" in page
    assert "yesterday's index and proposals stand" in page
    earlier = reported.centre.get("/nights?lang=en&run=night-1").text
    assert "It stopped" not in earlier
    assert 'href="/nights/drops.csv?run=night-1"' in earlier
    assert len(table(reported, "quality")) == 1 + 2, "a night without a report has no figures"
    assert table(reported, "quality")[1][2:] == ["0.8", "0.9", "0.4", "0.3"]
    assert table(reported, "drops") == [[]]
    assert reported.centre.get("/nights?run=nothing").status_code == 404
    assert reported.centre.get("/nights/nothing.csv").status_code == 404


def test_a_night_that_runs_says_how_far_it_is(world: World) -> None:
    add_night(world, "night-1", 0, "running", report={}, stage="build", finished_at=None)
    assert "It is running, at: Build the index" in world.centre.get("/nights?lang=en").text
    assert "正在运行：建立索引" in world.centre.get("/nights?lang=zh").text


def test_without_a_night_the_page_says_how_to_begin_one(world: World) -> None:
    page = world.manager.get("/nights?lang=en").text
    assert "No night has run yet" in page
    assert "<kbd>dukou night</kbd>" in page
    assert world.partner.get("/nights").status_code == 403
    assert world.partner.get("/nights/drops.csv").status_code == 403


def test_decisions_are_counted_by_month_and_by_probability(reported: World) -> None:
    """Of ten proposals of 0.85 eight are accepted; a decline for the terms says nothing, a taken-back one neither."""
    with reported.database.writing() as session:
        offers, needs = (
            [add_listing(session, reported.ids[owner], BEGAN, {"side": side}) for _ in range(7)]
            for owner, side in (("offerer", "offer"), ("seeker", "need"))
        )
        pairs = iter((offer, need) for offer in offers for need in needs)
        for days, reason, probability, times in (
            ([1.0], None, 0.85, 8),
            ([], "wrong_problem", 0.85, 2),
            ([], "too_vague", 0.25, 3),
            ([], "terms", 0.25, 4),
            ([1.0], "terms", 0.25, 1),  # taken up before, which stands
            ([], None, 0.55, 5),  # nobody has looked at them
        ):
            for _ in range(times):
                add_pairing(session, *next(pairs), "go-out", BEGAN, days, reason, probability)
        old = add_pairing(session, *next(pairs), "go-out", BEGAN, [1.0], None, 0.95)
        old.offer_version = 2  # the text has changed since
        session.add(old)
    assert table(reported, "decisions")[1:] == [["2026-11", "9", "5", "4", "0.6429"]]
    bands = table(reported, "calibration")[1:]
    assert [line[:5] for line in bands] == [
        ["20% – 30%", "4", "1", "0.25", "0.25"],
        ["80% – 90%", "10", "8", "0.85", "0.8"],
    ]
    assert (float(bands[1][5]), float(bands[1][6])) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert "fewer than 20 decisions" in reported.centre.get("/nights?lang=en").text


def test_the_last_telling_step_of_a_pairing_counts() -> None:
    def step(action: str, reason: str | None = None) -> Told:
        return Told("p", BEGAN, action, reason, 0.7)

    assert judging.decided([step("shortlist"), step("decline", "wrong_problem")]) == [Decided(BEGAN, 0.7, False)]
    assert judging.decided([step("decline", "too_early"), step("shortlist")]) == [Decided(BEGAN, 0.7, True)]
    assert judging.decided([step("decline", "capacity")]) == [Decided(BEGAN, 0.7, None)]
    assert judging.bands([]) == judging.months([]) == []
    assert [band.start for band in judging.bands([Decided(BEGAN, 1.0, True)])] == [0.9]


def test_an_interval_holds_its_share() -> None:
    for hits in range(11):
        (band,) = judging.bands([Decided(BEGAN, 0.5, one < hits) for one in range(10)])
        assert 0 <= band.low <= band.share <= band.high + 1e-9 <= 1 + 1e-9
        assert band.high - band.low > 0.25
