"""What answers a listing and what nearly does, as the pages show it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session

from app.access import Principal, Role
from app.db import Database
from app.listings import may_read
from app.pairings import State, may_see
from app.queries import pairings as queries
from app.record import as_listing
from app.results import Found, Missed, Results
from app.tables import ListingRow, PairingRow
from app.web.evidence import NOTICEABLE, verdict
from app.web.labels import country, label, tongue
from app.web.listing_words import objection_words, tag
from app.web.words import Language
from matching import Side
from matching.language import UNKNOWN

SHOWN = 20
OVER = (State.DECLINED, State.LAPSED, State.WITHDRAWN)


def cards(data: Database, who: Principal, results: Results, side: Side, language: Language) -> list[dict[str, Any]]:
    """Results, each with the pairing that there is of it, if `who` may know."""
    pairs = {(one.pairing.offer, one.pairing.need) for one in results.items}
    with data.reading() as session:
        known = {
            key: row
            for key, row in queries.of_pairs(session, pairs).items()
            if may_see(who, row, queries.sides(session, row))
        }
    return [
        card(one, results, side, language)
        | _of_pairing(known.get((one.pairing.offer, one.pairing.need)))
        | {"href": f"/listings/{one.listing.id}"}
        for one in results.items
    ]


def card(one: Found, results: Results, side: Side, language: Language) -> dict[str, Any]:
    """One of the results, as a card shows it; `side` is its own."""
    pairing = one.pairing
    parts = sorted(pairing.parts.items(), key=lambda part: -abs(part[1]))
    named = [(label(language, "part", name), value) for name, value in parts if name != "base"]
    written = results.language
    languages = (one.language, written) if side is Side.OFFER else (written, one.language)
    return {
        **_facts(one.listing.title or one.listing.body[:100], one.language, one.listing.country, language),
        "organisation": one.listing.organisation,
        "probability": pairing.probability,
        "verdict": label(language, "verdict", verdict(pairing.probability, results.threshold)),
        "direction": label(language, "direction", pairing.direction),
        "raises": [name for name, value in named if value >= NOTICEABLE],
        "lowers": [name for name, value in named if value <= -NOTICEABLE],
        "evidence": pairing.evidence,
        "offer_language": tag(languages[0]),
        "need_language": tag(languages[1]),
        "objection": "",
        "href": "",
        **_of_pairing(None),
    }


def missed_cards(found: Sequence[Missed], language: Language) -> list[dict[str, Any]]:
    """What is near and was left out, with the reason."""
    return [
        {
            **_facts(one.listing.title or one.listing.body[:100], one.language, one.listing.country, language),
            "organisation": one.listing.organisation,
            "probability": one.probability,
            "verdict": "",
            "direction": "",
            "raises": [],
            "lowers": [],
            "evidence": (),
            "objection": objection_words(language, one.objection),
            "href": f"/listings/{one.listing.id}",
            **_of_pairing(None),
        }
        for one in found
    ]


def answered(session: Session, who: Principal, row: ListingRow) -> list[dict[str, Any]]:
    """Pairings of the listing that came to an end without an introduction, the latest first, and why."""
    over = sorted(queries.touching(session, [row.id], OVER), key=lambda one: (one.updated_at, one.id), reverse=True)
    found = []
    for pairing in over[:SHOWN]:
        sides = queries.sides(session, pairing)
        other, owner = (sides.need, sides.seeker) if row.side == Side.OFFER else (sides.offer, sides.offerer)
        if may_see(who, pairing, sides):
            known = who.role is not Role.PARTNER or may_read(who, other, owner.node_id)
            title = as_listing(other.record, other.id).title if known else None
            found.append({"pairing": pairing, "step": queries.last_step(session, pairing.id), "title": title})
    return found


def _facts(title: str, written: str, place: str | None, language: Language) -> dict[str, Any]:
    known = None if written == UNKNOWN else written
    return {
        "title": title,
        "language": tag(written),
        "tongue": tongue(language, known),
        "country": country(language, place),
    }


def _of_pairing(row: PairingRow | None) -> dict[str, Any]:
    return {"pairing": row.id if row is not None else "", "state": row.state if row is not None else ""}
