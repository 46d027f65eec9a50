"""What people do with a listing on its page and in the list: publish, return, withdraw, renew, correct its fields."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlmodel import Session

from app import listings
from app.access import Permission
from app.asking import Data, Log, Now
from app.errors import Conflict
from app.tables import ListingRow
from app.web.forms import Sent, sent
from app.web.listing import listing_view
from app.web.rendering import language_of, see
from app.web.words import N_

LONGEST_REASON = 2_000

router = APIRouter(include_in_schema=False)

Poster = Annotated[Sent, sent(Permission.POST)]
Moderator = Annotated[Sent, sent(Permission.MODERATE)]
Change = Callable[[Session, ListingRow, datetime], None]


@router.post("/listings/{listing_id}/publish")
def publish(request: Request, listing_id: str, form: Moderator, data: Data, log: Log, at: Now) -> Response:
    """A manager's yes."""

    def change(session: Session, row: ListingRow, now: datetime) -> None:
        listings.publish(session, row, now)
        log.record(session, form.who, "listing.publish", row.id, now, version=row.version)

    return _changed(request, listing_id, form, data, at, "publish", change)


@router.post("/listings/{listing_id}/return")
def give_back(request: Request, listing_id: str, form: Moderator, data: Data, log: Log, at: Now) -> Response:
    """A manager's no, with the reason."""
    reason = form.text("reason").strip()[:LONGEST_REASON]
    if not reason:
        said = N_("Say why the listing goes back: its author is told the reason.")
        return _refused(request, listing_id, form, data, said, 422)

    def change(session: Session, row: ListingRow, now: datetime) -> None:
        listings.give_back(session, row, reason, now)
        log.record(session, form.who, "listing.return", row.id, now, version=row.version)

    return _changed(request, listing_id, form, data, at, "return", change)


@router.post("/listings/{listing_id}/withdraw")
def withdraw(request: Request, listing_id: str, form: Poster, data: Data, at: Now) -> Response:
    """Take a listing out."""
    return _changed(request, listing_id, form, data, at, "withdraw", listings.withdraw)


@router.post("/listings/{listing_id}/renew")
def renew(request: Request, listing_id: str, form: Poster, data: Data, at: Now) -> Response:
    """The one extension."""
    return _changed(request, listing_id, form, data, at, "renew", listings.renew)


@router.post("/listings/{listing_id}/fields")
def correct_fields(request: Request, listing_id: str, form: Moderator, data: Data, log: Log, at: Now) -> Response:
    """A manager's fields, or back to the author's."""
    fields = None if form.text("do") == "reset" else form.texts("fields")

    def change(session: Session, row: ListingRow, now: datetime) -> None:
        listings.correct_fields(session, row, fields, now)
        log.record(session, form.who, "listing.fields", row.id, now, fields=fields)

    return _changed(request, listing_id, form, data, at, "fields", change, "/advice")


def _changed(
    request: Request, listing_id: str, form: Sent, data: Data, at: datetime, done: str, change: Change, tab: str = ""
) -> Response:
    """Do it and go on to where the form says, by default to the listing; say so where its state does not allow it."""
    try:
        with data.writing() as session:
            row = listings.owned(session, form.who, listing_id)
            change(session, row, at)
    except Conflict:
        said = N_("This has not been done: somebody has changed the listing meanwhile. This is how it stands now.")
        return _refused(request, listing_id, form, data, said, Conflict.status)
    if form.text("next") == "/listings?status=submitted":
        return see(f"/listings?status=submitted&done={done}")
    return see(f"/listings/{row.id}{tab}?done={done}")


def _refused(request: Request, listing_id: str, form: Sent, data: Data, said: str, status: int) -> Response:
    words = language_of(request).words.gettext(said)
    return listing_view(request, form.who, data, listing_id, refused=words, status=status)
