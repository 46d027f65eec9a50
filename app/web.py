"""The page: a person types a need or an offer in any language and reads what answers it. Works without scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app import words
from app.access import PUBLIC
from app.errors import NotReady
from app.search import Found, Live, Results, Sight
from matching import InvalidListing, Side

PAGES = Path(__file__).parent / "pages"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Language",
}
LIMIT = 10
NOTICEABLE = 0.1  # log-odds below which a part is not worth a word

router = APIRouter(include_in_schema=False)
templates = Environment(loader=FileSystemLoader(PAGES), autoescape=True, undefined=StrictUndefined, trim_blocks=True)


@router.get("/")
def page(request: Request, q: str = "", side: str = "offer", lang: str = "") -> HTMLResponse:
    """The search page; with `q` also its results."""
    chosen = Side(side) if side in tuple(Side) else Side.OFFER
    language = words.choose(lang, request.headers.get("accept-language", ""))
    view: dict[str, Any] = {"q": q, "side": chosen, "good": [], "weak": [], "asked": bool(q.strip()), "notice": None}
    status = 200
    if q.strip():
        try:
            results = _live(request).search(q, chosen, LIMIT, sight=Sight(PUBLIC))
            view |= _sorted(results, chosen, words.WORDS[language])
        except NotReady as error:
            failed = bool(_live(request).failure)
            view["notice"] = ("failed_title", "failed", "") if failed else ("loading_title", "loading", "")
            status = error.status
        except InvalidListing as error:
            status, view["notice"] = 422, ("invalid_title", "text_hint", error.fix)
    return _html("search.html", language, status, view)


@router.get("/style.css")
def style() -> FileResponse:
    """The page's only style sheet."""
    return FileResponse(PAGES / "style.css", media_type="text/css", headers={"Cache-Control": "max-age=3600"})


def error_page(request: Request, status: int, detail: str) -> HTMLResponse:
    """An error for a browser."""
    language = words.choose(request.query_params.get("lang", ""), request.headers.get("accept-language", ""))
    text = words.WORDS[language]["not_found"] if status == 404 else detail
    return _html("error.html", language, status, {"detail": text})


def _html(template: str, language: str, status: int, view: dict[str, Any]) -> HTMLResponse:
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
