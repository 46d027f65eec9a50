"""The queue of proposals: one after the other by probability, and how many there are of each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import ColumnElement, or_
from sqlmodel import Session, col, select

from app.access import Principal
from app.queries.listings import has_field
from app.queries.pairings import NEED, OFFER, OFFERER, SEEKER, visible_to
from app.tables import ListingRow, OrganisationRow, PairingRow

PROPOSED = "proposed"
UNKNOWN = "unknown"  # asks for what a listing does not say
LEVELS = (0.9, 0.8, 0.7, 0.6, 0.5)
FACETS = ("direction", "field", "country", "node")

Place = tuple[float, str]  # a probability and an id


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the queue is narrowed to; empty narrows nothing. Field, country and node are those of either side."""

    direction: str = ""
    field: str = ""
    country: str = ""
    node: str = ""
    least: float = 0.0


@dataclass(frozen=True, slots=True)
class Counts:
    """How many proposals there are, and of each value of a facet how many there would be if that were chosen."""

    total: int = 0
    of: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in FACETS})
    levels: Counter[float] = field(default_factory=Counter)


class Told(NamedTuple):
    """What can be chosen of a listing."""

    node: str
    country: str
    fields: frozenset[str]


def nearest(session: Session, who: Principal, chosen: Chosen, place: Place | None, *, back: bool) -> PairingRow | None:
    """The proposal that follows a place, or the one before it; the first of all where there is no place."""
    wanted = (
        select(PairingRow)
        .join(OFFER, col(PairingRow.offer_id) == col(OFFER.id))
        .join(NEED, col(PairingRow.need_id) == col(NEED.id))
        .join(OFFERER, col(OFFER.organisation_id) == col(OFFERER.id))
        .join(SEEKER, col(NEED.organisation_id) == col(SEEKER.id))
        .where(PairingRow.state == PROPOSED, visible_to(who, ()), *_narrowed(chosen))
    )
    probability, name = col(PairingRow.probability), col(PairingRow.id)
    if place is not None and back:
        wanted = wanted.where(probability >= place[0], or_(probability > place[0], name < place[1]))
    elif place is not None:  # the plain bound is what an index can follow
        wanted = wanted.where(probability <= place[0], or_(probability < place[0], name > place[1]))
    order = (probability, name.desc()) if back else (probability.desc(), name)
    return session.exec(wanted.order_by(*order).limit(1)).first()


def counts(session: Session, who: Principal, chosen: Chosen) -> Counts:
    """How many proposals there are for each choice, under the other choices."""
    total, found = 0, Counts()
    for (level, direction, one, other), number in _kinds(session).items():
        nodes = {one.node, other.node}
        if not (who.sees_all or nodes & (who.nodes or set())):
            continue
        fields, countries = one.fields | other.fields, {one.country, other.country}
        values = {"direction": {direction or UNKNOWN}, "field": fields, "country": countries, "node": nodes}
        missed = [name for name in FACETS if (wanted := getattr(chosen, name)) and wanted not in values[name]]
        if not missed:
            for reached in LEVELS:
                found.levels[reached] += number if level >= reached else 0
        if level < chosen.least or len(missed) > 1:
            continue
        total += 0 if missed else number
        for name in missed or FACETS:
            for value in values[name]:
                found.of[name][value] += number
    return Counts(total, found.of, found.levels)


def _kinds(session: Session) -> Counter[tuple[float, str | None, Told, Told]]:
    """How many proposals there are of each kind: the level that they reach, the direction, and what the sides tell."""
    told = _told(session)
    rows = session.exec(
        select(PairingRow.offer_id, PairingRow.need_id, PairingRow.probability, PairingRow.direction).where(
            PairingRow.state == PROPOSED
        )
    )
    return Counter(
        (next((level for level in LEVELS if probability >= level), 0.0), direction, told[offer], told[need])
        for offer, need, probability, direction in rows
    )


def _told(session: Session) -> dict[str, Told]:
    """What each listing that takes part in a proposal tells."""
    proposed = PairingRow.state == PROPOSED
    taking_part = select(PairingRow.offer_id).where(proposed).union(select(PairingRow.need_id).where(proposed))
    rows = session.execute(
        select(ListingRow.id, OrganisationRow.node_id, ListingRow.country, ListingRow.field_codes)
        .join(OrganisationRow, col(ListingRow.organisation_id) == col(OrganisationRow.id))
        .where(col(ListingRow.id).in_(taking_part))
    )
    return {name: Told(node, country or UNKNOWN, _listed(codes)) for name, node, country, codes in rows}


def _listed(codes: str) -> frozenset[str]:
    return frozenset(codes.strip("|").split("|")) if codes else frozenset((UNKNOWN,))


def _narrowed(chosen: Chosen) -> Iterator[ColumnElement[bool]]:
    if chosen.direction:
        direction = col(PairingRow.direction)
        yield direction.is_(None) if chosen.direction == UNKNOWN else direction == chosen.direction
    if chosen.field:
        yield or_(*(_has_field(listing, chosen.field) for listing in (OFFER, NEED)))
    if chosen.country:
        countries = [col(listing.country) for listing in (OFFER, NEED)]
        yield or_(*(one.is_(None) if chosen.country == UNKNOWN else one == chosen.country for one in countries))
    if chosen.node:
        yield or_(*(col(owner.node_id) == chosen.node for owner in (OFFERER, SEEKER)))
    if chosen.least:
        yield col(PairingRow.probability) >= chosen.least


def _has_field(listing: type[ListingRow], name: str) -> ColumnElement[bool]:
    return col(listing.field_codes) == "" if name == UNKNOWN else has_field(listing, name)
