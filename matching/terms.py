"""What the terms of two listings say of each other: direction, vetoes, fits. Unknown says nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from matching.listing import MODES, Listing

HOME = "CN"
CHENGYU = ("CN-50", "CN-51")


class Direction(StrEnum):
    """Where technology goes, derived from the two places and never typed in."""

    GO_OUT = "go-out"
    BRING_IN = "bring-in"
    THIRD_COUNTRY = "third-country"
    DOMESTIC = "domestic"


MISSION = frozenset({Direction.GO_OUT, Direction.BRING_IN})
EVERY_DIRECTION = frozenset(Direction)


def is_chengyu(listing: Listing) -> bool | None:
    """Whether it comes from Chongqing or Sichuan; China without a region counts as ours, no country is unknown."""
    if listing.region is not None:
        return listing.region in CHENGYU
    return None if listing.country is None else listing.country == HOME


def direction(offer: Listing, need: Listing) -> Direction | None:
    """The direction of a pairing, None where a place is unknown."""
    match is_chengyu(offer), is_chengyu(need):
        case None, _:
            return None
        case _, None:
            return None
        case True, True:
            return Direction.DOMESTIC
        case True, False:
            return Direction.GO_OUT
        case False, True:
            return Direction.BRING_IN
    return Direction.THIRD_COUNTRY


@dataclass(frozen=True, eq=False)
class Conditions:
    """What `veto` asks of many listings, as arrays of shape (listings,); 0 is unknown but for `places`.

    `places`: 0 elsewhere, 1 Chengyu, 2 unknown. `modes`: one bit a mode. `excluded`, `targets`:
    countries by position.
    """

    places: NDArray[np.int64]
    countries: NDArray[np.int64]
    organisations: NDArray[np.int64]
    modes: NDArray[np.int64]
    excluded: Mapping[int, list[int]]
    targets: Mapping[int, list[int]]

    @staticmethod
    def of(listings: Sequence[Listing]) -> Conditions:
        """Read them off listings."""
        codes = {False: 0, True: 1, None: 2}
        return Conditions(
            places=np.array([codes[is_chengyu(one)] for one in listings], np.int64),
            countries=np.array([_number(one.country) for one in listings], np.int64),
            organisations=np.array([_number(one.organisation) for one in listings], np.int64),
            modes=np.array([sum(1 << MODES.index(mode) for mode in one.modes) for one in listings], np.int64),
            excluded=_numbered([one.excluded_countries for one in listings]),
            targets=_numbered([one.target_countries for one in listings]),
        )


def _numbered(countries: Sequence[Sequence[str]]) -> dict[int, list[int]]:
    return {position: [_number(one) for one in own] for position, own in enumerate(countries) if own}


def open_ways(directions: Collection[Direction]) -> NDArray[np.bool_]:
    """Which places of an offer (rows) and a need (columns) may be paired, shape (3, 3), coded as in `Conditions`."""
    ways = np.ones((3, 3), np.bool_)
    ways[0, 0] = Direction.THIRD_COUNTRY in directions
    ways[0, 1] = Direction.BRING_IN in directions
    ways[1, 0] = Direction.GO_OUT in directions
    ways[1, 1] = Direction.DOMESTIC in directions
    return ways


def open_pairs(
    offers: Conditions, needs: Conditions, directions: Collection[Direction], rows: slice = slice(None)
) -> NDArray[np.bool_]:
    """Which pairs `veto` lets through, shape (offers in `rows`, needs)."""
    asked = open_ways(directions)[offers.places[rows][:, None], needs.places]
    theirs, ours = offers.organisations[rows][:, None], offers.modes[rows][:, None]
    foreign = (theirs != needs.organisations) | (theirs == 0)
    common = ((ours & needs.modes) != 0) | (ours == 0) | (needs.modes == 0)
    allowed = asked & foreign & common
    chosen = range(*rows.indices(len(offers.places)))
    for position in (offers.excluded.keys() | offers.targets.keys()) & set(chosen):
        allowed[position - chosen.start] &= _welcome(offers, position, needs.countries)
    for position in needs.excluded.keys() | needs.targets.keys():
        allowed[:, position] &= _welcome(needs, position, offers.countries[rows])
    return np.asarray(allowed, np.bool_)


def _welcome(conditions: Conditions, position: int, countries: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which countries one listing does not exclude and, where it names targets, seeks; an unknown one is welcome."""
    welcome = ~np.isin(countries, conditions.excluded.get(position, []))
    if position in conditions.targets:
        welcome &= np.isin(countries, [0, *conditions.targets[position]])
    return np.asarray(welcome, np.bool_)


def _number(name: str | None) -> int:
    """A number that no other name in a market shares, 0 for none."""
    return 0 if name is None else int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest()) + 1


def veto(offer: Listing, need: Listing, directions: Collection[Direction]) -> str | None:
    """The reason why the two can't be paired, or None. Only what both sides state can contradict."""
    where = direction(offer, need)
    if where is not None and where not in directions:
        return f"direction {where} is not asked for"
    if offer.organisation is not None and offer.organisation == need.organisation:
        return "both belong to the same organisation"
    if need.country is not None and need.country in offer.excluded_countries:
        return f"the offer excludes {need.country}"
    if offer.country is not None and offer.country in need.excluded_countries:
        return f"the need excludes {offer.country}"
    if need.country is not None and offer.target_countries and need.country not in offer.target_countries:
        return f"the offer is for other countries than {need.country}"
    if offer.country is not None and need.target_countries and offer.country not in need.target_countries:
        return f"the need seeks other countries than {offer.country}"
    if offer.modes and need.modes and not set(offer.modes) & set(need.modes):
        return f"no common transfer mode: {', '.join(offer.modes)} against {', '.join(need.modes)}"
    return None


def maturity_gap(offer: Listing, need: Listing) -> float:
    """By how many TRL the offer falls short of what the need accepts, 0 when it does not or one is unknown."""
    if offer.trl is None or need.trl is None:
        return 0.0
    return float(max(0, need.trl - offer.trl))
