"""Overnight runs."""

from __future__ import annotations

from sqlmodel import Session, col, select

from app.tables import NightRow


def night(session: Session, run: str) -> NightRow | None:
    """One run, or None."""
    return session.get(NightRow, run)


def unfinished(session: Session) -> NightRow | None:
    """The run that was begun and did not come to an end, if there is one."""
    chosen = select(NightRow).where(NightRow.state == "running").order_by(col(NightRow.started_at))
    return session.exec(chosen).first()


def latest(session: Session, limit: int) -> list[NightRow]:
    """The last runs, the newest first."""
    return list(session.exec(select(NightRow).order_by(col(NightRow.started_at).desc()).limit(limit)))
