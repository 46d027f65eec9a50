"""For harvesters: feeds of new listings, one listing as schema.org, and the export. What is public, to anybody."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from app import feeds, listings
from app.access import PUBLIC, Permission
from app.asking import Data, Now, after_number, allow
from app.errors import FieldError, Unusable
from app.freshness import FRESH, is_known, last_modified, tag_of
from app.queries import feeds as queries
from app.queries.listings import Wanted
from app.tables import ListingRow
from matching import FIELDS, Side

router = APIRouter(tags=["feeds"], dependencies=[Depends(allow(Permission.READ))])

TITLES = {None: "Offers and needs", Side.OFFER: "Offers", Side.NEED: "Needs"}
NOT_MODIFIED = {"description": "Nothing has changed since"}

Page = Annotated[int, Query(ge=1, le=200)]
Block = Annotated[int, Query(ge=1, le=1_000)]


class AtomResponse(Response):
    """An Atom feed."""

    media_type = "application/atom+xml"


class FeedResponse(JSONResponse):
    """A JSON Feed."""

    media_type = "application/feed+json"


class LinkedDataResponse(JSONResponse):
    """JSON-LD."""

    media_type = "application/ld+json"


class LinesResponse(Response):
    """One JSON object a line."""

    media_type = "application/x-ndjson"


def wanted(
    side: Side | None = None,
    field: Annotated[str | None, Query(description=f"One of {', '.join(FIELDS)}")] = None,
    country: Annotated[str | None, Query(pattern="^[A-Z]{2}$", description="ISO 3166-1, two letters")] = None,
    language: Annotated[str | None, Query(pattern="^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$")] = None,
) -> Wanted:
    """A dependency: what a feed is narrowed to. Raises Unusable for a field that is none."""
    if field is not None and field not in FIELDS:
        fix = f"must be one of {', '.join(FIELDS)}"
        raise Unusable(f"field: {fix}", [FieldError("field", fix)])
    return Wanted(side=side, country=country, field=field, language=language)


Narrowed = Annotated[Wanted, Depends(wanted)]


@router.get(
    "/feeds/listings.atom", response_class=AtomResponse, responses={200: {"description": "Atom"}, 304: NOT_MODIFIED}
)
def atom_feed(
    request: Request, data: Data, at: Now, narrowed: Narrowed, limit: Page = 50, before: str = ""
) -> Response:
    """Newly published offers and needs as Atom, the newest first."""
    rows, links, headers = _read(request, data, at, narrowed, limit, before)
    if is_known(request.headers, headers):
        return Response(status_code=304, headers=headers)
    return AtomResponse(feeds.atom(rows, links, TITLES[_side(narrowed)]), headers=headers)


@router.get(
    "/feeds/listings.json",
    response_class=FeedResponse,
    responses={200: {"description": "JSON Feed 1.1"}, 304: NOT_MODIFIED},
)
def json_feed(
    request: Request, data: Data, at: Now, narrowed: Narrowed, limit: Page = 50, before: str = ""
) -> Response:
    """Newly published offers and needs as a JSON Feed, the newest first."""
    rows, links, headers = _read(request, data, at, narrowed, limit, before)
    if is_known(request.headers, headers):
        return Response(status_code=304, headers=headers)
    return FeedResponse(feeds.json_feed(rows, links, TITLES[_side(narrowed)]), headers=headers)


@router.get("/api/v1/listings/{listing_id}/schema.org", response_class=LinkedDataResponse)
def get_schema_org(request: Request, listing_id: str, data: Data) -> Response:
    """One public listing as a schema.org Offer or Demand."""
    with data.reading() as session:
        row = listings.readable(session, PUBLIC, listing_id)
    address = f"{request.base_url}api/v1/listings/{row.id}"
    return LinkedDataResponse(feeds.schema_org(row, address), headers={"Cache-Control": f"public, max-age={FRESH}"})


@router.get(
    "/api/v1/export",
    response_class=LinesResponse,
    responses={200: {"description": "One JSON object a line; the header Link, rel=next, leads to the next page"}},
)
def harvest_listings(
    request: Request,
    data: Data,
    narrowed: Narrowed,
    since: Annotated[datetime | None, Query(alias="from", description="Changed at this time or later")] = None,
    until: Annotated[datetime | None, Query(description="Changed before this time")] = None,
    cursor: str = "",
    limit: Block = 500,
) -> Response:
    """All public listings by their last change, and which have gone, a page at a time.

    Take the pages in their order: a listing that changes meanwhile comes again on a later one, and none is missed.
    """
    after = after_number(cursor, "cursor")
    with data.reading() as session:
        rows = queries.harvest(session, narrowed, _utc(since), _utc(until), after, limit + 1)
    body = "".join(json.dumps(feeds.line(row), ensure_ascii=False) + "\n" for row in rows[:limit])
    more = rows[limit - 1].revision if len(rows) > limit else None
    address = request.url.include_query_params(cursor=more)
    return LinesResponse(body, headers={"Link": f'<{address}>; rel="next"'} if more is not None else {})


def _read(
    request: Request, data: Data, at: datetime, narrowed: Wanted, limit: int, before: str
) -> tuple[list[ListingRow], feeds.Links, dict[str, str]]:
    """A page of a feed, its links, and the headers by which a copy of it is checked."""
    with data.reading() as session:
        rows = queries.newest(session, narrowed, _place(before), limit + 1)
        changed = queries.last_change(session)
    more = rows[limit - 1] if len(rows) > limit else None
    links = _links(request, narrowed, limit, before, more)
    shown = rows[:limit]
    stamp = json.dumps([links.self, links.next, *((row.id, row.revision) for row in shown)])
    headers = {
        "ETag": tag_of(stamp.encode()),
        "Cache-Control": f"public, max-age={FRESH}",
        **last_modified(changed, at),
    }
    return shown, links, headers


def _links(request: Request, narrowed: Wanted, limit: int, before: str, more: ListingRow | None) -> feeds.Links:
    """Addresses with what narrows the feed, in one order and nothing else, so that an address is a feed's name."""
    names = ("side", "field", "country", "language")
    given = {name: str(getattr(narrowed, name)) for name in names if getattr(narrowed, name) is not None}
    address = f"{str(request.base_url).rstrip('/')}{request.url.path}"

    def page(place: str) -> str:
        query = given | {"limit": str(limit)} | ({"before": place} if place else {})
        return f"{address}?{urlencode(query)}"

    following = page(f"{more.published_at:%Y-%m-%dT%H:%M:%S.%f},{more.id}") if more is not None else None
    return feeds.Links(home=str(request.base_url), self=page(before), next=following)


def _place(before: str) -> queries.Place | None:
    """Where the last page ended. Raises Unusable."""
    if before == "":
        return None
    time, _, name = before.partition(",")
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", time, re.ASCII):
        try:
            return queries.Place(datetime.fromisoformat(time), str(UUID(name)))
        except ValueError:
            pass
    fix = "must be the place that an earlier page's next link gave, or empty"
    raise Unusable(f"before: {fix}", [FieldError("before", fix)])


def _side(narrowed: Wanted) -> Side | None:
    return Side(narrowed.side) if narrowed.side is not None else None


def _utc(time: datetime | None) -> datetime | None:
    """As times are stored; one without a zone is UTC. Raises Unusable for one that no calendar has in UTC."""
    if time is None or time.tzinfo is None:
        return time
    try:
        return time.astimezone(UTC).replace(tzinfo=None)
    except OverflowError as error:
        fix = "is too far away; give a time between the years 1 and 9999 of UTC"
        raise Unusable(f"from, until: {fix}", [FieldError("from, until", fix)]) from error
