"""The programme's figures: what the overview shows, of all nodes or of some, of all times or since a month.

All is counted once and kept until something changes; narrowing it down is arithmetic on what is kept. A count that is
quick is made anew as soon as something has changed; a slow one in the background, and the one before is shown.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from sqlmodel import Session

from app import judging
from app.db import Database
from app.errors import AppError
from app.judging import Decided
from app.pairings import State
from app.queries import overview as queries
from app.queries.overview import ListingFacts, PairingFacts
from app.tally import Mask, Tally

log = logging.getLogger(__name__)

S = State
WAY = (S.PROPOSED, S.SHORTLISTED, S.OFFERED, S.MUTUAL, S.INTRODUCED, S.NEGOTIATING, S.CONTRACTED)
SIGNED = (S.CONTRACTED, S.COMPLETED)
ACROSS = ("go-out", "bring-in")
QUICK = 0.1  # seconds of a count that a page may wait for
PAUSE = timedelta(minutes=1)  # between two slow counts
OLD = timedelta(hours=1)  # what is older than that is counted anew whatever it takes
LISTING = ("node", "month", "side", "status", "field")
PAIRING = ("offer_node", "need_node", "month", "direction", "state", "country", "home", "field", "furthest")
ARRIVAL = ("offer_node", "need_node", "month", "state", "days")
TARGETS = Path(__file__).parent / "targets.json"


class Target(NamedTuple):
    """What the programme is to reach and by the end of which year; `counts` is None for what is not measured here."""

    key: str
    en: str
    zh: str
    value: int
    by: int
    counts: str | None


class Duration(NamedTuple):
    """How long pairings took from the first proposal to a state, in days: the bounds of the quarters."""

    number: int
    lower: float
    median: float
    upper: float


@dataclass(frozen=True, slots=True)
class Count:
    """Listings, pairings, their first arrivals at each state and people's decisions, as of `at`; it took `seconds`."""

    mark: tuple[int, int]
    at: datetime
    seconds: float
    listings: Tally
    pairings: Tally
    arrivals: Tally
    decided: list[Decided]


@dataclass(frozen=True, slots=True)
class Scope:
    """What the figures are narrowed to: nodes (None: all), and what was posted or proposed since a month (0: all)."""

    nodes: frozenset[str] | None = None
    since: int = 0

    def of(self, count: Count) -> Count:
        """The figures narrowed down, all but the decisions; of a pairing either side's node is enough."""
        pair = ("offer_node", "need_node")
        return replace(
            count,
            listings=count.listings.taken(self._mask(count.listings, ("node",))),
            pairings=count.pairings.taken(self._mask(count.pairings, pair)),
            arrivals=count.arrivals.taken(self._mask(count.arrivals, pair)),
        )

    def _mask(self, part: Tally, names: tuple[str, ...]) -> Mask:
        mask = part.where("month", lambda month: month >= self.since)
        if self.nodes is None:
            return mask
        ours = [part.where(name, self.nodes.__contains__) for name in names]
        return mask & (ours[0] | ours[-1])


class Overview:
    """Counts, and keeps what it has counted; of listings it reads only those that have changed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listings: dict[str, ListingFacts] = {}
        self._kept: Count | None = None
        self._counting = threading.Lock()

    def count(self, now: datetime) -> Count:
        """The present figures; where counting is slow, perhaps those from before the last changes."""
        with self._database.reading() as session:
            mark = queries.mark(session)
        kept = self._kept
        if kept is not None and kept.mark == mark:
            return kept
        if kept is None or kept.seconds < QUICK or now - kept.at > OLD:
            with self._counting:
                return self._anew(now)
        if now - kept.at > PAUSE and self._counting.acquire(blocking=False):
            threading.Thread(target=self._in_background, args=(now,), name="counting", daemon=True).start()
        return kept

    def _in_background(self, now: datetime) -> None:
        try:
            self._anew(now)
        except AppError as error:
            log.warning("the overview keeps its figures: %s", error)
        finally:
            self._counting.release()

    def _anew(self, now: datetime) -> Count:
        began = time.perf_counter()
        with self._database.reading() as session:
            mark = queries.mark(session)
            if self._kept is not None and self._kept.mark == mark:
                return self._kept
            seen = self._kept.mark[0] if self._kept is not None else -1
            self._listings.update((row.id, row) for row in queries.listings(session, seen))
            tallies = _tallies(session, self._listings)
            decided = judging.decided(queries.told(session, judging.TELLING))
        self._kept = Count(mark, now, time.perf_counter() - began, *tallies, decided)
        return self._kept


def _tallies(session: Session, listings: dict[str, ListingFacts]) -> tuple[Tally, Tally, Tally]:
    pairings = queries.pairings(session)
    arrived = defaultdict[str, dict[str, datetime]](dict)
    for pairing, state, at in queries.arrivals(session, (*WAY[1:], S.COMPLETED)):
        arrived[pairing][state] = at
    return (
        Tally(
            LISTING,
            ((one.node, month_of(one.created_at), one.side, one.status, one.field) for one in listings.values()),
        ),
        Tally(PAIRING, (_pairing(one, listings, arrived.get(one.id, {})) for one in pairings)),
        Tally(ARRIVAL, (row for one in pairings for row in _arrivals(one, listings, arrived.get(one.id, {})))),
    )


def _pairing(one: PairingFacts, listings: dict[str, ListingFacts], arrived: dict[str, datetime]) -> tuple[Any, ...]:
    """The partner is where technology that is brought in comes from, else where it goes; home is our own region."""
    offer, need = listings[one.offer], listings[one.need]
    partner, ours = (offer, need) if one.direction == "bring-in" else (need, offer)
    home = ours.region if one.direction in ACROSS else None
    furthest = max((_place(state) for state in arrived), default=0)
    field = offer.field or need.field
    month = month_of(one.created_at)
    return offer.node, need.node, month, one.direction, one.state, partner.country, home, field, furthest


def _arrivals(
    one: PairingFacts, listings: dict[str, ListingFacts], arrived: dict[str, datetime]
) -> Iterator[tuple[Any, ...]]:
    for state, at in arrived.items():
        days = (at - one.created_at).total_seconds() / 86_400
        yield listings[one.offer].node, listings[one.need].node, month_of(one.created_at), state, days


def _place(state: str) -> int:
    """How far along the way a state is; completed is past its end."""
    return len(WAY) - 1 if state == S.COMPLETED else WAY.index(S(state))


def month_of(at: datetime) -> int:
    """A month as a number that sorts: 202601."""
    return 100 * at.year + at.month


def reached(pairings: Tally) -> dict[str, int]:
    """How many pairings have come to each state of the way, or past it, whatever became of them."""
    stops = pairings.counted("furthest")
    return {state.value: sum(stops[(stop,)] for stop in range(place, len(WAY))) for place, state in enumerate(WAY)}


def durations(arrivals: Tally) -> dict[str, Duration]:
    """How long it took to come to each state, of those pairings that have come to it."""
    found = {state.value: in_states(arrivals, (state,)) for state in WAY[1:]}
    return {state: Duration(len(own), *own.quartiles("days")) for state, own in found.items() if len(own)}


def in_states(rows: Tally, states: tuple[str, ...]) -> Tally:
    """The pairings, or the arrivals, of these states."""
    return rows.taken(rows.where("state", states.__contains__))


def published(listings: Tally) -> Tally:
    """The listings that can be found."""
    return listings.taken(listings.where("status", "published".__eq__))


def contracts(pairings: Tally) -> int:
    """Signed pairings with another country."""
    signed = in_states(pairings, SIGNED).counted("direction")
    return sum(number for (direction,), number in signed.items() if direction != "domestic")


def by_node(pairings: Tally, states: tuple[str, ...]) -> Counter[str]:
    """Pairings in these states by node; one between two nodes stands with both."""
    found = Counter[str]()
    for (offer_node, need_node), number in in_states(pairings, states).counted("offer_node", "need_node").items():
        for node in {offer_node, need_node}:
            found[node] += number
    return found


@cache
def targets() -> tuple[Target, ...]:
    """What the programme is to reach."""
    return tuple(Target(**one) for one in json.loads(TARGETS.read_text("utf-8")))
