"""What the terms of two listings say of each other: direction, vetoes, fits. Unknown says nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from matching.listing import Listing

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


def places(listings: Sequence[Listing]) -> NDArray[np.int64]:
    """Where each listing is from, shape (listings,): 0 elsewhere, 1 Chengyu, 2 unknown."""
    codes = {False: 0, True: 1, None: 2}
    return np.array([codes[is_chengyu(one)] for one in listings], np.int64)


def open_ways(directions: Collection[Direction]) -> NDArray[np.bool_]:
    """Which places of an offer (rows) and of a need (columns) may be paired, shape (3, 3), as `places` codes them."""
    ways = np.ones((3, 3), np.bool_)
    ways[0, 0] = Direction.THIRD_COUNTRY in directions
    ways[0, 1] = Direction.BRING_IN in directions
    ways[1, 0] = Direction.GO_OUT in directions
    ways[1, 1] = Direction.DOMESTIC in directions
    return ways


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
    if offer.modes and need.modes and not set(offer.modes) & set(need.modes):
        return f"no common transfer mode: {', '.join(offer.modes)} against {', '.join(need.modes)}"
    return None


def maturity_gap(offer: Listing, need: Listing) -> float:
    """By how many TRL the offer falls short of what the need accepts, 0 when it does not or one is unknown."""
    if offer.trl is None or need.trl is None:
        return 0.0
    return float(max(0, need.trl - offer.trl))
