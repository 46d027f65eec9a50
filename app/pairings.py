"""Pairings and the way they go: an explicit state machine whose every step is kept.

proposed → shortlisted → offered → mutual → introduced → negotiating → contracted → completed; on hold from shortlisted,
offered and mutual, and back; declined, lapsed or withdrawn from every open state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlmodel import Session

from app import compliance, events
from app.access import Permission, Principal, Role, check, discloses
from app.errors import Conflict, FieldError, Forbidden, NotFound, Unusable, VersionMismatch
from app.events import Audience
from app.queries import pairings as queries
from app.queries.pairings import Sides
from app.tables import ContractRow, ListingRow, PairingRow, StepRow
from matching import Side


class State(StrEnum):
    """Where a pairing stands."""

    PROPOSED = "proposed"
    SHORTLISTED = "shortlisted"
    HELD = "held"
    OFFERED = "offered"
    MUTUAL = "mutual"
    INTRODUCED = "introduced"
    NEGOTIATING = "negotiating"
    CONTRACTED = "contracted"
    COMPLETED = "completed"
    DECLINED = "declined"
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"


class Action(StrEnum):
    """What brings a pairing from one state to another."""

    PROPOSE = "propose"
    SHORTLIST = "shortlist"
    HOLD = "hold"
    RELEASE = "release"
    OFFER = "offer"
    INTEREST = "interest"
    INTRODUCE = "introduce"
    NEGOTIATE = "negotiate"
    CONTRACT = "contract"
    COMPLETE = "complete"
    DECLINE = "decline"
    LAPSE = "lapse"
    WITHDRAW = "withdraw"


class Reason(StrEnum):
    """Why a pairing is declined; structured, because the scorer learns from it."""

    WRONG_PROBLEM = "wrong_problem"
    TOO_EARLY = "too_early"
    BENEFIT_UNCLEAR = "benefit_unclear"
    MARKET_UNCLEAR = "market_unclear"
    TOO_VAGUE = "too_vague"
    TERMS = "terms"
    KNOWN = "already_known"
    NO_CAPACITY = "no_capacity"
    COMPLIANCE = "compliance"
    OTHER = "other"


S, A = State, Action
OPEN = (S.PROPOSED, S.SHORTLISTED, S.HELD, S.OFFERED, S.MUTUAL, S.INTRODUCED, S.NEGOTIATING)
BEFORE_INTRODUCTION = (S.PROPOSED, S.SHORTLISTED, S.HELD, S.OFFERED, S.MUTUAL)
CLOSED = (S.DECLINED, S.LAPSED, S.WITHDRAWN)
TOLD = (S.OFFERED, S.MUTUAL, S.INTRODUCED, S.NEGOTIATING, S.CONTRACTED, S.COMPLETED)  # both sides have been asked
UNDER_WAY = (S.SHORTLISTED, S.HELD, S.OFFERED, S.MUTUAL, S.INTRODUCED, S.NEGOTIATING)  # somebody has taken them up
CONTRACTS = (S.NEGOTIATING, S.CONTRACTED, S.COMPLETED)  # in which a contract is written down or corrected
INTRODUCED = (S.INTRODUCED, S.NEGOTIATING, S.CONTRACTED, S.COMPLETED)


@dataclass(frozen=True, slots=True)
class Move:
    """From where an action leads where; `target` None: the step itself tells."""

    sources: Sequence[State]
    target: State | None
    permission: Permission = Permission.DECIDE


MOVES = {
    A.SHORTLIST: Move((S.PROPOSED,), S.SHORTLISTED),
    A.HOLD: Move((S.SHORTLISTED, S.OFFERED, S.MUTUAL), S.HELD),
    A.RELEASE: Move((S.HELD,), None),
    A.OFFER: Move((S.SHORTLISTED,), None),
    A.INTEREST: Move((S.PROPOSED, S.SHORTLISTED, S.OFFERED), None, Permission.ANSWER),
    A.INTRODUCE: Move((S.MUTUAL,), S.INTRODUCED),
    A.NEGOTIATE: Move((S.INTRODUCED,), S.NEGOTIATING),
    A.CONTRACT: Move((S.NEGOTIATING,), S.CONTRACTED),
    A.COMPLETE: Move((S.CONTRACTED,), S.COMPLETED),
    A.DECLINE: Move(OPEN, S.DECLINED, Permission.ANSWER),
    A.LAPSE: Move(OPEN, S.LAPSED),
    A.WITHDRAW: Move(OPEN, S.WITHDRAWN),
    A.PROPOSE: Move(CLOSED, S.PROPOSED),
}
BY_PEOPLE = tuple(action for action in A if action not in (A.LAPSE, A.PROPOSE))  # the others the service does by itself


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes with a step: for which side, a structured reason, a note, consent that contacts may be shown."""

    side: Side | None = None
    reason: Reason | None = None
    note: str | None = None
    consent: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """Two pairings of opposite direction between two organisations."""

    first: tuple[PairingRow, Sides]
    second: tuple[PairingRow, Sides]

    @property
    def probability(self) -> float:
        return self.first[0].probability * self.second[0].probability


def visible(session: Session, who: Principal, pairing_id: str) -> tuple[PairingRow, Sides]:
    """One pairing that `who` may see. Raises NotFound."""
    row = session.get(PairingRow, pairing_id)
    sides = queries.sides(session, row) if row is not None else None
    if row is None or sides is None or not may_see(who, row, sides):
        raise NotFound(f"there is no pairing {pairing_id!r:.220}")
    return row, sides


def may_see(who: Principal, row: PairingRow, sides: Sides) -> bool:
    """A manager where either side is of their nodes, a partner where it may read the other side or has been asked."""
    if who.role is not Role.PARTNER:
        return any(who.holds(owner.id, owner.node_id) for owner in (sides.offerer, sides.seeker))
    other = {sides.offerer.id: sides.need, sides.seeker.id: sides.offer}.get(who.organisation or "")
    if other is None:
        return False
    return row.state in TOLD or _is_disclosed(who, other)


def _is_disclosed(who: Principal, listing: ListingRow) -> bool:
    return listing.status == "published" and discloses(listing.disclosure, who)


def take(
    session: Session,
    who: Principal,
    row: PairingRow,
    sides: Sides,
    action: Action,
    answer: Answer,
    version: int,
    catalogue: str,
    now: datetime,
) -> StepRow:
    """Take a step as a person or a partner's program; `catalogue` is the identity of the present one.

    Raises Forbidden, VersionMismatch, Conflict where the state does not allow it, Unusable where something is missing.
    """
    check(who, MOVES[action].permission)
    if action not in BY_PEOPLE:
        raise Forbidden(f"{action} is the service's own step; yours are {', '.join(BY_PEOPLE)}")
    if row.version != version:
        raise VersionMismatch(f"someone has changed the pairing since (it is {row.state} now); read it again")
    answer = _completed(who, sides, action, answer)
    _check_move(row, action)
    if action is A.INTRODUCE:
        compliance.check_gate(session, row, sides.offer, catalogue)
    if action is A.CONTRACT and queries.contract(session, row.id) is None:
        raise Conflict("record the contract first")
    return move(session, who, row, sides, action, answer, now)


def move(
    session: Session, who: Principal, row: PairingRow, sides: Sides, action: Action, answer: Answer, now: datetime
) -> StepRow:
    """Change the state, keep the step, tell whom it concerns. Raises Conflict where the state does not allow it."""
    _check_move(row, action)
    before = State(row.state)
    if action is A.INTEREST:
        _note_interest(row, answer, now)
    row.state = target(row, before, action)
    row.since = row.since if row.state == before else now
    row.held_from = before if action is A.HOLD else None
    row.version, row.updated_at = row.version + 1, now
    session.add(row)
    step = write_step(session, who, row, sides, action, before, answer, now)
    if row.state != before:
        _tell(session, row, sides, before, now)
    return step


def write_step(
    session: Session,
    who: Principal,
    row: PairingRow,
    sides: Sides,
    action: Action,
    before: State | None,
    answer: Answer,
    now: datetime,
) -> StepRow:
    """Add a line to the history."""
    last = queries.last_step(session, row.id)
    number, versions = 1 if last is None else last.number + 1, (sides.offer.version, sides.need.version)
    step = _step(who, row, number, action, before, answer, now, versions)
    session.add(step)
    session.flush()
    return step


def first_step(who: Principal, row: PairingRow, action: Action, answer: Answer, now: datetime) -> StepRow:
    """The line that a history begins with, to be added."""
    return _step(who, row, 1, action, None, answer, now, (row.offer_version, row.need_version))


def _step(
    who: Principal,
    row: PairingRow,
    number: int,
    action: Action,
    before: State | None,
    answer: Answer,
    now: datetime,
    versions: tuple[int, int],
) -> StepRow:
    return StepRow(
        pairing_id=row.id,
        number=number,
        at=now,
        actor_kind=who.kind,
        actor_id=who.id,
        action=action,
        state_before=before,
        state_after=row.state,
        side=answer.side,
        reason=answer.reason,
        note=answer.note,
        consent=answer.consent,
        offer_version=versions[0],
        need_version=versions[1],
    )


def record_contract(
    session: Session, who: Principal, row: PairingRow, facts: dict[str, Any], now: datetime
) -> ContractRow:
    """Write down or correct the contract of a pairing under negotiation or later. Raises Conflict."""
    if row.state not in CONTRACTS:
        raise Conflict(f"the pairing is {row.state}; a contract is recorded once it is under negotiation")
    contract = queries.contract(session, row.id)
    if contract is None:
        contract = ContractRow(pairing_id=row.id, recorded_by=who.label, recorded_at=now, **facts)
    else:
        for name, value in facts.items():
            setattr(contract, name, value)
        contract.recorded_by, contract.recorded_at = who.label, now
    session.add(contract)
    session.flush()
    return contract


def introduction(session: Session, who: Principal, pairing_id: str) -> Sides:
    """Both sides of a pairing that are introduced, whose contacts may be shown. Raises NotFound, Conflict."""
    row, sides = visible(session, who, pairing_id)
    if row.state not in INTRODUCED:
        raise Conflict(f"the pairing is {row.state}; contacts are shown once both sides are introduced")
    return sides


def withheld(who: Principal, row: PairingRow, sides: Sides) -> Side | None:
    """The side of which a partner is told title and evidence alone: until introduced, one that it may not read."""
    if who.role is not Role.PARTNER or row.state in INTRODUCED:
        return None
    other = sides.need if who.organisation == sides.offerer.id else sides.offer
    return None if _is_disclosed(who, other) else Side(other.side)


def may_read_note(who: Principal, step: StepRow) -> bool:
    """Notes are for managers and for who wrote them."""
    return who.role is not Role.PARTNER or step.actor_id == who.id


def exchanges(session: Session, who: Principal) -> Iterator[Exchange]:
    """Organisations that each have an offer for a need of the other, as far as `who` may see both, the best first."""
    for first, second, _, _ in queries.exchanges(session, OPEN):
        both = [(row, queries.sides(session, row)) for row in (first, second)]
        if all(may_see(who, row, sides) for row, sides in both):
            yield Exchange(both[0], both[1])


def close_for(session: Session, who: Principal, listing: ListingRow, action: Action, now: datetime) -> None:
    """What becomes of a listing's pairings when it is withdrawn or has expired; those introduced go on."""
    for row in queries.touching(session, [listing.id], BEFORE_INTRODUCTION):
        move(session, who, row, queries.sides(session, row), action, Answer(note=f"listing {listing.status}"), now)


def _check_move(row: PairingRow, action: Action) -> None:
    if row.state not in MOVES[action].sources:
        possible = ", ".join(action for action in BY_PEOPLE if row.state in MOVES[action].sources) or "nothing"
        raise Conflict(f"{action} is not possible, the pairing is {row.state}; possible now: {possible}")


def _completed(who: Principal, sides: Sides, action: Action, answer: Answer) -> Answer:
    """An answer with its side, which for a partner is its own; raises Unusable where something is missing."""
    if who.role is Role.PARTNER:
        own = Side.OFFER if who.organisation == sides.offerer.id else Side.NEED
        if answer.side not in (None, own):
            raise Forbidden(f"your side of this pairing is the {own}")
        answer = Answer(own, answer.reason, answer.note, answer.consent)
    if action is A.DECLINE and answer.reason is None:
        raise _missing("reason", f"one of {', '.join(Reason)}")
    if action is A.INTEREST:
        if answer.side is None:
            raise _missing("side", "for which side is the interest: offer or need")
        if not answer.consent:
            raise _missing("consent", "true: that contacts are shown to the other side once you are introduced")
        if who.role is not Role.PARTNER and not (answer.note or "").strip():
            raise _missing("note", "say how the organisation has told you")
    return answer


def _missing(field: str, fix: str) -> Unusable:
    return Unusable(f"{field}: {fix}", [FieldError(field, fix)])


def _note_interest(row: PairingRow, answer: Answer, now: datetime) -> None:
    if answer.side is Side.OFFER:
        row.offer_interest_at = row.offer_interest_at or now
    else:
        row.need_interest_at = row.need_interest_at or now


def target(row: PairingRow, before: State, action: Action) -> State:
    """Where a step leads; offered to both and wanted by both, it is mutual."""
    both = row.offer_interest_at is not None and row.need_interest_at is not None
    if action is A.RELEASE:
        return State(row.held_from or S.SHORTLISTED)
    if action is A.OFFER or (action is A.INTEREST and before is S.OFFERED):
        return S.MUTUAL if both else S.OFFERED
    return MOVES[action].target or before


def _tell(session: Session, row: PairingRow, sides: Sides, before: State, now: datetime) -> None:
    """Both organisations once they have been asked, the trading platform from the introduction on."""
    kind = f"pairing.{row.state}"
    if kind not in events.EVENT_TYPES:
        return
    facts = trading_facts(session, row, sides)
    if row.state in TOLD or before in TOLD:
        for owner_id in dict.fromkeys((sides.offerer.id, sides.seeker.id)):
            events.emit(session, Audience.ORGANISATION, kind, row.id, _facts_for(owner_id, facts, sides), now, owner_id)
    if row.state in INTRODUCED or before in INTRODUCED:
        events.emit(session, Audience.TRADING, kind, row.id, facts, now)


def _facts_for(owner_id: str, facts: dict[str, Any], sides: Sides) -> dict[str, Any]:
    """The same for one of the two: a reference stays between its author and the centre until they are introduced."""
    if facts["state"] in INTRODUCED:
        return facts
    hidden = {listing.side for listing in sides.both if listing.organisation_id != owner_id}
    return facts | {side: facts[side] | {"reference": None} for side in hidden}


def trading_facts(session: Session, row: PairingRow, sides: Sides) -> dict[str, Any]:
    """What a platform is told of a pairing: no texts, no contacts, the contract once there is one."""
    facts: dict[str, Any] = {
        "id": row.id,
        "state": row.state,
        "direction": row.direction,
        "offer": {"id": row.offer_id, "version": sides.offer.version, "reference": sides.offer.reference},
        "need": {"id": row.need_id, "version": sides.need.version, "reference": sides.need.reference},
    }
    contract = queries.contract(session, row.id)
    if contract is not None and row.state in (S.CONTRACTED, S.COMPLETED):
        shown = contract.model_dump(mode="json", exclude={"pairing_id", "recorded_by", "recorded_at"})
        facts["contract"] = shown
    return facts
