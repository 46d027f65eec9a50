"""The queue: proposals one after the other, the most probable first, each to be taken up, held or declined.

Everything works with plain forms and links. `queue.js` asks for the same addresses part by part.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import ValidationError
from sqlmodel import Session

from app import deciding, pairings
from app.access import Permission, Principal, check
from app.asking import Data, Log, Now, Search
from app.deciding import STEPS, Decision, Read
from app.errors import AppError, Conflict, FieldError, NotFound, Unusable, VersionMismatch
from app.pairings import Answer, Reason, State
from app.queries import accounts
from app.queries import pairings as pairing_queries
from app.queries import queue as queries
from app.queries.queue import Chosen, Place
from app.schemas.pairings import StepIn
from app.search import Live
from app.tables import ApiKeyRow, OrganisationRow, PairingRow, PersonRow, StepRow
from app.web.evidence import Shown, shown
from app.web.forms import Sent, Visiting, sent
from app.web.rendering import address, html, is_part, see

router = APIRouter(include_in_schema=False)

DecisionForm = Annotated[Sent, sent(Permission.DECIDE)]
LONGEST = 200  # characters of a filter or a place in the address
UNDO = 8  # seconds in which a decision can be taken back; it is sent when they are over


def chosen(
    direction: Annotated[str, Query(max_length=LONGEST)] = "",
    field: Annotated[str, Query(max_length=LONGEST)] = "",
    country: Annotated[str, Query(max_length=LONGEST)] = "",
    node: Annotated[str, Query(max_length=LONGEST)] = "",
    least: Annotated[str, Query(max_length=LONGEST)] = "",
) -> Chosen:
    """What the address narrows the queue to."""
    return Chosen(direction, field, country, node, next((one for one in queries.LEVELS if str(one) == least), 0.0))


Choice = Annotated[Chosen, Depends(chosen)]


@router.get("/queue")
def queue_page(
    request: Request,
    visitor: Visiting,
    data: Data,
    search: Search,
    at: Now,
    choice: Choice,
    after: str = "",
    before: str = "",
    done: str = "",
) -> Response:
    """The first proposal, or the one after or before a place."""
    check(visitor.who, Permission.DECIDE)
    with data.reading() as session:
        row = queries.nearest(session, visitor.who, choice, _place(before or after), back=bool(before))
        if row is None and before:
            return see(_address(request, choice))
        view = _view(request, session, search, choice, row, at) | {"began": not (after or before)}
        view["made"] = _made(session, visitor.who, done)
    return html(request, "queue_current.html" if is_part(request) else "queue.html", view)


@router.get("/queue/filters")
def queue_filters(request: Request, visitor: Visiting, data: Data, choice: Choice) -> HTMLResponse:
    """What the queue can be narrowed to, with how many proposals there are of each."""
    check(visitor.who, Permission.DECIDE)
    with data.reading() as session:
        view = {
            **_frame(request, session, choice),
            "counts": queries.counts(session, visitor.who, choice),
            "levels": queries.LEVELS,
        }
    return html(request, "queue_choices.html" if is_part(request) else "queue_filters.html", view)


@router.get("/queue/{pairing_id}")
def proposal_page(
    request: Request, pairing_id: str, visitor: Visiting, data: Data, search: Search, at: Now, choice: Choice
) -> Response:
    """One proposal in its place in the queue; what is none any more is shown on its own page."""
    check(visitor.who, Permission.DECIDE)
    with data.reading() as session:
        row, _ = pairings.visible(session, visitor.who, pairing_id)
        if row.state != State.PROPOSED:
            return see(f"/pairings/{row.id}")
        view = _view(request, session, search, choice, row, at)
    return html(request, "queue_current.html" if is_part(request) else "queue.html", view)


@router.post("/queue/{pairing_id}")
def decide_proposal(
    request: Request,
    pairing_id: str,
    form: DecisionForm,
    data: Data,
    search: Search,
    log: Log,
    at: Now,
    choice: Choice,
) -> Response:
    """Take up, hold or decline a proposal, and go on to the next."""
    try:
        decision, answer = _read(form)
        with data.writing() as session:
            row = deciding.decide(
                session, log, form.who, pairing_id, decision, answer, _what_was_read(form), search.catalogue.digest, at
            )
    except Unusable as error:
        return _once_more(request, form, data, search, at, choice, pairing_id, error)
    except (Conflict, VersionMismatch) as error:
        return _too_late(request, form, data, search, at, choice, pairing_id, error)
    if is_part(request):
        return Response(status_code=204)
    return see(_address(request, choice, after=_position(row), done=row.id))


def _view(
    request: Request, session: Session, search: Live, choice: Chosen, row: PairingRow | None, at: datetime
) -> dict[str, Any]:
    one = _shown(session, search, row)
    return {
        **_frame(request, session, choice),
        "one": one,
        "at": at,
        "began": False,
        "made": None,
        "conflict": None,
        "wrong": None,
        "reasons": tuple(Reason),
        "undo": UNDO,
        "next": _address(request, choice, after=_position(row)) if row is not None else None,
        "previous": _address(request, choice, before=_position(row)) if row is not None else None,
        "place": _address(request, choice, row) if row is not None else _address(request, choice),
    }


def _frame(request: Request, session: Session, choice: Chosen) -> dict[str, Any]:
    """What the page of the queue and that of its filters have in common."""
    kept = _given(request, choice)
    return {
        "choice": choice,
        "chosen": {name: str(value) for name, value in asdict(choice).items() if value},
        "nodes": {node.id: node.name for node in accounts.nodes(session)},
        "keep": kept,
        "query": urlencode(kept),
        "narrowed": lambda **changed: address("/queue", kept | changed),
    }


def _shown(session: Session, search: Live, row: PairingRow | None) -> Shown | None:
    return None if row is None else shown(row, pairing_queries.sides(session, row), search.threshold)


def _read(form: Sent) -> tuple[Decision, Answer]:
    """The decision of a form, and what comes with it. Raises Unusable."""
    decision = form.text("decision")
    if decision not in tuple(Decision):
        raise Unusable("decision: unknown", [FieldError("decision", f"one of {', '.join(Decision)}")])
    given = {name: form.text(name).strip() or None for name in ("reason", "side", "note")}
    try:
        step = StepIn.model_validate({"action": STEPS[Decision(decision)][-1], **given})
    except ValidationError as error:
        raise Unusable(str(error), [FieldError(str(one["loc"][0]), one["msg"]) for one in error.errors()]) from error
    return Decision(decision), Answer(step.side, step.reason, step.note)


def _what_was_read(form: Sent) -> Read:
    """The versions that the form's page showed; ones that never were where it says nothing of them."""
    numbers = [int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0 for text in form.text("read").split(".")]
    return Read(*numbers) if len(numbers) == 3 else Read(0, 0, 0)


def _once_more(
    request: Request,
    form: Sent,
    data: Data,
    search: Live,
    at: datetime,
    choice: Chosen,
    pairing_id: str,
    error: Unusable,
) -> Response:
    """The same proposal again, with what is missing said at its field and what was written kept."""
    with data.reading() as session:
        row, _ = pairings.visible(session, form.who, pairing_id)
        view = _view(request, session, search, choice, row, at)
    wrong = {one.field for one in error.errors}
    view["wrong"] = {"fields": wrong, **{name: form.text(name) for name in ("reason", "side", "note")}}
    return html(request, "queue_current.html" if is_part(request) else "queue.html", view, error.status)


def _too_late(
    request: Request,
    form: Sent,
    data: Data,
    search: Live,
    at: datetime,
    choice: Chosen,
    pairing_id: str,
    error: AppError,
) -> Response:
    """Who decided what and when in the meantime, what of one's own decision is not recorded, and the next proposal."""
    with data.reading() as session:
        row, sides = pairings.visible(session, form.who, pairing_id)
        last = pairing_queries.last_step(session, row.id)
        conflict = {
            "row": row,
            "titles": [one.record.get("title") for one in sides.both],
            "step": last,
            "actor": _actor(session, last),
            "revised": row.version == _what_was_read(form).pairing,
            "own": {name: form.text(name) for name in ("decision", "reason", "side", "note")},
        }
        if is_part(request):
            return html(request, "queue_conflict.html", {"conflict": conflict}, error.status)
        following = queries.nearest(session, form.who, choice, (row.probability, row.id), back=False)
        view = _view(request, session, search, choice, following, at)
    return html(request, "queue.html", view | {"conflict": conflict}, error.status)


def _actor(session: Session, step: StepRow | None) -> str | None:
    """The name of who took a step; None for the service itself."""
    if step is None or step.actor_kind not in ("person", "key"):
        return None
    if step.actor_kind == "person":
        person = session.get(PersonRow, step.actor_id)
        return person.name if person is not None else step.actor_id
    key = session.get(ApiKeyRow, step.actor_id)
    owner = session.get(OrganisationRow, key.organisation_id) if key is not None else None
    return owner.name if owner is not None else step.actor_id


def _made(session: Session, who: Principal, pairing_id: str) -> dict[str, Any] | None:
    """What was decided just now, to be said on the next page; nothing for what is not there."""
    if not pairing_id:
        return None
    try:
        row, sides = pairings.visible(session, who, pairing_id)
    except NotFound:
        return None
    return {"row": row, "titles": [one.record.get("title") for one in sides.both]}


def _position(row: PairingRow) -> str:
    return f"{row.probability!r},{row.id}"


def _place(text: str) -> Place | None:
    """A probability and an id; where the address holds none, the beginning."""
    number, _, name = text[:LONGEST].partition(",")
    try:
        return float(number), name
    except ValueError:
        return None


def _given(request: Request, choice: Chosen) -> dict[str, str]:
    """What the address of every part of the queue keeps: the choices, and a language asked for."""
    kept = {name: str(value) for name, value in asdict(choice).items() if value}
    language = request.query_params.get("lang", "")[:LONGEST]
    return kept | ({"lang": language} if language else {})


def _address(request: Request, choice: Chosen, row: PairingRow | None = None, **more: str) -> str:
    return address("/queue" if row is None else f"/queue/{row.id}", _given(request, choice) | more)
