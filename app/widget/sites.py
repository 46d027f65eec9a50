"""Which other sites may show what is published here: to their scripts by CORS, and in their frames."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import Unusable

ALL = "*"
ORIGIN = re.compile(r"https?://([a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(:[0-9]{1,5})?")
NEEDED = re.compile(r"/widget\.js|/feeds/listings\.json|/api/v1/search|/api/v1/listings/(?!export$)[^/]+")
REMEMBERED = 7_200  # seconds for which a browser need not ask again whether it may ask


def read_sites(text: str) -> tuple[str, ...]:
    """Origins with commas between, or `*` for all sites. Raises Unusable."""
    sites = tuple(one.strip().lower() for one in text.split(",") if one.strip())
    wrong = next((one for one in sites if one != ALL and not ORIGIN.fullmatch(one)), None)
    if wrong is not None:
        raise Unusable(f"DUKOU_EMBEDDING_SITES: {wrong!r:.100} is no origin such as https://www.example.org, nor *")
    return sites


def frame_ancestors(sites: Sequence[str]) -> str:
    """The directive of a Content-Security-Policy that lets these sites, and this service itself, frame a page."""
    return " ".join(["frame-ancestors", *([ALL] if ALL in sites else ["'self'", *sites])])


class Embedding:
    """Lets scripts of these sites read what the widget needs, and nothing else; with nobody's cookies."""

    def __init__(self, app: ASGIApp, sites: Sequence[str]) -> None:
        self._app = app
        self._open = CORSMiddleware(
            app,
            allow_origins=sites,
            allow_methods=("GET", "POST"),
            allow_headers=("Content-Type",),
            expose_headers=("Retry-After",),
            max_age=REMEMBERED,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        needed = scope["type"] == "http" and NEEDED.fullmatch(scope["path"])
        await (self._open if needed else self._app)(scope, receive, send)
