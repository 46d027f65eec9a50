"""A pairing's page: its texts, the steps that can be taken, the compliance gate, the contract, the history."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError
from sqlmodel import Session

from app import compliance, listings, pairings, screening
from app.access import Permission, Principal, check
from app.asking import Data, Log, Now, Search
from app.audit import Audit
from app.errors import AppError, Conflict, Unusable, VersionMismatch
from app.pairings import Action, Answer
from app.queries import pairings as queries
from app.queries.pairings import Sides
from app.schemas.pairings import ContractIn, DecisionIn, StepIn
from app.search import Live
from app.tables import ListingRow, PairingRow
from app.web import pairing_view, pipeline
from app.web.accounts import own_path
from app.web.forms import Sent, Visiting, sent
from app.web.labels import label
from app.web.pairing_view import Refused
from app.web.rendering import html, is_part, language_of, see

router = APIRouter(include_in_schema=False)

Answered = Annotated[Sent, sent(Permission.ANSWER)]
Decided = Annotated[Sent, sent(Permission.DECIDE)]
Screened = Annotated[Sent, sent(Permission.SCREEN)]

STEP_FIELDS = ("action", "side", "reason", "note", "consent")
CONTRACT_FIELDS = ("type", "value", "currency", "signed_on", "starts_on", "ends_on", "registration_number")
DECISION_FIELDS = ("decision", "reason")
MENDABLE = (Conflict, VersionMismatch, Unusable)  # what is answered by the same form, as it was sent


@router.get("/pairings/{pairing_id}")
def pairing_page(
    request: Request,
    pairing_id: str,
    visitor: Visiting,
    data: Data,
    search: Search,
    at: Now,
    do: str = "",
    done: str = "",
) -> Response:
    """A pairing; `do` names the step whose form is open."""
    check(visitor.who, Permission.PAIRINGS)
    with data.reading() as session:
        view = pairing_view.view(session, visitor.who, pairing_id, search, at)
    return html(request, "pairing.html", view | {"do": do, "done": done})


@router.get("/pairings/{pairing_id}/contacts")
def contacts_page(
    request: Request, pairing_id: str, visitor: Visiting, data: Data, search: Search, log: Log, at: Now
) -> Response:
    """The same page with the contacts of both sides, once they are introduced; that it was read is written down."""
    check(visitor.who, Permission.CONTACTS)
    with data.writing() as session:
        sides = pairings.introduction(session, visitor.who, pairing_id)
        owners = [sides.offerer.id, sides.seeker.id]
        log.record(session, visitor.who, "contact.read", pairing_id, at, organisations=owners)
        view = pairing_view.view(session, visitor.who, pairing_id, search, at)
    return html(request, "pairing.html", view | {"contacts": {"offer": sides.offerer, "need": sides.seeker}})


@router.post("/pairings/{pairing_id}/steps")
def take_step(
    request: Request, pairing_id: str, form: Answered, data: Data, search: Search, log: Log, at: Now
) -> Response:
    """Take a step, from the board or from the pairing's own page."""
    try:
        step = StepIn.model_validate(_given(form, STEP_FIELDS))
        with data.writing() as session:
            row, sides = pairings.visible(session, form.who, pairing_id)
            _take(session, form.who, row, sides, step, form.number("version"), search, log, at)
    except (ValidationError, *MENDABLE) as error:
        return _refused(request, form, pairing_id, "step", STEP_FIELDS, error, data, search, at)
    address = own_path(form.text("next")) or ""
    if address.startswith("/pipeline"):
        return _moved(request, form, pairing_id, address, data, at)
    return see(f"/pairings/{pairing_id}?done={step.action}#steps")


@router.post("/pairings/{pairing_id}/contract")
def record_contract(
    request: Request, pairing_id: str, form: Decided, data: Data, search: Search, log: Log, at: Now
) -> Response:
    """Write the contract down, and if that is asked for take the step that it allows."""
    signed = form.text("then") == Action.CONTRACT
    try:
        body = ContractIn.model_validate(_given(form, CONTRACT_FIELDS))
        with data.writing() as session:
            row, sides = pairings.visible(session, form.who, pairing_id)
            if pairing_view.mark_of_contract(queries.contract(session, row.id)) != form.text("seen"):
                raise VersionMismatch("someone else has written the contract down meanwhile")
            pairings.record_contract(session, form.who, row, body.model_dump(), at)
            log.record(session, form.who, "contract.record", row.id, at, **body.model_dump(mode="json"))
            if signed:
                step = StepIn(action=Action.CONTRACT)
                _take(session, form.who, row, sides, step, form.number("version"), search, log, at)
    except (ValidationError, *MENDABLE) as error:
        return _refused(request, form, pairing_id, "contract", CONTRACT_FIELDS, error, data, search, at)
    return see(f"/pairings/{pairing_id}?done={'contract' if signed else 'recorded'}#contract")


@router.post("/pairings/{pairing_id}/screening")
def screen(pairing_id: str, form: Screened, data: Data, search: Search, at: Now) -> Response:
    """Screen the offer as it is now; what is found is for a person to judge."""
    with data.reading() as session:
        offer = _offer(session, form.who, pairing_id)
    screening.screen_offer(search, offer, at)
    return see(f"/pairings/{pairing_id}?done=screened#compliance")


@router.post("/pairings/{pairing_id}/decision")
def decide(
    request: Request, pairing_id: str, form: Screened, data: Data, search: Search, log: Log, at: Now
) -> Response:
    """A named person's decision on the present screening."""
    catalogue = search.catalogue.digest
    try:
        body = DecisionIn.model_validate(_given(form, DECISION_FIELDS))
        with data.writing() as session:
            offer = _offer(session, form.who, pairing_id)
            present = queries.screening(session, offer.id, offer.version, catalogue)
            if pairing_view.mark_of_screening(present) != form.text("seen"):
                raise VersionMismatch("the screening is another than the one that was shown")
            row = compliance.decide(session, form.who, offer, catalogue, body.decision, body.reason, at)
            facts = {"decision": body.decision, "version": row.version, "catalogue": catalogue}
            log.record(session, form.who, "screening.decide", offer.id, at, **facts)
    except (ValidationError, *MENDABLE) as error:
        return _refused(request, form, pairing_id, "decision", DECISION_FIELDS, error, data, search, at)
    return see(f"/pairings/{pairing_id}?done=decided#compliance")


def _take(
    session: Session,
    who: Principal,
    row: PairingRow,
    sides: Sides,
    step: StepIn,
    version: int,
    search: Live,
    log: Audit,
    at: datetime,
) -> None:
    answer = Answer(step.side, step.reason, step.note, step.consent)
    taken = pairings.take(session, who, row, sides, step.action, answer, version, search.catalogue.digest, at)
    log.record(session, who, f"pairing.{step.action}", row.id, at, step=taken.number, state=row.state)


def _given(form: Sent, names: tuple[str, ...]) -> dict[str, Any]:
    """The fields of a form that are filled in."""
    return {name: text for name in names if (text := form.text(name).strip())}


def _offer(session: Session, who: Principal, pairing_id: str) -> ListingRow:
    """The offer of a pairing, if it is for `who` to decide on."""
    row, _ = pairings.visible(session, who, pairing_id)
    return listings.owned(session, who, row.offer_id)


def _moved(request: Request, form: Sent, pairing_id: str, address: str, data: Data, at: datetime) -> Response:
    """After a step on the board: the card in its new column, or without scripts the board again."""
    if not is_part(request):
        return see(f"{address}#card-{pairing_id}")
    with data.reading() as session:
        shown = pipeline.moved(form.who, session, pairing_id, address, at)
    language = language_of(request)
    said = language.words.gettext("Now: %s") % label(language, "state", shown["card"]["state"])
    page = html(request, "pipeline_moved.html", shown | {"problem": "", "between": ()})
    page.headers["HX-Trigger-After-Settle"] = json.dumps({"moved": {"card": f"card-{pairing_id}", "said": said}})
    return page


def _refused(
    request: Request,
    form: Sent,
    pairing_id: str,
    kind: str,
    names: tuple[str, ...],
    error: ValidationError | AppError,
    data: Data,
    search: Live,
    at: datetime,
) -> Response:
    """The form as it was sent, with what is in the way and what has happened meanwhile."""
    language = language_of(request)
    address = own_path(form.text("next")) or ""
    with data.reading() as session:
        row, sides = pairings.visible(session, form.who, pairing_id)
        gate = compliance.gate(session, row, sides.offer, search.catalogue.digest)
        refused = Refused.of(kind, error, form.text("action"), gate, {name: form.text(name) for name in names})
        between = pairing_view.between(session, form.who, row, form.number("version"))
        if is_part(request) and address.startswith("/pipeline"):
            shown = pipeline.moved(form.who, session, pairing_id, address, at)
            shown |= {"problem": language.words.gettext(refused.problem), "between": between}
            return html(request, "pipeline_moved.html", shown, refused.status)
        view = pairing_view.view(session, form.who, pairing_id, search, at)
    return html(
        request, "pairing.html", view | {"refused": refused, "between": between, "do": refused.action}, refused.status
    )
