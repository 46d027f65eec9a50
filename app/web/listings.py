"""The page of one's own listings: a partner's, or those of a manager's nodes. What waits for a manager comes first."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.access import Permission, Principal, Role, check
from app.asking import Data
from app.errors import FieldError, Unusable
from app.hints import hints
from app.listings import UNTITLED, Status, listing_of
from app.queries import own_listings as queries
from app.queries.own_listings import SORTS, Chosen
from app.tables import ListingRow
from app.web.forms import Visiting
from app.web.listing_words import hint_words, language_of_text, tag, told
from app.web.rendering import address, html, language_of
from app.web.words import N_, Language
from matching import FIELDS, Side

SHOWN = 25
READ = 10  # of those that wait: a manager reads each
HINTS = 3  # on a listing that waits
FEW = 2_000  # listings that are sorted in no time

router = APIRouter(include_in_schema=False)

ORDERS = {
    "changed": N_("Last changed"),
    "waiting": N_("Waiting longest"),
    "ending": N_("Ending soonest"),
}


@router.get("/listings")
def listings_page(
    request: Request,
    visitor: Visiting,
    data: Data,
    status: str = "",
    side: str = "",
    field: str = "",
    organisation: str = "",
    q: str = "",
    sort: str = "",
    after: str = "",
    done: str = "",
) -> HTMLResponse:
    """Own listings by status, narrowed and in order, a page at a time."""
    who = visitor.who
    check(who, Permission.POST)
    status, side, field = _one_of(status, tuple(Status)), _one_of(side, tuple(Side)), _one_of(field, FIELDS)
    chosen = Chosen(status, side, field, organisation.strip()[:200], q.strip()[:200])
    sort = _one_of(sort, tuple(SORTS)) or ("waiting" if status == Status.SUBMITTED else "changed")
    moderates = Permission.MODERATE in who.permissions
    reads = moderates and status == Status.SUBMITTED
    shown = READ if reads else SHOWN
    with data.reading() as session:
        counts = queries.counts(session, who, chosen)
        few = (counts.get(status, 0) if status else sum(counts.values())) < FEW
        found = queries.page(session, who, chosen, sort, _place(after), shown + 1, few=few)
        names = [] if who.role is Role.PARTNER else queries.organisation_names(session, who)
    kept = {"status": status, "side": side, "field": field, "organisation": chosen.organisation, "q": chosen.text}
    kept = {name: value for name, value in kept.items() if value}
    language = language_of(request)
    view = {
        "chosen": chosen,
        "counts": counts,
        "statuses": _statuses(moderates),
        "total": sum(counts.values()),
        "narrowed": any(name != "status" for name in kept),
        "rows": [card(row, name, language, waiting=reads) for row, name in found[:shown]],
        "onwards": address("/listings", kept | {"sort": sort, "after": _cursor(found[shown - 1][0], sort)})
        if found[shown:]
        else "",
        "later": bool(after),
        "sort": sort,
        "orders": ORDERS,
        "fields": FIELDS,
        "names": names,
        "moderates": moderates,
        "several": who.role is not Role.PARTNER,
        "done": done,
        "tab": lambda name: address("/listings", kept | {"status": name}),
        "first": address("/listings", kept | {"sort": sort}),
        "keep": kept | {"sort": sort},
    }
    return html(request, "listings.html", view, language=language)


def card(row: ListingRow, organisation: str, language: Language, *, waiting: bool = False) -> dict[str, Any]:
    """A listing as the list shows it; with what a manager reads before deciding, if it is `waiting`."""
    listing = listing_of(row)
    return {
        "row": row,
        "waits": waiting,
        "title": listing.title or listing.body[:UNTITLED],
        "text": listing.body if waiting else "",
        "language": tag(listing.language or (language_of_text(listing) if waiting else None)),
        "organisation": organisation,
        "fields": told(language, "fields", list(listing.fields)),
        "hints": hint_words(language, hints(row.record, listing)[:HINTS]) if waiting else [],
    }


def may_change(who: Principal, row: ListingRow) -> dict[str, bool]:
    """What one who holds a listing can do with it as it stands."""
    status, moderates = row.status, Permission.MODERATE in who.permissions
    return {
        "revise": True,
        "withdraw": status != Status.WITHDRAWN,
        "renew": status in (Status.PUBLISHED, Status.EXPIRED) and not row.extended,
        "publish": moderates and status in (Status.SUBMITTED, Status.RETURNED),
        "return": moderates and status in (Status.SUBMITTED, Status.PUBLISHED),
        "fields": moderates,
    }


def _statuses(moderates: bool) -> list[str]:
    """The tabs, in order: whoever moderates begins with what waits."""
    order = [Status.SUBMITTED, Status.PUBLISHED, Status.RETURNED, Status.EXPIRED, Status.WITHDRAWN]
    tabs = [str(one) for one in order]
    return [tabs[0], "", *tabs[1:]] if moderates else ["", *tabs]


def _one_of(value: str, allowed: tuple[str, ...]) -> str:
    return value if value in allowed else ""


def _cursor(row: ListingRow, sort: str) -> str:
    return f"{getattr(row, SORTS[sort][0]).isoformat()}~{row.id}"


def _place(cursor: str) -> tuple[datetime, str] | None:
    """What `_cursor` made. Raises Unusable."""
    if not cursor:
        return None
    at, _, listing_id = cursor.partition("~")
    try:
        return datetime.fromisoformat(at).replace(tzinfo=None), listing_id
    except ValueError as error:
        fix = "must be one that a page of this list gave"
        raise Unusable(f"after: {fix}", [FieldError("after", fix)]) from error
