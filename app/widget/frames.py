"""Pages for frames on other sites: an element of the widget, and inside it what is read where scripts do not run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app import feeds, listings
from app.access import PUBLIC
from app.asking import Data, address
from app.db import Database
from app.errors import AppError, FieldError, NotFound, TooMany, Unusable
from app.feeds import Entry
from app.queries import feeds as queries
from app.queries.listings import Wanted
from app.widget.script import STATIC
from app.widget.sites import frame_ancestors
from matching import FIELDS, Side

WORDS: dict[str, dict[str, str]] = json.loads((STATIC / "widget/words.json").read_text("utf-8"))
LOCALES = {"en": "en-GB", "zh": "zh-CN"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'"
)
HEADERS = {
    "Cache-Control": "public, max-age=300",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
SHOWN = 5

router = APIRouter(include_in_schema=False)
templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@router.get("/embed/{kind}")
def frame(
    request: Request, kind: str, data: Data, side: str = "", field: str = "", listing: str = "", lang: str = ""
) -> HTMLResponse:
    """A page that holds one element of the widget. Whoever asks, it shows what is public."""
    language = "zh" if lang.lower().startswith("zh") else "en"
    view: dict[str, Any] = {"kind": kind, "lang": language, "notice": "", "attributes": {}, "entries": []}
    status = 200
    try:
        request.app.state.limits.count(PUBLIC, address(request))
        view["attributes"], view["entries"] = _shown(data, kind, _narrowed(side, field), listing)
    except AppError as error:
        status, view["notice"] = error.status, _notice(error, WORDS[language])
    body = templates.get_template("frame.html").render(w=WORDS[language], locale=LOCALES[language], **view)
    policy = f"{POLICY}; {frame_ancestors(request.app.state.sites)}"
    return HTMLResponse(body, status, headers=HEADERS | {"Content-Security-Policy": policy})


def _narrowed(side: str, field: str) -> dict[str, str]:
    """The side and the field that are given, checked. Raises Unusable."""
    given = {"side": side.strip(), "field": field.strip().replace("-", "_")}
    for name, known in (("side", tuple(Side)), ("field", FIELDS)):
        if given[name] and given[name] not in known:
            raise Unusable(given[name], [FieldError(name, f"must be one of {', '.join(known)}")])
    return {name: value for name, value in given.items() if value}


def _shown(
    data: Database, kind: str, narrowed: dict[str, str], listing: str
) -> tuple[dict[str, str], list[tuple[str, Entry]]]:
    """The element's attributes, and the listings that stand in it, by id. Raises NotFound."""
    if kind == "search":
        return narrowed, []
    with data.reading() as session:
        if kind == "latest":
            rows = queries.newest(session, Wanted(**narrowed), None, SHOWN)
        elif kind == "listing":
            rows, narrowed = [listings.readable(session, PUBLIC, listing)], {"listing": listing}
        else:
            raise NotFound(f"there is no frame {kind!r:.100}")
    return narrowed, [(row.id, feeds.entry_of(row)) for row in rows]


def _notice(error: AppError, words: dict[str, str]) -> str:
    """What a visitor of the other site reads."""
    if isinstance(error, TooMany):
        return words["busy"].replace("{n}", error.headers["Retry-After"])
    if isinstance(error, Unusable) and error.errors:
        return words["wrong"].replace("{name}", error.errors[0].field).replace("{value}", error.detail)
    return words["gone"] if isinstance(error, NotFound) else words["broken"]
