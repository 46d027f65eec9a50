"""match(): what comes out, why the rest does not, and that it is the same every time."""

import dataclasses
import json
import random

import numpy as np
import pytest

from matching import (
    Direction,
    InvalidListing,
    Listing,
    MatchOptions,
    Side,
    answers,
    embed,
    hashing_models,
    match,
    read_listing,
)
from matching.encoder import unit
from matching.market import Market, stands_of
from matching.models import Models
from matching.pipeline import match_embedded
from matching.ranking import Part, everything

SUBJECTS = (
    "membrane bioreactor for dye wastewater of textile mills",
    "drying of coffee cherries with solar heat pumps",
    "icing of drone wings in freezing fog",
    "detection of wheat rust from satellite images",
    "titanium powder for dental implants",
    "cold chain for vaccines without a grid",
    "pyrolysis of waste tyres to carbon black",
    "mycotoxin test strips for maize stores",
    "lithium recovery from salt lake brine",
    "early warning of landslides by fibre sensing",
    "tea withering controlled by smell sensors",
    "screening for cervical cancer in villages",
)


@pytest.fixture(scope="module")
def models() -> Models:
    return hashing_models()


def listings(**more: object) -> list[Listing]:
    offers = [
        {"id": f"o{i:02}", "side": "offer", "title": s.title(), "description": f"We supply {s}, proven.", **more}
        for i, s in enumerate(SUBJECTS)
    ]
    needs = [
        {"id": f"n{i:02}", "side": "need", "title": s, "description": f"Wanted: {s}. Two tonnes a day."}
        for i, s in enumerate(SUBJECTS)
    ]
    return [read_listing(record) for record in offers + needs]


def test_every_need_finds_the_offer_on_its_subject_first(models: Models) -> None:
    best = {
        p.need: p.offer for p in match(listings(), models, MatchOptions(rank_all=True)).pairings if p.rank_for_need == 1
    }
    assert best == {f"n{i:02}": f"o{i:02}" for i in range(len(SUBJECTS))}


def test_the_result_is_the_same_to_the_byte_whatever_the_order(models: Models) -> None:
    shuffled = listings()
    random.Random(3).shuffle(shuffled)
    first, second = (match(own, models, MatchOptions(rank_all=True)) for own in (listings(), shuffled))
    assert json.dumps([p.to_record() for p in first.pairings]) == json.dumps([p.to_record() for p in second.pairings])
    assert first.dropped == second.dropped


def test_the_parts_add_up_to_the_log_odds_of_the_probability(models: Models) -> None:
    for pairing in match(listings(trl=5), models, MatchOptions(rank_all=True)).pairings:
        log_odds = sum(pairing.parts.values())
        assert 1.0 / (1.0 + np.exp(-log_odds)) == pytest.approx(pairing.probability, rel=1e-3)


def test_ranks_count_from_one_in_falling_probability(models: Models) -> None:
    found = match(listings(), models, MatchOptions(top=5, rank_all=True)).pairings
    assert {(p.rank_for_need <= 5 or p.rank_for_offer <= 5) for p in found} == {True}  # type: ignore[operator]
    for need in {p.need for p in found}:
        own = [p for p in found if p.need == need]
        assert [p.probability for p in own] == sorted((p.probability for p in own), reverse=True)
        assert own[0].rank_for_need == 1


def test_a_pair_in_the_top_of_either_side_is_there(models: Models) -> None:
    deep = match(listings(), models, MatchOptions(top=12, rank_all=True)).pairings
    shallow = {(p.offer, p.need) for p in match(listings(), models, MatchOptions(top=2, rank_all=True)).pairings}
    assert shallow == {(p.offer, p.need) for p in deep if min(p.rank_for_need or 99, p.rank_for_offer or 99) <= 2}


def test_below_the_threshold_nothing_is_proposed_and_the_reason_is_kept(models: Models) -> None:
    result = match(listings(), models, MatchOptions(min_probability=1.0))
    assert result.pairings == ()
    assert {d.reason for d in result.dropped} == {"below the threshold of 1"}
    assert len(result.unmatched) == 2 * len(SUBJECTS)


def test_terms_that_contradict_drop_the_pair_with_the_reason(models: Models) -> None:
    barred = [
        dataclasses.replace(one, excluded_countries=("KZ",))
        if one.side is Side.OFFER
        else dataclasses.replace(one, country="KZ")
        for one in listings()
    ]
    result = match(barred, models, MatchOptions(rank_all=True))
    assert result.pairings == ()
    assert {d.reason for d in result.dropped} == {"the offer excludes KZ"}


def test_a_pairing_between_two_third_countries_is_off_unless_all_are_ranked(models: Models) -> None:
    abroad = [dataclasses.replace(one, country="KZ" if one.side is Side.OFFER else "HU") for one in listings()]
    closed = match(abroad, models)
    assert closed.pairings == closed.dropped == ()
    assert closed.unasked == len(SUBJECTS) ** 2
    found = match(abroad, models, MatchOptions(rank_all=True)).pairings
    assert {p.direction for p in found} == {Direction.THIRD_COUNTRY}


def test_listings_of_other_directions_take_no_place_of_those_that_are_asked_for(models: Models) -> None:
    """A hundred and more nearer offers from third countries do not hide the one from Chengyu."""
    need = read_listing({"id": "n", "side": "need", "text": "drying of coffee cherries", "country": "KZ"})
    near = [
        read_listing({"id": f"o{i:03}", "side": "offer", "text": f"drying of coffee cherries {i}", "country": "HU"})
        for i in range(250)
    ]
    ours = read_listing({"id": "ours", "side": "offer", "text": "a dryer", "country": "CN", "region": "CN-50"})
    own = [need, *near, ours]
    found = match(own, models, MatchOptions(min_probability=0.0)).pairings
    assert [(p.offer, p.direction) for p in found] == [("ours", Direction.GO_OUT)]
    embeddings = embed(own, models.encoder)
    assert [p.offer for p in answers(Market.build(own, embeddings, models), need, embeddings[0])] == ["ours"]


def test_what_terms_forbid_takes_no_place_either(models: Models) -> None:
    """250 nearer offers from a country that the need excludes do not hide the one that is left."""
    need = read_listing(
        {"id": "n", "side": "need", "text": "drying of coffee cherries", "country": "CN", "excluded_countries": ["US"]}
    )
    near = [
        read_listing({"id": f"o{i:03}", "side": "offer", "text": f"drying of coffee cherries {i}", "country": "US"})
        for i in range(250)
    ]
    others = [
        read_listing({"id": f"m{i:03}", "side": "need", "text": f"a dryer {i}", "country": "CN"}) for i in range(150)
    ]
    left = read_listing({"id": "left", "side": "offer", "text": "a dryer", "country": "DE"})
    result = match([need, *near, *others, left], models, MatchOptions(min_probability=0.0))
    assert [p.offer for p in result.pairings if p.need == "n"] == ["left"]
    assert {d.reason for d in result.dropped if d.need == "n"} == {"the need excludes US"}


def test_texts_in_an_unknown_language_are_not_in_one_language(models: Models) -> None:
    own = [
        read_listing({"id": "o", "side": "offer", "text": "ເຄື່ອງ"}),
        read_listing({"id": "n", "side": "need", "text": "ម៉ាស៊ីន"}),
    ]
    embeddings = [dataclasses.replace(one, language="und") for one in embed(own, models.encoder)]
    found = match_embedded(own, embeddings, models, MatchOptions(rank_all=True)).pairings
    assert [(p.parts["same_language"], p.parts["shared_words"]) for p in found] == [(0.0, 0.0)]


def test_an_unknown_maturity_changes_nothing_and_a_shortfall_counts(models: Models) -> None:
    weighted = dict(models.fusion.weights) | {"maturity_gap": -0.7}
    strict = dataclasses.replace(models, fusion=dataclasses.replace(models.fusion, weights=weighted))
    wanting = [dataclasses.replace(one, trl=8) if one.side is Side.NEED else one for one in listings()]
    for trl, part in ((None, 0.0), (9, 0.0), (6, -1.4)):
        offered = [dataclasses.replace(one, trl=trl) if one.side is Side.OFFER else one for one in wanting]
        found = match(offered, strict, MatchOptions(rank_all=True)).pairings
        assert {p.parts["maturity_gap"] for p in found} == {part}


def test_an_id_that_comes_twice_is_refused(models: Models) -> None:
    with pytest.raises(InvalidListing, match="comes twice"):
        match([*listings(), listings()[0]], models)


@pytest.mark.parametrize("side", list(Side))
def test_a_market_with_one_side_only_gives_no_pairing_and_no_crash(models: Models, side: Side) -> None:
    own = [one for one in listings() if one.side is side]
    assert match(own, models).unmatched == tuple(sorted(one.id for one in own))


def test_an_empty_market_is_an_empty_answer(models: Models) -> None:
    assert match([], models).pairings == ()


def test_a_need_ranks_in_the_live_market_as_in_the_full_match(models: Models) -> None:
    own = listings()
    embeddings = embed(own, models.encoder)
    market = Market.build(own, embeddings, models)
    full = match_embedded(own, embeddings, models, MatchOptions(rank_all=True)).pairings
    need = next(i for i, one in enumerate(own) if one.id == "n03")
    live = answers(market, own[need], embeddings[need], limit=5)
    expected = sorted((p for p in full if p.need == "n03"), key=lambda p: p.rank_for_need or 0)[:5]
    assert [p.offer for p in live] == [p.offer for p in expected]
    assert [p.probability for p in live] == pytest.approx([p.probability for p in expected], abs=1e-5)


def test_a_tail_beside_a_market_answers_almost_as_one_market_of_all(models: Models) -> None:
    """Crowding and word statistics of the later listings come from the earlier ones: near, not the same."""
    own = listings()
    embeddings = embed(own, models.encoder)
    early = [i for i, one in enumerate(own) if one.id not in ("o03", "n07")]
    late = [i for i in range(len(own)) if i not in early]
    whole = Market.build(own, embeddings, models)
    market = Market.build([own[i] for i in early], [embeddings[i] for i in early], models, whole.space)
    tail = market.tail(stands_of([own[i] for i in late], [embeddings[i] for i in late], market.space, models))
    for asked in ("n03", "o07", "n07", "o03"):
        query = next(i for i, one in enumerate(own) if one.id == asked)
        together = answers(whole, own[query], embeddings[query], 3)
        apart = answers(market, own[query], embeddings[query], 3, parts=[everything(market), everything(tail)])
        assert (apart[0].offer, apart[0].need) == (together[0].offer, together[0].need)
        assert apart[0].probability == pytest.approx(together[0].probability, abs=0.15)
    here = np.ones(len(market.stands[Side.NEED]), np.bool_)
    here[market.stands[Side.NEED].find(["n00"])] = False
    rest = Part(market, {Side.OFFER: None, Side.NEED: here})
    gone = answers(market, own[0], embeddings[0], 50, parts=[rest, everything(tail)])
    assert not {"n00", "o00"} & {one.need for one in gone}


def test_evidence_quotes_passages_of_both_texts(models: Models) -> None:
    own = {one.id: one for one in listings()}
    pairings = match(list(own.values()), models, MatchOptions(top=1, rank_all=True)).pairings
    assert all(one.evidence for one in pairings if one.rank_for_need == 1)
    for pairing in pairings:
        for evidence in pairing.evidence:
            assert evidence.offer.split(".")[0] in own[pairing.offer].text.replace("\n", " ")
            assert -1.0 <= evidence.similarity <= 1.0


def test_csls_follows_its_definition_on_vectors_that_are_not_normalised() -> None:
    from matching.scoring import csls

    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(6, 4)).astype(np.float32), rng.normal(size=(5, 4)).astype(np.float32)
    products = left @ right.T
    around_left = np.sort(products, axis=1)[:, -2:].mean(axis=1)
    around_right = np.sort(products, axis=0)[-2:].mean(axis=0)
    expected = 2 * products[1, 2] - around_left[1] - around_right[2]
    assert csls(products[1:2, 2], around_left[1:2], around_right[2:3])[0] == pytest.approx(expected, abs=1e-6)
    assert np.allclose(np.linalg.norm(unit(left), axis=1), 1.0)


@pytest.mark.parametrize("side", list(Side))
def test_where_nothing_may_be_paired_there_is_no_answer(side: Side, models: Models) -> None:
    own = [one for one in listings(organisation="one") if one.side is not side]
    asked = read_listing({"id": "asked", "side": side, "title": SUBJECTS[0], "organisation": "one"})
    embeddings = embed([*own, asked], models.encoder)
    everyone = [dataclasses.replace(one, organisation="one") for one in own]
    assert answers(Market.build(everyone, embeddings[:-1], models), asked, embeddings[-1]) == []
    assert answers(Market.build([], [], models), asked, embeddings[-1]) == []
