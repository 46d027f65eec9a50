"""The page: a person types a need or an offer in any language and reads what answers it. Works without scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app import words
from app.errors import AppError, NotReady, SignInNeeded
from app.forms import Visiting
from app.metrics import searching
from app.results import Found, Results
from app.search import Live
from app.snapshot import Sight
from matching import InvalidListing, Side

PAGES = Path(__file__).parent / "pages"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Language, Cookie",
    "Cache-Control": "no-store",
}
LIMIT = 10
NOTICEABLE = 0.1  # log-odds below which a part is not worth a word

router = APIRouter(include_in_schema=False)
templates = Environment(loader=FileSystemLoader(PAGES), autoescape=True, undefined=StrictUndefined, trim_blocks=True)


@router.get("/")
def page(request: Request, visitor: Visiting, q: str = "", side: str = "offer", lang: str = "") -> HTMLResponse:
    """The search page; with `q` also its results: those that the visitor may see."""
    chosen = Side(side) if side in tuple(Side) else Side.OFFER
    language = words.choose(lang, request.headers.get("accept-language", ""))
    view: dict[str, Any] = {"q": q, "side": chosen, "good": [], "weak": [], "asked": bool(q.strip()), "notice": None}
    view["person"] = visitor.name
    status = 200
    if q.strip():
        try:
            with searching("text"):
                results = _live(request).search(q, chosen, LIMIT, sight=Sight(visitor.who))
            view |= _sorted(results, chosen, words.WORDS[language])
        except NotReady as error:
            failed = bool(_live(request).failure)
            view["notice"] = ("failed_title", "failed", "") if failed else ("loading_title", "loading", "")
            status = error.status
        except InvalidListing as error:
            status, view["notice"] = 422, ("invalid_title", "text_hint", error.fix)
    return html("search.html", language, status, view)


@router.get("/style.css")
def style() -> FileResponse:
    """The page's only style sheet."""
    return FileResponse(PAGES / "style.css", media_type="text/css", headers={"Cache-Control": "max-age=3600"})


def error_page(request: Request, status: int, detail: str, title: str = "") -> HTMLResponse:
    """An error for a browser, in its language where there are words for errors of that title."""
    language = language_of(request)
    said = words.WORDS[language]
    text = said["not_found"] if status == 404 else said.get(f"problem {title}", detail)
    return html("error.html", language, status, {"detail": text})


def app_error_page(request: Request, error: AppError) -> Response:
    """One of the service's own errors for a browser; whoever must sign in is led there and back."""
    if isinstance(error, SignInNeeded) and request.method == "GET":
        here = quote(request.url.path) + (f"?{request.url.query}" if request.url.query else "")
        query = urlencode({"lang": language_of(request), "next": here})
        return RedirectResponse(f"/sign-in?{query}", 303, headers=HEADERS)
    page = error_page(request, error.status, error.detail, error.title)
    page.headers.update(error.headers)
    return page


def language_of(request: Request, asked: str = "") -> str:
    """The language of a page, by `asked`, the address or the browser's wishes."""
    return words.choose(asked or request.query_params.get("lang", ""), request.headers.get("accept-language", ""))


def html(template: str, language: str, status: int, view: dict[str, Any]) -> HTMLResponse:
    """A page by its template, which finds the words as `w`."""
    other = "en" if language == "zh" else "zh"
    body = templates.get_template(template).render(w=words.WORDS[language], lang=language, other=other, **view)
    headers = HEADERS | ({"Retry-After": "10"} if status == NotReady.status else {})
    return HTMLResponse(body, status, headers=headers)


def _sorted(results: Results, side: Side, text: dict[str, str]) -> dict[str, Any]:
    """Good results and weaker ones, each as the template wants it."""
    shown = [(found, _card(found, results, side, text)) for found in results.items]
    return {
        "good": [card for found, card in shown if found.pairing.probability >= results.threshold],
        "weak": [card for found, card in shown if found.pairing.probability < results.threshold],
    }


def _card(found: Found, results: Results, side: Side, text: dict[str, str]) -> dict[str, Any]:
    pairing = found.pairing
    languages = (found.language, results.language) if side is Side.OFFER else (results.language, found.language)
    parts = sorted(pairing.parts.items(), key=lambda part: -abs(part[1]))
    named = [(text.get(name, name.replace("_", " ")), value) for name, value in parts if name != "base"]
    return {
        "title": found.listing.title or text["untitled"],
        "text": found.listing.body,
        "language": found.language,
        "country": found.listing.country or text["unknown"],
        "direction": text.get(str(pairing.direction), text["unknown"]),
        "organisation": found.listing.organisation,
        "verdict": text[_verdict(pairing.probability, results.threshold)],
        "percent": round(100 * pairing.probability),
        "raises": [name for name, value in named if value >= NOTICEABLE],
        "lowers": [name for name, value in named if value <= -NOTICEABLE],
        "evidence": pairing.evidence,
        "offer_language": languages[0],
        "need_language": languages[1],
    }


def _verdict(probability: float, threshold: float) -> str:
    """Words for a probability."""
    if probability < threshold:
        return "possible" if probability >= threshold / 2 else "unlikely"
    return "very_likely" if probability >= max(0.8, threshold) else "likely"


def _live(request: Request) -> Live:
    live: Live = request.app.state.live
    return live
