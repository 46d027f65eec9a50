"""The page of one listing: what it says, how good it is, what answers it and what nearly does, how it has changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlmodel import Session

from app import advice, listings
from app.access import Permission, Principal, Role, check
from app.asking import Data, Search
from app.differences import TEXTS, changes
from app.errors import NotReady
from app.hints import hints
from app.metrics import searching
from app.queries import listings as queries
from app.queries import own_listings
from app.snapshot import Sight
from app.tables import ListingRow, ListingVersionRow, NodeRow
from app.web.forms import Visiting
from app.web.labels import tongue
from app.web.listing_matches import answered, cards, missed_cards
from app.web.listing_words import WHOSE, hint_words, language_of_text, name_of, tag, told
from app.web.listings import may_change
from app.web.rendering import html, language_of
from app.web.words import Language
from matching import FIELDS
from matching.listing import clean

MATCHES = 20
MISSED = 8

TECHNOLOGY = ("trl", "stage", "ipr", "classifications", "keywords")
TERMS = ("modes", "partner_types", "country", "region", "target_countries", "excluded_countries", "budget")

router = APIRouter(include_in_schema=False)


@router.get("/listings/{listing_id}")
def listing_page(
    request: Request, listing_id: str, visitor: Visiting, data: Data, done: str = "", draft: str = ""
) -> HTMLResponse:
    """All that a listing says; for those who hold it also its life and what they can do."""
    check(visitor.who, Permission.POST)
    return listing_view(request, visitor.who, data, listing_id, done=done, draft=draft)


def listing_view(
    request: Request,
    who: Principal,
    data: Data,
    listing_id: str,
    *,
    done: str = "",
    draft: str = "",
    refused: str = "",
    status: int = 200,
) -> HTMLResponse:
    """The page with what was `done`, or `refused` and why; `draft`: the form whose draft is no longer needed."""
    language = language_of(request)
    with data.reading() as session:
        row = listings.readable(session, who, listing_id)
        view = _head(session, who, row)
        view["consents"] = own_listings.consents(session, row) if view["ours"] else []
    listing = listings.listing_of(row)
    view |= {
        "tab": "text",
        "done": done,
        "draft": f"/listings/{'new' if draft == 'new' else row.id + '/revise'}" if draft else "",
        "refused": refused,
        "texts": _texts(row, language),
        "technology": [(name_of(language, key), told(language, key, row.record.get(key))) for key in TECHNOLOGY],
        "terms": [(name_of(language, key), told(language, key, row.record.get(key))) for key in TERMS],
        "figures": told(language, "requirements", row.record.get("requirements")),
        "fields": told(language, "fields", list(listing.fields)),
        "fields_by": WHOSE["manager" if row.corrected_fields is not None else "author"] if listing.fields else None,
        "hints": hint_words(language, hints(row.record, listing)) if view["ours"] else [],
    }
    return html(request, "listing.html", view, status, language)


@router.get("/listings/{listing_id}/advice")
def advice_page(
    request: Request, listing_id: str, visitor: Visiting, data: Data, search: Search, done: str = ""
) -> HTMLResponse:
    """What would make a listing easier to find, its fields and who says so, and listings that say the same."""
    who, language = visitor.who, language_of(request)
    check(who, Permission.POST)
    with data.reading() as session:
        row = listings.owned(session, who, listing_id)
        view = _head(session, who, row)
        one = advice.draft_of(session, who, row)
    view |= {"tab": "advice", "done": done, "refused": "", "notice": "", "near": [], "fields": _stated(one)}
    view |= {
        "hints": hint_words(language, hints(row.record, one.listing)),
        "corrected": row.corrected_fields is not None,
    }
    try:
        found = advice.advise(search, who, one)
        view |= {"near": found.near_duplicates, "fields": found.fields}
    except NotReady:
        view["notice"] = "loading"
    return html(request, "listing_advice.html", view, language=language)


@router.get("/listings/{listing_id}/matches")
def matches_page(request: Request, listing_id: str, visitor: Visiting, data: Data, search: Search) -> HTMLResponse:
    """What answers a listing, best first; what is near and was left out, and why; what was declined before."""
    who, language = visitor.who, language_of(request)
    check(who, Permission.MATCH)
    with data.reading() as session:
        row = listings.owned(session, who, listing_id)
        view = _head(session, who, row)
        view["answered"] = answered(session, who, row)
    view |= {"tab": "matches", "done": "", "refused": "", "notice": "", "good": [], "weak": [], "missed": []}
    listing = listings.listing_of(row)
    try:
        with searching("listing"):
            results = search.matches(listing, MATCHES, Sight(who, without=row.organisation_id))
            near = search.missed(listing, MISSED, Sight(who))
        shown = cards(data, who, results, listing.side.opposite, language)
        view["good"] = [one for one in shown if one["probability"] >= results.threshold]
        view["weak"] = [one for one in shown if one["probability"] < results.threshold]
        view |= {"missed": missed_cards(near, language), "threshold": results.threshold}
    except NotReady:
        view["notice"] = "loading"
    return html(request, "listing_matches.html", view, language=language)


@router.get("/listings/{listing_id}/versions")
def versions_page(
    request: Request, listing_id: str, visitor: Visiting, data: Data, before: int = 0, after: int = 0
) -> HTMLResponse:
    """All versions of a listing, and what differs between two of them: the last two where none are named."""
    who, language = visitor.who, language_of(request)
    check(who, Permission.POST)
    with data.reading() as session:
        row = listings.owned(session, who, listing_id)
        view = _head(session, who, row)
        versions = queries.versions(session, row.id)
        names = own_listings.names_of(session, who, [one.actor for one in versions])
    by_number = {one.version: one for one in versions}
    after = after if after in by_number else row.version
    before = before if before in by_number else max(after - 1, 1)
    view |= {
        "tab": "versions",
        "done": "",
        "refused": "",
        "versions": [(one, names.get(one.actor), one.actor.partition(":")[0]) for one in versions],
        "before": before,
        "after": after,
        "differences": differences(by_number[before], by_number[after], language),
    }
    return html(request, "listing_versions.html", view, language=language)


def differences(before: ListingVersionRow, after: ListingVersionRow, language: Language) -> list[dict[str, Any]]:
    """What differs between two versions, in words."""
    return [
        {
            "name": name_of(language, one.name) + (f" · {tongue(language, one.language)}" if one.language else ""),
            "pieces": one.pieces,
            "before": told(language, one.name, one.before),
            "after": told(language, one.name, one.after),
            "is_text": one.name in TEXTS,
        }
        for one in changes(before.record, after.record)
    ]


def _head(session: Session, who: Principal, row: ListingRow) -> dict[str, Any]:
    """What every page of a listing has: its title, whose it is, what can be done with it."""
    owner = queries.owner(session, row)
    listing, ours = listings.listing_of(row), who.holds(owner.id, owner.node_id)
    node = session.get(NodeRow, owner.node_id) if ours else None
    shown_as = listing.organisation or owner.name
    name = owner.name if ours or who.role is not Role.PARTNER else shown_as
    return {
        "row": row,
        "title": listing.title or listing.body[:100],
        "language": tag(language_of_text(listing)),
        "ours": ours,
        "owner": name,
        "node": node.name if node is not None else None,
        "shown_as": shown_as if shown_as != name else None,
        "may": may_change(who, row) if ours else dict.fromkeys(may_change(who, row), False),
        "keep": {},
    }


def _texts(row: ListingRow, language: Language) -> list[dict[str, Any]]:
    """The text in each of its languages, the original first: none is shown as another's."""
    listing = listings.listing_of(row)
    written = tag(listing.language or language_of_text(listing))
    own = {**row.record, "description": row.record.get("description") or row.record.get("text")}
    original = {
        "origin": "original",
        "language": written,
        "detected": listing.language is None and written != "",
        "title": listing.title,
        "parts": [(name_of(language, key), clean(own.get(key) or "")) for key in TEXTS[1:]],
    }
    others = [
        {
            "origin": one["origin"],
            "language": one["language"],
            "detected": False,
            "title": clean(one.get("title") or ""),
            "parts": [(name_of(language, key), clean(one.get(key) or "")) for key in ("summary", "description")],
        }
        for one in row.record.get("translations") or []
    ]
    return [original, *others]


def _stated(one: advice.Draft) -> Sequence[advice.FieldAdvice]:
    """The fields without what a classifier says of them."""
    return [
        advice.FieldAdvice(name, None, one.stated_by if name in one.listing.fields else None, suggested=False)
        for name in FIELDS
    ]
