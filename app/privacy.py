"""What is kept about a person, for that person: the right to a copy."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from app.audit import Audit
from app.queries import accounts as account_queries
from app.queries import privacy as queries
from app.queries import saved_searches
from app.tables import PersonRow

SECRETS = {"password_hash", "invitation_hash"}


def export(session: Session, person: PersonRow, log: Audit) -> dict[str, Any]:
    """Account, nodes, sessions, kept searches, steps, decisions and log lines of a person, ready for JSON.

    No hashes of secrets are among them.

    Among the lines are failed sign-ins that named the person's address.
    """
    label = f"person:{person.id}"
    subjects = [person.id] if person.email is None else [person.id, log.pseudonym(person.email)]
    return {
        "account": person.model_dump(mode="json", exclude=SECRETS),
        "nodes": sorted(account_queries.nodes_of(session, person.id)),
        "sessions": [
            one.model_dump(mode="json", include={"created_at", "expires_at"})
            for one in queries.sign_ins(session, person.id)
        ],
        "saved_searches": [
            one.model_dump(mode="json", include={"side", "text", "wanted", "created_at"})
            for one in saved_searches.of_person(session, person.id)
        ],
        "steps": [one.model_dump(mode="json") for one in queries.steps_by(session, person.id)],
        "screening_decisions": [one.model_dump(mode="json") for one in queries.screenings_by(session, person.id)],
        "listing_versions": [
            {"listing": one.listing_id, "version": one.version} for one in queries.versions_by(session, label)
        ],
        "log": [one.model_dump(mode="json") for one in queries.audit_of(session, person.id, subjects)],
    }
