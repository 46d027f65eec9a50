"""Imports: a file of an organisation's listings is brought in by a thread of the service, in blocks.

Each block is one transaction together with the import's progress, so that what a stopped import has done is known, and
the same file sent again does the rest: rows that are there already are unchanged, by their references.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any

from sqlmodel import Session

from app import listings
from app.access import Principal, check_holds
from app.clock import Clock, utc_now
from app.db import Database
from app.errors import AppError, Conflict, FieldError, NotFound, TooMany, Unusable
from app.files import ListingFile, listings_in
from app.queries import imports as queries
from app.queries import listings as listing_queries
from app.record import Record
from app.sheets import Format, LineProblem, Rows, read_rows
from app.tables import ImportRow, ListingRow, OrganisationRow
from matching import InvalidListing

log = logging.getLogger(__name__)

BLOCK = 500  # rows in one transaction: a third of a second
AT_ONCE = 5  # imports taken on; one of them is worked at
TOLD = 200  # problems, and warnings, that a report holds; the others are counted
TURN = 0.25  # seconds between two blocks, in which others write: one that waits for SQLite looks every 0.1 s
LARGEST_WHOLE = 10_000  # rows written in one transaction: some seconds, during which nobody else writes


class State(StrEnum):
    """How far an import is; a failed or interrupted one can be sent again."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be imported, for whom and how."""

    import_id: str
    organisation_id: str
    who: Principal
    content: bytes | Rows  # a file as it was sent, or rows that have been read
    form: Format
    dry_run: bool
    all_or_nothing: bool


@dataclass(frozen=True, slots=True)
class Tally:
    """What has come of the rows so far."""

    counts: dict[str, int] = field(default_factory=dict)
    problems: tuple[LineProblem, ...] = ()
    warnings: tuple[LineProblem, ...] = ()

    @property
    def left_out(self) -> int:
        return len({problem.line for problem in self.problems})

    @property
    def done(self) -> int:
        return sum(self.counts.values()) + self.left_out

    def plus(self, outcomes: Iterable[str | LineProblem]) -> Tally:
        counts, problems = dict(self.counts), list(self.problems)
        for outcome in outcomes:
            if isinstance(outcome, LineProblem):
                problems.append(outcome)
            else:
                counts[outcome] = counts.get(outcome, 0) + 1
        return replace(self, counts=counts, problems=tuple(sorted(problems, key=lambda one: one.line)))

    def report(self, job: Job, reason: str | None = None) -> dict[str, Any]:
        """As it is stored and shown."""
        return {
            **{name: self.counts.get(name, 0) for name in ("new", "changed", "unchanged")},
            "left_out": self.left_out,
            "problems": [asdict(one) for one in self.problems[:TOLD]],
            "problem_count": len(self.problems),
            "warnings": [asdict(one) for one in self.warnings[:TOLD]],
            "warning_count": len(self.warnings),
            "reason": reason,
            **{"format": job.form, "dry_run": job.dry_run, "all_or_nothing": job.all_or_nothing},
        }


class _Ended(Exception):
    """The import has been marked as ended elsewhere."""


def begin(session: Session, owner: OrganisationRow, job: Job, now: datetime) -> ImportRow:
    """Note an import that is about to run. Raises Conflict while another of the organisation runs, TooMany."""
    running = queries.in_state(session, State.RUNNING)
    if any(one.organisation_id == owner.id for one in running):
        raise Conflict("an import of this organisation is running; wait until it is done")
    if len(running) >= AT_ONCE:
        raise TooMany(f"{AT_ONCE} imports are running or waiting; try again in a minute", 60)
    row = ImportRow(
        id=job.import_id,
        organisation_id=owner.id,
        actor=job.who.label,
        state=State.RUNNING,
        rows=0,
        report=Tally().report(job),
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    session.flush()
    return row


def visible(session: Session, who: Principal, import_id: str) -> ImportRow:
    """An import of an organisation that is the principal's business. Raises NotFound."""
    row = session.get(ImportRow, import_id)
    owner = session.get(OrganisationRow, row.organisation_id) if row is not None else None
    if row is None or owner is None:
        raise NotFound(f"there is no import {import_id!r:.220}")
    check_holds(who, owner.id, owner.node_id, f"import {import_id!r:.220}")
    return row


def run(database: Database, job: Job, stop: threading.Event, clock: Clock = utc_now) -> None:
    """Do an import from its file to its report. What goes wrong is told in the report."""
    tally, state, reason = Tally(), State.DONE, None
    try:
        sheet = read_rows(job.content, job.form) if isinstance(job.content, bytes) else job.content
        file = listings_in(sheet, named=False)
        tally = Tally(problems=tuple(file.problems), warnings=tuple(file.warnings))
        _save(database, job, tally, clock(), rows=file.rows)
        if job.all_or_nothing and not job.dry_run:
            tally, state, reason = _all_or_nothing(database, job, file, tally, clock)
        else:
            for so_far in _in_blocks(database, job, file, tally, clock):
                tally = so_far
                if stop.wait(TURN):
                    return
    except _Ended:
        return
    except AppError as error:
        state, reason = State.FAILED, str(error)
    except Exception:  # the top of a job: its report says that it failed
        log.exception("the import %s failed", job.import_id)
        state, reason = State.FAILED, "a defect of the service; it has been logged"
    _save(database, job, tally, clock(), state, reason)


def _in_blocks(database: Database, job: Job, file: ListingFile, tally: Tally, clock: Clock) -> Iterator[Tally]:
    """The tally after each block, which is then committed."""
    for start in range(0, len(file.records), BLOCK):
        block = range(start, min(start + BLOCK, len(file.records)))
        if job.dry_run:
            tally = tally.plus(_foreseen(database, job, file, block))
            _save(database, job, tally, clock())
        else:
            with database.writing() as session:
                owner = _owner(session, job)
                tally = tally.plus(_posted(session, job, owner, file, block, clock()))
                _put(session, job, tally, clock())
        yield tally


def _all_or_nothing(
    database: Database, job: Job, file: ListingFile, tally: Tally, clock: Clock
) -> tuple[Tally, State, str | None]:
    """Everything looked at first, and only if all of it is good written, in one transaction."""
    if len(file.records) > LARGEST_WHOLE:
        raise Unusable(f"all_or_nothing takes at most {LARGEST_WHOLE:,} rows; split the file or leave it out")
    rows = range(len(file.records))
    outcomes = _foreseen(database, job, file, rows)
    looked = tally.plus(one for one in outcomes if isinstance(one, LineProblem))
    if looked.problems:
        return looked, State.FAILED, f"{looked.left_out} rows are wrong, so nothing was written"
    with database.writing() as session:
        owner = _owner(session, job)
        written = tally.plus(_posted(session, job, owner, file, rows, clock()))
        if written.problems:
            raise Conflict("the listings were changed meanwhile, so nothing was written; send the file again")
        _put(session, job, written, clock())
    return written, State.DONE, None


def foreseen(
    session: Session, owner: OrganisationRow, file: ListingFile, rows: Sequence[int]
) -> list[str | LineProblem]:
    """What an import would make of rows of a file, or what is wrong with them."""
    known = _known(session, owner, file, rows)
    return [_outcome(file, place, partial(listings.foreseen, session, owner, known=known)) for place in rows]


def _foreseen(database: Database, job: Job, file: ListingFile, rows: Sequence[int]) -> list[str | LineProblem]:
    with database.reading() as session:
        return foreseen(session, _owner(session, job), file, rows)


def _posted(
    session: Session, job: Job, owner: OrganisationRow, file: ListingFile, rows: Sequence[int], now: datetime
) -> list[str | LineProblem]:
    known = _known(session, owner, file, rows)

    def post(record: Record) -> str:
        posted = listings.post_listing(session, job.who, owner, record, now, known)
        return "new" if posted.created else "changed" if posted.changed else "unchanged"

    return [_outcome(file, place, post) for place in rows]


def _known(session: Session, owner: OrganisationRow, file: ListingFile, rows: Sequence[int]) -> dict[str, ListingRow]:
    """The owner's listings of these rows' references; a file has each reference once."""
    return listing_queries.by_references(session, owner.id, [file.listings[place].id for place in rows])


def _outcome(file: ListingFile, place: int, act: Callable[[Record], str]) -> str | LineProblem:
    """What an act makes of a row, or what is wrong with it."""
    try:
        return act(file.records[place])
    except InvalidListing as error:
        return LineProblem(file.lines[place], error.field, error.fix)
    except Unusable as error:
        wrong = error.errors[0] if error.errors else FieldError("row", error.detail)
        return LineProblem(file.lines[place], wrong.field, wrong.fix)


def _owner(session: Session, job: Job) -> OrganisationRow:
    """Raises NotFound for an organisation that is there no more."""
    found = session.get(OrganisationRow, job.organisation_id)
    if found is None:
        raise NotFound("the organisation is there no more")
    return found


def _save(
    database: Database,
    job: Job,
    tally: Tally,
    now: datetime,
    state: State = State.RUNNING,
    reason: str | None = None,
    rows: int | None = None,
) -> None:
    with database.writing() as session:
        row = _put(session, job, tally, now, reason)
        row.state, row.rows = state, row.rows if rows is None else rows


def _put(session: Session, job: Job, tally: Tally, now: datetime, reason: str | None = None) -> ImportRow:
    """The progress, in the transaction of what it tells of. Raises _Ended where the import is to go on no more."""
    row = session.get(ImportRow, job.import_id)
    if row is None or row.state != State.RUNNING:
        raise _Ended
    row.done, row.report, row.updated_at = tally.done, tally.report(job, reason), now
    session.add(row)
    return row
