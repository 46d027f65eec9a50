"""The change feed on the wire, and the audit log."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from app.tables import AuditRow


class ChangesOut(BaseModel):
    """Events in their order, each a CloudEvents 1.0 envelope. Ask again with `cursor`; `more` says if at once."""

    items: list[dict[str, Any]]
    cursor: str
    more: bool


class AuditLineOut(BaseModel):
    """A line of the audit log."""

    number: int
    at: datetime
    actor_kind: str
    actor_id: str
    action: str
    subject: str
    detail: dict[str, Any]
    digest: str

    @classmethod
    def of(cls, row: AuditRow) -> AuditLineOut:
        """Render a line."""
        return cls(**row.model_dump(exclude={"at"}), at=row.at.replace(tzinfo=UTC))


class AuditOut(BaseModel):
    """Lines of the audit log in their order."""

    items: list[AuditLineOut]
    cursor: str
