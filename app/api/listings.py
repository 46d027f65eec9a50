"""Listings: post, revise, read, moderate; what answers them. Thin: read the request, call a use case, render."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import JSONResponse

from app import listings, posting
from app.access import Permission, Principal
from app.asking import Data, Expected, Log, Now, Search, allow
from app.metrics import searching
from app.queries import listings as queries
from app.record import ListingIn
from app.results import Results
from app.schemas.listings import (
    FieldsIn,
    ListingOut,
    ListingsOut,
    MatchesOut,
    MatchOut,
    ReturnIn,
    SearchIn,
    VersionOut,
    VersionsOut,
)
from app.snapshot import Sight
from app.tables import ListingRow
from matching import Side

router = APIRouter(prefix="/api/v1", tags=["listings"])

Page = Annotated[int, Query(ge=1, le=200)]
Few = Annotated[int, Query(ge=1, le=50)]
Reader = Annotated[Principal, Depends(allow(Permission.READ))]
Poster = Annotated[Principal, Depends(allow(Permission.POST))]
Moderator = Annotated[Principal, Depends(allow(Permission.MODERATE))]
Matcher = Annotated[Principal, Depends(allow(Permission.MATCH))]
Key = Annotated[
    str | None,
    Header(max_length=200, description="A text of your own for this one request; sent again, it does nothing twice"),
]
Owner = Annotated[str | None, Query(description="The organisation; needed only by those who post for several")]


@router.post(
    "/listings",
    status_code=201,
    responses={200: {"model": ListingOut, "description": "Was there, updated"}, 201: {"model": ListingOut}},
)
def post_listing(
    body: ListingIn, who: Poster, data: Data, at: Now, organisation: Owner = None, idempotency_key: Key = None
) -> Response:
    """Post an offer or a need. One of the same reference is brought to this text (200).

    The header Link names listings with the very same text (rel="duplicate"); it is no error.
    """
    record = body.model_dump(mode="json", exclude_unset=True)
    with data.writing() as session:
        answer = posting.post(session, who, organisation, record, idempotency_key, _body, at)
    if answer.row is None:
        return _answer(answer.status, answer.body, {"Idempotency-Replayed": "true"})
    return _answer(answer.status, answer.body, _tagged(answer.row) | _duplicates(answer.same))


@router.get("/listings")
def list_listings(
    who: Reader,
    data: Data,
    limit: Page = 50,
    cursor: str = "",
    side: Side | None = None,
    status: listings.Status | None = None,
    organisation: str | None = None,
    country: str | None = None,
    field: str | None = None,
    language: str | None = None,
) -> ListingsOut:
    """Listings by id, a page at a time: the published ones that you may read, and your own."""
    wanted = queries.Wanted(side, status, organisation, country, field, language)
    with data.reading() as session:
        rows = queries.page(session, who, wanted, cursor, limit + 1)
    more = rows[limit - 1].id if len(rows) > limit else None
    return ListingsOut(items=[_shown(row, who) for row in rows[:limit]], next_cursor=more)


@router.get("/listings/{listing_id}")
def get_listing(listing_id: str, who: Reader, data: Data, response: Response) -> ListingOut:
    """One listing; its ETag is what a change of it names."""
    with data.reading() as session:
        row = listings.readable(session, who, listing_id)
    response.headers.update(_tagged(row))
    return _shown(row, who)


@router.put("/listings/{listing_id}")
def revise_listing(
    listing_id: str, body: ListingIn, who: Poster, data: Data, at: Now, revision: Expected, response: Response
) -> ListingOut:
    """Give a listing a new text. The former one is kept among the versions."""
    record = body.model_dump(mode="json", exclude_unset=True)
    with data.writing() as session:
        row = listings.owned(session, who, listing_id)
        row = listings.revise(session, who, row, record, revision, at).row
    response.headers.update(_tagged(row))
    return ListingOut.of(row)


@router.get("/listings/{listing_id}/versions")
def list_versions(listing_id: str, who: Poster, data: Data) -> VersionsOut:
    """All versions of a listing of yours, the newest first."""
    with data.reading() as session:
        row = listings.owned(session, who, listing_id)
        return VersionsOut(items=[VersionOut.of(one) for one in queries.versions(session, row.id)])


@router.post("/listings/{listing_id}/withdraw")
def withdraw_listing(listing_id: str, who: Poster, data: Data, at: Now) -> ListingOut:
    """Take a listing out: it is found and proposed no more."""
    with data.writing() as session:
        row = listings.owned(session, who, listing_id)
        listings.withdraw(session, row, at)
    return ListingOut.of(row)


@router.post("/listings/{listing_id}/renew")
def renew_listing(listing_id: str, who: Poster, data: Data, at: Now) -> ListingOut:
    """The one extension, by 365 days."""
    with data.writing() as session:
        row = listings.owned(session, who, listing_id)
        listings.renew(session, row, at)
    return ListingOut.of(row)


@router.post("/listings/{listing_id}/publish")
def publish_listing(listing_id: str, who: Moderator, data: Data, log: Log, at: Now) -> ListingOut:
    """A manager's yes to a listing that waits."""
    with data.writing() as session:
        row = listings.owned(session, who, listing_id)
        listings.publish(session, row, at)
        log.record(session, who, "listing.publish", row.id, at, version=row.version)
    return ListingOut.of(row)


@router.post("/listings/{listing_id}/return")
def return_listing(listing_id: str, body: ReturnIn, who: Moderator, data: Data, log: Log, at: Now) -> ListingOut:
    """Give a listing back to its author, with the reason."""
    with data.writing() as session:
        row = listings.owned(session, who, listing_id)
        listings.give_back(session, row, body.reason, at)
        log.record(session, who, "listing.return", row.id, at, version=row.version)
    return ListingOut.of(row)


@router.put("/listings/{listing_id}/fields")
def correct_fields(listing_id: str, body: FieldsIn, who: Moderator, data: Data, log: Log, at: Now) -> ListingOut:
    """Correct the fields of a listing, or take a correction back."""
    with data.writing() as session:
        row = listings.owned(session, who, listing_id)
        listings.correct_fields(session, row, body.fields, at)
        log.record(session, who, "listing.fields", row.id, at, fields=body.fields)
    return ListingOut.of(row)


@router.get("/listings/{listing_id}/matches", tags=["search"])
def get_matches(listing_id: str, who: Matcher, data: Data, search: Search, limit: Few = 10) -> MatchesOut:
    """What answers a listing of yours, best first."""
    with data.reading() as session:
        row = listings.owned(session, who, listing_id)
        sight = Sight(who, without=row.organisation_id)
    with searching("listing"):
        return _rendered(search.matches(listings.listing_of(row), limit, sight))


@router.post("/search", tags=["search"])
def search(body: SearchIn, who: Reader, search: Search) -> MatchesOut:
    """What answers a free text in any language, best first."""
    with searching("text"):
        return _rendered(
            search.search(body.text, body.side, body.limit, body.language, sight=Sight(who, wanted=body.wanted))
        )


def _body(row: ListingRow) -> dict[str, Any]:
    return ListingOut.of(row).model_dump(mode="json")


def _rendered(results: Results) -> MatchesOut:
    return MatchesOut(threshold=results.threshold, items=[MatchOut.of(found) for found in results.items])


def _shown(row: ListingRow, who: Principal) -> ListingOut:
    """A reason for a return is between a manager and the author."""
    shown = ListingOut.of(row)
    return shown if Permission.POST in who.permissions else shown.model_copy(update={"returned_reason": None})


def _tagged(row: ListingRow) -> dict[str, str]:
    return {"ETag": f'"{row.revision}"', "Location": f"/api/v1/listings/{row.id}"}


def _duplicates(same: Sequence[ListingRow]) -> dict[str, str]:
    """RFC 8288, with the relation of RFC 6249."""
    links = ", ".join(f'</api/v1/listings/{row.id}>; rel="duplicate"' for row in same)
    return {"Link": links} if links else {}


def _answer(status: int, body: dict[str, Any], headers: dict[str, str]) -> JSONResponse:
    return JSONResponse(body, status, headers=headers)
