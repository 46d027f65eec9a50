"""The imports that a service has taken on: done one after the other by a thread of it, and noted as alive by another.

Several services may run on one database. An import is its that took it on: the others leave it alone while it is kept
alive, and mark it as interrupted when it has not been for a while, since its service has then died.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from app import imports
from app.clock import Clock, utc_now
from app.db import Database
from app.errors import AppError
from app.imports import Job, State
from app.queries import imports as queries
from app.tables import ImportRow

log = logging.getLogger(__name__)

BEAT = 5.0  # seconds between two notes that the imports of a service are alive
ABANDONED = timedelta(seconds=30)  # without such a note; a writer waits ten seconds at most
AGAIN = "the service was stopped; send the file again to bring in the rest"


def interrupt(database: Database, now: datetime, which: Callable[[ImportRow], bool]) -> int:
    """Mark those running imports that no thread works at any more; how many there were."""
    with database.writing() as session:
        left = [row for row in queries.in_state(session, State.RUNNING) if which(row)]
        for row in left:
            row.state, row.updated_at = State.INTERRUPTED, now
            row.report = {**row.report, "reason": AGAIN}
            session.add(row)
    return len(left)


def interrupt_abandoned(database: Database, now: datetime) -> int:
    """Mark those whose service has died; how many there were."""
    with database.reading() as session:
        if not any(_is_abandoned(row, now) for row in queries.in_state(session, State.RUNNING)):
            return 0
    return interrupt(database, now, lambda row: _is_abandoned(row, now))


def keep_alive(database: Database, now: datetime, own: Collection[str]) -> None:
    """Note that these are waiting or worked at, however long their files are."""
    if not own:
        return
    with database.writing() as session:
        for row in queries.in_state(session, State.RUNNING):
            if row.id in own:
                row.updated_at = now
                session.add(row)


def _is_abandoned(row: ImportRow, now: datetime) -> bool:
    return row.updated_at < now - ABANDONED


class Importer:
    """The threads that import, one file after the other, while the service runs."""

    def __init__(self, database: Database, clock: Clock = utc_now, beat: float = BEAT) -> None:
        self._database, self._clock, self._beat = database, clock, beat
        self._jobs: queue.Queue[Job | None] = queue.Queue()
        self._own: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="importing", daemon=True)
        self._watcher = threading.Thread(target=self._watch, name="watching imports", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        self._watcher.start()

    def submit(self, job: Job) -> None:
        """Have an import done that `begin` has noted and that is committed."""
        self._own.add(job.import_id)
        self._jobs.put(job)

    def stop(self) -> None:
        """End after the block that is being written; what is left is marked as interrupted."""
        self._stop.set()
        self._jobs.put(None)
        self._thread.join()
        self._watcher.join()
        interrupt(self._database, self._clock(), lambda row: row.id in self._own)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None and not self._stop.is_set():
            try:
                imports.run(self._database, job, self._stop, self._clock)
            except Exception:  # the top of a thread: other imports wait for it
                log.exception("the import %s could not be closed; it is given up", job.import_id)
            if not self._stop.is_set():
                self._own.discard(job.import_id)

    def _watch(self) -> None:
        while True:
            try:
                keep_alive(self._database, self._clock(), frozenset(self._own))
                left = interrupt_abandoned(self._database, self._clock())
                if left:
                    log.warning("%d imports were interrupted: their service has died", left)
            except AppError as error:
                log.warning("imports could not be noted as alive: %s", error)
            except Exception:  # the top of a thread: it has to live, and looks again at the next beat
                log.exception("imports could not be looked after; it is tried again")
            if self._stop.wait(self._beat):
                return
