"""What a manager does with a proposal in the queue: take it up, put it on hold, or say no."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlmodel import Session

from app import pairings
from app.access import Principal
from app.audit import Audit
from app.errors import VersionMismatch
from app.pairings import Action, Answer
from app.queries import pairings as queries
from app.tables import PairingRow


class Decision(StrEnum):
    """What can be decided about a proposal."""

    ACCEPT = "accept"
    HOLD = "hold"
    DECLINE = "decline"


STEPS = {
    Decision.ACCEPT: (Action.SHORTLIST,),
    Decision.HOLD: (Action.SHORTLIST, Action.HOLD),  # only what somebody has taken up can be held
    Decision.DECLINE: (Action.DECLINE,),
}


@dataclass(frozen=True, slots=True)
class Read:
    """What somebody has read before deciding: the versions of the pairing, the offer and the need."""

    pairing: int
    offer: int
    need: int


def decide(
    session: Session,
    log: Audit,
    who: Principal,
    pairing_id: str,
    decision: Decision,
    answer: Answer,
    read: Read,
    catalogue: str,
    now: datetime,
) -> PairingRow:
    """Take the steps of a decision, all or none; one that is sent a second time changes nothing.

    Raises NotFound, VersionMismatch where the pairing or one of the texts is another by now, Unusable.
    """
    row, sides = pairings.visible(session, who, pairing_id)
    if _is_made(session, who, row, decision, answer, read.pairing):
        return row
    if (read.offer, read.need) != (sides.offer.version, sides.need.version):
        raise VersionMismatch("one of the two texts has been revised since you read it; read it again")
    version = read.pairing
    for action in STEPS[decision]:
        step = pairings.take(session, who, row, sides, action, answer, version, catalogue, now)
        log.record(session, who, f"pairing.{action}", row.id, now, step=step.number, state=row.state)
        version = row.version
    return row


def _is_made(
    session: Session, who: Principal, row: PairingRow, decision: Decision, answer: Answer, version: int
) -> bool:
    """Whether this decision, on that version, is what brought the pairing to where it is."""
    actions = STEPS[decision]
    if row.version != version + len(actions):
        return False
    last = queries.last_step(session, row.id)
    return last is not None and (last.actor_id, last.action, last.side, last.reason, last.note) == (
        who.id,
        actions[-1],
        answer.side,
        answer.reason,
        answer.note,
    )
