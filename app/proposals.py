"""What the matching proposes, brought together with what people have decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime

from sqlmodel import Session

from app import pairings
from app.access import SYSTEM, Principal
from app.pairings import Action, Answer, State
from app.queries import pairings as queries
from app.queries.pairings import Sides
from app.tables import ListingRow, PairingRow
from matching import Pairing

Counts = Counter[str]


def record(session: Session, found: Iterable[Pairing], run: str, now: datetime) -> Counts:
    """Take over pairings that a run found, each pair once.

    What a person has answered stays answered until one of the listings has a new version. Counts: new, updated,
    reopened, kept (somebody is at it, or has said no), gone (a listing is no longer published).
    """
    pairs, counts, fresh = list(found), Counts(), list[PairingRow]()
    known = queries.of_pairs(session, [(one.offer, one.need) for one in pairs])
    versions = queries.published_versions(session, {name for one in pairs for name in (one.offer, one.need)})
    for one in pairs:
        row = known.get((one.offer, one.need))
        if row is not None:
            counts[_again(session, row, one, run, now)] += 1
        elif one.offer not in versions or one.need not in versions:
            counts["gone"] += 1
        else:
            fresh.append(_row(one, run, now, (versions[one.offer], versions[one.need])))
    counts["new"] += len(fresh)
    queries.add_with_steps(
        session, fresh, [pairings.first_step(SYSTEM, row, Action.PROPOSE, Answer(note=run), now) for row in fresh]
    )
    return +counts


def lapse(session: Session, run: str, now: datetime, looked_at: Collection[str]) -> Counts:
    """Let proposals lapse that nobody has touched and that this run, which looked at these listings, did not find."""
    counts = Counts()
    for row in queries.touching(session, looked_at, [State.PROPOSED]):
        if row.run != run and not _is_wanted(session, row):
            _move(session, row, Action.LAPSE, "no longer proposed", now)
            counts["lapsed"] += 1
    return counts


def lapse_unfound(
    session: Session, run: str, up_to: int, after: str, limit: int, now: datetime
) -> tuple[Counts, str | None]:
    """`lapse` for a run that looked at all listings up to a revision, `limit` proposals by id at a time.

    Of listings written later it knows nothing. The id to go on `after`, None at the end.
    """
    counts, rows = Counts(), queries.unfound(session, run, State.PROPOSED, up_to, after, limit)
    for row in rows:
        if not _is_wanted(session, row):
            _move(session, row, Action.LAPSE, "no longer proposed", now)
            counts["lapsed"] += 1
    return counts, rows[-1].id if len(rows) == limit else None


def _is_wanted(session: Session, row: PairingRow) -> bool:
    """Whether a person has taken up the proposal or shown interest: then no run takes it away."""
    last = queries.last_step(session, row.id)
    return last is not None and last.actor_kind != SYSTEM.kind


def by_hand(session: Session, who: Principal, one: Pairing, now: datetime) -> PairingRow:
    """The pairing of two listings that somebody takes up before, or although, no run has proposed it."""
    row = queries.of_listings(session, one.offer, one.need)
    if row is None:
        return _new(session, who, one, "by hand", now)
    if row.state == State.PROPOSED and not _is_wanted(session, row):
        sides, note = queries.sides(session, row), Answer(note="by hand")
        pairings.write_step(session, who, row, sides, Action.PROPOSE, State.PROPOSED, note, now)
    return row


def _new(session: Session, who: Principal, one: Pairing, run: str, now: datetime) -> PairingRow:
    offer, need = session.get(ListingRow, one.offer), session.get(ListingRow, one.need)
    assert offer is not None
    assert need is not None
    row = _row(one, run, now, [offer.version, need.version])
    session.add(row)
    session.flush()
    session.add(pairings.first_step(who, row, Action.PROPOSE, Answer(note=run), now))
    return row


def _row(one: Pairing, run: str, now: datetime, versions: Sequence[int]) -> PairingRow:
    return PairingRow(
        offer_id=one.offer,
        need_id=one.need,
        state=State.PROPOSED,
        since=now,
        probability=one.probability,
        parts=one.parts,
        evidence=[asdict(evidence) for evidence in one.evidence],
        direction=one.direction,
        run=run,
        offer_version=versions[0],
        need_version=versions[1],
        created_at=now,
        updated_at=now,
    )


def _again(session: Session, row: PairingRow, one: Pairing, run: str, now: datetime) -> str:
    """A pairing that a run finds and that is there already."""
    sides = queries.sides(session, row)
    if any(listing.status != "published" for listing in sides.both):
        return "gone"
    if row.state == State.PROPOSED:
        _refresh(session, row, one, run, sides, now)
        return "updated"
    if row.state in pairings.CLOSED and _may_reopen(session, row):
        _move(session, row, Action.PROPOSE, run, now)
        row.offer_interest_at = row.need_interest_at = None
        _refresh(session, row, one, run, sides, now)
        return "reopened"
    return "kept"


def _may_reopen(session: Session, row: PairingRow) -> bool:
    """What the service closed by itself may be proposed again; what a person closed, once a listing has changed."""
    last = queries.last_step(session, row.id)
    assert last is not None
    sides = queries.sides(session, row)
    changed = (last.offer_version, last.need_version) != (sides.offer.version, sides.need.version)
    return changed or last.actor_kind == SYSTEM.kind


def _refresh(session: Session, row: PairingRow, one: Pairing, run: str, sides: Sides, now: datetime) -> None:
    row.probability, row.parts, row.direction = one.probability, one.parts, one.direction
    row.run = run
    row.evidence = [asdict(evidence) for evidence in one.evidence]
    row.offer_version, row.need_version, row.updated_at = sides.offer.version, sides.need.version, now
    session.add(row)


def _move(session: Session, row: PairingRow, action: Action, note: str, now: datetime) -> None:
    pairings.move(session, SYSTEM, row, queries.sides(session, row), action, Answer(note=note), now)
