"""Which of the pairs worth proposing are proposed, so that popular listings do not drown and the rest is seen.

A pair's *worth* is its log-odds above those of the threshold: what is just worth proposing is worth nothing more, and a
pair that is likelier not to fit than to fit (log-odds below 0, probability above the threshold) still counts. The
chosen pairs have the greatest total worth that the caps let through, each listing's first proposal counting as much
more as the best pair is worth. So no listing goes without while one of its partners serves another that has several,
unless an organisation's cap stands in the way.

It is a minimum-cost flow, source → organisation → offer → need → organisation → sink, with a proposal as its unit and
caps as capacities; two parallel arcs lead to each listing, the first of one unit with the bonus. Solved exactly by
OR-tools' cost scaling (Goldberg, 1997). Costs are whole numbers: worth in 1/SCALE of log-odds, rounded, plus one such
unit, so that a pair at the threshold is rather proposed than not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matching.evaluation import best_of_each, gini

SCALE = 10_000  # units of cost in a log-odd
LIMIT = 1_000.0  # log-odds beyond it are no measurement, and would run out of whole numbers
UNKNOWN_OWNER = -1

Positions = NDArray[np.int64]
Chosen = NDArray[np.bool_]


@dataclass(frozen=True)
class Caps:
    """In how many proposals an offer, a need, and all offers or all needs of an organisation may be; None: no cap.

    The defaults are from the curves of docs/assignment.md. Raises ValueError for a cap below 1.
    """

    offer: int | None = 25
    need: int | None = 25
    organisation: int | None = None

    def __post_init__(self) -> None:
        for name in ("offer", "need", "organisation"):
            cap = getattr(self, name)
            if cap is not None and (not isinstance(cap, int) or cap < 1):
                raise ValueError(f"{name}: a cap is a whole number from 1 on, or None for no cap; not {cap!r}")


@dataclass(frozen=True)
class Pairs:
    """Candidate pairs, each once: positions `offers` and `needs`, int64, and `log_odds`, float64, of shape (pairs,).

    `offer_owner` and `need_owner`, int64, hold each listing's organisation as a number, −1 where it is unknown (no cap
    binds it then). Raises ValueError, with the array's name, for what does not fit together.
    """

    offers: Positions
    needs: Positions
    log_odds: NDArray[np.float64]
    offer_owner: Positions
    need_owner: Positions

    def __post_init__(self) -> None:
        _check_owners("offer_owner", self.offer_owner)
        _check_owners("need_owner", self.need_owner)
        _check_positions("offers", self.offers, len(self.offer_owner))
        _check_positions("needs", self.needs, len(self.need_owner))
        _check_log_odds(self.log_odds)
        if not len(self.offers) == len(self.needs) == len(self.log_odds):
            raise ValueError(
                f"offers, needs, log_odds: {len(self.offers)}, {len(self.needs)} and {len(self.log_odds)} entries; "
                "each pair needs one of each"
            )
        if len(np.unique(self.needs * max(1, len(self.offer_owner)) + self.offers)) < len(self.offers):
            raise ValueError("offers, needs: a pair comes twice; give each once")

    def __len__(self) -> int:
        return len(self.offers)

    def worth(self, threshold: float) -> NDArray[np.float64]:
        """Log-odds of each pair above those of the probability `threshold`; negative: not worth proposing.

        Raises ValueError unless 0 < threshold < 1.
        """
        if not 0.0 < threshold < 1.0:
            raise ValueError(f"threshold: a probability between 0 and 1, both excluded; not {threshold!r}")
        return np.asarray(self.log_odds - np.log(threshold / (1.0 - threshold)))


@dataclass(frozen=True)
class Exposure:
    """How proposals are spread. Of a side, listings without any proposal counted: Gini, share with one, the most.

    `total` is the proposals' worth, in log-odds.
    """

    proposals: int
    total: float
    gini_offers: float
    gini_needs: float
    reached_offers: float
    reached_needs: float
    most_offers: int
    most_needs: int


def assign(pairs: Pairs, caps: Caps, threshold: float, *, first_bonus: float | None = None) -> Chosen:
    """The pairs to propose, as a mask over `pairs`: the greatest total worth within the caps (see the module's text).

    `first_bonus`, in log-odds, is what a listing's first proposal counts beyond its worth; None: the greatest worth.
    Depends on the set of pairs alone, not on their order; of equal totals the solver takes one, always the same.
    Raises ValueError for a threshold outside (0, 1) or a bonus outside [0, 1000].
    """
    worth = pairs.worth(threshold)
    if first_bonus is not None and not 0.0 <= first_bonus <= LIMIT:
        raise ValueError(f"first_bonus: log-odds from 0 to {LIMIT:g}, not {first_bonus!r}")
    chosen = np.zeros(len(pairs), np.bool_)
    kept = np.flatnonzero(worth >= 0)
    if len(kept):
        kept = kept[np.lexsort((pairs.offers[kept], pairs.needs[kept]))]
        units = _units(worth[kept]) + 1
        bonus = int(units.max()) if first_bonus is None else int(_units(np.array(first_bonus)))
        arcs = _network(pairs, kept, units, bonus, caps)
        chosen[kept] = _flows(arcs)[: len(kept)] > 0
    return chosen


def plain_top(pairs: Pairs, threshold: float, k: int = 10) -> Chosen:
    """What is proposed without caps: each need's and each offer's `k` best that are worth it, as a mask.

    Of equals the lower position goes first. Raises ValueError for k below 1 or a threshold outside (0, 1).
    """
    if k < 1:
        raise ValueError(f"k: a whole number from 1 on, not {k!r}")
    for_need = best_of_each(pairs.needs, pairs.offers, pairs.log_odds, k)
    for_offer = best_of_each(pairs.offers, pairs.needs, pairs.log_odds, k)
    return np.asarray((for_need | for_offer) & (pairs.worth(threshold) >= 0))


def exposure(pairs: Pairs, chosen: Chosen, threshold: float) -> Exposure:
    """How the chosen pairs are spread over the listings of both sides, and what they are worth."""
    offers = np.bincount(pairs.offers[chosen], minlength=len(pairs.offer_owner))
    needs = np.bincount(pairs.needs[chosen], minlength=len(pairs.need_owner))
    return Exposure(
        proposals=int(chosen.sum()),
        total=float(pairs.worth(threshold)[chosen].sum()),
        gini_offers=gini(offers),
        gini_needs=gini(needs),
        reached_offers=float(np.mean(offers > 0)) if len(offers) else 0.0,
        reached_needs=float(np.mean(needs > 0)) if len(needs) else 0.0,
        most_offers=int(offers.max(initial=0)),
        most_needs=int(needs.max(initial=0)),
    )


@dataclass(frozen=True)
class _Arcs:
    """Arcs of a flow network, aligned: nodes at both ends, capacity, cost of a unit."""

    tails: Positions
    heads: Positions
    capacities: Positions
    costs: Positions

    @staticmethod
    def of(tails: Any, heads: Any, capacities: Any, costs: Any) -> _Arcs:
        """From arrays and numbers that hold for all."""
        return _Arcs(*(np.asarray(one, np.int64) for one in np.broadcast_arrays(tails, heads, capacities, costs)))

    @staticmethod
    def joined(parts: Iterable[_Arcs]) -> _Arcs:
        """One after the other."""
        columns = zip(*((one.tails, one.heads, one.capacities, one.costs) for one in parts), strict=True)
        return _Arcs(*(np.concatenate(column) for column in columns))

    def turned(self) -> _Arcs:
        """The same in the other direction."""
        return _Arcs(self.heads, self.tails, self.capacities, self.costs)


def _network(pairs: Pairs, kept: Positions, worth: Positions, bonus: int, caps: Caps) -> _Arcs:
    """Arcs of the pairs first. Nodes: offers, needs, source, sink, organisations of offers, those of needs.

    What reaches the sink goes back to the source: a circulation, so that nothing must be proposed.
    """
    offers, needs = pairs.offers[kept], pairs.needs[kept]
    first_need = len(pairs.offer_owner)
    source = first_need + len(pairs.need_owner)
    groups, left = _groups(pairs.offer_owner, caps.organisation, source, source + 2)
    more_groups, right = _groups(pairs.need_owner, caps.organisation, source + 1, source + 2 + len(groups.heads))
    demand = np.bincount(offers, minlength=len(pairs.offer_owner)), np.bincount(needs, minlength=len(pairs.need_owner))
    return _Arcs.joined(
        (
            _Arcs.of(offers, needs + first_need, 1, -worth),
            groups,
            *_entries(left, np.arange(first_need), demand[0], caps.offer, bonus),
            *(one.turned() for one in _entries(right, np.arange(first_need, source), demand[1], caps.need, bonus)),
            more_groups.turned(),
            _Arcs.of([source + 1], [source], len(kept), 0),
        )
    )


def _groups(owner: Positions, cap: int | None, terminal: int, start: int) -> tuple[_Arcs, Positions]:
    """Arcs from a terminal to each organisation, numbered from `start`, and each listing's node of entry."""
    entry = np.full(len(owner), terminal, np.int64)
    known = owner != UNKNOWN_OWNER
    if cap is None or not known.any():
        return _Arcs.of(*np.zeros((4, 0), np.int64)), entry
    names, which = np.unique(owner[known], return_inverse=True)
    entry[known] = start + which
    return _Arcs.of(terminal, start + np.arange(len(names)), cap, 0), entry


def _entries(entry: Positions, nodes: Positions, demand: Positions, cap: int | None, bonus: int) -> tuple[_Arcs, _Arcs]:
    """Two arcs to each listing: its first proposal with the bonus, and the others; both together its cap."""
    room = demand if cap is None else np.minimum(demand, cap)
    first = np.minimum(room, 1)
    return _Arcs.of(entry, nodes, first, -bonus), _Arcs.of(entry, nodes, room - first, 0)


def _flows(arcs: _Arcs) -> Positions:
    """Flow on each arc of the cheapest circulation."""
    from ortools.graph.python.min_cost_flow import SimpleMinCostFlow

    flow = SimpleMinCostFlow()
    numbers = flow.add_arcs_with_capacity_and_unit_cost(
        arcs.tails.astype(np.int32), arcs.heads.astype(np.int32), arcs.capacities, arcs.costs
    )
    status = flow.solve()
    if status != flow.OPTIMAL:
        raise RuntimeError(f"the assignment was not solved: {status.name}")
    return np.asarray(flow.flows(numbers), np.int64)


def _units(log_odds: NDArray[np.float64]) -> Positions:
    return np.rint(log_odds * SCALE).astype(np.int64)


def _check_positions(name: str, positions: Positions, size: int) -> None:
    if positions.ndim != 1 or positions.dtype != np.int64:
        raise ValueError(f"{name}: an array of int64 of one dimension, not {positions.dtype} of {positions.ndim}")
    if len(positions) and (positions.min() < 0 or positions.max() >= size):
        raise ValueError(f"{name}: positions from 0 to {size - 1}, not {positions.min()} to {positions.max()}")


def _check_owners(name: str, owner: Positions) -> None:
    if owner.ndim != 1 or owner.dtype != np.int64:
        raise ValueError(f"{name}: an array of int64 of one dimension, not {owner.dtype} of {owner.ndim}")
    if owner.min(initial=0) < UNKNOWN_OWNER:
        raise ValueError(f"{name}: numbers from 0 on, {UNKNOWN_OWNER} where it is unknown; not {owner.min()}")


def _check_log_odds(log_odds: NDArray[np.float64]) -> None:
    if log_odds.ndim != 1 or log_odds.dtype != np.float64:
        raise ValueError(f"log_odds: an array of float64 of one dimension, not {log_odds.dtype} of {log_odds.ndim}")
    if not np.all(np.abs(log_odds) <= LIMIT):
        raise ValueError(f"log_odds: numbers from {-LIMIT:g} to {LIMIT:g}, neither missing nor infinite")
