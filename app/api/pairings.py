"""Pairings: the queue, the steps, the contacts, the contract; exchanges."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from sqlmodel import Session

from app import listings, pairings, proposals
from app.access import Permission, Principal
from app.asking import Data, Expected, Log, Now, Search, allow
from app.errors import FieldError, Unusable
from app.pairings import TOLD, Answer, State
from app.queries import pairings as queries
from app.schemas.accounts import ContactOut
from app.schemas.pairings import (
    ContractIn,
    ContractOut,
    ExchangeOut,
    ExchangesOut,
    IntroductionOut,
    PairIn,
    PairingOut,
    PairingsOut,
    StepIn,
    StepOut,
    StepsOut,
)
from app.tables import PairingRow
from matching import Side

router = APIRouter(prefix="/api/v1", tags=["pairings"])

Page = Annotated[int, Query(ge=1, le=200)]
Viewer = Annotated[Principal, Depends(allow(Permission.PAIRINGS))]
Answerer = Annotated[Principal, Depends(allow(Permission.ANSWER))]
Decider = Annotated[Principal, Depends(allow(Permission.DECIDE))]
Contacts = Annotated[Principal, Depends(allow(Permission.CONTACTS))]


@router.get("/pairings")
def list_pairings(
    who: Viewer,
    data: Data,
    limit: Page = 50,
    cursor: str = "",
    state: Annotated[list[State] | None, Query()] = None,
    direction: str | None = None,
    listing: str | None = None,
    organisation: str | None = None,
) -> PairingsOut:
    """The pairings of your nodes, or of your organisation, the most probable first."""
    wanted = queries.Wanted(state or (), direction, listing, organisation)
    with data.reading() as session:
        rows = queries.page(session, who, wanted, _position(cursor), limit + 1, TOLD)
        items = [_rendered(session, who, row) for row in rows[:limit]]
    last = rows[limit - 1] if len(rows) > limit else None
    return PairingsOut(items=items, next_cursor=f"{last.probability!r},{last.id}" if last is not None else None)


@router.post("/pairings", status_code=201)
def take_up_pairing(
    body: PairIn, who: Answerer, data: Data, search: Search, log: Log, at: Now, response: Response
) -> PairingOut:
    """Take up an offer and a need, one of them yours, whether or not a run has proposed them."""
    with data.reading() as session:
        offer = listings.readable(session, who, body.offer)
        need = listings.readable(session, who, body.need)
        if (offer.side, need.side) != (Side.OFFER, Side.NEED):
            raise Unusable("offer, need: the sides are wrong", [FieldError("offer", "must be an offer, need a need")])
    one = search.pair(listings.listing_of(offer), listings.listing_of(need))
    with data.writing() as session:
        row = proposals.by_hand(session, who, one, at)
        row, sides = pairings.visible(session, who, row.id)
        log.record(session, who, "take-up", row.id, at)
        response.headers["ETag"] = f'"{row.version}"'
        return PairingOut.of(who, row, sides)


@router.get("/pairings/{pairing_id}")
def get_pairing(pairing_id: str, who: Viewer, data: Data, response: Response) -> PairingOut:
    """One pairing; its ETag is what a step names."""
    with data.reading() as session:
        row, sides = pairings.visible(session, who, pairing_id)
    response.headers["ETag"] = f'"{row.version}"'
    return PairingOut.of(who, row, sides)


@router.get("/pairings/{pairing_id}/steps")
def list_steps(pairing_id: str, who: Viewer, data: Data) -> StepsOut:
    """The history of a pairing, the oldest step first."""
    with data.reading() as session:
        row, _ = pairings.visible(session, who, pairing_id)
        steps = queries.steps(session, row.id)
    return StepsOut(items=[StepOut.of(one, with_note=pairings.may_read_note(who, one)) for one in steps])


@router.post("/pairings/{pairing_id}/steps", status_code=201)
def take_step(
    pairing_id: str,
    body: StepIn,
    who: Answerer,
    data: Data,
    log: Log,
    search: Search,
    at: Now,
    version: Expected,
    response: Response,
) -> PairingOut:
    """Take a step: shortlist, offer, tell interest, introduce, decline …; `possible` says what the state allows."""
    answer = Answer(body.side, body.reason, body.note, body.consent)
    with data.writing() as session:
        row, sides = pairings.visible(session, who, pairing_id)
        step = pairings.take(session, who, row, sides, body.action, answer, version, search.catalogue.digest, at)
        log.record(session, who, f"pairing.{body.action}", row.id, at, step=step.number, state=row.state)
    response.headers["ETag"] = f'"{row.version}"'
    return PairingOut.of(who, row, sides)


@router.get("/pairings/{pairing_id}/contacts")
def get_contacts(pairing_id: str, who: Contacts, data: Data, log: Log, at: Now) -> IntroductionOut:
    """Whom to write to on both sides, once they are introduced. That you read it is written down."""
    with data.writing() as session:
        sides = pairings.introduction(session, who, pairing_id)
        log.record(session, who, "contact.read", pairing_id, at, organisations=[sides.offerer.id, sides.seeker.id])
    return IntroductionOut(offer=ContactOut.of(sides.offerer), need=ContactOut.of(sides.seeker))


@router.put("/pairings/{pairing_id}/contract")
def record_contract(pairing_id: str, body: ContractIn, who: Decider, data: Data, log: Log, at: Now) -> ContractOut:
    """Record or correct the contract."""
    with data.writing() as session:
        row, _ = pairings.visible(session, who, pairing_id)
        contract = pairings.record_contract(session, who, row, body.model_dump(), at)
        log.record(session, who, "contract.record", row.id, at, **body.model_dump(mode="json"))
    return ContractOut.of(contract)


@router.get("/exchanges")
def list_exchanges(who: Viewer, data: Data, limit: Page = 50) -> ExchangesOut:
    """Organisations that each have an offer for a need of the other, the most probable first."""
    with data.reading() as session:
        found = list(islice(pairings.exchanges(session, who), limit))
    return ExchangesOut(items=[ExchangeOut.of(who, one) for one in found])


def _rendered(session: Session, who: Principal, row: PairingRow) -> PairingOut:
    return PairingOut.of(who, row, queries.sides(session, row))


def _position(cursor: str) -> tuple[float, str] | None:
    """Where a page ended: a probability and an id."""
    if not cursor:
        return None
    number, _, name = cursor.partition(",")
    try:
        return float(number), name
    except ValueError as error:
        fix = "must be a cursor that an earlier answer gave, or empty"
        raise Unusable(f"cursor: {fix}", [FieldError("cursor", fix)]) from error
