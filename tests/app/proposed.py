"""Proposals put into the database in one go, for tests of the pages that show them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, insert

from app import pairings
from app.access import SYSTEM
from app.clock import utc_now
from app.pairings import Action, Answer
from app.queries import pairings as queries
from app.tables import EventRow, ListingRow, ListingVersionRow, PairingRow, StepRow
from tests.app.conftest import World

TOLD, ASKED = "They last six times longer than cast iron.", "Our cast iron elbows wear out in five months."


def propose(
    world: World, count: int, *, offers: Sequence[dict[str, Any]] = (), needs: Sequence[dict[str, Any]] = ()
) -> list[str]:
    """`count` proposals, the first the most probable; their ids. Above 1,000 they share a hundredth as many listings.

    `offers` and `needs` say more of each listing, in turn.
    """
    each = count if count <= 1_000 else count // 100
    now = utc_now() - timedelta(days=3)
    rows: dict[str, list[ListingRow]] = {"offer": [], "need": []}
    for side, owner, told, more in (("offer", "offerer", TOLD, offers), ("need", "seeker", ASKED, needs)):
        for number in range(each):
            record = {
                "side": side,
                "title": f"{side.capitalize()} number {number}",
                "description": f"What it is. {told} And more.",
            }
            record |= more[number % len(more)] if more else {}
            row = ListingRow(
                id=f"{side}-{number:06}",
                organisation_id=world.ids[owner],
                side=side,
                status="published",
                record={key: value for key, value in record.items() if value is not None},
                text_hash=f"{side} {number}",
                created_at=now,
                updated_at=now,
            )
            rows[side].append(row)
    pairs = [
        PairingRow(
            id=f"pairing-{number:06}",
            offer_id=offer.id,
            need_id=need.id,
            state="proposed",
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
        for number, (offer, need) in enumerate(_paired(rows, count))
    ]
    with world.database.writing() as session:
        for side in rows.values():
            session.connection().execute(insert(ListingRow), [row.model_dump() for row in side])
        steps = [pairings.first_step(SYSTEM, row, Action.PROPOSE, Answer(note=row.run), now) for row in pairs]
        queries.add_with_steps(session, pairs, steps)
    return [row.id for row in pairs]


def _paired(rows: dict[str, list[ListingRow]], count: int) -> Iterator[tuple[ListingRow, ListingRow]]:
    """The first with the first and so on, until all have been; then each with the one after, and so on."""
    offers, needs = rows["offer"], rows["need"]
    for number in range(count):
        turn, place = divmod(number, len(offers))
        yield offers[place], needs[(place + turn) % len(needs)]


def forget(world: World) -> None:
    """Take all listings and pairings out of the database."""
    with world.database.writing() as session:
        for table in (StepRow, PairingRow, ListingVersionRow, EventRow, ListingRow):
            session.connection().execute(delete(table))
