"""Proposals follow the listings: what is posted is matched at once, without waiting for the night.

A thread looks for listings written since it last looked, and keeps what answers them as proposals. How far it is
stands in the database, so that nothing is left out when the service is stopped at any point.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from app import proposals, saved_searches
from app.access import SYSTEM
from app.clock import Clock, utc_now
from app.errors import AppError, NotReady
from app.listings import Status, listing_of
from app.metrics import proposals_recorded, stage
from app.proposals import Counts
from app.queries import listings as queries
from app.screening import screen_due
from app.search import Live
from app.snapshot import Sight
from app.tables import ListingRow

log = logging.getLogger(__name__)

DEPTH = 50  # proposals for one listing, at most
BLOCK = 200  # listings looked at in one go
EVERY = 0.5  # seconds between two looks
AFTER_FAILURE = 10.0


def propose_new(live: Live, clock: Clock = utc_now, stopped: Callable[[], bool] = lambda: False) -> Counts:
    """Match the listings written since the last time, in the order in which they were written. Raises NotReady.

    Each may take a while: it ends early where it is to be `stopped`.
    """
    counts = Counts()
    with live.database.reading() as session:
        rows = queries.written_after(session, queries.proposed_up_to(session), BLOCK)
    for row in rows:
        if stopped():
            break
        counts += _propose_one(live, row, clock)
    return counts


def _propose_one(live: Live, row: ListingRow, clock: Clock) -> Counts:
    run = f"posted {row.revision}"
    good = []
    if row.status == Status.PUBLISHED:
        results = live.matches(listing_of(row), DEPTH, Sight(SYSTEM, without=row.organisation_id))
        good = [one.pairing for one in results.items if one.pairing.probability >= results.threshold]
    with stage("record"), live.database.writing() as session:
        counts = proposals.record(session, good, run, clock())
        counts += proposals.lapse(session, run, clock(), [row.id])
        queries.set_proposed_up_to(session, row.revision)
    proposals_recorded(counts)
    return counts


class Proposer:
    """The thread that does so while the service runs."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proposing", daemon=True)

    def start(self) -> None:
        """Begin; the thread waits until the search is ready."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the listing that it is at."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        wait = EVERY
        while not self._stop.wait(wait):
            wait = EVERY
            try:
                if self._live.is_ready:
                    propose_new(self._live, stopped=self._stop.is_set)
                    screen_due(self._live, utc_now())
                    saved_searches.look_again(self._live, utc_now())
            except NotReady:
                continue
            except AppError as error:
                log.warning("proposals wait: %s", error)
                wait = AFTER_FAILURE
            except Exception:  # the top of a thread: it has to live, and the listing is looked at again
                log.exception("proposals could not be made; they are tried again")
                wait = AFTER_FAILURE
