"""The board of pairings: how many stand in each state, and the next ones of a state with both sides."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, and_, func, or_, union_all
from sqlmodel import Session, col, select

from app.access import Principal, Role
from app.queries import listings
from app.queries.pairings import NEED, OFFER, OFFERER, SEEKER, Sides, visible_to
from app.tables import ListingRow, OrganisationRow, PairingRow


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the board is narrowed to; None and empty narrow nothing. `longest`: those first that wait longest."""

    direction: str | None = None
    field: str | None = None
    country: str | None = None
    node: str | None = None
    before: datetime | None = None  # in their state since then or longer
    text: str = ""
    longest: bool = False

    @property
    def is_all(self) -> bool:
        """Whether nothing is narrowed."""
        return replace(self, longest=False) == Wanted()


@dataclass(frozen=True, slots=True)
class Placed:
    """A pairing on the board."""

    row: PairingRow
    sides: Sides


def counts(session: Session, who: Principal, wanted: Wanted, shown: Collection[str]) -> dict[str, int]:
    """How many pairings `who` sees in each state. `shown`: as `queries.pairings.visible_to` has it."""
    chosen = _joined(select(col(PairingRow.state), func.count()), who, wanted, shown).group_by(col(PairingRow.state))
    return dict(session.exec(chosen).all())


def board(
    session: Session, who: Principal, wanted: Wanted, states: Collection[str], limit: int, shown: Collection[str]
) -> dict[str, tuple[int, list[str]]]:
    """Of each state that has some: how many pairings `who` sees, and the first ones by id."""
    if who.sees_all and wanted.is_all:  # then an index has the order: nothing is sorted
        totals = counts(session, who, wanted, shown)
        return {name: (totals[name], _first(session, wanted, name, limit)) for name in states if name in totals}
    own = select(col(PairingRow.id), col(PairingRow.state), _place(wanted)[0].label("place"))
    own = _joined(own, who, wanted, shown).where(col(PairingRow.state).in_(sorted(states)))
    chosen = own.cte("chosen").prefix_with("MATERIALIZED").c
    firsts = []
    for name in states:
        total = sqlalchemy.select(func.count()).where(chosen.state == name).scalar_subquery().label("total")
        of_state = sqlalchemy.select(chosen.state, total, chosen.id, chosen.place).where(chosen.state == name)
        firsts.append(sqlalchemy.select(of_state.order_by(*_in_order(chosen, wanted)).limit(limit).subquery()))
    together = union_all(*firsts).subquery()
    found = dict[str, tuple[int, list[str]]]()
    in_order = sqlalchemy.select(together).order_by(*_in_order(together.c, wanted))
    for state, total, pairing_id, _ in session.connection().execute(in_order):
        found.setdefault(state, (total, []))[1].append(pairing_id)
    return found


def _in_order(columns: Any, wanted: Wanted) -> tuple[Any, Any]:
    return columns.place if wanted.longest else columns.place.desc(), columns.id


def _first(session: Session, wanted: Wanted, state: str, limit: int) -> list[str]:
    chosen = select(PairingRow.id).where(PairingRow.state == state)
    return list(session.exec(chosen.order_by(_place(wanted)[1], col(PairingRow.id)).limit(limit)))


def next_of(
    session: Session,
    who: Principal,
    wanted: Wanted,
    state: str,
    after: tuple[float | datetime, str],
    limit: int,
    shown: Collection[str],
) -> list[str]:
    """The next pairings of a state, by id, after a probability (or a time, if `wanted.longest`) and an id."""
    place, order = _place(wanted)
    value, name = after
    later = or_(place > value if wanted.longest else place < value, and_(place == value, col(PairingRow.id) > name))
    chosen = _joined(select(col(PairingRow.id)), who, wanted, shown).where(PairingRow.state == state, later)
    return list(session.exec(chosen.order_by(order, col(PairingRow.id)).limit(limit)).all())


def placed(session: Session, ids: Collection[str]) -> dict[str, Placed]:
    """Pairings by their ids."""
    rows = _with_sides(sqlalchemy.select(PairingRow, OFFER, NEED, OFFERER, SEEKER).select_from(PairingRow))
    chosen = rows.where(col(PairingRow.id).in_(list(ids)))
    return {row.id: Placed(row, Sides(*both)) for row, *both in session.exec(chosen)}


def _place(wanted: Wanted) -> tuple[Any, Any]:
    """By what the pairings of a column are ordered, and in which way."""
    since, probability = col(PairingRow.since), col(PairingRow.probability)
    return (since, since.asc()) if wanted.longest else (probability, probability.desc())


def _joined(chosen: Any, who: Principal, wanted: Wanted, shown: Collection[str]) -> Any:
    """A selection of pairings with what is wanted of them; both sides are only joined where that matters."""
    chosen = chosen.select_from(PairingRow).where(*_narrowing(wanted))
    if who.role is Role.PARTNER:  # whose few are, which visible_to says too; this an index can follow
        own = _either(col(ListingRow.organisation_id) == who.organisation)
        return _with_sides(chosen).where(own, visible_to(who, shown))
    if not who.sees_all:
        chosen = chosen.where(_either(_in_nodes(sorted(who.nodes or ()))))
    return chosen


def _with_sides(chosen: Any) -> Any:
    return (
        chosen.join(OFFER, col(PairingRow.offer_id) == col(OFFER.id))
        .join(NEED, col(PairingRow.need_id) == col(NEED.id))
        .join(OFFERER, col(OFFER.organisation_id) == col(OFFERER.id))
        .join(SEEKER, col(NEED.organisation_id) == col(SEEKER.id))
    )


def _narrowing(wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    if wanted.direction is not None:
        yield col(PairingRow.direction) == wanted.direction
    if wanted.field is not None or wanted.country is not None:
        yield _either(*listings.told(listings.Wanted(field=wanted.field, country=wanted.country)))
    if wanted.node is not None:
        yield _either(_in_nodes([wanted.node]))
    if wanted.before is not None:
        yield col(PairingRow.since) <= wanted.before
    if wanted.text:
        named = col(OrganisationRow.name).icontains(wanted.text, autoescape=True)
        title = col(ListingRow.title_folded).contains(wanted.text.casefold(), autoescape=True)
        yield _either(or_(title, listings.owned_by(named)))


def _either(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether one of the two listings fulfils all of this; they are found first and once, and not for each pairing."""
    found = select(ListingRow.id).where(*conditions).cte().prefix_with("MATERIALIZED")
    chosen = sqlalchemy.select(found.c.id)
    return or_(col(PairingRow.offer_id).in_(chosen), col(PairingRow.need_id).in_(chosen))


def _in_nodes(nodes: Collection[str]) -> ColumnElement[bool]:
    return listings.owned_by(col(OrganisationRow.node_id).in_(nodes))
