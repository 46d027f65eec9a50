"""What people's decisions say of the probabilities: how many were accepted, and whether 80 % means 80 of a hundred.

A decision counts as in `app.learning`: the last step of each pairing that says whether the offer answers the need. Only
what was proposed can be decided, so this tells of the proposals and not of all pairs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from app.learning import GRADES, grade_of
from app.pairings import Action
from app.queries.overview import Told

TELLING = (*GRADES, Action.DECLINE)
BANDS = 10
FEW = 20  # decisions below which a share says little


@dataclass(frozen=True, slots=True)
class Decided:
    """A decided proposal; `accepted` is None where it was declined for a reason that says nothing of the match."""

    at: datetime
    probability: float
    accepted: bool | None


@dataclass(frozen=True, slots=True)
class Month:
    """A month's decisions (200001: January 2000)."""

    month: int
    accepted: int
    declined: int
    other: int

    @property
    def rate(self) -> float | None:
        """Of those that say something of the match, the share that was accepted."""
        telling = self.accepted + self.declined
        return self.accepted / telling if telling else None


@dataclass(frozen=True, slots=True)
class Band:
    """Decisions on proposals of about the same probability; `low` and `high` bound the accepted share (95 %)."""

    start: float
    number: int
    accepted: int
    expected: float
    low: float
    high: float

    @property
    def share(self) -> float:
        return self.accepted / self.number


def decided(steps: Iterable[Told]) -> list[Decided]:
    """The last decision on each pairing, from people's steps in their order."""
    last: dict[str, Decided] = {}
    for step in steps:
        grade = grade_of(step.action, step.reason)
        if grade is not None:
            last[step.pairing] = Decided(step.at, step.probability, grade[0] > 0)
        elif step.pairing not in last:
            last[step.pairing] = Decided(step.at, step.probability, None)
    return sorted(last.values(), key=lambda one: one.at)


def months(found: Iterable[Decided]) -> list[Month]:
    """The decisions by month, the oldest first."""
    by_month = defaultdict[int, list[bool | None]](list)
    for one in found:
        by_month[100 * one.at.year + one.at.month].append(one.accepted)
    return [Month(month, *(said.count(one) for one in (True, False, None))) for month, said in sorted(by_month.items())]


def bands(found: Iterable[Decided]) -> list[Band]:
    """The decisions that say something of the match, by probability; bands without any are left out."""
    by_band = defaultdict[int, list[Decided]](list)
    for one in found:
        if one.accepted is not None:
            by_band[min(int(one.probability * BANDS), BANDS - 1)].append(one)
    return [_band(place / BANDS, own) for place, own in sorted(by_band.items())]


def _band(start: float, own: list[Decided]) -> Band:
    number, accepted = len(own), sum(one.accepted is True for one in own)
    expected = sum(one.probability for one in own) / number
    return Band(start, number, accepted, expected, *_wilson(accepted, number))


def _wilson(hits: int, number: int) -> tuple[float, float]:
    """Wilson's interval of 95 % for a share: it holds for small numbers too (E. B. Wilson, JASA 22, 1927)."""
    z = 1.959964
    share, weight = hits / number, 1 + z * z / number
    middle = (share + z * z / (2 * number)) / weight
    spread = z / weight * (share * (1 - share) / number + z * z / (4 * number * number)) ** 0.5
    return max(0.0, middle - spread), min(1.0, middle + spread)
