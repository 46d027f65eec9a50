"""The people who sign in: invite them, give them roles and nodes, close and forget accounts."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from app import administration
from app.access import Permission, Principal, Role, check
from app.asking import Data, Log, Now
from app.errors import Conflict, Unusable
from app.queries import accounts as queries
from app.schemas.accounts import PersonIn
from app.tables import OrganisationRow, PersonRow
from app.web.administration.frame import PAGE, fitting, page, question
from app.web.administration.permitted import AccountsForm
from app.web.choosing import chosen
from app.web.forms import Visiting
from app.web.rendering import see
from app.web.words import N_

ROLES = (Role.PARTNER, Role.MANAGER, Role.ADMINISTRATOR)
OFFERED = 200  # names of organisations that a field suggests
ENDINGS = {
    "close": (
        N_("Close this account?"),
        N_("The person is signed out now and signs in no more. What they did stays. You can open it again."),
        N_("Close the account"),
    ),
    "erase": (
        N_("Erase this person?"),
        N_("Name, address and password are forgotten for good. What they decided stays, without their name."),
        N_("Erase for good"),
    ),
}

router = APIRouter(include_in_schema=False, prefix="/administration/people")


@router.get("")
def people_page(request: Request, visitor: Visiting, data: Data, find: str = "", after: str = "") -> HTMLResponse:
    """Everybody who has an account, by name."""
    check(visitor.who, Permission.ACCOUNTS)
    with data.reading() as session:
        edge = administration.known(session, after) if after else None
        rows = queries.people_like(session, find.strip(), edge, PAGE + 1)
        nodes = queries.nodes_of_all(session, [person.id for person, _ in rows])
    more = rows[PAGE - 1][0].id if len(rows) > PAGE else None
    view = {"rows": rows[:PAGE], "nodes": nodes, "more": more, "find": find, "keep": {"find": find}}
    return page(request, visitor.who, "people", "people.html", view)


@router.get("/new")
def new_person_page(
    request: Request, visitor: Visiting, data: Data, role: str = "partner", organisation: str = "", find: str = ""
) -> HTMLResponse:
    """The form for an invitation; a partner's organisation is chosen first."""
    check(visitor.who, Permission.ACCOUNTS)
    values = {"role": role if role in ROLES else Role.PARTNER, "organisation_id": organisation}
    return _new_person(request, visitor.who, data, values, set(), find=find)


@router.post("/new")
def invite_person(request: Request, form: AccountsForm, data: Data, log: Log, at: Now) -> Response:
    """Add a person. The invitation is shown in the answer, and never again."""
    values: dict[str, Any] = {name: form.text(name).strip() for name in ("email", "name", "role", "organisation_id")}
    body, wrong = fitting(PersonIn, values | {"nodes": form.texts("nodes")})
    if body is None:
        return _new_person(request, form.who, data, values | {"nodes": form.texts("nodes")}, wrong, 422)
    try:
        person, token = administration.invite(
            data,
            log,
            form.who,
            at,
            email=body.email,
            name=body.name,
            role=Role(body.role),
            organisation_id=body.organisation_id,
            nodes=body.nodes,
        )
    except Conflict as error:
        return _new_person(request, form.who, data, values | {"nodes": body.nodes}, {"taken"}, error.status)
    return _invitation(request, form.who, person, token)


@router.get("/{person_id}")
def person_page(request: Request, visitor: Visiting, data: Data, person_id: str) -> HTMLResponse:
    """One person, and what can be done about them."""
    check(visitor.who, Permission.ACCOUNTS)
    return _person(request, visitor.who, data, person_id)


@router.post("/{person_id}")
def place_person(request: Request, form: AccountsForm, data: Data, log: Log, at: Now, person_id: str) -> Response:
    """Give someone another role or other nodes."""
    role = Role(form.text("role")) if form.text("role") in ROLES else Role.PARTNER
    organisation = _organisation_named(data, form.who, form.text("organisation")) if role is Role.PARTNER else None
    nodes = form.texts("nodes") if role is Role.MANAGER else []
    try:
        administration.place_person(data, log, form.who, at, person_id, role, organisation, nodes)
    except (Conflict, Unusable) as error:
        wrong = "own" if isinstance(error, Conflict) else "organisation_id"
        return _person(request, form.who, data, person_id, {wrong}, error.status)
    return see(f"/administration/people/{person_id}")


@router.post("/{person_id}/invitation")
def invite_again(request: Request, form: AccountsForm, data: Data, log: Log, at: Now, person_id: str) -> Response:
    """A fresh invitation, shown in the answer and never again."""
    person, token = administration.invite_again(data, log, form.who, at, person_id)
    return _invitation(request, form.who, person, token)


@router.post("/{person_id}/open")
def open_person(form: AccountsForm, data: Data, log: Log, at: Now, person_id: str) -> Response:
    """Open a closed account again."""
    administration.open_person(data, log, form.who, at, person_id)
    return see(f"/administration/people/{person_id}")


@router.post("/{person_id}/data")
def export_person(form: AccountsForm, data: Data, log: Log, at: Now, person_id: str) -> Response:
    """All that is kept about a person, as a file for themselves."""
    found = administration.export_person(data, log, form.who, at, person_id)
    headers = {"Content-Disposition": f'attachment; filename="dukou-person-{person_id}.json"'}
    return Response(json.dumps(found, ensure_ascii=False, indent=1), media_type="application/json", headers=headers)


@router.get("/{person_id}/{ending}")
def ask_to_end(request: Request, visitor: Visiting, data: Data, person_id: str, ending: str) -> Response:
    """Ask before an account is closed or a person erased."""
    check(visitor.who, Permission.ACCOUNTS)
    back = f"/administration/people/{person_id}"
    if ending not in ENDINGS or person_id == visitor.who.id:
        return see(back)
    with data.reading() as session:
        person = administration.known(session, person_id)
    title, text, button = ENDINGS[ending]
    about = f"{person.name} {person.email or ''}"
    return question(request, visitor.who, "people", title=title, text=text, about=about, button=button, back=back)


@router.post("/{person_id}/close")
def close_person(form: AccountsForm, data: Data, log: Log, at: Now, person_id: str) -> Response:
    """Close an account."""
    _not_oneself(form.who, person_id)
    administration.close_person(data, log, form.who, at, person_id)
    return see(f"/administration/people/{person_id}")


@router.post("/{person_id}/erase")
def erase_person(form: AccountsForm, data: Data, log: Log, at: Now, person_id: str) -> Response:
    """Forget who a person was."""
    _not_oneself(form.who, person_id)
    administration.erase_person(data, log, form.who, at, person_id)
    return see("/administration/people")


def _organisation_named(data: Data, who: Principal, words: str) -> str | None:
    """The id of the one organisation of that name, else what was written, which may be an id; None for nothing."""
    with data.reading() as session:
        found = queries.organisations_like(session, who, words.strip(), None, OFFERED) if words.strip() else []
    named = [row.id for row, _ in found if row.name == words.strip()]
    return named[0] if len(named) == 1 else words.strip() or None


def _not_oneself(who: Principal, person_id: str) -> None:
    if who.id == person_id:
        raise Conflict("this is your own account; another administrator has to do that")


def _invitation(request: Request, who: Principal, person: PersonRow, token: str) -> HTMLResponse:
    back = f"/administration/people/{person.id}"
    view = {"account": person, "link": f"{request.base_url}invitation#{token}", "back": back, "onward": back}
    return page(request, who, "people", "invited.html", view, 201)


def _new_person(
    request: Request,
    who: Principal,
    data: Data,
    values: dict[str, Any],
    wrong: set[str],
    status: int = 200,
    find: str = "",
) -> HTMLResponse:
    with data.reading() as session:
        partner = values["role"] == Role.PARTNER
        choice = chosen(session, who, values.get("organisation_id") or "", find) if partner else None
        nodes = queries.nodes(session)
    keep = {"role": values["role"], "organisation": values.get("organisation_id") or "", "find": find}
    view = {"values": values, "wrong": wrong, "choice": choice, "nodes": nodes, "keep": keep}
    return page(request, who, "people", "new_person.html", view, status)


def _person(
    request: Request, who: Principal, data: Data, person_id: str, wrong: set[str] | None = None, status: int = 200
) -> HTMLResponse:
    with data.reading() as session:
        person = administration.known(session, person_id)
        owner = session.get(OrganisationRow, person.organisation_id) if person.organisation_id else None
        own = queries.nodes_of(session, person.id)
        nodes = queries.nodes(session)
        offered = [row.name for row, _ in queries.organisations_like(session, who, "", None, OFFERED)]
    view = {
        "account": person,
        "offered": offered,
        "owner": owner,
        "nodes": nodes,
        "own": own,
        "oneself": person.id == who.id,
    }
    return page(request, who, "people", "person.html", view | {"wrong": wrong or set(), "roles": ROLES}, status)
