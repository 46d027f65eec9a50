"""Files on their way to being imported: kept between a person's steps in a folder of the service, a day long.

A draft is the person's who sent it. It has a folder of a name that nobody can guess, with the cells in one file and
what is known of them in another; each is replaced as a whole.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlmodel import Session

from app import accounts, grids, imports
from app.access import Principal
from app.errors import AppError, NotFound, StorageFull, TooMany, Unusable
from app.files import listings_in
from app.grids import Grid
from app.sheets import Format, LineProblem

KEPT = timedelta(days=1)
EACH = 3  # of one person; a further one takes the place of the oldest
ALL = 300
LARGEST = 100_000_000  # bytes of the cells of one
ID = re.compile(r"[0-9a-f]{32}")
CELLS, ABOUT = "cells.jsonl", "about.json"


@dataclass(frozen=True, slots=True)
class Checked:
    """What importing a draft would come to."""

    new: int
    changed: int
    unchanged: int
    problems: tuple[LineProblem, ...]
    warnings: tuple[LineProblem, ...]

    @property
    def wrong(self) -> list[int]:
        """The numbers of the rows that would be left out, in their order."""
        return sorted({one.line for one in self.problems})

    @property
    def good(self) -> int:
        return self.new + self.changed + self.unchanged


@dataclass(frozen=True, slots=True)
class Draft:
    """A file that somebody means to import; `checked` is None until the columns have been looked over."""

    id: str
    person: str
    organisation_id: str
    name: str
    form: Format
    rows: int
    created_at: datetime
    checked: Checked | None = None
    import_id: str | None = None


@dataclass(slots=True)
class Drafts:
    """The drafts under a service's data folder."""

    folder: Path
    largest: int = field(default=ALL)

    def begin(self, who: Principal, organisation_id: str, name: str, form: Format, grid: Grid, now: datetime) -> Draft:
        """Keep a file that has been read. Raises TooMany, Unusable, StorageFull."""
        self.sweep(now)
        for old in self.of(who, now)[EACH - 1 :]:
            self.drop(old)
        if len(list(self._folders())) >= self.largest:
            raise TooMany("too many files wait to be imported; try again in an hour", 3_600)
        draft = Draft(secrets.token_hex(16), who.label, organisation_id, name[:200], form, len(grid.lines), now)
        try:
            with _room():
                (self.folder / draft.id).mkdir(parents=True, mode=0o700)
            self.keep_grid(draft, grid)
            self.keep(draft)
        except AppError:
            self.drop(draft)
            raise
        return draft

    def get(self, who: Principal, draft_id: str, now: datetime) -> Draft:
        """One of the person's own. Raises NotFound, for one that is over too."""
        found = self._read(self.folder / draft_id) if ID.fullmatch(draft_id) else None
        if found is None or found.person != who.label or found.created_at < now - KEPT:
            raise NotFound("there is no such file here any more; send it again")
        return found

    def of(self, who: Principal, now: datetime) -> list[Draft]:
        """The person's own, the newest first."""
        found = [one for one in map(self._read, self._folders()) if one is not None and one.person == who.label]
        alive = [one for one in found if one.created_at >= now - KEPT]
        return sorted(alive, key=lambda one: (one.created_at, one.id), reverse=True)

    def grid(self, draft: Draft) -> Grid:
        """The cells. Raises NotFound."""
        try:
            with (self.folder / draft.id / CELLS).open(encoding="utf-8") as lines:
                return grids.read_kept(lines)
        except FileNotFoundError as error:
            raise NotFound("there is no such file here any more; send it again") from error

    def keep_grid(self, draft: Draft, grid: Grid) -> None:
        """Put cells in the place of what is kept. Raises StorageFull, and Unusable where they have grown too large."""
        self._write(draft, CELLS, grids.kept(grid))

    def keep(self, draft: Draft) -> None:
        """Put what is known of a draft in the place of what is kept. Raises StorageFull."""
        self._write(draft, ABOUT, [json.dumps(asdict(draft) | {"created_at": draft.created_at.isoformat()})])

    def drop(self, draft: Draft) -> None:
        """Forget a draft."""
        shutil.rmtree(self.folder / draft.id, ignore_errors=True)

    def sweep(self, now: datetime) -> None:
        """Forget what is over, and what a stopped service has left half written."""
        for folder in self._folders():
            with suppress(FileNotFoundError):  # another process sweeps at the same time
                found = self._read(folder)
                written = datetime.fromtimestamp(folder.stat().st_mtime, UTC).replace(tzinfo=None)
                if (found.created_at if found is not None else written) < now - KEPT:
                    shutil.rmtree(folder, ignore_errors=True)

    def _folders(self) -> Iterator[Path]:
        if self.folder.is_dir():
            yield from (one for one in sorted(self.folder.iterdir()) if ID.fullmatch(one.name))

    def _read(self, folder: Path) -> Draft | None:
        """None where there is none (any more), it is not written yet, was cut off by a crash or by another version."""
        try:
            about: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
            checked = about.pop("checked")
            created_at, form = datetime.fromisoformat(about.pop("created_at")), Format(about.pop("form"))
            return Draft(**about, form=form, created_at=created_at, checked=_checked(checked) if checked else None)
        except (FileNotFoundError, KeyError, TypeError, ValueError):
            return None

    def _write(self, draft: Draft, name: str, lines: Iterable[str]) -> None:
        place = self.folder / draft.id / name
        fresh = place.with_name(f"{name}.{secrets.token_hex(4)}")
        with _room():
            try:
                size = 0
                with fresh.open("w", encoding="utf-8") as file:
                    for line in lines:
                        size += file.write(f"{line}\n")
                        if size > LARGEST:
                            raise Unusable("the file holds too much text; split it")
                os.replace(fresh, place)
            finally:
                fresh.unlink(missing_ok=True)


def under(home: Path) -> Drafts:
    """Those of a service with this data folder."""
    return Drafts(home / "drafts")


def check(session: Session, who: Principal, draft: Draft, grid: Grid) -> Draft:
    """The draft with what importing its cells would come to. Raises NotFound for an organisation that is another's."""
    owner = accounts.organisation(session, who, draft.organisation_id)
    file = listings_in(grids.rows_of(grid), named=False)
    tally = imports.Tally(problems=tuple(file.problems), warnings=tuple(file.warnings))
    tally = tally.plus(imports.foreseen(session, owner, file, range(len(file.records))))
    new, changed, unchanged = (tally.counts.get(name, 0) for name in ("new", "changed", "unchanged"))
    checked = Checked(new, changed, unchanged, tally.problems, tally.warnings)
    return replace(draft, rows=file.rows, checked=checked, import_id=None)


def _checked(about: dict[str, Any]) -> Checked:
    told = {name: tuple(LineProblem(**one) for one in about[name]) for name in ("problems", "warnings")}
    return Checked(**{**about, **told})


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFull(f"the file cannot be kept: {error.strerror}") from error
