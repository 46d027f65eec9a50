"""Listings as partnering profiles, and partnering profiles as listings."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from app import accounts, een, listings
from app.access import Permission, Principal
from app.asking import Data, Now, allow
from app.errors import FieldError, Unusable
from app.schemas.profiles import Profile, ProfileIn, ProfileOut

router = APIRouter(prefix="/api/v1", tags=["profiles"])

Reader = Annotated[Principal, Depends(allow(Permission.READ))]
Poster = Annotated[Principal, Depends(allow(Permission.POST))]
Owner = Annotated[str | None, Query(description="The organisation; needed only by those who post for several")]


@router.get("/listings/{listing_id}/profile", response_model_exclude_unset=True)
def get_profile(listing_id: str, who: Reader, data: Data) -> Profile:
    """A listing as a profile; `docs/profiles.md` describes it."""
    with data.reading() as session:
        row = listings.readable(session, who, listing_id)
    return Profile.model_validate(een.to_profile(row.record, row.expires_at))


@router.post("/profiles", status_code=201, responses={200: {"model": ProfileOut, "description": "Was there"}})
def post_profile(
    body: ProfileIn, who: Poster, data: Data, at: Now, response: Response, organisation: Owner = None
) -> ProfileOut:
    """Post a profile as a listing. One of the same reference number is brought to this text (200)."""
    read, owner_id = een.from_profile(body.plain()), organisation or who.organisation
    if owner_id is None:
        raise Unusable("organisation: for which one is this?", [FieldError("organisation", "must be given")])
    if read.deadline is not None and een.last_moment(read.deadline) <= at:
        fix = "is over; leave it out or give a later day"
        raise Unusable(f"dissemination.deadline: {fix}", [FieldError("dissemination.deadline", fix)])
    with data.writing() as session:
        owner = accounts.organisation(session, who, owner_id)
        posted = listings.post_listing(session, who, owner, read.record, at)
        row = posted.row
        if read.deadline is not None and row.expires_at is not None:
            row.expires_at = min(row.expires_at, een.last_moment(read.deadline))
            session.add(row)
    response.status_code = 201 if posted.created else 200
    response.headers["Location"] = f"/api/v1/listings/{row.id}"
    return ProfileOut(
        listing_id=row.id,
        reference_number=body.reference_number,
        status=row.status,
        version=row.version,
        created=posted.created,
        changed=posted.changed,
        deadline=row.expires_at.date() if row.expires_at is not None else None,
    )
