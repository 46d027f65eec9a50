"""Everything that bears one person's id."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlmodel import Session, col, or_, select

from app.tables import AuditRow, ListingVersionRow, ScreeningRow, SignInRow, StepRow


def sign_ins(session: Session, person_id: str) -> Sequence[SignInRow]:
    """The browser sessions of a person."""
    return session.exec(select(SignInRow).where(SignInRow.person_id == person_id)).all()


def steps_by(session: Session, person_id: str) -> Sequence[StepRow]:
    """Steps that a person took, in time."""
    own = select(StepRow).where(StepRow.actor_kind == "person", StepRow.actor_id == person_id)
    return session.exec(own.order_by(col(StepRow.at))).all()


def screenings_by(session: Session, person_id: str) -> Sequence[ScreeningRow]:
    """Screenings that a person decided on, in time."""
    own = select(ScreeningRow).where(ScreeningRow.decided_by == person_id)
    return session.exec(own.order_by(col(ScreeningRow.decided_at))).all()


def versions_by(session: Session, label: str) -> Sequence[ListingVersionRow]:
    """Versions of listings that a person wrote, in time."""
    own = select(ListingVersionRow).where(ListingVersionRow.actor == label)
    return session.exec(own.order_by(col(ListingVersionRow.at))).all()


def audit_of(session: Session, person_id: str, subjects: Collection[str]) -> Sequence[AuditRow]:
    """Lines of the audit log by a person, or about one of these subjects."""
    own = or_(AuditRow.actor_id == person_id, col(AuditRow.subject).in_(subjects))
    return session.exec(select(AuditRow).where(own).order_by(col(AuditRow.number))).all()
