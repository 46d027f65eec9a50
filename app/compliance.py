"""The compliance gate: an offer that goes out is screened against a catalogue, and a named person decides.

A decision holds for one version of the offer and one catalogue; when either changes, it must be made again. Nothing
here clears an offer by itself: a screening that finds nothing says only that it found nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Session

from app.access import Principal
from app.errors import Conflict, FieldError, Forbidden, Unusable
from app.queries import pairings as queries
from app.tables import ListingRow, PairingRow, ScreeningRow
from matching import Direction


class Decision(StrEnum):
    """What a person concluded from a screening."""

    NOT_COVERED = "not_covered"  # no entry of the catalogue covers the technology
    LICENSED = "licensed"  # one does, and the letter of intent or licence is there: the reason names it
    REFUSED = "refused"


OPEN_THE_GATE = (Decision.NOT_COVERED, Decision.LICENSED)


class Gate(StrEnum):
    """How the gate stands before the introduction of a pairing."""

    NONE = "none"  # nothing leaves the country
    UNSCREENED = "unscreened"
    UNDECIDED = "undecided"
    REFUSED = "refused"
    OPEN = "open"


SHUT = {
    Gate.UNSCREENED: "this version of the offer has not been screened against the present catalogue",
    Gate.UNDECIDED: "a named person has to decide on the screening first",
    Gate.REFUSED: "the introduction has been refused",
}


def needs_screening(pairing: PairingRow) -> bool:
    """Technology leaves the country, or nobody can say whether it does."""
    return pairing.direction in (Direction.GO_OUT, None)


def keep_screening(
    session: Session, listing: ListingRow, catalogue: str, candidates: Sequence[dict[str, Any]], now: datetime
) -> ScreeningRow:
    """Note what the screening of an offer as it is now has found; one that is there already stays."""
    present = queries.screening(session, listing.id, listing.version, catalogue)
    if present is not None:
        return present
    row = ScreeningRow(
        listing_id=listing.id,
        version=listing.version,
        catalogue=catalogue,
        candidates=list(candidates),
        screened_at=now,
    )
    session.add(row)
    session.flush()
    return row


def decide(
    session: Session,
    who: Principal,
    listing: ListingRow,
    catalogue: str,
    decision: Decision,
    reason: str,
    now: datetime,
) -> ScreeningRow:
    """A named person's decision. A later one stands beside the earlier, which stays. Raises Conflict, Forbidden."""
    if who.kind != "person":
        raise Forbidden("only a person who is signed in decides on a screening, no key and no program")
    if not reason.strip():
        raise Unusable("reason: a decision needs one", [FieldError("reason", "say what the decision rests on")])
    row = queries.screening(session, listing.id, listing.version, catalogue)
    if row is None:
        raise Conflict("this version of the offer has not been screened against the present catalogue; screen it first")
    if row.decision is not None:
        row = ScreeningRow(
            listing_id=row.listing_id,
            version=row.version,
            catalogue=row.catalogue,
            number=row.number + 1,
            candidates=row.candidates,
            screened_at=row.screened_at,
        )
    row.decision, row.reason, row.decided_by, row.decided_at = decision, reason.strip(), who.id, now
    session.add(row)
    session.flush()
    return row


def gate(session: Session, pairing: PairingRow, offer: ListingRow, catalogue: str) -> Gate:
    """How the gate stands before an introduction."""
    if not needs_screening(pairing):
        return Gate.NONE
    row = queries.screening(session, offer.id, offer.version, catalogue)
    if row is None:
        return Gate.UNSCREENED
    if row.decision is None:
        return Gate.UNDECIDED
    return Gate.OPEN if row.decision in OPEN_THE_GATE else Gate.REFUSED


def check_gate(session: Session, pairing: PairingRow, offer: ListingRow, catalogue: str) -> None:
    """Raises Conflict where an introduction needs a decision that is not there, or that says no."""
    stands = gate(session, pairing, offer, catalogue)
    if stands in SHUT:
        raise Conflict(f"compliance: {SHUT[stands]}")
