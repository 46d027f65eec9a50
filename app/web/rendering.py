"""How a page is made: its template, in the language of whoever looks at it, under the headers that all pages have."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal, format_percent
from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.routing import Match

from app.access import Permission
from app.errors import AppError, NotReady, SignInNeeded
from app.web import labels
from app.web.forms import Visitor
from app.web.words import LANGUAGES, N_, Language, choose

PAGES = Path(__file__).parent / "pages"
STATIC = Path(__file__).parent.parent / "static"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Language, Cookie",
    "Cache-Control": "no-store",
}
LAYOUT = {"visitor", "person", "csrf", "navigation"}  # names that no view may take; its paths it may
NAVIGATION = (  # path, name, who may: the workbench's own way about
    ("/overview", N_("Overview"), Permission.DECIDE),
    ("/queue", N_("Queue"), Permission.DECIDE),
    ("/pipeline", N_("Pipeline"), Permission.PAIRINGS),
    ("/listings", N_("Listings"), Permission.POST),
    ("/listings/new", N_("New listing"), Permission.POST),
    ("/imports", N_("Import"), Permission.POST),
    ("/search", N_("Search"), Permission.SELF),
    ("/nights", N_("Nights"), Permission.DECIDE),
    ("/administration", N_("Administration"), Permission.WEBHOOKS),
)


def language_of(request: Request, *asked: str) -> Language:
    """The language of a page: `asked`, the address's, the person's own, the browser's; else English."""
    visitor: Visitor | None = getattr(request.state, "visitor", None)
    own = visitor.language if visitor is not None else ""
    accepted = request.headers.get("accept-language", "")
    return LANGUAGES[choose(*asked, request.query_params.get("lang", ""), own, accepted=accepted)]


def html(
    request: Request, template: str, view: dict[str, Any], status: int = 200, language: Language | None = None
) -> HTMLResponse:
    """A page, or a part of one, by its template.

    Beside `view` a template finds `_` and `ngettext`, `lang` and `html_lang`, `visitor` (None on the error page of a
    request that never got to know its visitor), `navigation`, `here` (the path), `onward` and `switch` (this page
    again, and in the other language, with the fields of the address that `view` names as `keep`), and of the
    language: `label`, `country`, `tongue`, `date`, `moment`, `number` and `percent`.
    """
    language = language or language_of(request)
    visitor: Visitor | None = getattr(request.state, "visitor", None)
    other = LANGUAGES["en" if language.code == "zh" else "zh"]
    here, kept = request.url.path, view.get("keep", {})
    shown = {
        "visitor": visitor,
        "here": here,
        "switch": f"{here}?{urlencode(kept | {'lang': other.code})}",
        "onward": f"{here}?{urlencode(kept)}" if kept else here,
        "other": other,
        "navigation": [entry for entry in NAVIGATION if visitor is not None and entry[2] in visitor.who.permissions],
        "person": visitor.name if visitor is not None else None,
        "csrf": visitor.csrf if visitor is not None else "",
    }
    assert not LAYOUT & view.keys(), "these are the layout's own"
    body = _environment(language.code).get_template(template).render(shown | view)
    headers = HEADERS | ({"Retry-After": "10"} if status == NotReady.status else {})
    page = HTMLResponse(body, status, headers=headers)
    if visitor is not None:
        visitor.remember(request, page)
    return page


def error_page(request: Request, status: int, detail: str, title: str = "") -> HTMLResponse:
    """An error for a browser, in its language where there are words for errors of that title."""
    language = language_of(request)
    text = labels.LABELS["problem"].get(title, detail)
    if status == 404:
        text = N_("There is no such page.")
    return html(request, "error.html", {"detail": language.words.gettext(text)}, status, language)


def app_error_page(request: Request, error: AppError) -> Response:
    """One of the service's own errors for a browser; whoever must sign in is led there and back, also to a form."""
    if isinstance(error, SignInNeeded) and not is_part(request) and _has_page(request):
        here = quote(request.url.path) + (f"?{request.url.query}" if request.url.query else "")
        query = urlencode({"lang": language_of(request).code, "next": here})
        return RedirectResponse(f"/sign-in?{query}", 303, headers=HEADERS)
    page = error_page(request, error.status, error.detail, error.title)
    page.headers.update(error.headers)
    return page


def address(path: str, fields: Mapping[str, object]) -> str:
    """A path with those of the fields that are not empty."""
    query = urlencode({name: value for name, value in fields.items() if value})
    return f"{path}?{query}" if query else path


def see(path: str) -> RedirectResponse:
    """Sends the browser on to another page of ours after a form."""
    return RedirectResponse(path, 303, headers=HEADERS)


def is_part(request: Request) -> bool:
    """Whether the page's own script asks for a part of it, to be put in its place."""
    return "hx-request" in request.headers and "hx-boosted" not in request.headers


def _has_page(request: Request) -> bool:
    """Whether what was asked for can be opened, or is a form at the address of its own page."""
    asked = dict(request.scope) | {"method": "GET"}
    return any(route.matches(asked)[0] is Match.FULL for route in request.app.router.routes)


@cache
def static(name: str) -> str:
    """The address of a file that never changes under it: with a digest of its content."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


@cache
def _environment(code: str) -> Environment:
    language = LANGUAGES[code]
    environment = Environment(
        loader=FileSystemLoader(PAGES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(language.words, newstyle=True)  # type: ignore[attr-defined]
    environment.globals |= {
        "lang": language.code,
        "html_lang": language.tag,
        "static": static,
        "label": partial(labels.label, language),
        "labels": labels.LABELS,
        "country": partial(labels.country, language),
        "tongue": partial(labels.tongue, language),
        "date": partial(_date, language),
        "moment": partial(_moment, language),
        "number": partial(format_decimal, locale=language.locale),
        "percent": partial(format_percent, locale=language.locale),
    }
    return environment


def _date(language: Language, at: datetime | None) -> str:
    return format_date(at, "medium", locale=language.locale) if at else language.words.gettext("unknown")


def _moment(language: Language, at: datetime | None) -> str:
    """Date and time of day, UTC."""
    if at is None:
        return language.words.gettext("unknown")
    return f"{format_datetime(at, 'short', locale=language.locale)} UTC"
