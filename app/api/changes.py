"""The change feed for each audience, and the audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from app import accounts
from app.access import Permission, Principal, check
from app.asking import Data, after_number, allow, who_asks
from app.errors import FieldError, Unusable
from app.events import NEEDED, Audience, envelope
from app.queries import events as queries
from app.schemas.changes import AuditLineOut, AuditOut, ChangesOut

router = APIRouter(prefix="/api/v1", tags=["changes"])

Page = Annotated[int, Query(ge=1, le=1_000)]


def for_audience(audience: Audience, who: Annotated[Principal, Depends(who_asks)]) -> Principal:
    """A dependency: who asks, if the audience's feed is theirs to read."""
    check(who, NEEDED[audience])
    return who


for_audience.permission = "by audience"  # type: ignore[attr-defined]


@router.get("/changes")
def list_changes(
    audience: Audience,
    who: Annotated[Principal, Depends(for_audience)],
    data: Data,
    after: str = "",
    limit: Page = 100,
    organisation: str | None = None,
) -> ChangesOut:
    """What has happened after a cursor, in order, nothing left out and nothing twice."""
    own = None
    if audience is Audience.ORGANISATION:
        own = organisation or who.organisation
        if own is None:
            raise Unusable("organisation: whose changes?", [FieldError("organisation", "must be given")])
    start = after_number(after)
    with data.reading() as session:
        if own is not None:
            accounts.organisation(session, who, own)
        rows = queries.events_after(session, audience, own, start, limit + 1)
    shown = rows[:limit]
    cursor = str(shown[-1].sequence if shown else start)
    return ChangesOut(items=[envelope(row) for row in shown], cursor=cursor, more=len(rows) > limit)


@router.get("/audit", tags=["audit"], dependencies=[Depends(allow(Permission.AUDIT))])
def list_audit(data: Data, after: str = "", limit: Page = 100) -> AuditOut:
    """The audit log in its order."""
    start = after_number(after)
    with data.reading() as session:
        rows = queries.audit(session, start, limit)
    return AuditOut(items=[AuditLineOut.of(row) for row in rows], cursor=str(rows[-1].number if rows else start))
