"""The searches that people keep."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func
from sqlmodel import Session, col, select

from app.tables import PersonRow, SavedSearchRow


def of_person(session: Session, person_id: str) -> Sequence[SavedSearchRow]:
    """Those of a person, the newest first."""
    own = select(SavedSearchRow).where(SavedSearchRow.person_id == person_id)
    return session.exec(own.order_by(col(SavedSearchRow.created_at).desc(), col(SavedSearchRow.id))).all()


def fresh_count(session: Session, person_id: str) -> int:
    """How many new answers wait for a person."""
    own = select(func.sum(SavedSearchRow.fresh_count)).where(SavedSearchRow.person_id == person_id)
    return session.exec(own).one() or 0


def due(session: Session, revision: int, before: datetime, limit: int) -> Sequence[tuple[SavedSearchRow, PersonRow]]:
    """Those of active people that know nothing of the writes up to `revision` and were looked at before then."""
    chosen = select(SavedSearchRow, PersonRow).join(PersonRow)
    behind = (col(SavedSearchRow.looked_to) < revision, col(SavedSearchRow.looked_at) <= before, col(PersonRow.active))
    return session.exec(chosen.where(*behind).order_by(col(SavedSearchRow.looked_at)).limit(limit)).all()


def forget_all(session: Session, person_id: str) -> None:
    """Drop those of a person."""
    session.connection().execute(delete(SavedSearchRow).where(col(SavedSearchRow.person_id) == person_id))
