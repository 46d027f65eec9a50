"""The listings that are someone's business, as the workbench lists them: an organisation's own, or a node's."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_, true
from sqlmodel import Session, col, select

from app.access import Principal, Role
from app.queries import listings
from app.tables import ListingRow, OrganisationRow, PairingRow, PersonRow, StepRow

NAMES = 200  # organisations that are offered for a choice

SORTS = {  # by which time, and whether the latest comes first
    "changed": ("updated_at", True),
    "waiting": ("updated_at", False),
    "ending": ("expires_at", False),
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the list is narrowed to; empty narrows nothing. `text` stands in the reference or the title."""

    status: str = ""
    side: str = ""
    field: str = ""
    organisation: str = ""  # part of its name
    text: str = ""


def counts(session: Session, who: Principal, chosen: Chosen) -> dict[str, int]:
    """How many there are of each status, whatever status is chosen."""
    found = select(ListingRow.status, func.count()).where(held(who), *_narrowed(chosen)).group_by(ListingRow.status)
    return dict(session.exec(found).all())


def page(
    session: Session,
    who: Principal,
    chosen: Chosen,
    sort: str,
    after: tuple[datetime, str] | None,
    limit: int,
    *,
    few: bool = False,
) -> list[tuple[ListingRow, str]]:
    """The next `limit`, each with its organisation's name, after a place (a time and an id) of that order.

    `few`: so few are chosen that they are best looked up and then sorted. Else listings are read in their order until
    enough of them fit, and what they must fit is hidden from the planner, who would sort nearly all there are.
    """
    name, latest_first = SORTS[sort]
    when, own_id = col(getattr(ListingRow, name)), col(ListingRow.id)
    conditions = [held(who), *_narrowed(chosen)]
    if chosen.status:
        conditions.append((col(ListingRow.status) if few else func.coalesce(ListingRow.status, "")) == chosen.status)
    if sort == "ending":
        conditions.append(when.is_not(None))
    if after is not None:
        at, listing_id = after
        beyond = (when < at, own_id < listing_id) if latest_first else (when > at, own_id > listing_id)
        conditions.append(or_(beyond[0], and_(when == at, beyond[1])))
    found = select(ListingRow, OrganisationRow.name).join(OrganisationRow)
    found = found.where(own_id.in_(select(ListingRow.id).where(*conditions)) if few else and_(*conditions))
    order = (when.desc(), own_id.desc()) if latest_first else (when, own_id)
    return list(session.exec(found.order_by(*order).limit(limit)).all())


def held(who: Principal) -> ColumnElement[bool]:
    """`Principal.holds`, as a condition on listings."""
    if who.role is Role.PARTNER:
        return col(ListingRow.organisation_id) == who.organisation
    return true() if who.sees_all else listings.owned_by(col(OrganisationRow.node_id).in_(sorted(who.nodes or ())))


def organisation_names(session: Session, who: Principal) -> list[str]:
    """Names of organisations that a manager posts for, in their order; not all where there are many."""
    found = select(OrganisationRow.name).distinct()
    if not who.sees_all:
        found = found.where(col(OrganisationRow.node_id).in_(sorted(who.nodes or ())))
    return list(session.exec(found.order_by(OrganisationRow.name).limit(NAMES)))


def organisations_named(session: Session, who: Principal, name: str) -> list[OrganisationRow]:
    """The organisations of that name that a manager posts for: one a node, at most."""
    found = select(OrganisationRow).where(func.lower(OrganisationRow.name) == func.lower(name))
    if not who.sees_all:
        found = found.where(col(OrganisationRow.node_id).in_(sorted(who.nodes or ())))
    return list(session.exec(found.order_by(OrganisationRow.id)))


def consents(session: Session, row: ListingRow) -> list[tuple[str, datetime]]:
    """The pairings for which this listing's side has agreed to be introduced, and when."""
    ours = PairingRow.offer_id if row.side == "offer" else PairingRow.need_id
    found = select(StepRow.pairing_id, StepRow.at).join(PairingRow)
    found = found.where(ours == row.id, col(StepRow.consent).is_(True), StepRow.side == row.side)
    return list(session.exec(found.order_by(col(StepRow.at).desc())).all())


def names_of(session: Session, who: Principal, labels: Collection[str]) -> dict[str, str]:
    """The names of the persons among those who acted, by their label; for a partner those of its own people."""
    ids = sorted({label.removeprefix("person:") for label in labels if label.startswith("person:")})
    found = select(PersonRow.id, PersonRow.name).where(col(PersonRow.id).in_(ids))
    if who.role is Role.PARTNER:
        found = found.where(col(PersonRow.organisation_id) == who.organisation)
    return {f"person:{person_id}": name for person_id, name in session.exec(found)}


def _narrowed(chosen: Chosen) -> list[ColumnElement[bool]]:
    found = list(listings.told(listings.Wanted(field=chosen.field or None)))
    if chosen.side:
        found.append(col(ListingRow.side) == chosen.side)
    if chosen.organisation:
        found.append(listings.owned_by(col(OrganisationRow.name).icontains(chosen.organisation, autoescape=True)))
    if chosen.text:
        title = col(ListingRow.title_folded).contains(chosen.text.casefold(), autoescape=True)
        found.append(or_(title, col(ListingRow.reference).icontains(chosen.text, autoescape=True)))
    return found
