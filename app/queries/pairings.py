"""Pairings, their steps and contracts, screenings, exchanges."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sqlalchemy import ColumnElement, and_, func, insert, or_, true
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from app.access import Principal, Role
from app.tables import ContractRow, ListingRow, OrganisationRow, PairingRow, ScreeningRow, StepRow

BLOCK = 500  # SQLite takes a limited number of values in one statement

OFFER, NEED = aliased(ListingRow), aliased(ListingRow)
OFFERER, SEEKER = aliased(OrganisationRow), aliased(OrganisationRow)


@dataclass(frozen=True, slots=True)
class Sides:
    """Both listings of a pairing and their owners."""

    offer: ListingRow
    need: ListingRow
    offerer: OrganisationRow
    seeker: OrganisationRow

    @property
    def both(self) -> tuple[ListingRow, ListingRow]:
        return self.offer, self.need


def of_listings(session: Session, offer_id: str, need_id: str) -> PairingRow | None:
    """The pairing of an offer and a need."""
    chosen = select(PairingRow).where(PairingRow.offer_id == offer_id, PairingRow.need_id == need_id)
    return session.exec(chosen).first()


def of_pairs(session: Session, pairs: Collection[tuple[str, str]]) -> dict[tuple[str, str], PairingRow]:
    """The pairings of these offers and needs that there are."""
    wanted, found = set(pairs), dict[tuple[str, str], PairingRow]()
    offers = sorted({offer for offer, _ in wanted})
    for start in range(0, len(offers), BLOCK):
        rows = session.exec(select(PairingRow).where(col(PairingRow.offer_id).in_(offers[start : start + BLOCK])))
        found.update((key, row) for row in rows if (key := (row.offer_id, row.need_id)) in wanted)
    return found


def published_versions(session: Session, ids: Collection[str]) -> dict[str, int]:
    """The versions of those of the listings that are published, by id."""
    wanted, found = sorted(ids), dict[str, int]()
    for start in range(0, len(wanted), BLOCK):
        block = col(ListingRow.id).in_(wanted[start : start + BLOCK])
        chosen = select(ListingRow.id, ListingRow.version).where(block, ListingRow.status == "published")
        found.update(session.exec(chosen).all())
    return found


def add_with_steps(session: Session, rows: Sequence[PairingRow], steps: Sequence[StepRow]) -> None:
    """Add many pairings, each with the first step of its history, in two statements."""
    if rows:
        session.connection().execute(insert(PairingRow), [row.model_dump() for row in rows])
        session.connection().execute(insert(StepRow), [step.model_dump() for step in steps])


def sides(session: Session, pairing: PairingRow) -> Sides:
    """Both listings of a pairing and their owners."""
    offer, need = session.get(ListingRow, pairing.offer_id), session.get(ListingRow, pairing.need_id)
    assert offer is not None
    assert need is not None
    offerer = session.get(OrganisationRow, offer.organisation_id)
    seeker = session.get(OrganisationRow, need.organisation_id)
    assert offerer is not None
    assert seeker is not None
    return Sides(offer, need, offerer, seeker)


def steps(session: Session, pairing_id: str) -> list[StepRow]:
    """The history of a pairing, the oldest step first."""
    return list(session.exec(select(StepRow).where(StepRow.pairing_id == pairing_id).order_by(col(StepRow.number))))


def histories(session: Session) -> Iterator[tuple[PairingRow, list[StepRow]]]:
    """All pairings with their steps, the oldest first, by id."""
    chosen = select(PairingRow, StepRow).join(StepRow, col(StepRow.pairing_id) == col(PairingRow.id))
    rows = session.exec(chosen.order_by(col(PairingRow.id), col(StepRow.number)))
    for _, own in groupby(rows, key=lambda pair: pair[0].id):
        pairs = list(own)
        yield pairs[0][0], [step for _, step in pairs]


def last_step(session: Session, pairing_id: str) -> StepRow | None:
    """The newest step of a pairing."""
    own = select(StepRow).where(StepRow.pairing_id == pairing_id).order_by(col(StepRow.number).desc()).limit(1)
    return session.exec(own).first()


def touching(session: Session, listing_ids: Collection[str], states: Collection[str]) -> list[PairingRow]:
    """Pairings in these states that one of the listings takes part in, in the order of their ids."""
    wanted, found = sorted(listing_ids), dict[str, PairingRow]()
    for start in range(0, len(wanted), BLOCK):
        block = wanted[start : start + BLOCK]
        either = or_(col(PairingRow.offer_id).in_(block), col(PairingRow.need_id).in_(block))
        rows = session.exec(select(PairingRow).where(either, col(PairingRow.state).in_(sorted(states))))
        found.update((row.id, row) for row in rows)
    return [found[key] for key in sorted(found)]


def unfound(session: Session, run: str, state: str, up_to: int, after: str, limit: int) -> list[PairingRow]:
    """The next pairings by id in a state that another run found, of listings written up to a revision."""
    chosen = (
        select(PairingRow)
        .join(OFFER, col(PairingRow.offer_id) == col(OFFER.id))
        .join(NEED, col(PairingRow.need_id) == col(NEED.id))
        .where(PairingRow.state == state, PairingRow.run != run, col(PairingRow.id) > after)
        .where(col(OFFER.revision) <= up_to, col(NEED.revision) <= up_to)
    )
    return list(session.exec(chosen.order_by(col(PairingRow.id)).limit(limit)))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list of pairings is narrowed to; None narrows nothing."""

    states: Sequence[str] = ()
    direction: str | None = None
    listing: str | None = None
    organisation: str | None = None


def page(
    session: Session,
    who: Principal,
    wanted: Wanted,
    after: tuple[float, str] | None,
    limit: int,
    shown: Collection[str],
) -> list[PairingRow]:
    """The next `limit` pairings that `who` may see, the most probable first, after a (probability, id).

    `shown`: the states in which a partner sees a pairing whose other side it may not read by itself.
    """
    chosen = (
        select(PairingRow)
        .join(OFFER, col(PairingRow.offer_id) == col(OFFER.id))
        .join(NEED, col(PairingRow.need_id) == col(NEED.id))
        .join(OFFERER, col(OFFER.organisation_id) == col(OFFERER.id))
        .join(SEEKER, col(NEED.organisation_id) == col(SEEKER.id))
        .where(visible_to(who, shown))
    )
    if wanted.states:
        chosen = chosen.where(col(PairingRow.state).in_(wanted.states))
    if wanted.direction is not None:
        chosen = chosen.where(PairingRow.direction == wanted.direction)
    if wanted.listing is not None:
        chosen = chosen.where(
            or_(col(PairingRow.offer_id) == wanted.listing, col(PairingRow.need_id) == wanted.listing)
        )
    if wanted.organisation is not None:
        both = ((OFFERER, OFFER), (SEEKER, NEED))
        chosen = chosen.where(
            or_(*(and_(col(of.id) == wanted.organisation, _tells_whose(who, one)) for of, one in both))
        )
    if after is not None:
        probability, pairing_id = after
        later = and_(col(PairingRow.probability) == probability, col(PairingRow.id) > pairing_id)
        chosen = chosen.where(or_(col(PairingRow.probability) < probability, later))
    return list(session.exec(chosen.order_by(col(PairingRow.probability).desc(), col(PairingRow.id)).limit(limit)))


def visible_to(who: Principal, shown: Collection[str]) -> ColumnElement[bool]:
    """`app.pairings.may_see`, as a condition. `shown`: the states that a partner sees whatever the other side shows."""
    if who.sees_all:
        return true()
    if who.role is not Role.PARTNER:
        nodes = sorted(who.nodes or ())
        return or_(col(OFFERER.node_id).in_(nodes), col(SEEKER.node_id).in_(nodes))
    told = col(PairingRow.state).in_(sorted(shown))
    return or_(
        and_(col(OFFERER.id) == who.organisation, or_(told, _open(NEED))),
        and_(col(SEEKER.id) == who.organisation, or_(told, _open(OFFER))),
    )


def _tells_whose(who: Principal, listing: type[ListingRow]) -> ColumnElement[bool]:
    """Whether somebody may be told whose a listing is, so that a list narrowed by it tells nothing more."""
    return or_(col(listing.organisation_id) == who.organisation, _open(listing)) if who.role is Role.PARTNER else true()


def _open(listing: type[ListingRow]) -> ColumnElement[bool]:
    return and_(col(listing.status) == "published", col(listing.disclosure).in_(["public", "registered"]))


def contract(session: Session, pairing_id: str) -> ContractRow | None:
    """The contract of a pairing."""
    return session.get(ContractRow, pairing_id)


def screenings(session: Session, listing_id: str) -> list[ScreeningRow]:
    """All screenings of an offer, the newest first."""
    chosen = select(ScreeningRow).where(ScreeningRow.listing_id == listing_id)
    newest = (col(ScreeningRow.screened_at).desc(), col(ScreeningRow.version).desc(), col(ScreeningRow.number).desc())
    return list(session.exec(chosen.order_by(*newest)))


def screening(session: Session, listing_id: str, version: int, catalogue: str) -> ScreeningRow | None:
    """The newest screening of that version of an offer against that catalogue."""
    chosen = select(ScreeningRow).where(
        ScreeningRow.listing_id == listing_id, ScreeningRow.version == version, ScreeningRow.catalogue == catalogue
    )
    return session.exec(chosen.order_by(col(ScreeningRow.number).desc()).limit(1)).first()


def catalogues(session: Session) -> list[tuple[str, datetime, datetime, int]]:
    """Each catalogue that offers were screened against, the latest first: first and last time, and how often."""
    at = col(ScreeningRow.screened_at)
    chosen = select(ScreeningRow.catalogue, func.min(at), func.max(at), func.count())
    return list(session.exec(chosen.group_by(col(ScreeningRow.catalogue)).order_by(func.max(at).desc())).all())


def offers_to_screen(
    session: Session, catalogue: str, states: Collection[str], directions: Collection[str], limit: int
) -> list[ListingRow]:
    """The first offers of pairings in these states, in these directions or in none, not yet screened as they are."""
    done = select(ScreeningRow.id).where(
        ScreeningRow.listing_id == ListingRow.id,
        ScreeningRow.version == ListingRow.version,
        ScreeningRow.catalogue == catalogue,
    )
    leaves = or_(col(PairingRow.direction).in_(sorted(directions)), col(PairingRow.direction).is_(None))
    wanted = select(PairingRow.offer_id).where(col(PairingRow.state).in_(sorted(states)), leaves)
    chosen = select(ListingRow).where(col(ListingRow.id).in_(wanted), ~done.exists()).order_by(col(ListingRow.id))
    return list(session.exec(chosen.limit(limit)))


def undecided(
    session: Session, who: Principal, catalogue: str, states: Collection[str], limit: int
) -> list[ScreeningRow]:
    """Present screenings without a decision, of offers in pairings in these states that are `who`'s business."""
    chosen = (
        select(ScreeningRow)
        .join(ListingRow, col(ScreeningRow.listing_id) == col(ListingRow.id))
        .join(OrganisationRow, col(ListingRow.organisation_id) == col(OrganisationRow.id))
        .where(col(ScreeningRow.version) == col(ListingRow.version), ScreeningRow.catalogue == catalogue)
        .where(col(ScreeningRow.decision).is_(None))
        .where(col(ListingRow.id).in_(select(PairingRow.offer_id).where(col(PairingRow.state).in_(sorted(states)))))
    )
    if not who.sees_all:
        chosen = chosen.where(col(OrganisationRow.node_id).in_(sorted(who.nodes or ())))
    return list(session.exec(chosen.order_by(col(ScreeningRow.screened_at), col(ScreeningRow.id)).limit(limit)))


def counted(session: Session) -> dict[str, int]:
    """How many pairings stand in each state."""
    rows = session.exec(select(PairingRow.state, func.count()).group_by(PairingRow.state))
    return dict(rows.all())


def exchanges(session: Session, states: Collection[str]) -> Iterator[tuple[PairingRow, PairingRow, str, str]]:
    """Pairs of pairings of opposite direction between two organisations, which come with the two's ids."""
    ways = (
        select(col(PairingRow.id), col(OFFER.organisation_id).label("giver"), col(NEED.organisation_id).label("taker"))
        .join(OFFER, col(PairingRow.offer_id) == col(OFFER.id))
        .join(NEED, col(PairingRow.need_id) == col(NEED.id))
        .where(col(PairingRow.state).in_(sorted(states)))
        .cte()
    )
    there, back = ways.alias(), ways.alias()
    first, second = aliased(PairingRow), aliased(PairingRow)
    chosen = (
        select(first, second, there.c.giver, there.c.taker)
        .join(there, there.c.id == col(first.id))
        .join(back, and_(back.c.giver == there.c.taker, back.c.taker == there.c.giver))
        .join(second, col(second.id) == back.c.id)
        .where(there.c.giver < there.c.taker)
        .order_by((col(first.probability) * col(second.probability)).desc(), col(first.id), col(second.id))
    )
    yield from session.exec(chosen)
