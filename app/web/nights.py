"""The page of the overnight runs, for those who decide on their proposals."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.access import Permission, check
from app.asking import Data
from app.queries import nights as queries
from app.web.forms import Visiting
from app.web.rendering import html

SHOWN = 14

router = APIRouter(include_in_schema=False)


@router.get("/nights")
def nights_page(request: Request, visitor: Visiting, data: Data) -> HTMLResponse:
    """The last nights: what ran, what changed, how the proposals are spread."""
    check(visitor.who, Permission.DECIDE)
    with data.reading() as session:
        rows = queries.latest(session, SHOWN)
    index = request.app.state.live.publisher.current()
    return html(request, "nights.html", {"nights": rows, "index": index})
