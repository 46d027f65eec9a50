"""Proposals put into the database in one go, for tests of the pages that show them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert

from app import pairings
from app.access import SYSTEM
from app.clock import utc_now
from app.db import Database
from app.listings import describe
from app.pairings import Action, Answer
from app.queries import pairings as queries
from app.tables import EventRow, ListingRow, ListingVersionRow, PairingRow, StepRow
from tests.app.conftest import World

TOLD, ASKED = "They last six times longer than cast iron.", "Our cast iron elbows wear out in five months."
NOTHING: Sequence[dict[str, Any]] = ({},)

Records = Sequence[dict[str, Any]]


def propose(world: World, count: int, *, offers: Records = NOTHING, needs: Records = NOTHING) -> list[str]:
    """`count` proposals between the world's offerer and seeker."""
    return put(world.database, world.ids["offerer"], world.ids["seeker"], count, offers=offers, needs=needs)


def put(
    database: Database, offerer: str, seeker: str, count: int, *, offers: Records = NOTHING, needs: Records = NOTHING
) -> list[str]:
    """`count` proposals, the first the most probable; their ids. Above 1,000 they share a hundredth as many listings.

    `offers` and `needs` say more of each listing, in turn.
    """
    each, now = count if count <= 1_000 else count // 100, utc_now() - timedelta(days=3)
    told = [_listing("offer", offerer, number, TOLD, offers, now) for number in range(each)]
    asked = [_listing("need", seeker, number, ASKED, needs, now) for number in range(each)]
    pairs = [
        _pairing(number, count, told[number % each], asked[(number + number // each) % each], now)
        for number in range(count)
    ]
    with database.writing() as session:
        session.connection().execute(insert(ListingRow), [row.model_dump() for row in (*told, *asked)])
        steps = [pairings.first_step(SYSTEM, row, Action.PROPOSE, Answer(note=row.run), now) for row in pairs]
        queries.add_with_steps(session, pairs, steps)
    return [row.id for row in pairs]


def forget(world: World) -> None:
    """Take all listings and pairings out of the database."""
    with world.database.writing() as session:
        for table in (StepRow, PairingRow, ListingVersionRow, EventRow, ListingRow):
            session.connection().execute(delete(table))


def _listing(side: str, owner: str, number: int, text: str, more: Records, now: datetime) -> ListingRow:
    title, description = f"{side.capitalize()} number {number}", f"What it is. {text} And more."
    row = ListingRow(
        id=f"{side}-{number:06}",
        organisation_id=owner,
        side=side,
        status="published",
        record={"side": side, "title": title, "description": description} | more[number % len(more)],
        text_hash=f"{side} {number}",
        created_at=now,
        updated_at=now,
    )
    describe(row)
    return row


def _pairing(number: int, count: int, offer: ListingRow, need: ListingRow, now: datetime) -> PairingRow:
    return PairingRow(
        id=f"pairing-{number:06}",
        offer_id=offer.id,
        need_id=need.id,
        state="proposed",
        since=now,
        probability=round(0.99 - 0.9 * number / count, 6),
        parts={"base": -1.0, "margin": 2.5, "field_agreement": -0.3},
        evidence=[{"offer": TOLD, "need": ASKED, "similarity": 0.7}],
        direction=("go-out", "bring-in", None)[number % 3],
        run="night 7",
        offer_version=1,
        need_version=1,
        created_at=now,
        updated_at=now,
    )
