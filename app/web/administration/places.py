"""Nodes and the organisations that belong to them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from app import accounts, administration
from app.access import Permission, Principal, check
from app.asking import Data, Log, Now
from app.errors import Conflict
from app.queries import accounts as queries
from app.schemas.accounts import NodeIn, OrganisationChange, OrganisationIn
from app.tables import NodeRow, OrganisationRow
from app.web.administration.frame import PAGE, fitting, page
from app.web.administration.permitted import AccountsForm
from app.web.forms import Sent, Visiting
from app.web.rendering import see

FACTS = ("name", "country", "region", "website")
CONTACT = ("contact_name", "contact_email", "contact_phone")

router = APIRouter(include_in_schema=False, prefix="/administration")


@router.get("/nodes")
def nodes_page(request: Request, visitor: Visiting, data: Data, change: str = "") -> HTMLResponse:
    """All nodes, and a form for a further one; with `change`, the id of one, for that."""
    check(visitor.who, Permission.DECIDE)
    return _nodes(request, visitor.who, data, {}, set(), change=change)


@router.post("/nodes")
def add_node(request: Request, form: AccountsForm, data: Data, log: Log, at: Now) -> Response:
    """Add a node, or give the one that the field `change` names other facts."""
    values = {"name": form.text("name"), "country": form.text("country").upper(), "place": form.text("place")}
    node, wrong = fitting(NodeIn, values)
    change = form.text("change")
    if node is None:
        return _nodes(request, form.who, data, values, wrong, 422, change=change)
    facts = node.name, node.country, node.place
    try:
        if change:
            administration.change_node(data, log, form.who, at, change, *facts)
        else:
            administration.add_node(data, log, form.who, at, *facts)
    except Conflict as error:
        return _nodes(request, form.who, data, values, {"taken"}, error.status, change=change)
    return see("/administration/nodes")


@router.get("/organisations")
def organisations_page(
    request: Request, visitor: Visiting, data: Data, find: str = "", after: str = ""
) -> HTMLResponse:
    """The organisations of one's nodes, by name."""
    check(visitor.who, Permission.DECIDE)
    with data.reading() as session:
        edge = accounts.organisation(session, visitor.who, after) if after else None
        rows = queries.organisations_like(session, visitor.who, find.strip(), edge, PAGE + 1)
    more = rows[PAGE - 1][0].id if len(rows) > PAGE else None
    view = {"rows": rows[:PAGE], "more": more, "find": find, "keep": {"find": find}}
    return page(request, visitor.who, "organisations", "organisations.html", view)


@router.get("/organisations/new")
def new_organisation_page(request: Request, visitor: Visiting, data: Data) -> HTMLResponse:
    """The form for a further organisation."""
    check(visitor.who, Permission.ACCOUNTS)
    return _new_organisation(request, visitor.who, data, {}, set())


@router.post("/organisations/new")
def add_organisation(request: Request, form: AccountsForm, data: Data, log: Log, at: Now) -> Response:
    """Add an organisation to a node."""
    values = {"node_id": form.text("node_id"), **_values(form, (*FACTS, *CONTACT))}
    body, wrong = fitting(OrganisationIn, values | {"trusted": form.text("trusted") == "yes"})
    if body is None:
        return _new_organisation(request, form.who, data, values, wrong, 422)
    try:
        facts = body.model_dump(exclude={"node_id"})
        row = administration.add_organisation(data, log, form.who, at, body.node_id, facts)
    except Conflict as error:
        return _new_organisation(request, form.who, data, values, {"taken"}, error.status)
    return see(f"/administration/organisations/{row.id}")


@router.get("/organisations/{organisation_id}")
def organisation_page(request: Request, visitor: Visiting, data: Data, organisation_id: str) -> HTMLResponse:
    """What is known of an organisation, but for its contact."""
    check(visitor.who, Permission.DECIDE)
    return _organisation(request, visitor.who, data, organisation_id, None, set())


@router.post("/organisations/{organisation_id}")
def change_organisation(
    request: Request, form: AccountsForm, data: Data, log: Log, at: Now, organisation_id: str
) -> Response:
    """Change what is known of an organisation; an empty field takes a value away."""
    names = CONTACT if form.text("part") == "contact" else FACTS
    values = _values(form, names)
    trusted = {} if names is CONTACT else {"trusted": form.text("trusted") == "yes"}
    body, wrong = fitting(OrganisationChange, values | trusted)
    if not values.get("name", "x"):
        wrong.add("name")
    if body is None or wrong:
        return _organisation(request, form.who, data, organisation_id, values, wrong, 422)
    try:
        facts: dict[str, Any] = {name: getattr(body, name) for name in names} | trusted
        administration.change_organisation(data, log, form.who, at, organisation_id, facts)
    except Conflict as error:
        return _organisation(request, form.who, data, organisation_id, values, {"taken"}, error.status)
    return see(f"/administration/organisations/{organisation_id}")


@router.get("/organisations/{organisation_id}/contact")
def contact_page(request: Request, visitor: Visiting, data: Data, log: Log, at: Now, organisation_id: str) -> Response:
    """Whom to write to. That it is read is written down."""
    check(visitor.who, Permission.DECIDE)
    check(visitor.who, Permission.CONTACTS)
    row = administration.read_contact(data, log, visitor.who, at, organisation_id)
    view = {"row": row, "wrong": set(), "values": {name: getattr(row, name) or "" for name in CONTACT}}
    return page(request, visitor.who, "organisations", "contact.html", view)


def _values(form: Sent, names: tuple[str, ...]) -> dict[str, str]:
    values = {name: form.text(name).strip() for name in names}
    return {name: text.upper() if name in ("country", "region") else text for name, text in values.items()}


def _nodes(
    request: Request,
    who: Principal,
    data: Data,
    values: dict[str, str],
    wrong: set[str],
    status: int = 200,
    *,
    change: str = "",
) -> HTMLResponse:
    with data.reading() as session:
        nodes, counts = queries.nodes(session), queries.organisations_in(session)
    changed = next((node for node in nodes if node.id == change), None)
    if changed is not None and not values:
        values = {name: getattr(changed, name) or "" for name in ("name", "country", "place")}
    view = {"nodes": nodes, "counts": counts, "changed": changed, "values": values, "wrong": wrong}
    return page(request, who, "nodes", "nodes.html", view, status)


def _new_organisation(
    request: Request, who: Principal, data: Data, values: dict[str, str], wrong: set[str], status: int = 200
) -> HTMLResponse:
    with data.reading() as session:
        view = {"nodes": queries.nodes(session), "values": values, "wrong": wrong}
    return page(request, who, "organisations", "new_organisation.html", view, status)


def _organisation(
    request: Request,
    who: Principal,
    data: Data,
    organisation_id: str,
    values: dict[str, str] | None,
    wrong: set[str],
    status: int = 200,
) -> HTMLResponse:
    with data.reading() as session:
        row: OrganisationRow = accounts.organisation(session, who, organisation_id)
        node = session.get_one(NodeRow, row.node_id)
    shown = {name: getattr(row, name) or "" for name in (*FACTS, *CONTACT)} | (values or {})
    if values is not None and "contact_name" in values:
        view: dict[str, Any] = {"row": row, "wrong": wrong, "values": shown}
        return page(request, who, "organisations", "contact.html", view, status)
    view = {"row": row, "node": node, "values": shown, "wrong": wrong}
    return page(request, who, "organisations", "organisation.html", view, status)
