"""The search: a person types a need or an offer in any language and reads what answers it, and why.

Who is signed in also keeps searches here, and is told of new answers. Works without scripts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from app import saved_searches
from app.access import PUBLIC, Permission
from app.asking import Data, Now, Search
from app.errors import NotReady
from app.metrics import searching
from app.queries import accounts as account_queries
from app.queries import saved_searches as queries
from app.results import Found, Results
from app.search import Live
from app.snapshot import Sight, Wanted
from app.tables import SavedSearchRow
from app.web.forms import Sent, Visiting, Visitor, sent
from app.web.labels import label
from app.web.listing_matches import card
from app.web.rendering import address, html, language_of, see
from app.web.words import Language
from matching import FIELDS, InvalidListing, Side

SHOWN = 10
DEPTH = 50  # answers that are counted, and shown where somebody wants more
CHIPS = 12  # countries offered as filters

router = APIRouter(include_in_schema=False)

OwnForm = Annotated[Sent, sent(Permission.SELF)]


@router.get("/")
@router.get("/search")
def page(
    request: Request,
    visitor: Visiting,
    data: Data,
    q: str = "",
    side: str = "offer",
    country: str = "",
    field: str = "",
    node: str = "",
    more: bool = False,
    saved: str = "",
) -> HTMLResponse:
    """The search page; with `q`, or a search that the person keeps, also its results: those that they may see."""
    live: Live = request.app.state.live
    language = language_of(request)
    kept = saved_searches.own(data, visitor.who, saved) if saved else None
    chosen, wanted = _side(side), _wanted(country, field, node)
    if kept is not None:
        q, chosen, wanted = kept.text, Side(kept.side), Wanted(**kept.wanted)
        more = more or bool(kept.fresh)  # wherever among the answers the new ones stand
    view = _asked(request, visitor, data, q, chosen, wanted) | {"kept": kept, "more": more}
    status = 200
    if q.strip():
        try:
            with searching("text"):
                results = live.search(q, chosen, DEPTH, sight=Sight(visitor.who, wanted=wanted))
                widest = replace(wanted, country=None, field=None)
                counted = (
                    results
                    if widest == wanted
                    else live.search(q, chosen, DEPTH, sight=Sight(visitor.who, wanted=widest))
                )
            view |= _sorted(results, chosen, language, DEPTH if more else SHOWN, kept)
            view["facets"] = _facets(counted)
        except NotReady as error:
            status, view["notice"] = error.status, "failed" if live.failure else "loading"
        except InvalidListing as error:
            status, view["notice"], view["fix"] = 422, "invalid", error.fix
    if kept is not None and kept.fresh and status == 200:
        saved_searches.seen(data, kept)
    return html(request, "search.html", view, status, language)


@router.post("/search/saved")
def keep(form: OwnForm, data: Data, live: Search, at: Now) -> Response:
    """Keep a search; what answers it now is known to the person."""
    side, text = _side(form.text("side")), form.text("q")
    wanted = _wanted(form.text("country"), form.text("field"), form.text("node"))
    results = live.search(text, side, DEPTH, sight=Sight(form.who, wanted=wanted))
    row = saved_searches.keep(data, form.who, text, side, wanted, results, at)
    return see(f"/search?saved={row.id}")


@router.post("/search/saved/{search_id}/remove")
def remove(search_id: str, form: OwnForm, data: Data) -> Response:
    """Keep a search no longer."""
    saved_searches.forget(data, form.who, search_id)
    return see("/search")


def _asked(request: Request, visitor: Visitor, data: Data, q: str, side: Side, wanted: Wanted) -> dict[str, Any]:
    """What the page shows whatever is found: the question, the ways to narrow it, the searches that are kept."""
    narrowed = {"country": wanted.country, "field": wanted.field, "node": wanted.node}
    asked = {"side": side, "q": q} | {name: value for name, value in narrowed.items() if value}
    known = visitor.who is not PUBLIC
    with data.reading() as session:
        mine = queries.of_person(session, visitor.who.id) if known else ()
        nodes = account_queries.nodes(session) if known else []
    return {
        "q": q,
        "side": side,
        "asked": bool(q.strip()),
        "narrowed": narrowed,
        "address": lambda **change: address(request.url.path, asked | change),
        "keep": asked if q else {},
        "mine": mine,
        "nodes": nodes,
        "good": [],
        "weak": [],
        "facets": {},
        "hidden": 0,
        "notice": None,
    }


def _side(text: str) -> Side:
    return Side(text) if text in tuple(Side) else Side.OFFER


def _wanted(country: str, field: str, node: str) -> Wanted:
    """What of an address narrows a search; what is no country and no field narrows nothing."""
    is_code = len(country) == 2 and country.isascii() and country.isalpha()
    return Wanted(country.upper() if is_code else None, field if field in FIELDS else None, node or None)


def _facets(results: Results) -> dict[str, list[tuple[str, int]]]:
    """How many of the answers speak of each field, and come from each country."""
    fields = Counter(field for found in results.items for field in found.fields)
    countries = Counter(found.listing.country for found in results.items if found.listing.country)
    return {"field": [(one, fields[one]) for one in FIELDS if one in fields], "country": countries.most_common(CHIPS)}


def _sorted(results: Results, side: Side, language: Language, most: int, kept: SavedSearchRow | None) -> dict[str, Any]:
    """Good results and weaker ones, each as the template wants it, and how many are left out."""
    fresh = set(kept.fresh) if kept is not None else set()
    shown = [(found, _card(found, results, side, language, fresh)) for found in results.items[:most]]
    return {
        "good": [card for found, card in shown if found.pairing.probability >= results.threshold],
        "weak": [card for found, card in shown if found.pairing.probability < results.threshold],
        "hidden": len(results.items) - len(shown),
    }


def _card(found: Found, results: Results, side: Side, language: Language, fresh: set[str]) -> dict[str, Any]:
    listing = found.listing
    return card(found, results, side, language) | {
        "id": listing.id,
        "text": listing.body,
        "fields": [label(language, "field", field) for field in found.fields],
        "unknown": [label(language, "fact", name) for name in _unknown(found)],
        "fresh": listing.id in fresh,
    }


def _unknown(found: Found) -> list[str]:
    """What the listing leaves open; it counts neither for nor against it."""
    listing = found.listing
    told = {
        "country": listing.country,
        "fields": found.fields,
        "trl": listing.trl,
        "modes": listing.modes,
    }
    return [name for name, value in told.items() if not value]
