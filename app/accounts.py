"""Nodes, organisations, people: who they are, and how a request is known to come from them.

Passwords are kept as Argon2id hashes (RFC 9106); tokens and keys carry 256 random bits and are kept as SHA-256.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlmodel import Session

from app.access import ALLOWED, PLATFORM_SCOPES, SCOPES, Permission, Principal, Role, check_holds
from app.errors import Conflict, FieldError, Forbidden, NotFound, SignInNeeded, Unusable
from app.queries import accounts as queries
from app.queries import saved_searches
from app.tables import ApiKeyRow, NodeRow, OrganisationRow, PersonNodeRow, PersonRow, SignInRow

SIGNED_IN = timedelta(hours=12)
INVITED = timedelta(days=7)
SHORTEST = 12  # characters of a password, by NIST SP 800-63B-4 for one that stands alone with a rate limit
LONGEST = 256
WRONG = "the address or the password is wrong"
USED_EVERY = timedelta(minutes=1)  # the last use of a key is written down no more often

Row = TypeVar("Row", NodeRow, OrganisationRow, PersonRow, ApiKeyRow)

_hasher = PasswordHasher()


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A fresh browser session: its token, which is shown once, and the token against forged requests."""

    token: str
    csrf: str
    expires_at: datetime


def add_node(session: Session, name: str, country: str | None, place: str | None, now: datetime) -> NodeRow:
    """A new node. Raises Conflict for a name that is taken."""
    if queries.node_named(session, name) is not None:
        raise Conflict(f"there is a node {name!r:.100} already")
    return _added(session, NodeRow(name=name, country=country, place=place, created_at=now))


def change_node(session: Session, node_id: str, name: str, country: str | None, place: str | None) -> NodeRow:
    """Give a node other facts. Raises NotFound, and Conflict for another's name."""
    row, other = session.get(NodeRow, node_id), queries.node_named(session, name)
    if row is None:
        raise NotFound(f"there is no node {node_id!r:.220}")
    if other is not None and other.id != row.id:
        raise Conflict(f"there is a node {name!r:.100} already")
    row.name, row.country, row.place = name, country, place
    return _added(session, row)


def add_organisation(session: Session, who: Principal, node_id: str, now: datetime, **facts: Any) -> OrganisationRow:
    """A new organisation of a node. Raises Unusable for a node that is none, Conflict for a name taken there."""
    if session.get(NodeRow, node_id) is None or not who.holds("", node_id):
        raise Unusable("node_id: there is no such node", [FieldError("node_id", "must be the id of one of your nodes")])
    if queries.organisation_named(session, node_id, facts["name"]) is not None:
        raise Conflict(f"the node has an organisation {facts['name']!r:.100} already")
    return _added(session, OrganisationRow(node_id=node_id, created_at=now, **facts))


def organisation(session: Session, who: Principal, organisation_id: str) -> OrganisationRow:
    """One organisation that is the principal's business. Raises NotFound."""
    row = session.get(OrganisationRow, organisation_id)
    if row is None:
        raise NotFound(f"there is no organisation {organisation_id!r:.220}")
    check_holds(who, row.id, row.node_id, f"organisation {organisation_id!r:.220}")
    return row


def change_organisation(session: Session, row: OrganisationRow, facts: dict[str, Any]) -> OrganisationRow:
    """Change facts of an organisation. Raises Conflict for a name taken in its node, Unusable for one taken away."""
    for name in ("name", "trusted"):
        if facts.get(name, "") is None:
            raise Unusable(f"{name}: must not be null", [FieldError(name, "must not be null")])
    other = queries.organisation_named(session, row.node_id, facts.get("name", row.name))
    if other is not None and other.id != row.id:
        raise Conflict(f"the node has an organisation {other.name!r:.100} already")
    for name, value in facts.items():
        setattr(row, name, value)
    session.add(row)
    return row


def invite(
    session: Session, email: str, name: str, role: Role, organisation_id: str | None, nodes: list[str], now: datetime
) -> tuple[PersonRow, str]:
    """A new person, and the invitation with which they set their password; it is shown once and holds a week."""
    if queries.person_by_email(session, email) is not None:
        raise Conflict("there is an account of that address already")
    _check_place(session, role, organisation_id, nodes)
    person = PersonRow(email=email.lower(), name=name, role=role, organisation_id=organisation_id, created_at=now)
    token = _new_invitation(person, now)
    _added(session, person)
    session.add_all([PersonNodeRow(person_id=person.id, node_id=node_id) for node_id in dict.fromkeys(nodes)])
    return person, token


def invite_again(session: Session, person: PersonRow, now: datetime) -> str:
    """A fresh invitation for someone who has lost theirs, or their password; an older one holds no longer."""
    if not person.active:
        raise Conflict("the account is closed; open it first")
    session.add(person)
    return _new_invitation(person, now)


def accept_invitation(session: Session, token: str, password_hash: str, now: datetime) -> PersonRow:
    """Set a password by an invitation, which is then used up. All browser sessions of the person end."""
    person = queries.invited(session, digest(token))
    if person is None or not person.active or person.invitation_until is None or person.invitation_until < now:
        raise Unusable("the invitation is unknown or over", [FieldError("token", "ask for a new invitation")])
    person.password_hash, person.invitation_hash, person.invitation_until = password_hash, None, None
    queries.end_sign_ins(session, person.id)
    session.add(person)
    return person


def hash_password(password: str) -> str:
    """A password as it is kept. Raises Unusable for one that is too short or long, or that keyboards cannot type."""
    text = _typed(password)
    fix = f"must have {SHORTEST} to {LONGEST} characters" if not SHORTEST <= len(text) <= LONGEST else ""
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        fix = "must not hold control characters"
    if fix:
        raise Unusable(f"password: {fix}", [FieldError("password", fix)])
    return _hasher.hash(text)


def person_of_password(session: Session, email: str, password: str) -> PersonRow:
    """Who signs in. Raises SignInNeeded, the same for every cause."""
    person = queries.person_by_email(session, email) if email.isprintable() else None
    known = person.password_hash if person is not None and person.active else None
    try:
        _hasher.verify(known or _nobody(), _typed(password[: LONGEST + 1]).encode("utf-8", "replace"))
    except (VerificationError, InvalidHashError):
        known = None
    if person is None or known is None:
        raise SignInNeeded(WRONG)
    return person


def renewed_hash(person: PersonRow, password: str) -> str | None:
    """A password that has just proven right, hashed by today's measure, where it was by an older one."""
    known = person.password_hash
    return _hasher.hash(_typed(password)) if known is not None and _hasher.check_needs_rehash(known) else None


@cache
def _nobody() -> str:
    """A hash to check where the address is unknown, so that time tells nothing; made at need: it takes a while."""
    return _hasher.hash("nobody has this password")


def sign_in(session: Session, person: PersonRow, now: datetime, *, instead_of: str | None = None) -> SignedIn:
    """A new browser session under a new token; the one that the browser had before ends."""
    if instead_of is not None:
        sign_out(session, instead_of)
    queries.end_old_sign_ins(session, now)
    signed = SignedIn(secrets.token_urlsafe(32), secrets.token_urlsafe(32), now + SIGNED_IN)
    row = SignInRow(
        token_hash=digest(signed.token),
        person_id=person.id,
        csrf=signed.csrf,
        created_at=now,
        expires_at=signed.expires_at,
    )
    session.add(row)
    return signed


def sign_out(session: Session, token: str) -> None:
    """End a browser session."""
    row = queries.sign_in(session, digest(token))
    if row is not None:
        session.delete(row)


def of_token(session: Session, token: str, now: datetime) -> tuple[Principal, str] | None:
    """Who a browser session belongs to, and its token against forged requests; None when it is over."""
    row = queries.sign_in(session, digest(token))
    person = session.get(PersonRow, row.person_id) if row is not None and row.expires_at > now else None
    if row is None or person is None or not person.active:
        return None
    return of_person(session, person), row.csrf


def of_person(session: Session, person: PersonRow) -> Principal:
    """A person as a principal. A manager of no node works for the centre."""
    role = Role(person.role)
    nodes: frozenset[str] | None = queries.nodes_of(session, person.id)
    if role is Role.ADMINISTRATOR or (role is Role.MANAGER and not nodes):
        nodes = None
    return Principal("person", person.id, person.name, role, ALLOWED[role], person.organisation_id, nodes)


def make_key(
    session: Session,
    who: Principal,
    owner: OrganisationRow,
    name: str,
    scopes: list[str],
    now: datetime,
    expires_at: datetime | None = None,
) -> tuple[ApiKeyRow, str]:
    """A new key of an organisation, and its text, which is shown once."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        fix = f"one or more of {', '.join(sorted(SCOPES))}"
        raise Unusable(f"scopes: {fix}", [FieldError("scopes", fix)])
    if PLATFORM_SCOPES & set(scopes) and Permission.ACCOUNTS not in who.permissions:
        raise Forbidden("the feeds of the platforms are opened by an administrator")
    secret = secrets.token_urlsafe(32)
    row = ApiKeyRow(
        id=secrets.token_hex(6),
        organisation_id=owner.id,
        name=name,
        secret_hash=digest(secret),
        scopes=sorted(set(scopes)),
        created_by=who.label,
        created_at=now,
        expires_at=expires_at,
    )
    return _added(session, row), f"dk_{row.id}_{secret}"


def of_key(session: Session, text: str, now: datetime) -> tuple[Principal, ApiKeyRow]:
    """Who a key belongs to. Raises SignInNeeded for one that is unknown, revoked or over."""
    prefix, _, rest = text.partition("_")
    key_id, _, secret = rest.partition("_")
    row = session.get(ApiKeyRow, key_id) if prefix == "dk" and key_id.isascii() else None
    if row is None or not hmac.compare_digest(row.secret_hash, digest(secret)):
        raise SignInNeeded("the API key is unknown")
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        raise SignInNeeded("the API key is revoked or over; ask for a new one")
    scopes = frozenset(Permission(scope) for scope in row.scopes)
    return Principal("key", row.id, row.name, Role.PARTNER, scopes, row.organisation_id), row


def use_is_due(row: ApiKeyRow, now: datetime) -> bool:
    """Whether the use of a key is to be written down."""
    return row.last_used_at is None or now - row.last_used_at >= USED_EVERY


def revoke_key(session: Session, owner: OrganisationRow, key_id: str, now: datetime) -> ApiKeyRow:
    """End a key now. Raises NotFound."""
    row = session.get(ApiKeyRow, key_id)
    if row is None or row.organisation_id != owner.id:
        raise NotFound(f"the organisation has no key {key_id!r:.50}")
    row.revoked_at = row.revoked_at or now
    session.add(row)
    return row


def place(session: Session, person: PersonRow, role: Role, organisation_id: str | None, nodes: list[str]) -> None:
    """Give someone another role, organisation or nodes, from their next request on. Raises Unusable."""
    _check_place(session, role, organisation_id, nodes)
    person.role, person.organisation_id = role, organisation_id
    queries.leave_nodes(session, person.id)
    session.add_all([PersonNodeRow(person_id=person.id, node_id=node_id) for node_id in dict.fromkeys(nodes)])
    session.add(person)


def open_again(session: Session, person: PersonRow) -> None:
    """Undo `close`. Raises Conflict for a person who has been forgotten."""
    if person.email is None:
        raise Conflict("the person has been erased; invite them anew")
    person.active = True
    session.add(person)


def close(session: Session, person: PersonRow) -> None:
    """A closed account signs in no more, now; the person's history stays."""
    person.active, person.invitation_hash = False, None
    queries.end_sign_ins(session, person.id)
    session.add(person)


def erase(session: Session, person: PersonRow) -> None:
    """Forget who a person was: what they decided stays, under an id that no longer leads to anybody."""
    close(session, person)
    person.name, person.email, person.password_hash = "erased", None, None
    person.oidc_issuer = person.oidc_subject = person.invitation_until = None
    queries.leave_nodes(session, person.id)
    saved_searches.forget_all(session, person.id)


def digest(token: str) -> str:
    """As tokens of 256 random bits are kept."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _typed(password: str) -> str:
    """One text for all keyboards: NFC, as RFC 8265 (OpaqueString) has it."""
    return unicodedata.normalize("NFC", password)


def _new_invitation(person: PersonRow, now: datetime) -> str:
    token = secrets.token_urlsafe(32)
    person.invitation_hash, person.invitation_until = digest(token), now + INVITED
    return token


def _check_place(session: Session, role: Role, organisation_id: str | None, nodes: list[str]) -> None:
    """A partner belongs to one organisation, a manager to nodes or to none, others to nothing."""
    if (role is Role.PARTNER) != (organisation_id is not None):
        fix = "needed for a partner, and for nobody else"
        raise Unusable(f"organisation_id: {fix}", [FieldError("organisation_id", fix)])
    if organisation_id is not None and session.get(OrganisationRow, organisation_id) is None:
        raise Unusable("organisation_id: there is no such organisation", [FieldError("organisation_id", "is unknown")])
    unknown = [node_id for node_id in nodes if session.get(NodeRow, node_id) is None]
    if unknown or (nodes and role is not Role.MANAGER):
        fix = "must be ids of nodes, and only a manager has some"
        raise Unusable(f"nodes: {fix}", [FieldError("nodes", fix)])


def _added(session: Session, row: Row) -> Row:
    session.add(row)
    session.flush()
    return row
