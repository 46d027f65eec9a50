import json
import logging
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from app import fusions, learning, pairings, proposals
from app.access import OPERATOR
from app.accounts import add_node, add_organisation
from app.cli import main
from app.clock import utc_now
from app.db import Database
from app.errors import Unusable
from app.listings import listing_of, post_listing
from app.pairings import Action, Answer, Reason
from app.queries import listings as listing_queries
from app.queries import pairings as queries
from app.search import Live, read_models
from app.settings import Settings
from app.tables import ListingRow
from matching import Fusion, Pairing
from matching.learning import refit
from matching.scoring import FEATURES
from tests.app.conftest import SECRET

NEEDS, OFFERS_EACH = 14, 4
Says = Callable[[int, int], bool]
TOPICS = [
    "ceramic elbows slurry",
    "tea drying heat pump",
    "solar irrigation pumps",
    "battery electrode recycling",
    "palm weevil detection",
    "membrane wastewater reuse",
    "titanium powder printing",
    "vaccine cold chain",
    "wheat rust forecast",
    "blade icing coating",
    "flue gas condensing",
    "citrus peel pectin",
    "landslide radar warning",
    "haemoglobin rapid strip",
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", model="hashing", secret=SecretStr(SECRET))


@pytest.fixture
def live(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    """A market of needs with offers of their own topic and of the next; the seed holds back a usual share of the needs.

    Their ids are new each time: by one seed, once in 120 times none of so few would be held back.
    """
    database = Database(settings.url)
    now = utc_now()
    with database.writing() as session:
        node = add_node(session, "Chongqing", None, None, now)
        seller = add_organisation(session, OPERATOR, node.id, now, name="Sample seller", trusted=True)
        buyer = add_organisation(session, OPERATOR, node.id, now, name="Sample buyer", trusted=True)
        for i in range(NEEDS):
            need = {"reference": f"n{i}", "side": "need", "title": f"Wanted: {TOPICS[i]}", "country": "KZ"}
            post_listing(
                session, OPERATOR, buyer, need | {"description": f"We need {TOPICS[i]} in {i + 3} plants."}, now
            )
            offer = {"reference": f"o{i}", "side": "offer", "title": f"New {TOPICS[i]} plant", "country": "CN"}
            post_listing(
                session, OPERATOR, seller, offer | {"description": f"We sell {TOPICS[i]}, tried {i} times."}, now
            )
    live = Live(settings, database)
    live.load()
    needs = [row.id for row in by_reference(live).values() if row.side == "need"]
    usual = round(learning.HELD_BACK * NEEDS)
    seeds = (seed for seed in count() if sum(learning.is_held_back(one, seed) for one in needs) == usual)
    monkeypatch.setattr(learning, "SEED", next(seeds))
    yield live
    database.close()


def by_reference(live: Live) -> dict[str, ListingRow]:
    with live.database.reading() as session:
        return {str(row.reference): row for row in listing_queries.published_after(session, "", 1_000)}


def decide(live: Live, says: Says, needs: int = NEEDS) -> None:
    """A manager looks at each need's own offer and at those of the next topics."""
    rows = by_reference(live)
    for i in range(needs):
        for step in range(OFFERS_EACH):
            j = (i + step) % NEEDS
            take(live, rows[f"o{j}"], rows[f"n{i}"], *([] if says(i, step) else [Reason.WRONG_PROBLEM]))


def take(live: Live, offer: ListingRow, need: ListingRow, *reasons: Reason, action: Action = Action.SHORTLIST) -> None:
    found = Pairing(offer.id, need.id, None, None, 0.5, {}, (), None)
    now = utc_now()
    with live.database.writing() as session:
        row = proposals.by_hand(session, OPERATOR, found, now)
        for what, answer in [(Action.DECLINE, Answer(reason=one)) for one in reasons] or [(action, Answer())]:
            sides = queries.sides(session, row)
            pairings.take(session, OPERATOR, row, sides, what, answer, row.version, "none", now)


def consistent(_: int, step: int) -> bool:
    return step == 0


def noise(i: int, step: int) -> bool:
    return bool(np.random.default_rng(1000 * i + step).random() < 0.5)


def test_consistent_decisions_make_it_better(live: Live) -> None:
    decide(live, consistent)
    lesson = learning.learn(live, utc_now())
    assert lesson.is_better
    assert lesson.scores["learned"].log_loss < lesson.scores["present"].log_loss
    assert lesson.counts == {"shortlist": NEEDS, "wrong_problem": NEEDS * (OFFERS_EACH - 1)}
    assert lesson.fusion.trained_on["encoder"] == "hashing-256"
    assert lesson.fusion.threshold == fusions.shipped().threshold


def test_noise_is_refused(live: Live) -> None:
    decide(live, noise)
    assert not learning.learn(live, utc_now()).is_better


def test_too_few_decisions_or_one_kind_are_refused(live: Live) -> None:
    with pytest.raises(Unusable, match="0 judged pairs"):
        learning.learn(live, utc_now())
    decide(live, consistent, needs=5)
    with pytest.raises(Unusable, match=r"20 judged pairs.*at least 30"):
        learning.learn(live, utc_now())


def test_one_kind_of_decisions_is_refused(live: Live) -> None:
    decide(live, lambda *_: False)
    with pytest.raises(Unusable, match="all 56 judged pairs are not relevant"):
        learning.learn(live, utc_now())


def test_what_a_decision_says(live: Live) -> None:
    rows = by_reference(live)
    take(live, rows["o1"], rows["n0"], Reason.TERMS)
    take(live, rows["o2"], rows["n0"], Reason.TOO_VAGUE)
    take(live, rows["o3"], rows["n0"])
    take(live, rows["o4"], rows["n0"])
    with live.database.writing() as session:  # shortlisted, then declined for a reason that says nothing of relevance
        row = queries.of_listings(session, rows["o4"].id, rows["n0"].id)
        assert row is not None
        answer = Answer(reason=Reason.TERMS)
        pairings.take(
            session, OPERATOR, row, queries.sides(session, row), Action.DECLINE, answer, row.version, "", utc_now()
        )
    left_out = learning.Counter[str]()
    with live.database.reading() as session:
        found = {one.offer: (one.grade, one.told_by) for one in learning.judgments(session, left_out)}
    assert found == {rows["o2"].id: (0, "too_vague"), rows["o3"].id: (2, "shortlist"), rows["o4"].id: (2, "shortlist")}
    assert left_out == {"says nothing of relevance": 1}


def test_a_decision_on_an_older_text_is_left_out(live: Live) -> None:
    rows = by_reference(live)
    take(live, rows["o1"], rows["n1"])
    with live.database.writing() as session:
        owner = listing_queries.owner(session, rows["n1"])
        record = {"reference": "n1", "side": "need", "title": "Quite another text", "country": "KZ"}
        post_listing(session, OPERATOR, owner, record, utc_now())
    left_out = learning.Counter[str]()
    with live.database.reading() as session:
        assert list(learning.judgments(session, left_out)) == []
    assert left_out == {"texts changed since": 1}


def test_every_reason_is_placed() -> None:
    silent = {Reason.TERMS, Reason.KNOWN, Reason.NO_CAPACITY, Reason.COMPLIANCE, Reason.MARKET_UNCLEAR, Reason.OTHER}
    assert silent | learning.NOT_RELEVANT == set(Reason)
    assert not silent & learning.NOT_RELEVANT


def run(settings: Settings, *arguments: str) -> tuple[int, str, str]:
    environment = {"DUKOU_HOME": str(settings.home), "DUKOU_MODEL": "hashing", "DUKOU_SECRET": SECRET}
    result = CliRunner(env=environment).invoke(main, ["learn", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_it_is_taken_up_only_on_demand_used_after_a_restart_and_forgotten(live: Live, settings: Settings) -> None:
    decide(live, consistent)
    code, table, error = run(settings)
    assert code == 0, error
    assert "log loss" in table
    assert "42 wrong_problem" in table
    assert read_models(settings).fusion == fusions.shipped()
    assert run(settings, "--accept")[0] == 0
    learned = read_models(settings).fusion
    assert learned != fusions.shipped()
    assert json.loads(next(settings.home.glob("fusion-*.json")).read_text())["trained_on"]["learned_from"] > 20
    restarted = Live(settings, live.database)
    restarted.load()
    rows = by_reference(live)
    pair = listing_of(rows["o0"]), listing_of(rows["n0"])
    assert restarted.pair(*pair).probability != live.pair(*pair).probability
    assert run(settings, "--forget")[2].strip() == "the shipped scorer is used"
    assert read_models(settings).fusion == fusions.shipped()
    assert run(settings, "--forget")[2].strip() == "nothing learned was in use"


def test_what_is_not_better_is_not_taken_up(live: Live, settings: Settings) -> None:
    decide(live, noise)
    code, _, said = run(settings, "--accept")
    assert code == 1, said
    assert "not better" in said
    assert read_models(settings).fusion == fusions.shipped()
    assert list(settings.home.glob("fusion-*")) == []


def test_it_is_said_when_none_is_held_back(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    decide(live, consistent)
    monkeypatch.setattr(learning, "HELD_BACK", 0.0)
    with pytest.raises(Unusable, match="no judged pairs held back to try it on: decide on pairs of more needs"):
        learning.learn(live, utc_now())


def test_too_few_are_said_in_a_line(settings: Settings) -> None:
    code, _, said = run(settings)
    assert code == 2
    assert "0 judged pairs" in said


def test_one_learned_with_another_encoder_or_damaged_is_not_used(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    shipped = fusions.shipped()
    other = Fusion(shipped.weights, 1.0, 0.1, {"encoder": "another"})
    name = fusions.keep(other, settings.home)
    assert read_models(settings).fusion == shipped
    (settings.home / name).write_text("nonsense", "utf-8")
    with caplog.at_level(logging.WARNING):
        assert read_models(settings).fusion == shipped
    (settings.home / fusions.POINTER).write_text("../elsewhere.json", "utf-8")
    assert read_models(settings).fusion == shipped
    assert "names no fusion" in caplog.text


def test_few_decisions_move_little_and_weights_keep_their_sense() -> None:
    prior, chance = fusions.shipped(), np.random.default_rng(0)

    def moved(pairs: int) -> float:
        features = chance.normal(size=(pairs, len(FEATURES)))
        against = features[:, FEATURES.index("margin")] < 0  # the nearer, the less relevant: nonsense
        learned = refit(features, against, prior, {})
        assert all(learned.weights[name] >= 0 for name in ("margin", "title_margin", "shared_words", "field_agreement"))
        assert learned.weights["maturity_gap"] <= 0
        return abs(learned.weights["margin"] - prior.weights["margin"])

    assert moved(20) < 0.5 * prior.weights["margin"]
    assert moved(2_000) == pytest.approx(prior.weights["margin"])
