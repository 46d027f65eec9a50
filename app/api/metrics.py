"""The metrics: for a monitoring program that has their token, and for administrators."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.access import Permission, check
from app.asking import Data, Now, Search, bearer, cookie, who_asks
from app.metrics import exposition

router = APIRouter(include_in_schema=False)


def may_read(
    request: Request,
    data: Data,
    at: Now,
    key: Annotated[object, Depends(bearer)],
    session: Annotated[str | None, Depends(cookie)],
) -> None:
    """A dependency: DUKOU_METRICS_TOKEN, which is checked without the database, or the permission."""
    if _has_token(request):
        request.state.who = "monitor:"
        return
    check(who_asks(request, data, at, key, session), Permission.METRICS)


may_read.permission = Permission.METRICS  # type: ignore[attr-defined]


def _has_token(request: Request) -> bool:
    wanted: bytes = request.app.state.metrics_token
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    return bool(wanted) and scheme.lower() == "bearer" and hmac.compare_digest(sent.strip().encode(), wanted)


@router.get("/metrics", dependencies=[Depends(may_read)])
def metrics(data: Data, at: Now, search: Search) -> Response:
    """Everything that is measured, in Prometheus' text format."""
    return Response(exposition(data, search.state, at), headers={"Content-Type": CONTENT_TYPE_LATEST})
