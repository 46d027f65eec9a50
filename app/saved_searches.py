"""Searches that people keep: what is new among their answers is found by itself, and told once."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta

from app import accounts
from app.access import Permission, Principal, check
from app.db import Database
from app.errors import FieldError, NotFound, Unusable
from app.queries import listings as listing_queries
from app.queries import saved_searches as queries
from app.results import Results
from app.search import Live
from app.snapshot import Sight, Wanted
from app.tables import SavedSearchRow
from matching import Side

MOST = 50  # of one person
DEPTH = 50  # answers that are looked at
REMEMBERED = 500  # ids of answers that a person has been shown
PAUSE = timedelta(minutes=1)  # between two looks at one search
BLOCK = 10  # searches looked at in one go


def keep(
    data: Database, who: Principal, text: str, side: Side, wanted: Wanted, results: Results, at: datetime
) -> SavedSearchRow:
    """Keep a search whose `results` the person has before them. Raises Unusable where they keep too many."""
    check(who, Permission.SELF)
    with data.writing() as session:
        own = queries.of_person(session, who.id)
        same = [row for row in own if (row.text, row.side, row.wanted) == (text, side, asdict(wanted))]
        if same:
            return same[0]
        if len(own) >= MOST:
            fix = f"one person keeps at most {MOST}; remove one that is no longer needed"
            raise Unusable(f"saved searches: {fix}", [FieldError("saved searches", fix)])
        row = SavedSearchRow(
            person_id=who.id,
            side=side,
            text=text,
            wanted=asdict(wanted),
            seen=good_ids(results),
            fresh=[],
            looked_to=0,  # it is looked at again: something may have been written since the results were found
            looked_at=at,
            created_at=at,
        )
        session.add(row)
        return row


def own(data: Database, who: Principal, search_id: str) -> SavedSearchRow:
    """A search of this person's. Raises NotFound."""
    with data.reading() as session:
        row = session.get(SavedSearchRow, search_id)
    if row is None or row.person_id != who.id:
        raise NotFound(f"there is no saved search {search_id!r:.220}")
    return row


def seen(data: Database, read: SavedSearchRow) -> None:
    """The person has been shown what was new when the search was read; what has come since stays new."""
    with data.writing() as session:
        row = session.get(SavedSearchRow, read.id)
        if row is not None:
            row.seen = [*read.fresh, *row.seen][:REMEMBERED]
            row.fresh = [name for name in row.fresh if name not in read.fresh]
            row.fresh_count = len(row.fresh)


def forget(data: Database, who: Principal, search_id: str) -> None:
    """Keep a search no longer. Raises NotFound."""
    row = own(data, who, search_id)
    with data.writing() as session:
        session.delete(session.merge(row))


def look_again(live: Live, at: datetime) -> int:
    """Find what is new among the answers of searches that are behind; how many were looked at. Raises NotReady."""
    with live.database.reading() as session:
        revision = listing_queries.last_written(session)
        due = [
            (row, accounts.of_person(session, person))
            for row, person in queries.due(session, revision, at - PAUSE, BLOCK)
        ]
    for row, who in due:
        sight = Sight(who, wanted=Wanted(**row.wanted))
        found = good_ids(live.search(row.text, Side(row.side), DEPTH, sight=sight))
        with live.database.writing() as session:
            kept = session.get(SavedSearchRow, row.id)
            if kept is None:
                continue
            known = {*kept.seen, *kept.fresh}
            kept.fresh = [*(name for name in found if name not in known), *kept.fresh][:REMEMBERED]
            kept.fresh_count, kept.looked_to, kept.looked_at = len(kept.fresh), revision, at
    return len(due)


def good_ids(results: Results) -> list[str]:
    """The ids of the answers that reach the level of a good match, best first."""
    return [one.listing.id for one in results.items if one.pairing.probability >= results.threshold]
