"""Where an organisation's events are sent: subscriptions, what became of each delivery, and sending again."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from app import accounts, subscribing, subscriptions
from app.access import Permission, Principal, check
from app.asking import Data, Log, Now, after_number
from app.deliveries import Status
from app.errors import Conflict, Unusable
from app.events import EVENT_TYPES, NEEDED, PING, Audience
from app.queries import deliveries as queries
from app.tables import SubscriptionRow
from app.web.administration.frame import PAGE, page, question
from app.web.administration.permitted import WebhooksForm
from app.web.choosing import chosen
from app.web.forms import Visiting
from app.web.rendering import see
from app.web.words import N_

PATH = "/administration/webhooks"
TYPES = [kind for kind in EVENT_TYPES if kind != PING]
ENDINGS = {
    "rotate": (
        N_("Make a new secret?"),
        N_("The receiver has to be given the new one. For 24 hours deliveries are signed with both."),
        N_("Make a new secret"),
    ),
    "delete": (
        N_("Delete this webhook?"),
        N_("Nothing more is sent to it, and the log of its deliveries is gone. To stop for a while, pause it instead."),
        N_("Delete the webhook"),
    ),
}

router = APIRouter(include_in_schema=False, prefix=PATH)


@router.get("")
def webhooks_page(
    request: Request, visitor: Visiting, data: Data, organisation: str = "", find: str = ""
) -> HTMLResponse:
    """The webhooks of an organisation, and a form for a further one."""
    check(visitor.who, Permission.WEBHOOKS)
    return _webhooks(request, visitor.who, data, organisation, find, {}, {})


@router.post("")
def create_webhook(request: Request, form: WebhooksForm, data: Data, log: Log, at: Now) -> Response:
    """Have events sent to an address. The secret is shown in the answer, and never again."""
    organisation = form.text("organisation") or form.who.organisation or ""
    audience = next((one for one in Audience if one == form.text("audience")), Audience.ORGANISATION)
    url, types = form.text("url").strip(), form.texts("types")
    try:
        row = subscribing.create(
            data,
            log,
            form.who,
            at,
            request.app.state.allowed,
            organisation_id=organisation,
            audience=audience,
            url=url,
            types=types,
        )
    except (Unusable, Conflict) as error:
        wrong = {one.field: one.fix for one in error.errors} or {"most": error.detail}
        values = {"url": url, "types": types, "audience": audience}
        return _webhooks(request, form.who, data, organisation, "", values, wrong, error.status)
    return _secret(request, form.who, row)


@router.get("/{subscription_id}")
def webhook_page(
    request: Request, visitor: Visiting, data: Data, subscription_id: str, status: str = "", before: str = ""
) -> HTMLResponse:
    """One webhook: where it leads, and what became of its deliveries, the newest event first."""
    check(visitor.who, Permission.WEBHOOKS)
    return _webhook(request, visitor.who, data, subscription_id, status, before)


@router.post("/{subscription_id}")
def change_webhook(
    request: Request, form: WebhooksForm, data: Data, log: Log, at: Now, subscription_id: str
) -> Response:
    """Change the address or the types."""
    changes = {"url": form.text("url").strip(), "types": form.texts("types")}
    try:
        subscribing.change(data, log, form.who, at, request.app.state.allowed, subscription_id, changes)
    except Unusable as error:
        wrong = {one.field: one.fix for one in error.errors}
        return _webhook(request, form.who, data, subscription_id, "", "", wrong, changes, error.status)
    return see(f"{PATH}/{subscription_id}")


@router.post("/{subscription_id}/active")
def pause_webhook(
    request: Request, form: WebhooksForm, data: Data, log: Log, at: Now, subscription_id: str
) -> Response:
    """Pause, or go on."""
    changes = {"active": form.text("active") == "yes"}
    subscribing.change(data, log, form.who, at, request.app.state.allowed, subscription_id, changes)
    return see(f"{PATH}/{subscription_id}")


@router.post("/{subscription_id}/ping")
def ping_webhook(form: WebhooksForm, data: Data, at: Now, subscription_id: str) -> Response:
    """Try it: an event for this webhook alone, which then stands first in its log."""
    subscribing.ping(data, form.who, at, subscription_id)
    return see(f"{PATH}/{subscription_id}")


@router.post("/{subscription_id}/replay")
def replay_dead(form: WebhooksForm, data: Data, log: Log, at: Now, subscription_id: str) -> Response:
    """Deliver all dead ones anew."""
    subscribing.replay_dead(data, log, form.who, at, subscription_id)
    return see(f"{PATH}/{subscription_id}?status={Status.PENDING}")


@router.post("/{subscription_id}/deliveries/{event_id}/replay")
def replay_delivery(form: WebhooksForm, data: Data, log: Log, at: Now, subscription_id: str, event_id: str) -> Response:
    """Deliver one event once more."""
    subscribing.replay(data, log, form.who, at, subscription_id, event_id)
    return see(f"{PATH}/{subscription_id}")


@router.get("/{subscription_id}/{ending}")
def ask_to_end(request: Request, visitor: Visiting, data: Data, subscription_id: str, ending: str) -> Response:
    """Ask before a secret is changed or a webhook deleted."""
    check(visitor.who, Permission.WEBHOOKS)
    back = f"{PATH}/{subscription_id}"
    if ending not in ENDINGS:
        return see(back)
    with data.reading() as session:
        row = subscriptions.owned(session, visitor.who, subscription_id)
    title, text, button = ENDINGS[ending]
    return question(request, visitor.who, "webhooks", title=title, text=text, about=row.url, button=button, back=back)


@router.post("/{subscription_id}/rotate")
def rotate_secret(
    request: Request, form: WebhooksForm, data: Data, log: Log, at: Now, subscription_id: str
) -> Response:
    """A new secret, shown in the answer and never again."""
    return _secret(request, form.who, subscribing.rotate(data, log, form.who, at, subscription_id))


@router.post("/{subscription_id}/delete")
def delete_webhook(form: WebhooksForm, data: Data, log: Log, at: Now, subscription_id: str) -> Response:
    """End a subscription, with its deliveries."""
    organisation = subscribing.delete(data, log, form.who, at, subscription_id)
    return see(f"{PATH}?organisation={organisation}")


def _secret(request: Request, who: Principal, row: SubscriptionRow) -> HTMLResponse:
    back = f"{PATH}/{row.id}"
    secret = request.app.state.signing.secret(row.id, row.generation)
    return page(
        request, who, "webhooks", "secret.html", {"row": row, "secret": secret, "back": back, "onward": back}, 201
    )


def _webhooks(
    request: Request,
    who: Principal,
    data: Data,
    organisation: str,
    find: str,
    values: dict[str, Any],
    wrong: dict[str, str],
    status: int = 200,
) -> HTMLResponse:
    with data.reading() as session:
        choice = chosen(session, who, organisation, find)
        rows = subscriptions.of_organisation(session, who, choice.owner) if choice.owner is not None else []
        standing = queries.standing(session, [row.id for row in rows])
    view = {"choice": choice, "rows": rows, "standing": standing, "values": values, "wrong": wrong, "types": TYPES}
    view["audiences"] = [one for one in Audience if NEEDED[one] in who.permissions]
    view["keep"] = {"organisation": organisation, "find": find}
    return page(request, who, "webhooks", "webhooks.html", view, status)


def _webhook(
    request: Request,
    who: Principal,
    data: Data,
    subscription_id: str,
    status: str,
    before: str,
    wrong: dict[str, str] | None = None,
    values: dict[str, Any] | None = None,
    code: int = 200,
) -> HTMLResponse:
    wanted = next((one for one in Status if one == status), None)
    with data.reading() as session:
        row = subscriptions.owned(session, who, subscription_id)
        owner = accounts.organisation(session, who, row.organisation_id)
        found = queries.page(session, row.id, wanted, after_number(before) or None, PAGE + 1)
        standing = queries.standing(session, [row.id]).get(row.id, {})
    more = found[PAGE - 1][1].sequence if len(found) > PAGE else None
    view = {
        "row": row,
        "owner": owner,
        "deliveries": found[:PAGE],
        "more": more,
        "status": wanted or "",
        "statuses": list(Status),
        "standing": standing,
        "types": TYPES,
        "wrong": wrong or {},
        "values": values or {"url": row.url, "types": row.types},
        "keep": {"status": status},
    }
    return page(request, who, "webhooks", "webhook.html", view, code)
