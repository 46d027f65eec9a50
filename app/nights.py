"""When the night is run: once a day at a set time, by the worker, in a process of its own.

Of its own, since it takes both the machine's cores and gigabytes, which it gives back when it ends. One that was missed
is made up for; of several workers one runs it (`app.night` sees to that), and the others' attempts end at once.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from datetime import datetime, timedelta

from app.db import Database
from app.queries import nights as queries

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-c", "from app.cli import main; main()", "night")
PATIENCE = 30  # seconds that a night is given to end when the worker ends; the next one goes on with it


class Nights:
    """`at` is HH:MM, UTC, "" for never. Of what was due before `since` the first look makes up for: a night that was
    interrupted goes on (and ends at once where somebody else runs it), one that was missed after an earlier one begins.
    """

    def __init__(self, database: Database, at: str, since: datetime) -> None:
        self._database, self._at, self._looked = database, at, since
        self._process: subprocess.Popen[bytes] | None = None
        self._first = True

    def look(self, now: datetime) -> None:
        """Start a night if one is due and none has been started since it was."""
        if self._process is not None and self._process.poll() is None:
            return
        if self._process is not None:
            if self._process.returncode != 0:
                log.warning("the night ended with status %d; `dukou night` goes on with it", self._process.returncode)
            self._process = None
        due, first = last_due(self._at, now), self._first
        if due is None or not (first or self._looked < due):
            return
        with self._database.reading() as session:
            latest = queries.latest(session, 1)
        self._first = False
        interrupted = first and bool(latest) and latest[0].state == "running"
        missed = latest[0].started_at < due if latest else self._looked < due
        if interrupted or missed:
            log.info("an interrupted night goes on" if interrupted else f"the night of {due} begins")
            self._process = subprocess.Popen(COMMAND, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self._looked = now

    def stop(self) -> None:
        """End a night that is running, at the point that it is at."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def last_due(at: str, now: datetime) -> datetime | None:
    """When the night was due last, at `at` of today or of yesterday; None for never."""
    if not at:
        return None
    hour, minute = (int(part) for part in at.split(":"))
    today = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return today if today <= now else today - timedelta(days=1)
