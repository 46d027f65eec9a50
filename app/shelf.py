"""The public listings as columns in memory, which follow the database: what the catalogue counts and leafs through.

Filters with counts over every listing are asked for with each page; here they take a few milliseconds at 100,000.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from app.db import Database
from app.errors import AppError
from app.queries import listings as queries
from app.queries import public as public_queries
from app.queries.public import Facts
from matching import Side

log = logging.getLogger(__name__)

UNKNOWN = "unknown"
FACETS = ("field", "country", "stage", "maturity", "mode", "language")
MATURITY = {1: "1-3", 2: "1-3", 3: "1-3", 4: "4-6", 5: "4-6", 6: "4-6", 7: "7-9", 8: "7-9", 9: "7-9"}  # by TRL

Mask = NDArray[np.bool_]
Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a visitor narrows the catalogue to; None narrows nothing, "unknown" leaves what does not say."""

    side: Side
    field: str | None = None
    country: str | None = None
    stage: str | None = None
    maturity: str | None = None
    mode: str | None = None
    language: str | None = None

    @property
    def filters(self) -> dict[str, str]:
        """The facets that narrow it, in the order of `FACETS`, with their values."""
        given = {name: getattr(self, name) for name in FACETS}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, eq=False)
class Column:
    """What each listing says of one facet: `codes`, int32, point into the sets of values that occur."""

    codes: NDArray[np.int32]
    sets: tuple[tuple[str, ...], ...]

    @staticmethod
    def of(values: Iterable[tuple[str, ...]]) -> Column:
        """The values of each listing; those of one that says nothing are unknown."""
        known: dict[tuple[str, ...], int] = {}
        codes = [known.setdefault(one or (UNKNOWN,), len(known)) for one in values]
        return Column(np.array(codes, np.int32), tuple(known))

    def having(self, value: str) -> Mask:
        """Which listings have this value."""
        return np.array([value in one for one in self.sets], np.bool_)[self.codes]

    def counts(self, mask: Mask) -> dict[str, int]:
        """How many of some listings have each value that occurs among them."""
        found: dict[str, int] = {}
        numbers = np.bincount(self.codes[mask], minlength=len(self.sets))
        for values, number in zip(self.sets, numbers.tolist(), strict=True):
            for value in values if number else ():
                found[value] = found.get(value, 0) + number
        return found

    def followed_by(self, other: Column, rows: Positions) -> Column:
        """The listings of both, one behind the other, those at these positions in this order."""
        known = {one: code for code, one in enumerate(self.sets)}
        moved = np.array([known.setdefault(one, len(known)) for one in other.sets], np.int32)
        codes = np.concatenate([self.codes, moved[other.codes]]) if len(other.sets) else self.codes
        return Column(codes[rows], tuple(known))


@dataclass(frozen=True, eq=False)
class Shelf:
    """All public listings at one revision, in the order of their ids; `newest` are their positions, the newest first.

    `ids` are UTF-8, `published` and `updated` microseconds of UTC since 1970.
    """

    revision: int
    ids: NDArray[np.bytes_]
    offers: Mask
    published: NDArray[np.int64]
    updated: NDArray[np.int64]
    columns: dict[str, Column]
    newest: Positions

    @staticmethod
    def of(facts: Sequence[Facts], revision: int) -> Shelf:
        """These listings, whatever their order."""
        ordered = sorted(facts, key=lambda one: one.id)
        published = np.array([_micros(one.published_at) for one in ordered], np.int64)
        return Shelf(
            revision=revision,
            ids=np.array([one.id.encode() for one in ordered], dtype="S36"),
            offers=np.array([one.side == Side.OFFER for one in ordered], np.bool_),
            published=published,
            updated=np.array([_micros(one.updated_at) for one in ordered], np.int64),
            columns={name: Column.of(_said(one, name) for one in ordered) for name in FACETS},
            newest=_newest(published),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def among(self, chosen: Chosen, without: str = "") -> Mask:
        """Which listings the filters leave, but for that of the facet `without`."""
        left = self.offers if chosen.side is Side.OFFER else ~self.offers
        for name, value in chosen.filters.items():
            if name != without:
                left = left & self.columns[name].having(value)
        return left

    def counts(self, chosen: Chosen) -> dict[str, dict[str, int]]:
        """Of each facet how many listings each of its values would leave, the other filters as they are."""
        return {name: self.columns[name].counts(self.among(chosen, name)) for name in FACETS}

    def selected(self, chosen: Chosen) -> Positions:
        """The positions of the listings that the filters leave, the newest first."""
        return self.newest[self.among(chosen)[self.newest]]

    def names(self, positions: Positions) -> list[str]:
        """Ids of listings."""
        return [one.decode() for one in self.ids[positions].tolist()]

    def brought_up(self, facts: Sequence[Facts], gone: Sequence[str], revision: int) -> Shelf:
        """With listings that are new or changed, and without those that are gone."""
        later = Shelf.of(facts, revision)
        replaced = np.array([one.encode() for one in (*gone, *(one.id for one in facts))], dtype="S36")
        ids = np.concatenate([self.ids, later.ids])
        stays = np.concatenate([~np.isin(self.ids, replaced), np.ones(len(later), np.bool_)])
        rows = np.flatnonzero(stays)
        rows = rows[np.argsort(ids[rows], kind="stable")]

        def joined(name: str) -> NDArray[np.int64]:
            found: NDArray[np.int64] = np.concatenate([getattr(self, name), getattr(later, name)])[rows]
            return found

        plain = {one.name: joined(one.name) for one in fields(self) if one.name in ("offers", "published", "updated")}
        columns = {name: self.columns[name].followed_by(later.columns[name], rows) for name in FACETS}
        newest = _newest(plain["published"])
        return Shelf(revision=revision, ids=ids[rows], columns=columns, newest=newest, **plain)  # type: ignore[arg-type]


class Shelves:
    """The shelf as the database is now. Safe to use from many threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._shelf = Shelf.of([], 0)
        self._reader = threading.Thread(target=self._read_ahead, name="shelf", daemon=True)

    def start(self) -> None:
        """Read in the background, which takes seconds for a large catalogue; a request meanwhile waits for it."""
        self._reader.start()

    def stop(self) -> None:
        """Wait until the background is done with the database."""
        self._reader.join()

    def _read_ahead(self) -> None:
        try:
            self.current()
        except AppError as error:
            log.warning("the catalogue is read with its first request: %s", error)

    def current(self) -> Shelf:
        """All that has been committed."""
        with self._lock:
            with self._database.reading() as session:
                revision = queries.last_written(session)
                if revision != self._shelf.revision:
                    facts, gone = public_queries.written_since(session, self._shelf.revision)
                    self._shelf = self._shelf.brought_up(facts, gone, revision)
            return self._shelf


def _newest(published: NDArray[np.int64]) -> Positions:
    """Positions by falling time; equal ones in the order of the ids, backwards."""
    return np.argsort(published, kind="stable")[::-1]


def _micros(at: datetime) -> int:
    return round(at.replace(tzinfo=UTC).timestamp() * 1_000_000)


def _said(facts: Facts, facet: str) -> tuple[str, ...]:
    """What a listing says of a facet."""
    one: str | None
    if facet == "field":
        return facts.fields
    if facet == "mode":
        return facts.modes
    one = MATURITY.get(facts.trl or 0) if facet == "maturity" else getattr(facts, facet)
    return (one,) if one else ()
