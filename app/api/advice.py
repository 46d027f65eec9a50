"""Advice on listings: while one is written, and for those that are stored."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from app import accounts, advice, listings
from app.access import Permission, Principal
from app.asking import Data, Search, allow
from app.record import ListingIn
from app.schemas.advice import AdviceOut

router = APIRouter(prefix="/api/v1", tags=["listings"])

Poster = Annotated[Principal, Depends(allow(Permission.POST))]
Owner = Annotated[str | None, Query(description="The organisation; needed only by those who post for several")]
Replaces = Annotated[str, Query(max_length=200, description="The listing of yours that this text is to replace")]


@router.post("/listings/advice")
def advise_on_draft(
    body: ListingIn, who: Poster, data: Data, search: Search, organisation: Owner = None, replaces: Replaces = ""
) -> AdviceOut:
    """Hints, near duplicates and fields for a text that is not stored."""
    record, owner_id = body.model_dump(mode="json", exclude_unset=True), organisation or who.organisation
    with data.reading() as session:
        owner = accounts.organisation(session, who, owner_id) if owner_id is not None else None
        draft = advice.draft(session, who, record, owner, replaces)
    return AdviceOut.of(advice.advise(search, who, draft))


@router.get("/listings/{listing_id}/advice")
def advise_on_listing(listing_id: str, who: Poster, data: Data, search: Search) -> AdviceOut:
    """Hints, near duplicates and fields for a listing of yours."""
    with data.reading() as session:
        draft = advice.draft_of(session, who, listings.owned(session, who, listing_id))
    return AdviceOut.of(advice.advise(search, who, draft))
