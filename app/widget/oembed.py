"""oEmbed 1.0: from the address of a public listing, or of the catalogue, to a frame that shows it."""

from __future__ import annotations

import re
from html import escape
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode
from xml.etree import ElementTree

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse

from app import feeds, listings
from app.access import PUBLIC
from app.asking import Data, address
from app.db import Database
from app.errors import NotFound
from app.widget.frames import WORDS

ADDRESS = re.compile(r"https?://(?P<host>[^/?#]+)(?P<path>[^?#]*)(\?(?P<query>[^#]*))?(#.*)?")
LISTING = re.compile(r"/(zh|en)/listings/([0-9a-f-]{36})")
CATALOGUE = re.compile(r"/(zh|en)(?:/(?:listings|(offer|need)s))?/?")
WIDTH, HEIGHTS = 600, {"listing": 420, "latest": 720}
FRESH = 3600  # seconds for which an answer may be kept

router = APIRouter(include_in_schema=False)

Size = Annotated[int | None, Query(ge=1)]


@router.get("/oembed")
def oembed(
    request: Request, data: Data, url: str, format: str = "json", maxwidth: Size = None, maxheight: Size = None
) -> Response:
    """A frame for a page of ours, as JSON or XML. Raises NotFound for other addresses."""
    request.app.state.limits.count(PUBLIC, address(request))
    if format not in ("json", "xml"):
        raise HTTPException(501, "format: must be json or xml")
    page = ADDRESS.fullmatch(url)
    if page is None or page["host"] != request.base_url.netloc:
        raise NotFound("this is no address of this service")
    kind, query, facts = _embedded(data, page["path"], page["query"] or "")
    width, height = min(WIDTH, maxwidth or WIDTH), min(HEIGHTS[kind], maxheight or HEIGHTS[kind])
    source, title = escape(f"{request.base_url}embed/{kind}?{urlencode(query)}"), escape(facts["title"])
    answer = {
        "type": "rich",
        "version": "1.0",
        **facts,
        "provider_name": "Dukou",
        "provider_url": str(request.base_url),
        "cache_age": FRESH,
        "width": width,
        "height": height,
        "html": f'<iframe src="{source}" width="{width}" height="{height}" frameborder="0" title="{title}"></iframe>',
    }
    headers = {"Cache-Control": f"public, max-age={FRESH}"}
    if format == "xml":
        return Response(_xml(answer), media_type="text/xml", headers=headers)
    return JSONResponse(answer, headers=headers)


def _embedded(data: Database, path: str, asked: str) -> tuple[str, dict[str, str], dict[str, str]]:
    """Which frame shows a page, with which query, and what is said of it. Raises NotFound."""
    if listing := LISTING.fullmatch(path):
        with data.reading() as session:
            entry = feeds.entry_of(listings.readable(session, PUBLIC, listing[2]))
        author = {"author_name": entry.organisation} if entry.organisation else {}
        return "listing", {"listing": listing[2], "lang": listing[1]}, {"title": entry.title, **author}
    if catalogue := CATALOGUE.fullmatch(path):
        narrowed = {name: values[0] for name, values in parse_qs(asked).items() if name in ("side", "field")}
        narrowed |= {"side": catalogue[2]} if catalogue[2] else {}
        return "latest", {**narrowed, "lang": catalogue[1]}, {"title": WORDS[catalogue[1]]["service"]}
    raise NotFound("there is nothing to embed at this address")


def _xml(answer: dict[str, Any]) -> bytes:
    root = ElementTree.Element("oembed")
    for name, value in answer.items():
        ElementTree.SubElement(root, name).text = feeds.xml_text(str(value))
    body: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return body
