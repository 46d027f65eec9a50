"""The public page of one listing: all that anybody may read of it; of one that is over, that it is gone."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from babel.numbers import format_decimal
from fastapi import APIRouter, Request
from fastapi.responses import Response

from app import feeds
from app.access import PUBLIC, discloses
from app.asking import Data
from app.errors import NotFound
from app.queries import feeds as queries
from app.schemas.listings import ListingOut
from app.shelf import Chosen, Shelf
from app.tables import ListingRow
from app.web.catalogue import Public, cards
from app.web.labels import country
from app.web.publicly import READ, Browsing, Spoken, address, publicly
from app.web.versions import best, versions
from app.web.words import N_, Language
from matching import Side

NEIGHBOURS = 3
REGIONS = {"CN-50": N_("Chongqing"), "CN-51": N_("Sichuan")}
DESCRIBED = 160  # characters that a search engine shows of a page

router = APIRouter(include_in_schema=False)


@router.api_route("/{lang:tongue}/listings/{listing_id}", methods=READ)
def public_listing_page(
    request: Request, visitor: Browsing, language: Spoken, data: Data, shelf: Public, listing_id: str
) -> Response:
    """One public listing; 410 for what has been public and is no longer, 404 for all else."""
    with data.reading() as session:
        row = queries.harvestable(session, listing_id)
    if row is None:
        raise NotFound(f"there is no listing {listing_id!r:.220}")
    rest = f"listings/{row.id}"
    if not feeds.is_public(row):
        view = _gone(row, data, shelf, language)
        return publicly(request, visitor, language, "catalogue_gone.html", view, 410, rest=rest)
    view = _shown(request, row, language, rest) | _beside(row, data, shelf, language)
    return publicly(request, visitor, language, "catalogue_listing.html", view, rest=rest)


def _shown(request: Request, row: ListingRow, language: Language, rest: str) -> dict[str, Any]:
    listing = ListingOut.of(row)
    told = best(listing, language)
    page = address(request, f"/{language.code}/{rest}")
    description = " ".join((told.summary or told.description or listing.description).split())
    return {
        "listing": listing,
        "side": str(listing.side),
        "told": told,
        "others": [one for one in versions(listing) if one != told],
        "place": _place(listing, language),
        "budget": _budget(listing, language),
        "description": description[:DESCRIBED],
        "linked": feeds.schema_org(row, page),
    }


def _place(listing: ListingOut, language: Language) -> str:
    """Country, and region where it has a name here."""
    region = REGIONS.get(listing.region or "")
    named = country(language, listing.country)
    return f"{named} · {language.words.gettext(region)}" if region is not None else named


def _budget(listing: ListingOut, language: Language) -> str:
    """A band of money in words; empty where it is unknown."""
    if listing.budget is None:
        return ""
    ends = [
        format_decimal(one, locale=language.locale) if one is not None else None
        for one in (listing.budget.minimum, listing.budget.maximum)
    ]
    forms = {
        (True, True): N_("%(low)s to %(high)s %(currency)s"),
        (True, False): N_("from %(low)s %(currency)s"),
        (False, True): N_("up to %(high)s %(currency)s"),
        (False, False): N_("in %(currency)s"),
    }
    form = language.words.gettext(forms[ends[0] is not None, ends[1] is not None])
    return form % {"low": ends[0], "high": ends[1], "currency": listing.budget.currency}


def _beside(row: ListingRow, data: Data, shelf: Shelf, language: Language) -> dict[str, Any]:
    """The newest listings of the other side in one of its fields."""
    field = next(iter(ListingOut.of(row).fields), None)
    chosen = Chosen(Side(row.side).opposite, field=field)
    query = urlencode(chosen.filters)
    feed = urlencode({"side": row.side} | chosen.filters)
    found = cards(data, shelf, chosen, NEIGHBOURS, language)
    return {"beside": found, "beside_query": query, "beside_field": field, "feed": feed}


def _gone(row: ListingRow, data: Data, shelf: Shelf, language: Language) -> dict[str, Any]:
    """Of what is no longer disclosed to everybody not even the field is told."""
    fields = ListingOut.of(row).fields if discloses(row.disclosure, PUBLIC) else []
    chosen = Chosen(Side(row.side), field=next(iter(fields), None))
    found = cards(data, shelf, chosen, NEIGHBOURS, language)
    return {"side": row.side, "beside": found, "beside_query": urlencode(chosen.filters), "feed": ""}
