"""The reports of the overnight runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from app.access import Permission
from app.asking import Data, Search, allow
from app.queries import nights as queries
from app.schemas.nights import NightOut, NightsOut

router = APIRouter(prefix="/api/v1", tags=["nights"])


@router.get("/nights", dependencies=[Depends(allow(Permission.DECIDE))])
def list_nights(data: Data, search: Search, limit: Annotated[int, Query(ge=1, le=100)] = 30) -> NightsOut:
    """The last overnight runs with their reports, the newest first."""
    with data.reading() as session:
        rows = queries.latest(session, limit)
    return NightsOut(items=[NightOut.of(row) for row in rows], index=search.publisher.current())
