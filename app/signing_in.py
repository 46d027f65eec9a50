"""How a person comes in: by password, by an OpenID provider, by an invitation; the same for pages and programs.

Passwords are hashed outside of the transactions that write: that takes a tenth of a second, and writers wait for each
other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from app import accounts
from app.access import PUBLIC, Principal
from app.audit import Audit
from app.db import Database
from app.errors import AppError, PersonUnknown, SignInNeeded
from app.openid import Identity
from app.queries import accounts as queries
from app.tables import PersonRow

FAILED = "sign-in.failed"


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who is in now, and the fresh session for the browser."""

    who: Principal
    signed: accounts.SignedIn


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody tries to sign in: by what (password, openid), from which address, and whom they name, if anybody."""

    by: str
    place: str
    name: str


def by_password(
    data: Database, log: Audit, email: str, password: str, now: datetime, instead_of: str | None
) -> Admitted:
    """Sign in by password; `instead_of` is the session that the browser had. Raises SignInNeeded."""
    with data.reading() as session:
        proven = accounts.person_of_password(session, email, password)
    renewed = accounts.renewed_hash(proven, password)
    with data.writing() as session:
        person = session.get(PersonRow, proven.id)
        if person is None or not person.active or person.password_hash != proven.password_hash:
            raise SignInNeeded(accounts.WRONG)
        person.password_hash = renewed or person.password_hash
        return _admit(session, log, person, "password", now, instead_of)


def by_identity(data: Database, log: Audit, identity: Identity, now: datetime, instead_of: str | None) -> Admitted:
    """Sign in whom a provider names. Raises PersonUnknown: nobody makes an account for themselves."""
    with data.writing() as session:
        person = _person_of(session, log, identity, now)
        return _admit(session, log, person, "openid", now, instead_of)


def note_failure(data: Database, log: Audit, attempt: Attempt, error: AppError, now: datetime) -> None:
    """A sign-in that failed, in the audit log; the same line whether the name is anybody's or not."""
    subject = log.pseudonym(attempt.name) if attempt.name else ""
    detail = {"by": attempt.by, "from": attempt.place, "problem": error.title}
    with data.writing() as session:
        log.record(session, PUBLIC, FAILED, subject, now, **detail)


def set_password(
    data: Database, log: Audit, token: str, password: str, now: datetime, language: str | None = None
) -> None:
    """Set a password by an invitation; keep the language that the person reads, if it is known. Raises Unusable."""
    hashed = accounts.hash_password(password)
    with data.writing() as session:
        person = accounts.accept_invitation(session, token, hashed, now)
        person.language = language or person.language
        log.record(session, accounts.of_person(session, person), "password.set", person.id, now)


def keep_language(data: Database, person_id: str, language: str) -> None:
    """Keep the language in which a person reads the pages."""
    with data.writing() as session:
        person = session.get_one(PersonRow, person_id)
        person.language = language


def leave(data: Database, token: str) -> None:
    """End a browser session."""
    with data.writing() as session:
        accounts.sign_out(session, token)


def _admit(session: Session, log: Audit, person: PersonRow, by: str, now: datetime, instead_of: str | None) -> Admitted:
    signed = accounts.sign_in(session, person, now, instead_of=instead_of)
    who = accounts.of_person(session, person)
    log.record(session, who, "sign-in", person.id, now, by=by)
    return Admitted(who, signed)


def _person_of(session: Session, log: Audit, identity: Identity, now: datetime) -> PersonRow:
    """Whom this provider knows under that subject; the first time, whoever has the address it has verified."""
    person = queries.person_by_subject(session, identity.issuer, identity.subject)
    if person is None and identity.email is not None:
        person = queries.person_by_email(session, identity.email)
        if person is not None and person.active and person.oidc_subject is None:
            person.oidc_issuer, person.oidc_subject = identity.issuer, identity.subject
            log.record(session, accounts.of_person(session, person), "openid.bind", person.id, now)
    bound = person is not None and (person.oidc_issuer, person.oidc_subject) == (identity.issuer, identity.subject)
    if person is None or not bound or not person.active:
        raise PersonUnknown("there is no open account for whom the provider names; ask an administrator to invite you")
    return person
