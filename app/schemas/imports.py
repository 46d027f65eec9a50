"""Imports on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from app.imports import State
from app.schemas.listings import zoned
from app.sheets import Format
from app.tables import ImportRow


class RowProblemOut(BaseModel):
    """What is wrong in a row (`line`, from 1), in which field and column of the sheet, and how to mend it."""

    line: int
    field: str
    fix: str
    column: str | None


class ReportOut(BaseModel):
    """What became of the rows; of a dry run: what would. The first 200 problems and warnings, and how many there are.

    `reason` says why an import failed or was interrupted.
    """

    format: Format
    dry_run: bool
    all_or_nothing: bool
    new: int
    changed: int
    unchanged: int
    left_out: int
    problems: list[RowProblemOut]
    problem_count: int
    warnings: list[RowProblemOut]
    warning_count: int
    reason: str | None


class ImportOut(BaseModel):
    """An import: its state, the rows of the file (0 while it is being read), how many are done, and the report."""

    id: str
    organisation_id: str
    state: State
    rows: int
    done: int
    report: ReportOut
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: ImportRow) -> ImportOut:
        """Render an import."""
        plain = {name: getattr(row, name) for name in ("id", "organisation_id", "state", "rows", "done")}
        values: dict[str, Any] = {**plain, "report": ReportOut(**row.report), **zoned(row, "created_at", "updated_at")}
        return cls(**values)
