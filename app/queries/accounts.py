"""Nodes, organisations, people, their sessions and keys."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, or_, tuple_
from sqlmodel import Session, col, select

from app.access import Principal, Role
from app.tables import ApiKeyRow, NodeRow, OrganisationRow, PersonNodeRow, PersonRow, SignInRow


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is named in a history; `organisation` is empty for those of the centre and its nodes."""

    name: str
    organisation: str


def actor(session: Session, kind: str, actor_id: str) -> Actor | None:
    """The person or key of that id, None where it is neither."""
    row = session.get(PersonRow if kind == "person" else ApiKeyRow, actor_id)
    if not isinstance(row, PersonRow | ApiKeyRow):
        return None
    owner = session.get(OrganisationRow, row.organisation_id) if row.organisation_id is not None else None
    return Actor(row.name, owner.name if owner is not None else "")


def names(session: Session, ids: Collection[str]) -> dict[str, str]:
    """What the people and keys among these ids are called."""
    found: dict[str, str] = {}
    for kind in (PersonRow, ApiKeyRow):
        chosen = select(kind.id, kind.name).where(col(kind.id).in_(sorted(ids)))
        found.update(session.exec(chosen).all())
    return found


def nodes(session: Session) -> list[NodeRow]:
    """All nodes by name."""
    return list(session.exec(select(NodeRow).order_by(col(NodeRow.name))))


def organisations_in(session: Session) -> dict[str, int]:
    """How many organisations each node has that has any."""
    chosen = select(OrganisationRow.node_id, func.count()).group_by(col(OrganisationRow.node_id))
    return dict(session.exec(chosen).all())


def node_named(session: Session, name: str) -> NodeRow | None:
    """The node of that name."""
    return session.exec(select(NodeRow).where(NodeRow.name == name)).first()


def organisations(session: Session, node_ids: frozenset[str] | None, after: str, limit: int) -> list[OrganisationRow]:
    """The next organisations after an id; of these nodes, or of all (None)."""
    chosen = select(OrganisationRow).where(col(OrganisationRow.id) > after)
    if node_ids is not None:
        chosen = chosen.where(col(OrganisationRow.node_id).in_(sorted(node_ids)))
    return list(session.exec(chosen.order_by(col(OrganisationRow.id)).limit(limit)))


def organisations_like(
    session: Session, who: Principal, words: str, after: OrganisationRow | None, limit: int
) -> list[tuple[OrganisationRow, str]]:
    """The principal's organisations whose names hold `words`, by name, each with its node's name, after one of them."""
    chosen = select(OrganisationRow, NodeRow.name).join(NodeRow)
    if who.role is Role.PARTNER:
        chosen = chosen.where(OrganisationRow.id == who.organisation)
    elif who.nodes is not None:
        chosen = chosen.where(col(OrganisationRow.node_id).in_(sorted(who.nodes)))
    if words:
        chosen = chosen.where(col(OrganisationRow.name).icontains(words, autoescape=True))
    if after is not None:
        chosen = chosen.where(tuple_(col(OrganisationRow.name), col(OrganisationRow.id)) > (after.name, after.id))
    return list(session.exec(chosen.order_by(col(OrganisationRow.name), col(OrganisationRow.id)).limit(limit)))


def organisation_named(session: Session, node_id: str, name: str) -> OrganisationRow | None:
    """A node's organisation of that name."""
    chosen = select(OrganisationRow).where(OrganisationRow.node_id == node_id, OrganisationRow.name == name)
    return session.exec(chosen).first()


def people(session: Session, after: str, limit: int) -> list[PersonRow]:
    """The next people after an id."""
    return list(
        session.exec(select(PersonRow).where(col(PersonRow.id) > after).order_by(col(PersonRow.id)).limit(limit))
    )


def people_like(
    session: Session, words: str, after: PersonRow | None, limit: int
) -> list[tuple[PersonRow, str | None]]:
    """People whose names or addresses hold `words`, by name, each with their organisation's, after one of them."""
    chosen = select(PersonRow, OrganisationRow.name).join(OrganisationRow, isouter=True)
    if words:
        found = (column.icontains(words, autoescape=True) for column in (col(PersonRow.name), col(PersonRow.email)))
        chosen = chosen.where(or_(*found))
    if after is not None:
        chosen = chosen.where(tuple_(col(PersonRow.name), col(PersonRow.id)) > (after.name, after.id))
    return list(session.exec(chosen.order_by(col(PersonRow.name), col(PersonRow.id)).limit(limit)))


def nodes_of_all(session: Session, person_ids: Collection[str]) -> dict[str, list[str]]:
    """The names of the nodes that each of these people works for."""
    chosen = select(PersonNodeRow.person_id, NodeRow.name).join(NodeRow)
    chosen = chosen.where(col(PersonNodeRow.person_id).in_(sorted(person_ids))).order_by(col(NodeRow.name))
    found: dict[str, list[str]] = {}
    for person_id, name in session.exec(chosen):
        found.setdefault(person_id, []).append(name)
    return found


def person_by_email(session: Session, email: str) -> PersonRow | None:
    """The person of that address, which is compared in lower case."""
    return session.exec(select(PersonRow).where(PersonRow.email == email.lower())).first()


def person_by_subject(session: Session, issuer: str, subject: str) -> PersonRow | None:
    """The person whom an OpenID provider knows under that subject."""
    chosen = select(PersonRow).where(PersonRow.oidc_issuer == issuer, PersonRow.oidc_subject == subject)
    return session.exec(chosen).first()


def invited(session: Session, invitation_hash: str) -> PersonRow | None:
    """The person who was given this invitation."""
    return session.exec(select(PersonRow).where(PersonRow.invitation_hash == invitation_hash)).first()


def nodes_of(session: Session, person_id: str) -> frozenset[str]:
    """The nodes that a person works for."""
    return frozenset(session.exec(select(PersonNodeRow.node_id).where(PersonNodeRow.person_id == person_id)))


def leave_nodes(session: Session, person_id: str) -> None:
    """Take a person out of all nodes."""
    session.connection().execute(delete(PersonNodeRow).where(col(PersonNodeRow.person_id) == person_id))


def sign_in(session: Session, token_hash: str) -> SignInRow | None:
    """The browser session of that token."""
    return session.get(SignInRow, token_hash)


def end_sign_ins(session: Session, person_id: str) -> None:
    """End all browser sessions of a person."""
    session.connection().execute(delete(SignInRow).where(col(SignInRow.person_id) == person_id))


def end_old_sign_ins(session: Session, now: datetime) -> None:
    """Drop browser sessions that are over."""
    session.connection().execute(delete(SignInRow).where(col(SignInRow.expires_at) < now))


def keys(session: Session, organisation_id: str) -> list[ApiKeyRow]:
    """All keys of an organisation, the newest first."""
    chosen = select(ApiKeyRow).where(ApiKeyRow.organisation_id == organisation_id)
    return list(session.exec(chosen.order_by(col(ApiKeyRow.created_at).desc(), col(ApiKeyRow.id))))
