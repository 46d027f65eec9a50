"""The page: a person types a need or an offer in any language and reads what answers it. Works without scripts."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.errors import NotReady
from app.metrics import searching
from app.results import Found, Results
from app.search import Live
from app.snapshot import Sight
from app.web.evidence import NOTICEABLE, verdict
from app.web.forms import Visiting
from app.web.labels import N_, country, label
from app.web.rendering import html, language_of
from app.web.words import Language
from matching import InvalidListing, Side

LIMIT = 10

router = APIRouter(include_in_schema=False)


@router.get("/")
def page(request: Request, visitor: Visiting, q: str = "", side: str = "offer") -> HTMLResponse:
    """The search page; with `q` also its results: those that the visitor may see."""
    chosen = Side(side) if side in tuple(Side) else Side.OFFER
    language = language_of(request)
    view: dict[str, Any] = {
        "q": q,
        "side": chosen,
        "good": [],
        "weak": [],
        "asked": bool(q.strip()),
        "notice": None,
        "keep": {"side": chosen, "q": q} if q else {},
    }
    status = 200
    if q.strip():
        try:
            with searching("text"):
                results = _live(request).search(q, chosen, LIMIT, sight=Sight(visitor.who))
            view |= _sorted(results, chosen, language)
        except NotReady as error:
            status, view["notice"] = error.status, "failed" if _live(request).failure else "loading"
        except InvalidListing as error:
            status, view["notice"], view["fix"] = 422, "invalid", error.fix
    return html(request, "search.html", view, status, language)


def _sorted(results: Results, side: Side, language: Language) -> dict[str, Any]:
    """Good results and weaker ones, each as the template wants it."""
    shown = [(found, _card(found, results, side, language)) for found in results.items]
    return {
        "good": [card for found, card in shown if found.pairing.probability >= results.threshold],
        "weak": [card for found, card in shown if found.pairing.probability < results.threshold],
    }


def _card(found: Found, results: Results, side: Side, language: Language) -> dict[str, Any]:
    pairing = found.pairing
    languages = (found.language, results.language) if side is Side.OFFER else (results.language, found.language)
    parts = sorted(pairing.parts.items(), key=lambda part: -abs(part[1]))
    named = [(label(language, "part", name), value) for name, value in parts if name != "base"]
    return {
        "title": found.listing.title or language.words.gettext(N_("Untitled listing")),
        "text": found.listing.body,
        "language": found.language,
        "country": country(language, found.listing.country),
        "direction": label(language, "direction", pairing.direction),
        "organisation": found.listing.organisation,
        "verdict": label(language, "verdict", verdict(pairing.probability, results.threshold)),
        "percent": round(100 * pairing.probability),
        "raises": [name for name, value in named if value >= NOTICEABLE],
        "lowers": [name for name, value in named if value <= -NOTICEABLE],
        "evidence": pairing.evidence,
        "offer_language": languages[0],
        "need_language": languages[1],
    }


def _live(request: Request) -> Live:
    live: Live = request.app.state.live
    return live
