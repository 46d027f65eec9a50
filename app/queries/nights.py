"""Overnight runs, and what people have decided of what they proposed."""

from __future__ import annotations

from collections.abc import Collection

from sqlmodel import Session, col, select

from app.tables import NightRow, PairingRow, StepRow


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


def told(session: Session, actions: Collection[str]) -> list[tuple[StepRow, float]]:
    """People's steps of these kinds with the probability that they had before them, each pairing's oldest first.

    Steps about texts that have changed since are left out: the probability is no longer the one that was shown.
    """
    chosen = (
        select(StepRow, PairingRow.probability)
        .join(PairingRow, col(PairingRow.id) == col(StepRow.pairing_id))
        .where(StepRow.actor_kind != "system", col(StepRow.action).in_(sorted(actions)))
        .where(col(StepRow.offer_version) == PairingRow.offer_version)
        .where(col(StepRow.need_version) == PairingRow.need_version)
        .order_by(col(StepRow.pairing_id), col(StepRow.number))
    )
    return list(session.exec(chosen))
