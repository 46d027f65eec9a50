"""The API's routes, thin: read the request, call a use case, render. Plain functions, because the work blocks."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app import listings, queries
from app.db import Database
from app.errors import NotReady
from app.schemas import Health, ListingIn, ListingOut, ListingsOut, MatchesOut, MatchOut, SearchIn
from app.search import Live, Results

router = APIRouter(prefix="/api/v1")
health = APIRouter(prefix="/health", tags=["health"])

Page = Annotated[int, Query(ge=1, le=200)]
Few = Annotated[int, Query(ge=1, le=50)]


@router.post("/listings", status_code=201, responses={200: {"model": ListingOut, "description": "Updated"}})
def post_listing(request: Request, response: Response, body: ListingIn) -> ListingOut:
    """Post an offer or a need; one that is there is updated (200)."""
    record = body.model_dump(exclude_unset=True) | {"id": body.id if body.id is not None else str(uuid.uuid4())}
    with _database(request).session() as session:
        row, created = listings.post_listing(session, record, listings.utc_now())
    if not created:
        response.status_code = 200
    return ListingOut.of(row)


@router.get("/listings")
def get_listings(request: Request, limit: Page = 50, cursor: str = "") -> ListingsOut:
    """All listings by id, a page at a time."""
    with _database(request).session() as session:
        rows = queries.listings_after(session, cursor, limit + 1)
    more = rows[limit - 1].id if len(rows) > limit else None
    return ListingsOut(items=[ListingOut.of(row) for row in rows[:limit]], next_cursor=more)


@router.get("/listings/{listing_id:path}/matches")
def get_matches(request: Request, listing_id: str, limit: Few = 10) -> MatchesOut:
    """What answers a listing, best first."""
    with _database(request).session() as session:
        listings.get_listing(session, listing_id)
    return _rendered(_live(request).matches(listing_id, limit))


@router.get("/listings/{listing_id:path}")
def get_listing(request: Request, listing_id: str) -> ListingOut:
    """One listing."""
    with _database(request).session() as session:
        return ListingOut.of(listings.get_listing(session, listing_id))


@router.post("/search")
def search(request: Request, body: SearchIn) -> MatchesOut:
    """What answers a free text in any language, best first."""
    return _rendered(_live(request).search(body.text, body.side, body.limit, body.language))


@health.get("/live")
async def live() -> Health:
    """The process answers, even while all its threads wait for the search."""
    return Health(status="live")


@health.get("/ready")
def ready(request: Request) -> Health:
    """The model is loaded and searches are answered; 503 until then."""
    if not _live(request).is_ready:
        raise NotReady(_live(request).failure or "the model is still loading")
    return Health(status="ready")


def _rendered(results: Results) -> MatchesOut:
    return MatchesOut(threshold=results.threshold, items=[MatchOut.of(found) for found in results.items])


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


def _live(request: Request) -> Live:
    search: Live = request.app.state.live
    return search
