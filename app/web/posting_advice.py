"""Advice on a listing while it is being written, in words."""

from __future__ import annotations

from typing import Any

from app import advice
from app.access import Permission, Principal
from app.db import Database
from app.errors import NotReady
from app.hints import hints
from app.record import Record, read_record
from app.search import Live
from app.tables import OrganisationRow
from app.web.listing_matches import card
from app.web.listing_words import hint_words
from app.web.words import Language
from matching import InvalidListing

MATCHES = 5
DUPLICATES = 3

NOTHING: dict[str, Any] = {
    "state": "",
    "hints": [],
    "near": [],
    "suggested": [],
    "matches": [],
    "threshold": 0.0,
    "side": "",
}


def advice_view(
    data: Database,
    live: Live,
    who: Principal,
    record: Record,
    owner: OrganisationRow | None,
    replaces: str,
    language: Language,
) -> dict[str, Any]:
    """What can be said of a record as far as it goes. Raises NotFound, Forbidden for a `replaces` that is another's."""
    readable = _readable(record)
    if readable is None:
        return NOTHING | {"state": "empty"}
    with data.reading() as session:
        one = advice.draft(session, who, readable, owner, replaces)
    view = NOTHING | {"state": "advised", "hints": hint_words(language, hints(readable, one.listing))}
    try:
        found, results = advice.preview(live, who, one, MATCHES)
    except NotReady:
        return view | {"state": "loading"}
    may_match = Permission.MATCH in who.permissions
    side = one.listing.side.opposite
    return view | {
        "near": found.near_duplicates[:DUPLICATES],
        "suggested": [field for field in found.fields if field.suggested and field.stated_by is None],
        "matches": [card(match, results, side, language) for match in results.items] if may_match else [],
        "threshold": results.threshold,
        "side": side,
    }


def _readable(record: Record) -> Record | None:
    """The record without what cannot be read yet; None where there is nothing to say of the rest."""
    rest = dict(record)
    while True:
        try:
            read_record(rest)
            return rest
        except InvalidListing as error:
            key = error.field.partition("[")[0].partition(".")[0]
            if key not in rest or key == "side":
                return None
            del rest[key]
