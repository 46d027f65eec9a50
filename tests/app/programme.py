"""A small programme whose figures can be counted by hand; everything in it is invented."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from app.db import Database
from app.listings import describe
from app.queries import listings
from app.tables import ListingRow, PairingRow, StepRow
from tests.app.conftest import World

NOW = datetime(2026, 11, 20, 12)
LISTINGS: dict[str, tuple[str, str, str, dict[str, Any], list[str] | None]] = {
    # name: owner, side, status, record, corrected fields
    "o1": (
        "offerer",
        "offer",
        "published",
        {"country": "CN", "region": "CN-50", "fields": ["clean_energy", "environment"]},
        None,
    ),
    "o2": (
        "waiting",
        "offer",
        "published",
        {"country": "cn", "region": "cn-51", "fields": ["modern_agriculture"]},
        None,
    ),
    "o3": ("seeker", "offer", "published", {"country": "KZ", "fields": ["food_health"]}, ["aerospace"]),
    "n1": ("seeker", "need", "published", {"country": "KZ", "fields": ["public_health"]}, None),
    "n2": ("offerer", "need", "published", {"country": "CN"}, None),
    "n3": ("seeker", "need", "withdrawn", {"region": "EG-C"}, None),
}
STEPS = ("shortlisted", "offered", "mutual", "introduced", "negotiating", "contracted", "completed")
ACTIONS = dict(
    zip(STEPS, ("shortlist", "offer", "interest", "introduce", "negotiate", "contract", "complete"), strict=True)
)
PAIRINGS: list[tuple[str, str, str | None, int, list[float], str | None]] = [
    # offer, need, direction, days before now of the proposal, days to each step, reason of a decline at the end
    ("o1", "n1", "go-out", 100, [2, 4, 6, 10, 20, 40], None),
    ("o2", "n1", "go-out", 10, [4], "wrong_problem"),
    ("o3", "n2", "bring-in", 5, [], None),
    ("o1", "n3", "go-out", 400, [1, 3], None),
    ("o3", "n1", "third-country", 30, [1, 2, 3, 4, 5, 6, 7], None),
    ("o2", "n2", "domestic", 30, [1, 2, 3, 4, 5, 6], None),
]


def programme(world: World, now: datetime = NOW) -> None:
    """Store all of it; nothing is proposed beside it."""
    store(world.database, world.ids, now)


def store(database: Database, ids: dict[str, str], now: datetime = NOW) -> None:
    """The same for organisations by name; the ids of the listings are then under theirs."""
    with database.writing() as session:
        for name, (owner, side, status, record, corrected) in LISTINGS.items():
            ids[name] = add_listing(
                session, ids[owner], now - timedelta(days=3), record | {"side": side, "title": name}, status, corrected
            )
        for offer, need, direction, ago, steps, reason in PAIRINGS:
            add_pairing(session, ids[offer], ids[need], direction, now - timedelta(days=ago), steps, reason)


def add_listing(
    session: Session,
    owner: str,
    at: datetime,
    record: dict[str, Any],
    status: str = "published",
    corrected: list[str] | None = None,
) -> str:
    number = listings.next_revision(session)
    row = ListingRow(
        organisation_id=owner,
        side=record["side"],
        status=status,
        record={"title": "A listing"} | record,
        text_hash=f"{number}",
        corrected_fields=corrected,
        revision=number,
        created_at=at,
        updated_at=at,
    )
    describe(row)
    session.add(row)
    session.flush()
    listings.set_proposed_up_to(session, number)
    return row.id


def add_pairing(
    session: Session,
    offer: str,
    need: str,
    direction: str | None,
    at: datetime,
    days: list[float],
    reason: str | None = None,
    probability: float = 0.5,
) -> PairingRow:
    states = ["proposed", *STEPS[: len(days)]]
    row = PairingRow(
        offer_id=offer,
        need_id=need,
        state="declined" if reason else states[-1],
        since=at,
        probability=probability,
        parts={},
        evidence=[],
        direction=direction,
        run="night",
        offer_version=1,
        need_version=1,
        created_at=at,
        updated_at=at,
    )
    session.add(row)
    session.flush()
    told = [(at, "system", "propose", states[0], None)]
    told += [
        (at + timedelta(days=took), "person", ACTIONS[state], state, None)
        for state, took in zip(states[1:], days, strict=True)
    ]
    if reason:
        told.append((at + timedelta(days=sum(days[-1:]) + 1), "person", "decline", "declined", reason))
    row.since = told[-1][0]
    for number, (when, kind, action, state, why) in enumerate(told, 1):
        step = StepRow(
            pairing_id=row.id,
            number=number,
            at=when,
            actor_kind=kind,
            actor_id="x",
            action=action,
            state_after=state,
            reason=why,
            offer_version=1,
            need_version=1,
        )
        session.add(step)
    session.flush()
    return row
