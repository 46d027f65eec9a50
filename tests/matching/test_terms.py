from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matching.listing import Listing, Side
from matching.terms import (
    EVERY_DIRECTION,
    MISSION,
    Conditions,
    Direction,
    direction,
    is_chengyu,
    maturity_gap,
    open_pairs,
    reason,
    veto,
)

OFFER = Listing(id="o", side=Side.OFFER, title="x")
NEED = Listing(id="n", side=Side.NEED, title="x")
PLACES = st.sampled_from([(None, None), ("CN", "CN-51"), ("CN", None), ("CN", "CN-11"), ("KZ", None), (None, "CN-50")])


@pytest.mark.parametrize(
    ("country", "region", "expected"),
    [
        (None, None, None),
        ("CN", None, True),
        ("CN", "CN-50", True),
        ("CN", "CN-51", True),
        ("CN", "CN-11", False),
        ("KZ", None, False),
        ("KZ", "KZ-AST", False),
        (None, "CN-51", True),
    ],
)
def test_chengyu_is_chongqing_and_sichuan(country: str | None, region: str | None, expected: bool | None) -> None:
    assert is_chengyu(replace(OFFER, country=country, region=region)) is expected


@pytest.mark.parametrize(
    ("offer", "need", "expected"),
    [
        ("CN", "KZ", Direction.GO_OUT),
        ("KZ", "CN", Direction.BRING_IN),
        ("KZ", "TH", Direction.THIRD_COUNTRY),
        ("CN", "CN", Direction.DOMESTIC),
        (None, "CN", None),
        ("CN", None, None),
        (None, None, None),
    ],
)
def test_the_direction_follows_from_the_two_places(
    offer: str | None, need: str | None, expected: Direction | None
) -> None:
    assert direction(replace(OFFER, country=offer), replace(NEED, country=need)) is expected


@settings(max_examples=50, deadline=None)
@given(PLACES, PLACES)
def test_no_pair_with_an_unknown_place_is_refused_for_its_direction(a: tuple[str, str], b: tuple[str, str]) -> None:
    offer = replace(OFFER, country=a[0], region=a[1])
    need = replace(NEED, country=b[0], region=b[1])
    where = direction(offer, need)
    assert (veto(offer, need, MISSION) is None) == (where is None or where in MISSION)
    assert veto(offer, need, EVERY_DIRECTION) is None


@pytest.mark.parametrize(
    ("offer", "need", "expected"),
    [
        ({"country": "CN"}, {"country": "CN"}, "direction domestic"),
        ({"organisation": "A"}, {"organisation": "A"}, "same organisation"),
        ({"excluded_countries": ("KZ",)}, {"country": "KZ"}, "the offer excludes KZ"),
        ({"country": "US"}, {"excluded_countries": ("US",)}, "the need excludes US"),
        ({"modes": ("training",)}, {"modes": ("turnkey",)}, "no common transfer mode"),
    ],
)
def test_what_both_sides_state_can_contradict(offer: dict[str, str], need: dict[str, str], expected: str) -> None:
    assert expected in str(veto(replace(OFFER, **offer), replace(NEED, **need), MISSION))


@pytest.mark.parametrize(
    ("offer", "need"),
    [
        ({}, {}),
        ({"organisation": "A"}, {}),
        ({"organisation": "A"}, {"organisation": "B"}),
        ({"excluded_countries": ("KZ",)}, {}),
        ({"modes": ("training",)}, {}),
        ({"modes": ("training", "turnkey")}, {"modes": ("turnkey",)}),
        ({"country": "CN"}, {"country": "KZ"}),
    ],
)
def test_what_one_side_leaves_open_does_not_contradict(offer: dict[str, str], need: dict[str, str]) -> None:
    assert veto(replace(OFFER, **offer), replace(NEED, **need), MISSION) is None


@pytest.mark.parametrize(
    ("offer", "need", "gap"), [(None, 7, 0.0), (7, None, 0.0), (9, 7, 0.0), (7, 7, 0.0), (4, 7, 3.0), (1, 9, 8.0)]
)
def test_the_maturity_gap_counts_only_what_the_offer_lacks(offer: int | None, need: int | None, gap: float) -> None:
    offers, needs = Conditions.of([replace(OFFER, trl=offer)]), Conditions.of([replace(NEED, trl=need)])
    assert maturity_gap(offers, np.array([0]), needs, np.array([0])).tolist() == [gap]


COUNTRIES = st.sampled_from(["CN", "KZ", "TH"])


def terms(side: Side) -> st.SearchStrategy[Listing]:
    """Listings that differ in all that a veto asks for."""

    def made(
        place: tuple[str | None, str | None],
        organisation: str | None,
        modes: list[str],
        not_to: list[str],
        to: list[str],
    ) -> Listing:
        plain = OFFER if side is Side.OFFER else NEED
        return replace(
            plain,
            country=place[0],
            region=place[1],
            organisation=organisation,
            modes=tuple(modes),
            excluded_countries=tuple(not_to),
            target_countries=tuple(to),
        )

    organisations = st.sampled_from([None, "A", "B"])
    modes = st.lists(st.sampled_from(["assignment", "turnkey", "training"]), unique=True)
    return st.builds(made, PLACES, organisations, modes, *[st.lists(COUNTRIES, unique=True, max_size=2)] * 2)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(terms(Side.OFFER), max_size=6),
    st.lists(terms(Side.NEED), max_size=6),
    st.sampled_from([MISSION, EVERY_DIRECTION, frozenset({Direction.DOMESTIC})]),
)
def test_open_pairs_are_those_without_a_veto(
    offers: list[Listing], needs: list[Listing], directions: frozenset[Direction]
) -> None:
    theirs, ours = Conditions.of(offers), Conditions.of(needs)
    found = open_pairs(theirs, np.arange(len(offers))[:, None], ours, np.arange(len(needs))[None, :], directions)
    assert found.shape == (len(offers), len(needs))
    assert found.tolist() == [[veto(offer, need, directions) is None for need in needs] for offer in offers]


@settings(max_examples=60, deadline=None)
@given(st.lists(terms(Side.OFFER), min_size=1, max_size=6), st.lists(terms(Side.NEED), min_size=1, max_size=6))
def test_conditions_joined_and_taken_say_of_each_listing_what_they_said(
    offers: list[Listing], needs: list[Listing]
) -> None:
    both = Conditions.joined([Conditions.of(offers), Conditions.of(needs)])
    backwards = both.taken(np.arange(len(both.places))[::-1].copy())
    for i, offer in enumerate(offers):
        for j, need in enumerate(needs):
            expected = veto(offer, need, MISSION)
            assert reason(both, i, both, len(offers) + j, MISSION) == expected
            last = len(both.places) - 1
            assert reason(backwards, last - i, backwards, last - len(offers) - j, MISSION) == expected
