from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from matching.assignment import Caps, Chosen, Pairs, assign, exposure, plain_top
from matching.evaluation import best_of_each, gini

HALF = 0.5  # a threshold whose log-odds are 0: worth and log-odds are one
NOBODY = np.zeros(0, np.int64)


def pairs_of(
    rows: list[tuple[int, int, float]], sizes: tuple[int, int], owners: tuple[list[int], list[int]] | None = None
) -> Pairs:
    """Pairs (offer, need, log-odds) of a market of `sizes`, of unknown owners unless they are given."""
    own = owners if owners is not None else ([-1] * sizes[0], [-1] * sizes[1])
    return Pairs(
        np.array([o for o, _, _ in rows], np.int64),
        np.array([n for _, n, _ in rows], np.int64),
        np.array([x for _, _, x in rows], np.float64),
        np.array(own[0], np.int64),
        np.array(own[1], np.int64),
    )


def proposed(pairs: Pairs, chosen: Chosen) -> set[tuple[int, int]]:
    return set(zip(pairs.offers[chosen].tolist(), pairs.needs[chosen].tolist(), strict=True))


def loads(positions: np.ndarray, owner: np.ndarray, chosen: Chosen) -> tuple[int, int]:
    """The most proposals of one listing, and of one known organisation."""
    owned = owner[positions[chosen]]
    return (
        int(np.bincount(positions[chosen], minlength=1).max()),
        int(np.bincount(owned[owned >= 0], minlength=1).max()),
    )


def within(pairs: Pairs, chosen: Chosen, caps: Caps) -> bool:
    of_offers, of_needs = (
        loads(pairs.offers, pairs.offer_owner, chosen),
        loads(pairs.needs, pairs.need_owner, chosen),
    )
    none = len(pairs) + 1
    return (
        of_offers[0] <= (caps.offer or none)
        and of_needs[0] <= (caps.need or none)
        and max(of_offers[1], of_needs[1]) <= (caps.organisation or none)
    )


def aim(pairs: Pairs, chosen: Chosen, threshold: float, bonus: float) -> float:
    """What the assignment maximises."""
    reached = len(np.unique(pairs.offers[chosen])) + len(np.unique(pairs.needs[chosen]))
    return float(pairs.worth(threshold)[chosen].sum()) + bonus * reached


caps_drawn = st.builds(Caps, *[st.none() | st.integers(1, 3)] * 3)


@st.composite
def markets(draw: st.DrawFn, most: int = 40, side: int = 8) -> Pairs:
    sizes = draw(st.integers(1, side)), draw(st.integers(1, side))
    cells = st.tuples(st.integers(0, sizes[0] - 1), st.integers(0, sizes[1] - 1))
    places = draw(st.lists(cells, unique=True, max_size=most))
    odds = draw(st.lists(st.floats(-4, 6), min_size=len(places), max_size=len(places)))
    owners = [draw(st.lists(st.integers(-1, 2), min_size=size, max_size=size)) for size in sizes]
    rows = [(o, n, x) for (o, n), x in zip(places, odds, strict=True)]
    return pairs_of(rows, sizes, (owners[0], owners[1]))


@settings(max_examples=150, deadline=None)
@given(markets(), caps_drawn, st.floats(0.05, 0.9))
def test_caps_hold_and_nothing_below_the_threshold_is_proposed(pairs: Pairs, caps: Caps, threshold: float) -> None:
    chosen = assign(pairs, caps, threshold)
    assert within(pairs, chosen, caps)
    assert (pairs.worth(threshold)[chosen] >= 0).all()


@settings(max_examples=60, deadline=None)
@given(markets(most=8, side=4), caps_drawn, st.sampled_from([0.0, 0.7, 20.0]))
def test_the_total_is_that_of_the_best_of_all_choices(pairs: Pairs, caps: Caps, bonus: float) -> None:
    choices = (np.array(choice, np.bool_) for choice in product([False, True], repeat=len(pairs)))
    allowed = (c for c in choices if within(pairs, c, caps) and (pairs.worth(0.1)[c] >= 0).all())
    best = max(aim(pairs, choice, 0.1, bonus) for choice in allowed)
    assert aim(pairs, assign(pairs, caps, 0.1, first_bonus=bonus), 0.1, bonus) == pytest.approx(best, abs=2e-3)


@settings(max_examples=60, deadline=None)
@given(markets(), caps_drawn, caps_drawn, st.sampled_from([0.0, 3.0]))
def test_a_tighter_cap_never_raises_the_total(pairs: Pairs, one: Caps, other: Caps, bonus: float) -> None:
    none = 99
    tighter = Caps(
        min(one.offer or none, other.offer or none),
        min(one.need or none, other.need or none),
        min(one.organisation or none, other.organisation or none),
    )
    loose, tight = (aim(pairs, assign(pairs, c, 0.2, first_bonus=bonus), 0.2, bonus) for c in (one, tighter))
    assert tight <= loose + 1e-2


@settings(max_examples=60, deadline=None)
@given(markets(), caps_drawn, st.randoms(use_true_random=False))
def test_the_order_of_the_pairs_and_the_numbers_of_the_owners_change_nothing(
    pairs: Pairs, caps: Caps, shuffled: st.DataObject
) -> None:
    order = np.array(shuffled.sample(range(len(pairs)), len(pairs)), np.int64)  # type: ignore[attr-defined]
    owners = [np.where(owner < 0, owner, owner * 1_000) for owner in (pairs.offer_owner, pairs.need_owner)]
    again = Pairs(pairs.offers[order], pairs.needs[order], pairs.log_odds[order], owners[0], owners[1])
    assert proposed(again, assign(again, caps, 0.1)) == proposed(pairs, assign(pairs, caps, 0.1))


@settings(max_examples=100, deadline=None)
@given(markets(), st.integers(1, 3), st.integers(1, 3))
def test_nobody_goes_without_while_a_partner_serves_one_that_has_several(pairs: Pairs, offer: int, need: int) -> None:
    worthy = pairs.worth(0.1) >= 0
    assume(worthy.any())
    chosen = assign(pairs, Caps(offer, need), 0.1)
    for own, others, size in (
        (pairs.offers, pairs.needs, len(pairs.offer_owner)),
        (pairs.needs, pairs.offers, len(pairs.need_owner)),
    ):
        served = np.bincount(own[chosen], minlength=size)
        for lonely in np.unique(own[worthy][served[own[worthy]] == 0]):
            partners = others[worthy & (own == lonely)]
            rivals = own[chosen & np.isin(others, partners)]
            assert (served[rivals] == 1).all()


def test_every_listing_with_a_partner_gets_one_where_caps_allow() -> None:
    rows = [(o, n, 5.0 - n) for o in range(6) for n in range(3)] + [(6, 0, 0.1), (7, 0, 0.2)]
    pairs = pairs_of(rows, (8, 3))
    without = exposure(pairs, assign(pairs, Caps(3, 4), HALF, first_bonus=0.0), HALF)
    assert without.reached_offers < 1.0
    assert exposure(pairs, assign(pairs, Caps(3, 4), HALF), HALF).reached_offers == 1.0


def test_a_hub_is_spread() -> None:
    """Offer 0 is everybody's best; each need has a second offer of its own."""
    rows = [(0, n, 4.0) for n in range(10)] + [(n + 1, n, 1.0) for n in range(10)]
    pairs = pairs_of(rows, (11, 10))
    plain = exposure(pairs, best_of_each(pairs.needs, pairs.offers, pairs.log_odds, 1), HALF)
    spread = exposure(pairs, assign(pairs, Caps(2, 1), HALF, first_bonus=0.0), HALF)
    assert (plain.most_offers, plain.reached_needs) == (10, 1.0)
    assert (spread.most_offers, spread.reached_needs) == (2, 1.0)
    assert spread.gini_offers < plain.gini_offers / 2


def test_the_first_proposal_of_a_listing_goes_before_another_of_a_hub() -> None:
    rows = [(0, 0, 4.0), (0, 1, 4.0), (1, 1, 1.0)]
    pairs = pairs_of(rows, (2, 2))
    assert proposed(pairs, assign(pairs, Caps(2, 1), HALF)) == {(0, 0), (1, 1)}
    assert proposed(pairs, assign(pairs, Caps(2, 1), HALF, first_bonus=0.0)) == {(0, 0), (0, 1)}


def test_pairs_of_negative_log_odds_above_the_threshold_count() -> None:
    pairs = pairs_of([(0, 0, -1.0), (1, 1, -3.0)], (2, 2))
    assert proposed(pairs, assign(pairs, Caps(), 0.1)) == {(0, 0)}


def test_a_pair_at_the_threshold_is_proposed() -> None:
    pairs = pairs_of([(0, 0, 0.0), (0, 1, -1e-9)], (1, 2))
    assert proposed(pairs, assign(pairs, Caps(), HALF, first_bonus=0.0)) == {(0, 0)}


def test_the_cap_of_an_organisation_counts_offers_and_needs_apart() -> None:
    rows = [(o, n, 1.0 + o) for o in range(3) for n in range(3)]
    pairs = pairs_of(rows, (3, 3), ([7, 7, -1], [7, -1, -1]))
    chosen = assign(pairs, Caps(None, None, 2), HALF)
    of_offers, of_needs = pairs.offer_owner[pairs.offers[chosen]], pairs.need_owner[pairs.needs[chosen]]
    assert ((of_offers == 7).sum(), (of_offers == -1).sum()) == (2, 3 - ((of_needs == 7).sum() < 2))
    assert (of_needs == 7).sum() <= 2
    assert len(proposed(pairs, assign(pairs, Caps(None, None, None), HALF))) == 9


def test_without_caps_all_that_is_worth_it_is_proposed() -> None:
    pairs = pairs_of([(0, 0, 2.0), (0, 1, 1.0), (1, 0, -1.0)], (2, 2))
    assert assign(pairs, Caps(None, None), HALF).tolist() == [True, True, False]


def test_nothing_in_nothing_out() -> None:
    nothing = pairs_of([], (0, 0))
    assert assign(nothing, Caps(), 0.1).tolist() == []
    assert exposure(nothing, assign(nothing, Caps(), 0.1), 0.1).gini_offers == 0.0
    weak = pairs_of([(0, 0, -5.0)], (1, 1))
    assert assign(weak, Caps(), 0.1).tolist() == [False]


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("offers, needs, log_odds", {"log_odds": np.zeros(1)}),
        ("offers, needs", {"offers": np.array([0, 0], np.int64), "needs": np.array([1, 1], np.int64)}),
        ("offers", {"offers": np.array([0, 2], np.int64)}),
        ("offers", {"offers": np.array([0.0, 1.0])}),
        ("needs", {"needs": np.array([-1, 0], np.int64)}),
        ("needs", {"need_owner": NOBODY}),
        ("log_odds", {"log_odds": np.array([np.nan, 0.0])}),
        ("log_odds", {"log_odds": np.array([np.inf, 0.0])}),
        ("log_odds", {"log_odds": np.array([1, 0])}),
        ("offer_owner", {"offer_owner": np.array([-2, 0], np.int64)}),
        ("need_owner", {"need_owner": np.array([[0, 0]], np.int64)}),
    ],
)
def test_pairs_that_do_not_fit_together_are_refused_by_name(name: str, changed: dict[str, np.ndarray]) -> None:
    two = np.array([0, 1], np.int64)
    good = {"offers": two, "needs": two, "log_odds": np.zeros(2), "offer_owner": two, "need_owner": two}
    Pairs(**good)
    with pytest.raises(ValueError, match=f"^{name}: "):
        Pairs(**{**good, **changed})


@pytest.mark.parametrize("name", ["offer", "need", "organisation"])
@pytest.mark.parametrize("cap", [0, -1, 2.5])
def test_a_cap_below_one_is_refused_by_name(name: str, cap: int) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        Caps(**{name: cap})


@pytest.mark.parametrize("threshold", [0.0, 1.0, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match=r"^threshold: "):
        assign(pairs_of([(0, 0, 1.0)], (1, 1)), Caps(), threshold)


@pytest.mark.parametrize("bonus", [-1.0, float("nan")])
def test_a_bonus_that_is_no_reward_is_refused(bonus: float) -> None:
    with pytest.raises(ValueError, match=r"^first_bonus: "):
        assign(pairs_of([(0, 0, 1.0)], (1, 1)), Caps(), HALF, first_bonus=bonus)


def test_plain_top_holds_the_best_of_either_side() -> None:
    pairs = pairs_of([(0, 0, 3.0), (0, 1, 2.0), (1, 0, 1.0), (1, 1, 0.5), (2, 1, -1.0)], (3, 2))
    assert proposed(pairs, plain_top(pairs, HALF, 1)) == {(0, 0), (0, 1), (1, 0)}
    with pytest.raises(ValueError, match=r"^k: "):
        plain_top(pairs, HALF, 0)


def test_ties_in_the_best_of_each_go_to_the_lower_position() -> None:
    groups, others = np.array([1, 1, 1, 0], np.int64), np.array([5, 3, 4, 9], np.int64)
    assert best_of_each(groups, others, np.zeros(4), 2).tolist() == [False, True, True, True]


@settings(deadline=None)
@given(st.lists(st.integers(0, 20), max_size=30))
def test_gini_is_half_the_mean_difference_over_the_mean(counts: list[int]) -> None:
    values = np.array(counts, np.int64)
    differences = np.abs(values[:, None] - values[None, :]).mean() if counts else 0.0
    expected = differences / (2 * values.mean()) if sum(counts) else 0.0
    assert gini(values) == pytest.approx(expected)


def test_exposure_counts_listings_without_any_proposal() -> None:
    pairs = pairs_of([(0, 0, 2.0), (0, 1, 1.0)], (4, 2))
    spread = exposure(pairs, np.array([True, True]), HALF)
    assert (spread.proposals, spread.total, spread.most_offers, spread.most_needs) == (2, 3.0, 2, 1)
    assert (spread.reached_offers, spread.reached_needs) == (0.25, 1.0)
    assert (spread.gini_offers, spread.gini_needs) == (0.75, 0.0)
