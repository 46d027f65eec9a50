"""The board: where pairings stand, for how long, and where who looks at one may bring it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from app.access import Principal, Role
from app.errors import FieldError, Unusable
from app.pairings import BY_PEOPLE, CLOSED, MOVES, TOLD, Action, State, target
from app.queries import pairings as pairing_queries
from app.queries import pipeline as queries
from app.queries.pairings import Sides
from app.queries.pipeline import Placed, Wanted
from app.tables import PairingRow, StepRow
from matching import Side

A, S = Action, State
BOARD = tuple(state for state in State if state not in CLOSED)
PATIENCE = {  # days in a state after which a pairing is pointed out
    S.PROPOSED: 14,
    S.SHORTLISTED: 7,
    S.HELD: 14,
    S.OFFERED: 21,
    S.MUTUAL: 7,
    S.INTRODUCED: 30,
    S.NEGOTIATING: 90,
    S.CONTRACTED: 365,
}
SAYS_MORE = (A.INTEREST, A.INTRODUCE, A.CONTRACT, A.DECLINE, A.WITHDRAW)  # steps that something goes with
PAGE = 10  # cards of a column at a time


@dataclass(frozen=True, slots=True)
class Possible:
    """A step that may be taken now; `column` is where it can lead, None where the pairing stays."""

    action: Action
    column: State | None

    @property
    def at_once(self) -> bool:
        """Whether nothing has to be said with it."""
        return self.action not in SAYS_MORE


@dataclass(frozen=True, slots=True)
class Column:
    """The pairings of one state: how many, the next ones, and the cursor of those after them."""

    state: State
    total: int
    cards: Sequence[Placed]
    more: str | None


def columns(session: Session, who: Principal, wanted: Wanted, states: Sequence[State]) -> list[Column]:
    """The columns of the board, each with the first of the pairings that `who` sees."""
    first = queries.board(session, who, wanted, states, PAGE + 1, TOLD)
    found = queries.placed(session, [name for _, ids in first.values() for name in ids[:PAGE]])
    return [_filled(state, *first.get(state, (0, [])), found, wanted) for state in states]


def rest(session: Session, who: Principal, wanted: Wanted, state: State, cursor: str) -> Column:
    """The next pairings of one column. Raises Unusable for a cursor that is none."""
    total = queries.counts(session, who, wanted, TOLD).get(state, 0)
    ids = queries.next_of(session, who, wanted, state, _position(cursor, wanted), PAGE + 1, TOLD)
    return _filled(state, total, ids, queries.placed(session, ids[:PAGE]), wanted)


def _filled(state: State, total: int, ids: Sequence[str], found: Mapping[str, Placed], wanted: Wanted) -> Column:
    cards = [found[name] for name in ids[:PAGE]]
    return Column(state, total, cards, _cursor(cards[-1], wanted) if len(ids) > PAGE else None)


def possible(who: Principal, row: PairingRow, sides: Sides) -> list[Possible]:
    """The steps that `who` may take with a pairing now. What a side has said already it need not say again."""
    state, found = State(row.state), list[Possible]()
    for action in BY_PEOPLE:
        move = MOVES[action]
        allowed = state in move.sources and move.permission in who.permissions
        if allowed and not (action is A.INTEREST and not silent_sides(who, row, sides)):
            found.append(Possible(action, _column(row, state, action)))
    return found


def silent_sides(who: Principal, row: PairingRow, sides: Sides) -> list[Side]:
    """The sides that `who` may speak for and that have not shown interest yet."""
    said = {Side.OFFER: row.offer_interest_at, Side.NEED: row.need_interest_at}
    own = own_side(who, sides)
    return [side for side in Side if said[side] is None and own in (None, side)]


def own_side(who: Principal, sides: Sides) -> Side | None:
    """The side of a pairing that a partner is; None for managers, who are neither."""
    if who.role is not Role.PARTNER:
        return None
    return Side.OFFER if who.organisation == sides.offerer.id else Side.NEED


def waits_too_long(state: State, since: datetime, now: datetime) -> bool:
    """Whether a pairing has been in its state for longer than it should."""
    return state in PATIENCE and now - since > timedelta(days=PATIENCE[state])


def steps_since(session: Session, row: PairingRow, version: int) -> list[StepRow]:
    """What was done with a pairing since somebody read that version of it, the oldest first."""
    steps = [one for one in pairing_queries.steps(session, row.id) if not _stayed_proposed(one)]
    missed = row.version - version
    return steps[-missed:] if missed > 0 else []


def _stayed_proposed(step: StepRow) -> bool:
    """A note in the history that is no new version."""
    return step.action == A.PROPOSE and step.state_before == S.PROPOSED


def _column(row: PairingRow, state: State, action: Action) -> State | None:
    """Where a step can lead on the board: an interest makes an offered pairing mutual, others it leaves in place."""
    if action is A.INTEREST:
        return S.MUTUAL if state is S.OFFERED else None
    return target(row, state, action)


def _cursor(last: Placed, wanted: Wanted) -> str:
    value = last.row.since.isoformat() if wanted.longest else repr(last.row.probability)
    return f"{value},{last.row.id}"


def _position(cursor: str, wanted: Wanted) -> tuple[float | datetime, str]:
    text, _, name = cursor.partition(",")
    try:
        return datetime.fromisoformat(text) if wanted.longest else float(text), name
    except ValueError as error:
        fix = "must be a cursor that an earlier page gave"
        raise Unusable(f"after: {fix}", [FieldError("after", fix)]) from error
