"""What public pages have in common: a language by their path, addresses that search engines read, copies that keep.

For a stranger such a page holds nothing of anybody's: no token, no cookie. It may be kept, and compressed.
"""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Request
from fastapi.responses import Response
from starlette.convertors import Convertor, register_url_convertor

from app.access import PUBLIC
from app.freshness import FRESH, is_known, tag_of
from app.web.forms import Visiting, Visitor
from app.web.rendering import html
from app.web.words import LANGUAGES, Language

READ = ["GET", "HEAD"]  # of public pages: who checks links asks for no more than the head
VARY = "Accept-Encoding, Cookie"
LEAST = 500  # bytes from which compressing is worth it


class Tongue(Convertor[str]):
    """A language of the pages, as part of a path."""

    regex = "|".join(LANGUAGES)

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("tongue", Tongue())


def browsing(request: Request, visitor: Visiting) -> Visitor:
    """Who looks at a public page; nothing is remembered of a stranger."""
    request.state.visitor = replace(visitor, fresh=None) if visitor.who is PUBLIC else visitor
    found: Visitor = request.state.visitor
    return found


def language_by_path(lang: str) -> Language:
    """The language that the page's path names."""
    return LANGUAGES[lang]


Browsing = Annotated[Visitor, Depends(browsing)]
Spoken = Annotated[Language, Depends(language_by_path)]


def address(request: Request, path: str, query: dict[str, str] | None = None) -> str:
    """A whole address on this site."""
    return f"{str(request.base_url).rstrip('/')}{path}{f'?{urlencode(query)}' if query else ''}"


def publicly(
    request: Request,
    visitor: Visitor,
    language: Language,
    template: str,
    view: dict[str, Any],
    status: int = 200,
    *,
    rest: str = "",
    query: dict[str, str] | None = None,
) -> Response:
    """A public page. `rest` is its path behind the language, `query` what of its address makes it another page.

    Beside `view` and what all templates find, there is `canonical`, `versions` (the page by each tag of hreflang),
    `oembed`, `address` (a whole address of a path), `public_page` (the path behind the language) and `is_indexed`
    (whether search engines should have it).
    """
    versions = {one.tag: address(request, f"/{code}/{rest}", query) for code, one in LANGUAGES.items()}
    other = f"/{'en' if language.code == 'zh' else 'zh'}/{rest}{f'?{urlencode(query)}' if query else ''}"
    shown = {
        "canonical": versions[language.tag],
        "versions": versions | {"x-default": versions["en"]},
        "oembed": address(request, "/oembed", {"url": versions[language.tag], "format": "json"}),
        "switch": other,
        "onward": other,
        "public_page": rest,
        "is_indexed": status == 200,
        "address": lambda path, given=None: address(request, path, given),
    }
    page = html(request, template, shown | view, status, language)
    return page if visitor.who is not PUBLIC else kept(request, page, FRESH if status == 200 else 0)


def kept(request: Request, page: Response, seconds: int) -> Response:
    """A page that is the same for every stranger: compressed, and with what a copy of it is checked by."""
    headers = dict(page.headers) | {"vary": VARY, "cache-control": f"public, max-age={seconds}"}
    del headers["content-length"]
    if seconds:
        tag = tag_of(bytes(page.body))
        headers["etag"] = f"W/{tag}"  # compressed it has other bytes, and says the same
        if is_known(request.headers, {"ETag": tag}):
            return Response(status_code=304, headers=headers)
    body = bytes(page.body)
    if len(body) >= LEAST and "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["content-encoding"] = gzip.compress(body, 6, mtime=0), "gzip"
    return Response(body, page.status_code, headers=headers)
