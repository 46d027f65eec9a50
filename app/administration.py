"""What is done to nodes, organisations, people and keys, each with the line of the audit log that goes with it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Session

from app import accounts, privacy
from app.access import Principal, Role
from app.audit import Audit
from app.db import Database
from app.errors import Conflict, NotFound
from app.tables import ApiKeyRow, NodeRow, OrganisationRow, PersonRow


def add_node(
    data: Database, log: Audit, who: Principal, at: datetime, name: str, country: str | None, place: str | None
) -> NodeRow:
    """A new node."""
    with data.writing() as session:
        row = accounts.add_node(session, name, country, place, at)
        log.record(session, who, "node.add", row.id, at)
    return row


def change_node(
    data: Database,
    log: Audit,
    who: Principal,
    at: datetime,
    node_id: str,
    name: str,
    country: str | None,
    place: str | None,
) -> NodeRow:
    """Give a node other facts."""
    with data.writing() as session:
        row = accounts.change_node(session, node_id, name, country, place)
        log.record(session, who, "node.change", row.id, at)
    return row


def add_organisation(
    data: Database, log: Audit, who: Principal, at: datetime, node_id: str, facts: dict[str, Any]
) -> OrganisationRow:
    """A new organisation of a node."""
    with data.writing() as session:
        row = accounts.add_organisation(session, who, node_id, at, **facts)
        log.record(session, who, "organisation.add", row.id, at)
    return row


def change_organisation(
    data: Database, log: Audit, who: Principal, at: datetime, organisation_id: str, facts: dict[str, Any]
) -> OrganisationRow:
    """Change what is known of an organisation."""
    with data.writing() as session:
        row = accounts.change_organisation(session, accounts.organisation(session, who, organisation_id), facts)
        log.record(session, who, "organisation.change", row.id, at, fields=sorted(facts))
    return row


def read_contact(data: Database, log: Audit, who: Principal, at: datetime, organisation_id: str) -> OrganisationRow:
    """An organisation with its contact. That it is read is written down."""
    with data.writing() as session:
        row = accounts.organisation(session, who, organisation_id)
        log.record(session, who, "contact.read", row.id, at)
    return row


def make_key(
    data: Database,
    log: Audit,
    who: Principal,
    at: datetime,
    organisation_id: str,
    name: str,
    scopes: list[str],
    expires_at: datetime | None,
) -> tuple[ApiKeyRow, str]:
    """A new key and its text, which is shown once."""
    with data.writing() as session:
        owner = accounts.organisation(session, who, organisation_id)
        row, text = accounts.make_key(session, who, owner, name, scopes, at, expires_at)
        log.record(session, who, "key.make", row.id, at, organisation=owner.id, scopes=row.scopes)
    return row, text


def revoke_key(
    data: Database, log: Audit, who: Principal, at: datetime, organisation_id: str, key_id: str
) -> ApiKeyRow:
    """End a key now."""
    with data.writing() as session:
        owner = accounts.organisation(session, who, organisation_id)
        row = accounts.revoke_key(session, owner, key_id, at)
        log.record(session, who, "key.revoke", row.id, at, organisation=owner.id)
    return row


def invite(
    data: Database,
    log: Audit,
    who: Principal,
    at: datetime,
    *,
    email: str,
    name: str,
    role: Role,
    organisation_id: str | None,
    nodes: list[str],
) -> tuple[PersonRow, str]:
    """A new person and their invitation."""
    with data.writing() as session:
        person, token = accounts.invite(session, email, name, role, organisation_id, nodes, at)
        log.record(session, who, "person.invite", person.id, at, role=role)
    return person, token


def invite_again(data: Database, log: Audit, who: Principal, at: datetime, person_id: str) -> tuple[PersonRow, str]:
    """A fresh invitation for someone who has lost theirs, or their password."""
    with data.writing() as session:
        person = known(session, person_id)
        token = accounts.invite_again(session, person, at)
        log.record(session, who, "person.invite", person.id, at)
    return person, token


def place_person(
    data: Database,
    log: Audit,
    who: Principal,
    at: datetime,
    person_id: str,
    role: Role,
    organisation_id: str | None,
    nodes: list[str],
) -> PersonRow:
    """Give someone another role or other nodes. Raises Conflict for oneself: somebody must stay who can undo it."""
    with data.writing() as session:
        person = _other(session, who, person_id)
        accounts.place(session, person, role, organisation_id, nodes)
        log.record(session, who, "person.place", person.id, at, role=role, organisation=organisation_id, nodes=nodes)
    return person


def close_person(data: Database, log: Audit, who: Principal, at: datetime, person_id: str) -> PersonRow:
    """Close an account: the person signs in no more."""
    with data.writing() as session:
        person = known(session, person_id)
        accounts.close(session, person)
        log.record(session, who, "person.close", person.id, at)
    return person


def open_person(data: Database, log: Audit, who: Principal, at: datetime, person_id: str) -> PersonRow:
    """Open a closed account again."""
    with data.writing() as session:
        person = known(session, person_id)
        accounts.open_again(session, person)
        log.record(session, who, "person.open", person.id, at)
    return person


def export_person(data: Database, log: Audit, who: Principal, at: datetime, person_id: str) -> dict[str, Any]:
    """All that is kept about a person, for themselves."""
    with data.writing() as session:
        person = known(session, person_id)
        found = privacy.export(session, person, log)
        log.record(session, who, "person.export", person.id, at)
    return found


def erase_person(data: Database, log: Audit, who: Principal, at: datetime, person_id: str) -> PersonRow:
    """Forget who a person was; what they decided stays, without their name."""
    with data.writing() as session:
        person = known(session, person_id)
        accounts.erase(session, person)
        log.record(session, who, "person.erase", person.id, at)
    return person


def known(session: Session, person_id: str) -> PersonRow:
    """A person by id. Raises NotFound."""
    row = session.get(PersonRow, person_id)
    if row is None:
        raise NotFound(f"there is no person {person_id!r:.220}")
    return row


def _other(session: Session, who: Principal, person_id: str) -> PersonRow:
    if who.kind == "person" and who.id == person_id:
        raise Conflict("this is your own account; another administrator has to do that")
    return known(session, person_id)
