"""The public catalogue: its first page, and the published offers and needs to leaf through, filter and search.

It shows what anybody may see, whoever looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from app.access import PUBLIC
from app.asking import Data, Search
from app.errors import NotReady
from app.metrics import searching
from app.results import shown_rows
from app.shelf import FACETS, UNKNOWN, Chosen, Shelf, Shelves
from app.snapshot import Sight
from app.web.chips import groups
from app.web.publicly import READ, Browsing, Spoken, address, publicly
from app.web.versions import card
from app.web.words import Language
from matching import FIELDS, InvalidListing, Side

PER_PAGE = 20
ANSWERS = 20  # results of a search by text, which has no further pages
NEWEST = 5  # of each side on the first page
AROUND = 2  # pages before and after that are linked
FEED = ("side", "field", "country", "language")  # what a feed can be narrowed to

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address of a list asks for: filters, a text, a page."""

    filters: dict[str, str]
    text: str
    page: int


def asked(
    field: str = "",
    country: str = "",
    stage: str = "",
    maturity: str = "",
    mode: str = "",
    language: str = "",
    q: str = "",
    page: str = "1",
) -> Asked:
    """A dependency: what is asked for; what is no page's number is the first."""
    given = dict(zip(FACETS, (field, country, stage, maturity, mode, language), strict=True))
    number = int(page) if page.isascii() and page.isdigit() and len(page) < 9 else 1
    return Asked({name: value for name, value in given.items() if value}, q if q.strip() else "", max(1, number))


def shelves(request: Request) -> Shelf:
    """A dependency: the public listings as they are now."""
    found: Shelves = request.app.state.shelves
    return found.current()


Asking = Annotated[Asked, Depends(asked)]
Public = Annotated[Shelf, Depends(shelves)]


@router.api_route("/{lang:tongue}/", methods=READ)
def home_page(request: Request, visitor: Browsing, language: Spoken, data: Data, shelf: Public) -> Response:
    """What this is, a search box, the fields, what is new."""
    counts = {side: shelf.counts(Chosen(side))["field"] for side in Side}
    view = {
        "fields": [(field, *(counts[side].get(field, 0) for side in Side)) for field in FIELDS],
        "totals": {str(side): int(shelf.among(Chosen(side)).sum()) for side in Side},
        "newest": {str(side): cards(data, shelf, Chosen(side), NEWEST, language) for side in Side},
        "feed": "",
        "linked": _site(request, language),
    }
    return publicly(request, visitor, language, "catalogue_home.html", view)


@router.api_route("/{lang:tongue}/listings", methods=READ)
def listings_page(_visitor: Browsing, language: Spoken, side: str = "", field: str = "") -> Response:
    """Where the widget leads: to the list of a side, or to the first page."""
    rest = f"{side}s" if side in tuple(Side) else ""
    query = f"?{urlencode({'field': field})}" if field and rest else ""
    return RedirectResponse(f"/{language.code}/{rest}{query}", 308)


@router.api_route("/{lang:tongue}/offers", methods=READ)
def offers_page(
    request: Request, visitor: Browsing, language: Spoken, data: Data, shelf: Public, search: Search, wanted: Asking
) -> Response:
    """Published offers."""
    view = _list(data, shelf, search, Side.OFFER, wanted, language)
    return publicly(request, visitor, language, "catalogue_list.html", view, rest="offers", query=view["query"])


@router.api_route("/{lang:tongue}/needs", methods=READ)
def needs_page(
    request: Request, visitor: Browsing, language: Spoken, data: Data, shelf: Public, search: Search, wanted: Asking
) -> Response:
    """Published needs."""
    view = _list(data, shelf, search, Side.NEED, wanted, language)
    return publicly(request, visitor, language, "catalogue_list.html", view, rest="needs", query=view["query"])


def _site(request: Request, language: Language) -> dict[str, Any]:
    """The site as schema.org has it, with the way to search it."""
    found = f"{address(request, f'/{language.code}/offers')}?q={{text}}"
    return {
        "@context": "https://schema.org",
        "@type": "WebSite",
        "name": "Dukou",
        "url": address(request, f"/{language.code}/"),
        "inLanguage": language.tag,
        "potentialAction": {"@type": "SearchAction", "target": found, "query-input": "required name=text"},
    }


def cards(data: Data, shelf: Shelf, chosen: Chosen, limit: int, language: Language, first: int = 0) -> list[Any]:
    """Some of the newest listings that the filters leave."""
    return _cards(data, shelf.names(shelf.selected(chosen)[first : first + limit]), language)


def _cards(data: Data, names: list[str], language: Language) -> list[dict[str, Any]]:
    """Listings in this order; what has been taken out meanwhile is left out."""
    rows = shown_rows(data, names, Sight(PUBLIC))
    return [card(rows[name], language) for name in names if name in rows]


def _list(data: Data, shelf: Shelf, search: Search, side: Side, wanted: Asked, language: Language) -> dict[str, Any]:
    """What answers the text, or a page of the newest listings; the filters; the ways to the other pages."""
    chosen = Chosen(side, **wanted.filters)
    total = int(shelf.among(chosen).sum())
    last = max(1, -(-total // PER_PAGE))
    number = min(wanted.page, last)
    text = {"q": wanted.text} if wanted.text else {}
    path = f"/{language.code}/{side}s"

    def link(given: dict[str, str]) -> str:
        return f"{path}?{urlencode(given)}" if given else path

    def leaf(page: int) -> dict[str, str]:
        return chosen.filters | ({"page": str(page)} if page > 1 else {})

    fed = {name: value for name, value in chosen.filters.items() if name in FEED and value != UNKNOWN}
    view = {
        "side": str(side),
        "q": wanted.text,
        "filters": chosen.filters,
        "groups": groups(language, chosen, shelf.counts(chosen), lambda given: link(given | text)),
        "total": total,
        "page": number,
        "last": last,
        "numbers": [one for one in range(1, last + 1) if one in (1, last) or abs(one - number) <= AROUND],
        "leaf": lambda page: link(leaf(page)),
        "cleared": link(text),
        "feed": urlencode({"side": str(side)} | fed),
        "query": chosen.filters | text if text else leaf(number),
        "is_indexed": not text and len(chosen.filters) <= 1 and total > 0,
        "notice": None,
        "weak": [],
    }
    found = _searched(data, shelf, search, chosen, language, wanted.text) if text else {}
    if "cards" not in found:
        view["cards"] = cards(data, shelf, chosen, PER_PAGE, language, PER_PAGE * (number - 1))
    return view | found


def _searched(
    data: Data, shelf: Shelf, search: Search, chosen: Chosen, language: Language, text: str
) -> dict[str, Any]:
    """What answers a text among what the filters leave; why not, where it cannot be searched."""
    among = shelf.ids[shelf.among(chosen)] if chosen.filters else None
    try:
        with searching("text"):
            results = search.search(text, chosen.side, ANSWERS, sight=Sight(PUBLIC, among=among))
    except NotReady:
        return {"notice": "failed" if search.failure else "loading"}
    except InvalidListing as error:
        return {"notice": "invalid", "fix": error.fix}
    good = [one.listing.id for one in results.items if one.pairing.probability >= results.threshold]
    weak = [one.listing.id for one in results.items if one.pairing.probability < results.threshold]
    return {"notice": "answers", "cards": _cards(data, good, language), "weak": _cards(data, weak, language)}
