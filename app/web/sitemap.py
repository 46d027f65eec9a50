"""What is asked of every site: robots.txt, the sitemap (sitemaps.org, protocol 0.9), an icon."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from app.errors import NotFound
from app.freshness import FRESH
from app.shelf import Shelf
from app.web.catalogue import Public
from app.web.forms import DIGITS
from app.web.publicly import READ, Browsing, address, kept
from app.web.rendering import NAVIGATION, STATIC
from app.web.words import LANGUAGES
from matching import FIELDS

PART = 10_000  # listings of one part, each in two languages; a part may hold 50,000 addresses and 50 MB
CLOSED = ("/api/", "/account", "/sign-in", "/invitation", "/pairings", "/metrics", "/docs")
SITEMAP = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'

router = APIRouter(include_in_schema=False)


@router.api_route("/robots.txt", methods=READ)
def robots(request: Request, _visitor: Browsing) -> Response:
    """The workbench and the API are of no use to search engines; the catalogue is made for them."""
    closed = [*CLOSED, *(path for path, _name, _permission in NAVIGATION)]
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in closed), "Disallow: /*q="]
    body = "\n".join([*lines, "", f"Sitemap: {address(request, '/sitemap.xml')}", ""])
    return kept(request, Response(body, media_type="text/plain; charset=utf-8"), FRESH)


@router.api_route("/favicon.ico", methods=READ)
def icon() -> Response:
    """For browsers that show something other than a page of ours, which names its icon."""
    return FileResponse(STATIC / "icon.svg", media_type="image/svg+xml", headers={"Cache-Control": f"max-age={FRESH}"})


@router.api_route("/sitemap.xml", methods=READ)
def sitemap_index(request: Request, _visitor: Browsing, shelf: Public) -> Response:
    """The parts of the sitemap."""
    entries = [f"<sitemap><loc>{escape(address(request, '/sitemaps/pages.xml'))}</loc></sitemap>"]
    for number, start in enumerate(range(0, len(shelf), PART)):
        last = _day(int(shelf.updated[start : start + PART].max()))
        place = escape(address(request, f"/sitemaps/{number}.xml"))
        entries.append(f"<sitemap><loc>{place}</loc><lastmod>{last}</lastmod></sitemap>")
    return _xml(request, f"<sitemapindex {SITEMAP}>", entries, "</sitemapindex>")


@router.api_route("/sitemaps/pages.xml", methods=READ)
def sitemap_of_pages(request: Request, _visitor: Browsing) -> Response:
    """The lists."""
    lists = [f"{side}{query}" for side in ("offers", "needs") for query in ("", *(f"?field={one}" for one in FIELDS))]
    return _urls(request, (entry for rest in ("", *lists) for entry in _entries(request, rest, None)))


@router.api_route("/sitemaps/{number}.xml", methods=READ)
def sitemap_of_listings(request: Request, _visitor: Browsing, shelf: Public, number: str) -> Response:
    """One part of the listings."""
    start = int(number) * PART if number.isascii() and number.isdigit() and len(number) <= DIGITS else len(shelf)
    if start >= len(shelf):
        raise NotFound("there is no such part of the sitemap")
    return _urls(request, _listings(request, shelf, start))


def _listings(request: Request, shelf: Shelf, start: int) -> Iterator[str]:
    days = shelf.updated[start : start + PART].tolist()
    for name, day in zip(shelf.ids[start : start + PART].tolist(), days, strict=True):
        yield from _entries(request, f"listings/{name.decode()}", _day(day))


def _entries(request: Request, rest: str, day: str | None) -> Iterator[str]:
    """A page in each of its languages, each of which names all of them."""
    places = {one.tag: escape(address(request, f"/{code}/{rest}")) for code, one in LANGUAGES.items()}
    named = places | {"x-default": places["en"]}
    links = "".join(f'<xhtml:link rel="alternate" hreflang="{tag}" href="{at}"/>' for tag, at in named.items())
    changed = f"<lastmod>{day}</lastmod>" if day is not None else ""
    for place in places.values():
        yield f"<url><loc>{place}</loc>{changed}{links}</url>"


def _urls(request: Request, entries: Iterator[str]) -> Response:
    return _xml(request, f'<urlset {SITEMAP} xmlns:xhtml="http://www.w3.org/1999/xhtml">', entries, "</urlset>")


def _xml(request: Request, first: str, entries: Iterator[str] | list[str], last: str) -> Response:
    body = "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', first, *entries, last, ""])
    return kept(request, Response(body, media_type="application/xml"), FRESH)


def _day(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
