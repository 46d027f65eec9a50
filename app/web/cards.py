"""A pairing as the board and its own page show it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app import pairings, pipeline
from app.access import Principal
from app.pairings import State
from app.pipeline import BOARD
from app.queries.pipeline import Placed
from app.tables import ListingRow, OrganisationRow
from app.web.words import N_
from matching import Side

WHY_NOT = {  # why a pairing cannot simply be brought to a state
    State.PROPOSED: N_("Only the matching proposes; a pairing does not go back to it by hand."),
    State.SHORTLISTED: N_("What is proposed can be shortlisted."),
    State.HELD: N_("What is shortlisted, offered or of mutual interest can be put on hold."),
    State.OFFERED: N_("What is shortlisted can be offered to both sides."),
    State.MUTUAL: N_("Interest is mutual once the pairing is offered and both sides have said yes."),
    State.INTRODUCED: N_("The parties are introduced after mutual interest, once the compliance gate is open."),
    State.NEGOTIATING: N_("Negotiations begin after the introduction."),
    State.CONTRACTED: N_("A contract is recorded once it has been negotiated."),
    State.COMPLETED: N_("Only what is under contract can be completed."),
    State.DECLINED: N_("What is under contract or closed can no longer be declined."),
    State.LAPSED: N_("Proposals lapse by themselves."),
    State.WITHDRAWN: N_("What is under contract or closed can no longer be withdrawn."),
}


def card(who: Principal, one: Placed, now: datetime) -> dict[str, Any]:
    """A pairing in short, with the steps that `who` may take."""
    row, sides, state = one.row, one.sides, State(one.row.state)
    withheld = pairings.withheld(who, row, sides)
    return {
        "id": row.id,
        "version": row.version,
        "state": state,
        "direction": row.direction,
        "probability": row.probability,
        "offer": short(sides.offer, sides.offerer, withheld),
        "need": short(sides.need, sides.seeker, withheld),
        "since": row.since,
        "days": max(0, (now - row.since).days),
        "late": pipeline.waits_too_long(state, row.since, now),
        "interest": {"offer": row.offer_interest_at, "need": row.need_interest_at},
        "moves": pipeline.possible(who, row, sides),
        "on_board": state in BOARD,
    }


def short(listing: ListingRow, owner: OrganisationRow, withheld: Side | None) -> dict[str, Any]:
    """One side in short; if it is `withheld`, nothing of whose it is."""
    record = listing.record
    return {
        "id": listing.id,
        "title": record.get("title") or "",
        "language": record.get("language"),
        "organisation": "" if listing.side == withheld else record.get("organisation") or owner.name,
        "country": record.get("country") or (record.get("region") or "")[:2] or owner.country,
    }
