"""What the overview counts: few statements, each a plain pass over a table or over an index.

What a listing's JSON says is read once for each version of a listing and not joined to pairings here: on SQLite that
takes ten times as long as doing so in memory.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from app.tables import ListingRow, NodeRow, OrganisationRow, PairingRow, RevisionRow, StepRow


class NodeFacts(NamedTuple):
    """A node and how many organisations it has."""

    id: str
    name: str
    country: str | None
    place: str | None
    organisations: int


class ListingFacts(NamedTuple):
    """Of a listing what is counted. Codes are in capitals; `field` is the first, as corrected or as its author says."""

    id: str
    node: str
    created_at: datetime
    side: str
    status: str
    country: str | None
    region: str | None
    field: str | None


class PairingFacts(NamedTuple):
    """Of a pairing what is counted."""

    id: str
    offer: str
    need: str
    created_at: datetime
    direction: str | None
    state: str


class Told(NamedTuple):
    """A step that a person took, with the probability that they had before them."""

    pairing: str
    at: datetime
    action: str
    reason: str | None
    probability: float


def mark(session: Session) -> tuple[int, int]:
    """Changes with whatever is counted here but the nodes: every write of a listing, every step of a pairing."""
    written = session.exec(select(RevisionRow.number)).one()
    return written, session.exec(select(func.count()).select_from(StepRow)).one()


def nodes(session: Session) -> list[NodeFacts]:
    """All nodes by name."""
    own = tuple(col(one) for one in (NodeRow.id, NodeRow.name, NodeRow.country, NodeRow.place))
    chosen: Any = columns(*own, func.count(col(OrganisationRow.id)))
    chosen = chosen.outerjoin(OrganisationRow, col(OrganisationRow.node_id) == col(NodeRow.id))
    chosen = chosen.group_by(*own).order_by(col(NodeRow.name))
    return [NodeFacts(*row) for row in session.connection().execute(chosen)]


def listings(session: Session, after: int) -> list[ListingFacts]:
    """All listings written after a revision."""
    chosen: Any = columns(
        col(ListingRow.id),
        col(OrganisationRow.node_id),
        col(ListingRow.created_at),
        col(ListingRow.side),
        col(ListingRow.status),
        col(ListingRow.country),
        func.upper(col(ListingRow.record)["region"].as_string()),
        col(ListingRow.field_codes),
    )
    chosen = chosen.join(OrganisationRow, col(ListingRow.organisation_id) == col(OrganisationRow.id))
    chosen = chosen.where(col(ListingRow.revision) > after)
    rows = (ListingFacts(*row) for row in session.connection().execute(chosen))
    return [one._replace(field=one.field.split("|")[1] if one.field else None) for one in rows]


def pairings(session: Session) -> list[PairingFacts]:
    """All pairings."""
    names = ("id", "offer_id", "need_id", "created_at", "direction", "state")
    chosen: Any = columns(*(col(getattr(PairingRow, name)) for name in names))
    return [PairingFacts(*row) for row in session.connection().execute(chosen)]


def arrivals(session: Session, states: Collection[str]) -> list[tuple[str, str, datetime]]:
    """When pairings came to these states for the first time: the pairing's id, the state, the time."""
    pair, state = col(StepRow.pairing_id), col(StepRow.state_after)
    chosen = columns(pair, state, func.min(StepRow.at)).where(state.in_(sorted(states))).group_by(pair, state)
    return [(pairing, arrived, at) for pairing, arrived, at in session.connection().execute(chosen)]


def told(session: Session, actions: Collection[str]) -> list[Told]:
    """People's steps of these kinds, each pairing's oldest first.

    Steps about texts that have changed since are left out: the probability is no longer the one that was shown.
    """
    chosen: Any = columns(
        col(StepRow.pairing_id), col(StepRow.at), col(StepRow.action), col(StepRow.reason), col(PairingRow.probability)
    )
    chosen = chosen.join(PairingRow, col(PairingRow.id) == col(StepRow.pairing_id))
    chosen = chosen.where(col(StepRow.actor_kind) != "system", col(StepRow.action).in_(sorted(actions)))
    chosen = chosen.where(col(StepRow.offer_version) == col(PairingRow.offer_version))
    chosen = chosen.where(col(StepRow.need_version) == col(PairingRow.need_version))
    chosen = chosen.order_by(col(StepRow.pairing_id), col(StepRow.number))
    return [Told(*row) for row in session.connection().execute(chosen)]
