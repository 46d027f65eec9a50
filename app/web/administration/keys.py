"""The keys by which programs of an organisation come in."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from app import accounts, administration
from app.access import PARTNER_SCOPES, PLATFORM_SCOPES, Permission, Principal, check
from app.asking import Data, Log, Now
from app.errors import NotFound
from app.queries import accounts as queries
from app.schemas.accounts import KeyIn
from app.tables import ApiKeyRow
from app.web.administration.frame import fitting, page, question
from app.web.administration.permitted import KeysForm
from app.web.choosing import chosen
from app.web.forms import Visiting
from app.web.rendering import see
from app.web.words import N_

PATH = "/administration/keys"

router = APIRouter(include_in_schema=False, prefix=PATH)


@router.get("")
def keys_page(
    request: Request, visitor: Visiting, data: Data, at: Now, organisation: str = "", find: str = ""
) -> HTMLResponse:
    """The keys of an organisation, and a form for a further one."""
    check(visitor.who, Permission.KEYS)
    return _keys(request, visitor.who, data, at, organisation, find, {}, set())


@router.post("")
def make_key(request: Request, form: KeysForm, data: Data, log: Log, at: Now) -> Response:
    """Make a key. Its text is shown in the answer, and never again."""
    organisation, scopes = form.text("organisation") or form.who.organisation or "", form.texts("scopes")
    values: dict[str, Any] = {"name": form.text("name").strip(), "scopes": scopes}
    expires_at = _end_of(form.text("until"))
    body, wrong = fitting(KeyIn, values)
    if form.text("until") and (expires_at is None or expires_at <= at):
        wrong.add("until")
    if body is None or wrong:
        values["until"] = form.text("until")
        return _keys(request, form.who, data, at, organisation, "", values, wrong, 422)
    row, text = administration.make_key(data, log, form.who, at, organisation, body.name, body.scopes, expires_at)
    view = {"key": row, "secret": text, "back": f"{PATH}?organisation={row.organisation_id}"}
    return page(request, form.who, "keys", "key_made.html", view, 201)


@router.get("/{key_id}/revoke")
def ask_to_revoke(request: Request, visitor: Visiting, data: Data, key_id: str) -> HTMLResponse:
    """Ask before a key ends."""
    check(visitor.who, Permission.KEYS)
    row = _owned(data, visitor.who, key_id)
    return question(
        request,
        visitor.who,
        "keys",
        title=N_("Revoke this key?"),
        text=N_("Programs that use it are refused from now on. A key that is revoked cannot be used again."),
        about=f"{row.name} dk_{row.id}_…",
        button=N_("Revoke the key"),
        back=f"{PATH}?organisation={row.organisation_id}",
    )


@router.post("/{key_id}/revoke")
def revoke_key(form: KeysForm, data: Data, log: Log, at: Now, key_id: str) -> Response:
    """End a key now."""
    row = _owned(data, form.who, key_id)
    administration.revoke_key(data, log, form.who, at, row.organisation_id, key_id)
    return see(f"{PATH}?organisation={row.organisation_id}")


def _owned(data: Data, who: Principal, key_id: str) -> ApiKeyRow:
    """A key of an organisation that is the principal's business. Raises NotFound."""
    with data.reading() as session:
        row = session.get(ApiKeyRow, key_id)
        if row is None:
            raise NotFound(f"there is no key {key_id!r:.50}")
        accounts.organisation(session, who, row.organisation_id)
    return row


def _end_of(text: str) -> datetime | None:
    """The last moment of a day as a form has it; None where it is none."""
    try:
        return datetime.combine(date.fromisoformat(text), time.max)
    except ValueError:
        return None


def _keys(
    request: Request,
    who: Principal,
    data: Data,
    at: datetime,
    organisation: str,
    find: str,
    values: dict[str, Any],
    wrong: set[str],
    status: int = 200,
) -> HTMLResponse:
    with data.reading() as session:
        choice = chosen(session, who, organisation, find)
        rows = queries.keys(session, choice.owner.id) if choice.owner is not None else []
    scopes = sorted(PARTNER_SCOPES) + (sorted(PLATFORM_SCOPES) if Permission.ACCOUNTS in who.permissions else [])
    keep = {"organisation": organisation, "find": find}
    view = {"choice": choice, "keys": rows, "scopes": scopes, "values": values, "wrong": wrong, "now": at, "keep": keep}
    return page(request, who, "keys", "keys.html", view, status)
