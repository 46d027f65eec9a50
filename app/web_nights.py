"""The page of the overnight runs, for those who decide on their proposals."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app import web
from app.access import Permission, check
from app.api.asking import Data
from app.forms import Visiting
from app.queries import nights as queries

SHOWN = 14

router = APIRouter(include_in_schema=False)


@router.get("/nights")
def nights_page(request: Request, visitor: Visiting, data: Data, lang: str = "") -> HTMLResponse:
    """The last nights: what ran, what changed, how the proposals are spread."""
    check(visitor.who, Permission.DECIDE)
    with data.reading() as session:
        rows = queries.latest(session, SHOWN)
    index = request.app.state.live.publisher.current()
    view = {"here": "/nights", "person": visitor.name, "nights": rows, "index": index}
    return web.html("nights.html", web.language_of(request, lang), 200, view)
