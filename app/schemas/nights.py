"""Overnight runs on the wire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel

from app.tables import NightRow


class NightOut(BaseModel):
    """One run: where it stands, and of each stage that is done what there is to report."""

    id: str
    state: Literal["running", "done", "failed"]
    stage: str
    started_at: datetime
    finished_at: datetime | None
    error: str | None
    report: dict[str, dict[str, Any]]

    @classmethod
    def of(cls, row: NightRow) -> NightOut:
        """Render a run."""
        finished = row.finished_at.replace(tzinfo=UTC) if row.finished_at is not None else None
        rest = row.model_dump(exclude={"started_at", "finished_at"})
        return cls(**rest, started_at=row.started_at.replace(tzinfo=UTC), finished_at=finished)


class NightsOut(BaseModel):
    """The last runs, the newest first, and the name of the index that searches use now."""

    items: list[NightOut]
    index: str
