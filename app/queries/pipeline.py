"""The board of pairings: how many stand in each state, and the next ones of a state with both sides."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, and_, func, or_
from sqlmodel import Session, col, select

from app.access import Principal
from app.queries import listings
from app.queries.pairings import NEED, OFFER, OFFERER, SEEKER, Sides, visible_to
from app.tables import PairingRow, StepRow

ENTERED: ColumnElement[datetime] = (  # when a pairing came into the state that it is in
    select(func.max(StepRow.at))
    .where(col(StepRow.pairing_id) == col(PairingRow.id))
    .where(or_(col(StepRow.state_before).is_(None), col(StepRow.state_before) != col(StepRow.state_after)))
    .correlate(PairingRow)
    .scalar_subquery()
)


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


@dataclass(frozen=True, slots=True)
class Placed:
    """A pairing on the board, and since when it is in its state."""

    row: PairingRow
    sides: Sides
    since: datetime


def counts(session: Session, who: Principal, wanted: Wanted, shown: Collection[str]) -> dict[str, int]:
    """How many pairings `who` sees in each state. `shown`: as `queries.pairings.visible_to` has it."""
    chosen = _joined(select(col(PairingRow.state), func.count()), who, wanted, shown).group_by(col(PairingRow.state))
    return dict(session.exec(chosen).all())


def next_of(
    session: Session,
    who: Principal,
    wanted: Wanted,
    state: str,
    after: tuple[float | datetime, str] | None,
    limit: int,
    shown: Collection[str],
) -> list[str]:
    """The next pairings of a state, by id, after a probability (or a time, if `wanted.longest`) and an id."""
    chosen = _joined(select(col(PairingRow.id)), who, wanted, shown).where(PairingRow.state == state)
    probability = col(PairingRow.probability)
    place, order = (ENTERED, ENTERED.asc()) if wanted.longest else (probability, probability.desc())
    if after is not None:
        value, name = after
        later = place > value if wanted.longest else place < value
        chosen = chosen.where(or_(later, and_(place == value, col(PairingRow.id) > name)))
    return list(session.exec(chosen.order_by(order, col(PairingRow.id)).limit(limit)).all())


def placed(session: Session, ids: Collection[str]) -> dict[str, Placed]:
    """Pairings by their ids."""
    rows = _with_sides(sqlalchemy.select(PairingRow, OFFER, NEED, OFFERER, SEEKER, ENTERED))
    chosen = rows.where(col(PairingRow.id).in_(list(ids)))
    return {row.id: Placed(row, Sides(*both), since) for row, *both, since in session.exec(chosen)}


def _joined(chosen: Any, who: Principal, wanted: Wanted, shown: Collection[str]) -> Any:
    return _with_sides(chosen).where(visible_to(who, shown), *_narrowing(wanted))


def _with_sides(chosen: Any) -> Any:
    return (
        chosen.select_from(PairingRow)
        .join(OFFER, col(PairingRow.offer_id) == col(OFFER.id))
        .join(NEED, col(PairingRow.need_id) == col(NEED.id))
        .join(OFFERER, col(OFFER.organisation_id) == col(OFFERER.id))
        .join(SEEKER, col(NEED.organisation_id) == col(SEEKER.id))
    )


def _narrowing(wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    if wanted.direction is not None:
        yield col(PairingRow.direction) == wanted.direction
    if wanted.field is not None or wanted.country is not None:
        either = listings.Wanted(field=wanted.field, country=wanted.country)
        yield or_(*(and_(*listings.told(either, listing)) for listing in (OFFER, NEED)))
    if wanted.node is not None:
        yield or_(col(OFFERER.node_id) == wanted.node, col(SEEKER.node_id) == wanted.node)
    if wanted.before is not None:
        yield wanted.before >= ENTERED
    if wanted.text:
        titles = (col(listing.record)["title"].as_string() for listing in (OFFER, NEED))
        names = (col(organisation.name) for organisation in (OFFERER, SEEKER))
        yield or_(*(text.icontains(wanted.text, autoescape=True) for text in (*titles, *names)))
