"""What a pairing's page shows of it, and how it says that a form could not be taken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlmodel import Session

from app import compliance, pairings, pipeline
from app.access import Permission, Principal, Role
from app.compliance import Decision, Gate
from app.errors import AppError, Conflict, Unusable, VersionMismatch
from app.pairings import Action, Reason, State
from app.queries import accounts as account_queries
from app.queries import pairings as queries
from app.queries import pipeline as board_queries
from app.queries.pairings import Sides
from app.schemas.pairings import ContractType
from app.search import Live
from app.tables import ContractRow, PairingRow, ScreeningRow, StepRow
from app.web import evidence
from app.web.cards import card
from app.web.words import N_

FORWARD = (  # the steps that lead towards a contract
    Action.SHORTLIST,
    Action.RELEASE,
    Action.OFFER,
    Action.INTEREST,
    Action.INTRODUCE,
    Action.NEGOTIATE,
    Action.CONTRACT,
    Action.COMPLETE,
)
WRONG = {
    "side": N_("Say for which side."),
    "reason": N_("Give a reason."),
    "note": N_("Say how the organisation has told you; 4,000 characters at most."),
    "consent": N_("Without consent that contacts are shown there is no interest to record."),
    "decision": N_("Choose what you have concluded."),
    "type": N_("Choose the type of contract."),
    "value": N_("Give an amount without letters, such as 120000, or leave it empty."),
    "currency": N_(
        "Value and currency belong together: give both or neither. A currency has three letters, such as CNY."
    ),
    "signed_on": N_("Give the day on which it was signed."),
    "starts_on": N_("Give a day, or leave it empty."),
    "ends_on": N_("It cannot end before it starts."),
    "registration_number": N_("100 characters at most."),
}
SHUT = {
    Gate.UNSCREENED: N_("The offer as it is now has not been screened against the present catalogue. Screen it first."),
    Gate.UNDECIDED: N_("At the compliance gate a named person has to decide first."),
    Gate.REFUSED: N_("At the compliance gate the introduction has been refused."),
}
CHANGED = N_(
    "Someone else was quicker. Nothing of yours has been saved, and what you entered is still here: "
    "see what has happened, and decide again."
)
NOT_NOW = N_("This step is not possible any more; the pairing stands elsewhere now.")


@dataclass(frozen=True, slots=True)
class Refused:
    """A form that could not be taken: which one, its fields as they were sent, what is wrong, and at which field."""

    kind: str
    action: str
    problem: str
    wrong: str
    status: int
    values: dict[str, str]

    @classmethod
    def of(
        cls, kind: str, error: ValidationError | AppError, action: str, gate: Gate, values: dict[str, str]
    ) -> Refused:
        """What to say of an error; the texts are yet to be translated."""
        wrong, status = _field(error, values), error.status if isinstance(error, AppError) else Unusable.status
        if isinstance(error, VersionMismatch):
            problem = CHANGED
        elif isinstance(error, Conflict):
            problem = SHUT[gate] if action == Action.INTRODUCE and gate in SHUT else NOT_NOW
        else:
            problem = WRONG.get(wrong, N_("This form cannot be read; reload the page and fill it in again."))
        return cls(kind, action, problem, wrong, status, values)


def _field(error: ValidationError | AppError, values: dict[str, str]) -> str:
    """The field that is wrong, empty where none is named."""
    if isinstance(error, AppError):
        return error.errors[0].field if error.errors else ""
    place = error.errors()[0]["loc"]
    if place:
        return str(place[0])
    return "ends_on" if bool(values.get("value")) == bool(values.get("currency")) else "currency"


def view(session: Session, who: Principal, pairing_id: str, search: Live, at: datetime) -> dict[str, Any]:
    """Everything that the page shows. Raises NotFound."""
    row, sides = pairings.visible(session, who, pairing_id)
    placed = board_queries.placed(session, [row.id])[row.id]
    one = card(who, placed, at)
    contract = queries.contract(session, row.id)
    steps = queries.steps(session, row.id)
    return {
        "card": one,
        "shown": evidence.shown(row, sides, search.threshold, pairings.withheld(who, row, sides)),
        "at": at,
        "own": pipeline.own_side(who, sides),
        "silent": pipeline.silent_sides(who, row, sides),
        "primary": next((name for name in FORWARD if name in [move.action for move in one["moves"]]), ""),
        "way": _way(row),
        "introduced": row.state in pairings.INTRODUCED,
        "reasons": tuple(Reason),
        "contract": contract,
        "contract_mark": mark_of_contract(contract),
        "may_record": Permission.DECIDE in who.permissions and row.state in pairings.CONTRACTS,
        "recorder": _name(session, who, *contract.recorded_by.split(":", 1)) if contract is not None else "",
        "contract_types": tuple(ContractType),
        "history": [_step(session, who, step) for step in reversed(steps)],
        "contacts": None,
        "refused": None,
        "between": (),
        "do": "",
        "done": "",
        **_compliance(session, who, row, sides, search),
    }


def between(session: Session, who: Principal, row: PairingRow, version: int) -> list[dict[str, Any]]:
    """What has been done with a pairing since that version of it."""
    return [_step(session, who, step) for step in pipeline.steps_since(session, row, version)]


def mark_of_contract(contract: ContractRow | None) -> str:
    """Tells one writing down of a contract from another."""
    return contract.recorded_at.isoformat() if contract is not None else ""


def mark_of_screening(row: ScreeningRow | None) -> str:
    """Tells a screening, and whether it is decided, from another."""
    return f"{row.id} {row.decision or ''}" if row is not None else ""


def _way(row: PairingRow) -> list[tuple[State, str]]:
    """The states on the way to the end, each done, here or ahead."""
    stages = [state for state in pipeline.BOARD if state is not State.HELD]
    now = State(row.held_from or row.state) if row.state == State.HELD else State(row.state)
    place = stages.index(now) if now in stages else -1
    return [(state, "done" if i < place else "here" if i == place else "") for i, state in enumerate(stages)]


def _compliance(session: Session, who: Principal, row: PairingRow, sides: Sides, search: Live) -> dict[str, Any]:
    """The gate, and for those who may decide on the offer its screenings."""
    gate = compliance.gate(session, row, sides.offer, search.catalogue.digest)
    may_decide = Permission.SCREEN in who.permissions and who.holds(sides.offerer.id, sides.offerer.node_id)
    rows = queries.screenings(session, sides.offer.id) if may_decide and gate is not Gate.NONE else []
    present = [one for one in rows if (one.version, one.catalogue) == (sides.offer.version, search.catalogue.digest)]
    decided = [one for one in rows if one.decision is not None]
    return {
        "gate": gate,
        "may_decide": may_decide,
        "screening": present[0] if present else None,
        "screening_mark": mark_of_screening(present[0] if present else None),
        "decisions": [(one, _name(session, who, "person", one.decided_by or "")) for one in decided],
        "decision_kinds": tuple(Decision),
        "catalogue": search.catalogue,
    }


def _step(session: Session, who: Principal, step: StepRow) -> dict[str, Any]:
    return {
        "number": step.number,
        "at": step.at,
        "who": _name(session, who, step.actor_kind, step.actor_id),
        "action": step.action,
        "before": step.state_before,
        "after": step.state_after,
        "side": step.side,
        "reason": step.reason,
        "note": step.note if pairings.may_read_note(who, step) else None,
        "consent": step.consent,
    }


def _name(session: Session, who: Principal, kind: str, name: str) -> str:
    """Who acted: for managers by name, for partners by organisation; empty: the centre or one of its nodes."""
    if kind == "system":
        return "Dukou"
    actor = account_queries.actor(session, kind, name)
    if actor is None or (who.role is Role.PARTNER and name != who.id):
        return actor.organisation if actor is not None and actor.organisation else ""
    return actor.name
