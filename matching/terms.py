"""What the terms of two listings say of each other: direction, vetoes, fits. Unknown says nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from matching.listing import MODES, Listing

HOME = "CN"
CHENGYU = ("CN-50", "CN-51")
UNKNOWN_PLACE = 2
COUNTRIES = 1024  # more than there are codes of two letters


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
    both = Conditions.of([offer, need])
    return direction_of(int(both.places[0]), int(both.places[1]))


def direction_of(offer: int, need: int) -> Direction | None:
    """The same from two places, coded as in `Conditions`."""
    known = {(1, 1): Direction.DOMESTIC, (1, 0): Direction.GO_OUT, (0, 1): Direction.BRING_IN}
    return None if UNKNOWN_PLACE in (offer, need) else known.get((offer, need), Direction.THIRD_COUNTRY)


@dataclass(frozen=True, eq=False)
class Conditions:
    """What `veto` asks of many listings, as arrays; 0 is unknown but for `places`.

    Of shape (listings,): `places` int8 (0 elsewhere, 1 Chengyu, 2 unknown), `countries` int16, `organisations` int64,
    `modes` int16 (one bit a mode), `trls` int8. `excluded` and `targets`, int64, ascending: a listing's position times
    `COUNTRIES`, plus one of the countries that it names.
    """

    places: NDArray[np.int8]
    countries: NDArray[np.int16]
    organisations: NDArray[np.int64]
    modes: NDArray[np.int16]
    trls: NDArray[np.int8]
    excluded: NDArray[np.int64]
    targets: NDArray[np.int64]

    @staticmethod
    def of(listings: Sequence[Listing]) -> Conditions:
        """Read them off listings."""
        codes = {False: 0, True: 1, None: 2}
        return Conditions(
            places=np.array([codes[is_chengyu(one)] for one in listings], np.int8),
            countries=np.array([country_number(one.country) for one in listings], np.int16),
            organisations=np.array([_number(one.organisation) for one in listings], np.int64),
            modes=np.array([sum(1 << MODES.index(mode) for mode in one.modes) for one in listings], np.int16),
            trls=np.array([one.trl or 0 for one in listings], np.int8),
            excluded=_named([one.excluded_countries for one in listings]),
            targets=_named([one.target_countries for one in listings]),
        )

    @staticmethod
    def joined(parts: Sequence[Conditions]) -> Conditions:
        """Those of many listings, one part behind the other."""
        starts = np.cumsum([0, *(len(part.places) for part in parts)])
        moved = [
            replace(part, excluded=part.excluded + start * COUNTRIES, targets=part.targets + start * COUNTRIES)
            for part, start in zip(parts, starts, strict=False)
        ]
        return Conditions(*(np.concatenate([getattr(part, one.name) for part in moved]) for one in fields(Conditions)))

    def taken(self, rows: NDArray[np.int64]) -> Conditions:
        """Those of the listings at these positions, in this order."""
        return Conditions(
            places=self.places[rows],
            countries=self.countries[rows],
            organisations=self.organisations[rows],
            modes=self.modes[rows],
            trls=self.trls[rows],
            excluded=_taken(self.excluded, rows),
            targets=_taken(self.targets, rows),
        )


def country_number(code: str | None) -> int:
    """The number of a country in `Conditions`: 1 to 676 for a code of two letters, 0 for none."""
    return 0 if code is None else (ord(code[0]) - 65) * 26 + ord(code[1]) - 64


def _code(country: int) -> str:
    return chr((country - 1) // 26 + 65) + chr((country - 1) % 26 + 65)


def _number(name: str | None) -> int:
    """A number that no other name in a market shares, 0 for none."""
    return 0 if name is None else int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest()) + 1


def _named(countries: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    keys = [i * COUNTRIES + country_number(one) for i, own in enumerate(countries) for one in own]
    return np.unique(np.array(keys, np.int64))


def _taken(keys: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    starts, ends = np.searchsorted(keys, rows * COUNTRIES), np.searchsorted(keys, (rows + 1) * COUNTRIES)
    parts = [keys[a:b] % COUNTRIES + i * COUNTRIES for i, (a, b) in enumerate(zip(starts, ends, strict=True)) if b > a]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def open_ways(directions: Collection[Direction]) -> NDArray[np.bool_]:
    """Which places of an offer (rows) and a need (columns) may be paired, shape (3, 3), coded as in `Conditions`."""
    ways = np.ones((3, 3), np.bool_)
    ways[0, 0] = Direction.THIRD_COUNTRY in directions
    ways[0, 1] = Direction.BRING_IN in directions
    ways[1, 0] = Direction.GO_OUT in directions
    ways[1, 1] = Direction.DOMESTIC in directions
    return ways


def open_pairs(
    offers: Conditions,
    o: NDArray[np.int64],
    needs: Conditions,
    n: NDArray[np.int64],
    directions: Collection[Direction],
) -> NDArray[np.bool_]:
    """Which pairs `veto` lets through, for positions `o` of offers and `n` of needs in any shapes that broadcast.

    What one side leaves unknown for all its listings is not looked at: a free text costs next to nothing.
    """
    fewer, more = sorted(((offers, o), (needs, n)), key=lambda side: side[1].size)
    allowed = _asked_for(offers.places, o, needs.places, n, open_ways(directions))
    for name in ("organisations", "modes"):
        ours = getattr(fewer[0], name)[fewer[1]]
        if ours.any():
            theirs = getattr(more[0], name)[more[1]]
            unlike = theirs != ours if name == "organisations" else (theirs & ours) != 0
            allowed = allowed & (unlike | (theirs == 0) | (ours == 0))
    allowed = allowed & _welcome(offers, o, needs, n) & _welcome(needs, n, offers, o)
    return np.broadcast_to(allowed, np.broadcast_shapes(o.shape, n.shape))


def _asked_for(
    offers: NDArray[np.int8],
    o: NDArray[np.int64],
    needs: NDArray[np.int8],
    n: NDArray[np.int64],
    ways: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Which pairs of places are asked for; where one listing stands on a side, its place alone may settle it."""
    if n.size == 1:
        own = ways[:, needs[n.item()]]
        return np.ones(1, np.bool_) if own.all() else own[offers[o]]
    if o.size == 1:
        own = ways[offers[o.item()]]
        return np.ones(1, np.bool_) if own.all() else own[needs[n]]
    return ways[offers[o], needs[n]]


def _welcome(
    hosts: Conditions, positions: NDArray[np.int64], guests: Conditions, own: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which guests' countries a host does not exclude and, where it names targets, seeks; an unknown one is welcome."""
    if not (len(hosts.excluded) or len(hosts.targets)):
        return np.ones(1, np.bool_)
    countries = guests.countries[own]
    if not countries.any():
        return np.ones(1, np.bool_)
    keys = positions * COUNTRIES + countries
    sought = _holds(hosts.targets, keys) | ~_holds_any(hosts.targets, positions)
    return np.asarray((countries == 0) | (sought & ~_holds(hosts.excluded, keys)), np.bool_)


def _holds(keys: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.bool_]:
    if not len(keys):
        return np.zeros(wanted.shape, np.bool_)
    return np.asarray(keys[np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)] == wanted, np.bool_)


def _holds_any(keys: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.bool_]:
    found = np.searchsorted(keys, positions * COUNTRIES) < np.searchsorted(keys, (positions + 1) * COUNTRIES)
    return np.asarray(found, np.bool_)


@dataclass(frozen=True, slots=True)
class Objection:
    """Why two can't be paired: which rule, on whose side ("" where it is nobody's alone), and what it names.

    `rule` is direction (`value` is the direction), organisation, excluded or targets (`value` is a country), or modes
    (`offered` against `sought`). As text it is a sentence for the records of a run.
    """

    rule: str
    side: str = ""
    value: str = ""
    offered: tuple[str, ...] = ()
    sought: tuple[str, ...] = ()

    def __str__(self) -> str:
        match self.rule:
            case "direction":
                return f"direction {self.value} is not asked for"
            case "organisation":
                return "both belong to the same organisation"
            case "excluded":
                return f"the {self.side} excludes {self.value}"
            case "targets":
                return (
                    f"the {self.side} {'is for' if self.side == 'offer' else 'seeks'} other countries than {self.value}"
                )
        return f"no common transfer mode: {', '.join(self.offered)} against {', '.join(self.sought)}"


def veto(offer: Listing, need: Listing, directions: Collection[Direction]) -> Objection | None:
    """The reason why the two can't be paired, or None. Only what both sides state can contradict."""
    return reason(Conditions.of([offer]), 0, Conditions.of([need]), 0, directions)


def reason(
    offers: Conditions, o: int, needs: Conditions, n: int, directions: Collection[Direction]
) -> Objection | None:
    """`veto` for the listings at these positions."""
    where = direction_of(int(offers.places[o]), int(needs.places[n]))
    if where is not None and where not in directions:
        return Objection("direction", value=where)
    if offers.organisations[o] != 0 and offers.organisations[o] == needs.organisations[n]:
        return Objection("organisation")
    from_country, to_country = int(offers.countries[o]), int(needs.countries[n])
    sides = (("offer", offers, o, to_country), ("need", needs, n, from_country))
    for name, own, position, country in sides:
        if country and country in _of_one(own.excluded, position):
            return Objection("excluded", name, _code(country))
    for name, own, position, country in sides:
        targets = _of_one(own.targets, position)
        if country and targets and country not in targets:
            return Objection("targets", name, _code(country))
    ours, theirs = int(offers.modes[o]), int(needs.modes[n])
    if ours and theirs and not ours & theirs:
        return Objection("modes", offered=_modes(ours), sought=_modes(theirs))
    return None


def _of_one(keys: NDArray[np.int64], position: int) -> list[int]:
    start, end = np.searchsorted(keys, [position * COUNTRIES, (position + 1) * COUNTRIES])
    return [int(key) % COUNTRIES for key in keys[start:end]]


def _modes(bits: int) -> tuple[str, ...]:
    return tuple(mode for place, mode in enumerate(MODES) if bits >> place & 1)


def maturity_gap(
    offers: Conditions, o: NDArray[np.int64], needs: Conditions, n: NDArray[np.int64]
) -> NDArray[np.float64]:
    """By how many TRL each offer falls short of what its need accepts, 0 when it does not or one is unknown."""
    has, wants = offers.trls[o].astype(np.float64), needs.trls[n].astype(np.float64)
    return np.where((has > 0) & (wants > 0), np.maximum(0.0, wants - has), 0.0)
