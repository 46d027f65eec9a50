"""What the live search holds of the database at one revision: a base and what was written since."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from app.access import Principal, Role, discloses
from matching import FIELDS, Market, Side
from matching.files import Arrays
from matching.ranking import Mask, Part
from matching.stand import Stand
from matching.terms import country_number

LIKELY = 0.3  # probability from which on a listing speaks of a field; decision 0017
DISCLOSURES = ("public", "registered", "introduction")


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose a published listing is and how far it is disclosed."""

    organisation_id: str
    node_id: str
    disclosure: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a search is narrowed to: a country (ISO 3166-1), a field of `FIELDS`, a node's id; None narrows nothing.

    A listing speaks of a field that its author or a manager states or, where none is stated, that is more likely than
    not. A listing without a country is in none.
    """

    country: str | None = None
    field: str | None = None
    node: str | None = None

    def of(self, stand: Stand, holders: Holders) -> Mask | None:
        """Which listings of one side it leaves; None for all of them."""
        masks: list[Mask] = []
        if self.country is not None:
            masks.append(stand.conditions.countries == country_number(self.country))
        if self.field is not None:
            masks.append(stand.fields[:, FIELDS.index(self.field)] >= LIKELY)
        if self.node is not None:
            masks.append(holders.nodes == number_of(self.node))
        return np.logical_and.reduce(masks) if masks else None


@dataclass(frozen=True, slots=True)
class Sight:
    """Which of the published listings `who` is shown; those of the organisation `without` are left out.

    `wanted` and `among`, ids in UTF-8, narrow a search further; they hide nothing.
    """

    who: Principal
    without: str | None = None
    wanted: Wanted | None = None
    among: NDArray[np.bytes_] | None = None

    def shows(self, holder: Holder) -> bool:
        if holder.organisation_id == self.without:
            return False
        return discloses(holder.disclosure, self.who) or self.who.holds(holder.organisation_id, holder.node_id)


@dataclass(frozen=True, eq=False)
class Holders:
    """The holders of one side's listings, aligned with them: organisations and nodes int64, by `number_of`, disclosures
    int8, by their place in `DISCLOSURES`."""

    organisations: NDArray[np.int64]
    nodes: NDArray[np.int64]
    disclosures: NDArray[np.int8]

    @staticmethod
    def of(holders: Sequence[Holder]) -> Holders:
        """The same holders."""
        return Holders(
            np.array([number_of(one.organisation_id) for one in holders], np.int64),
            np.array([number_of(one.node_id) for one in holders], np.int64),
            np.array([DISCLOSURES.index(one.disclosure) for one in holders], np.int8),
        )

    @staticmethod
    def joined(parts: Sequence[Holders]) -> Holders:
        """Those of all parts, one behind the other."""
        return Holders(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Holders)))

    def taken(self, rows: NDArray[np.int64]) -> Holders:
        """Those of the listings at these positions."""
        return Holders(self.organisations[rows], self.nodes[rows], self.disclosures[rows])

    def shown(self, sight: Sight) -> Mask | None:
        """`Sight.shows` of each listing; None for all of them."""
        who = sight.who
        if who.sees_all and sight.without is None:
            return None
        shown = np.isin(self.disclosures, [i for i, one in enumerate(DISCLOSURES) if discloses(one, who)])
        if who.role is Role.PARTNER:
            shown |= self.organisations == number_of(who.organisation or "")
        else:
            shown |= who.sees_all or np.isin(self.nodes, [number_of(node) for node in who.nodes or ()])
        if sight.without is not None:
            shown &= self.organisations != number_of(sight.without)
        return None if shown.all() else shown


def number_of(name: str) -> int:
    """A number that no other id in a database shares."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest())


@dataclass(frozen=True, eq=False)
class Base:
    """All published listings at one revision in a market. `name` is that of the published index, "" for one in memory;
    `space_age` that of the kept language space."""

    revision: int
    space_age: int
    market: Market
    holders: Mapping[Side, Holders]
    built_at: datetime
    name: str = ""

    @property
    def size(self) -> int:
        return sum(len(stand) for stand in self.market.stands.values())

    def arrays(self) -> Arrays:
        """The holders as they are kept beside a published market."""
        return {
            f"{side}-{one.name}": getattr(own, one.name)
            for side, own in self.holders.items()
            for one in fields(Holders)
        }


def holders_from(arrays: Arrays) -> dict[Side, Holders]:
    """Read what `Base.arrays` gave."""
    return {side: Holders(**{one.name: arrays[f"{side}-{one.name}"] for one in fields(Holders)}) for side in Side}


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The listings at one revision: those of a base, and beside them those published since, in `tail`.

    `held`: the holders of those in the tail, by id. `written`: the ids of all that has been written since, published or
    not: they hold no longer in the base.
    `holding` says which of the base's do; None: all.
    """

    base: Base
    revision: int
    tail: Market | None
    held: Mapping[str, Holder]
    written: frozenset[str]
    holding: Mapping[Side, Mask | None]

    def parts(self, sight: Sight) -> list[Part]:
        """What is shown of the base and of what was written since."""
        seen = _seen(self.base.market, self.base.holders, sight)
        parts = [Part(self.base.market, {side: _both(self.holding[side], seen[side]) for side in Side})]
        if self.tail is not None:
            parts.append(Part(self.tail, _seen(self.tail, self._tail_holders(), sight)))
        return parts

    def _tail_holders(self) -> dict[Side, Holders]:
        assert self.tail is not None
        stands = self.tail.stands
        return {
            side: Holders.of([self.held[one.decode()] for one in stand.ids.tolist()]) for side, stand in stands.items()
        }


def alone(base: Base) -> Snapshot:
    """A base that nothing has been written after."""
    return Snapshot(base, base.revision, None, {}, frozenset(), dict.fromkeys(Side))


def holding(market: Market, written: frozenset[str]) -> dict[Side, Mask | None]:
    """Which listings of a market none of these replaces."""
    masks: dict[Side, Mask | None] = {}
    for side, stand in market.stands.items():
        gone = stand.find(sorted(written))
        masks[side] = _all_but(len(stand), gone[gone >= 0])
    return masks


def _all_but(size: int, rows: NDArray[np.int64]) -> Mask | None:
    if not len(rows):
        return None
    mask = np.ones(size, np.bool_)
    mask[rows] = False
    return mask


def _seen(market: Market, holders: Mapping[Side, Holders], sight: Sight) -> dict[Side, Mask | None]:
    """Which listings of a market are shown and wanted."""
    wanted = sight.wanted or Wanted()
    shown = {side: _both(own.shown(sight), wanted.of(market.stands[side], own)) for side, own in holders.items()}
    if sight.among is None:
        return shown
    return {side: _both(mask, market.stands[side].among(sight.among)) for side, mask in shown.items()}


def _both(one: Mask | None, other: Mask | None) -> Mask | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other
