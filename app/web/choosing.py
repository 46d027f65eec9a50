"""Whose things a page is about: a partner's own organisation, or one that is chosen of those of one's nodes."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import Session

from app import accounts
from app.access import Principal, Role
from app.queries import accounts as queries
from app.tables import OrganisationRow

OFFERED = 50


@dataclass(frozen=True, slots=True)
class Choice:
    """The organisation, or (None) those to choose from; `more` where their names must be narrowed down."""

    owner: OrganisationRow | None
    offered: list[tuple[OrganisationRow, str]]
    find: str
    more: bool
    changeable: bool


def chosen(session: Session, who: Principal, organisation_id: str, find: str) -> Choice:
    """Whose things are looked at. Raises NotFound for an organisation that is another's."""
    several = who.role is not Role.PARTNER
    wanted = organisation_id if several else who.organisation or ""
    if wanted:
        return Choice(accounts.organisation(session, who, wanted), [], find, more=False, changeable=several)
    found = queries.organisations_like(session, who, find.strip(), None, OFFERED + 1)
    if len(found) == 1 and not find:
        return Choice(found[0][0], [], find, more=False, changeable=False)
    return Choice(None, found[:OFFERED], find, more=len(found) > OFFERED, changeable=True)
