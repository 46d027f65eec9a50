"""The catalogue that the compliance gate screens offers against, and those that it did before."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.access import Permission, check
from app.asking import Data, Search
from app.queries import pairings as queries
from app.web.administration.frame import page
from app.web.forms import Visiting

router = APIRouter(include_in_schema=False, prefix="/administration")


@router.get("/catalogue")
def catalogue_page(request: Request, visitor: Visiting, data: Data, search: Search, find: str = "") -> HTMLResponse:
    """Which file and version is in use, its entries, and what was screened against which catalogue, and when."""
    check(visitor.who, Permission.SCREEN)
    with data.reading() as session:
        used = queries.catalogues(session)
    words = find.strip().casefold()
    entries = [
        entry
        for entry in search.catalogue.entries
        if not words or any(words in text.casefold() for text in (entry.code, *entry.title.values()))
    ]
    view = {
        "catalogue": search.catalogue,
        "file": search.catalogue_file.name,
        "entries": entries,
        "used": used,
        "find": find,
        "keep": {"find": find},
    }
    return page(request, visitor.who, "catalogue", "catalogue.html", view)
