"""Accounts on the wire: sessions, nodes, organisations, people, keys. No output holds a hash."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from app.access import Principal, Role
from app.record import Wire
from app.schemas.listings import zoned
from app.tables import ApiKeyRow, NodeRow, OrganisationRow, PersonRow

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Email = Annotated[str, Field(pattern=r"^[^@\s]{1,64}@[^@\s]{1,189}$", max_length=254)]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
Region = Annotated[str, Field(pattern=r"^[A-Z]{2}-[A-Z0-9]{1,3}$")]
Website = Annotated[str, Field(pattern=r"^https?://[^\s<>\"']+$", max_length=500)]


class SignInIn(Wire):
    """An address and a password."""

    email: str = Field(max_length=254)
    password: str = Field(max_length=1_000)


class MeOut(BaseModel):
    """Who you are here. `csrf` is null for keys and the public; `nodes` is null where it is all of them."""

    kind: str
    id: str
    name: str
    role: Role
    organisation_id: str | None
    nodes: list[str] | None
    permissions: list[str]
    csrf: str | None

    @classmethod
    def of(cls, who: Principal, csrf: str | None) -> MeOut:
        """Render a principal."""
        return cls(
            kind=who.kind,
            id=who.id,
            name=who.name,
            role=who.role,
            organisation_id=who.organisation,
            nodes=None if who.nodes is None else sorted(who.nodes),
            permissions=sorted(who.permissions),
            csrf=csrf,
        )


class PasswordIn(Wire):
    """An invitation and the password that it is exchanged for."""

    token: str = Field(max_length=200)
    password: str = Field(max_length=1_000)


class NodeIn(Wire):
    """A transfer node; `place`: the one of the centre's two that looks after it."""

    name: Name
    country: Country | None = None
    place: Literal["chongqing", "sichuan"] | None = None


class NodeOut(BaseModel):
    """A transfer node."""

    id: str
    name: str
    country: str | None
    place: str | None

    @classmethod
    def of(cls, row: NodeRow) -> NodeOut:
        """Render a node."""
        return cls(id=row.id, name=row.name, country=row.country, place=row.place)


class NodesOut(BaseModel):
    """All nodes by name."""

    items: list[NodeOut]


class OrganisationIn(Wire):
    """A partner organisation. `trusted`: its listings are published without waiting for a manager."""

    node_id: str
    name: Name
    country: Country | None = None
    region: Region | None = None
    website: Website | None = None
    contact_name: Name | None = None
    contact_email: Email | None = None
    contact_phone: Name | None = None
    trusted: bool = False


class OrganisationChange(Wire):
    """What is to change; what is left out stays, null takes a value away."""

    name: Name | None = None
    country: Country | None = None
    region: Region | None = None
    website: Website | None = None
    contact_name: Name | None = None
    contact_email: Email | None = None
    contact_phone: Name | None = None
    trusted: bool | None = None


class OrganisationOut(BaseModel):
    """A partner organisation, without its contacts: those have a resource of their own, whose reads are logged."""

    id: str
    node_id: str
    name: str
    country: str | None
    region: str | None
    website: str | None
    trusted: bool
    created_at: datetime

    @classmethod
    def of(cls, row: OrganisationRow) -> OrganisationOut:
        """Render an organisation."""
        names = ("id", "node_id", "name", "country", "region", "website", "trusted")
        return cls(**{name: getattr(row, name) for name in names}, **zoned(row, "created_at"))


class OrganisationsOut(BaseModel):
    """One page of organisations by id."""

    items: list[OrganisationOut]
    next_cursor: str | None


class ContactOut(BaseModel):
    """Whom to write to at an organisation."""

    organisation_id: str
    organisation: str
    name: str | None
    email: str | None
    phone: str | None

    @classmethod
    def of(cls, row: OrganisationRow) -> ContactOut:
        """Render an organisation's contact."""
        return cls(
            organisation_id=row.id,
            organisation=row.name,
            name=row.contact_name,
            email=row.contact_email,
            phone=row.contact_phone,
        )


class PersonIn(Wire):
    """Someone who is to sign in: a partner of an organisation, a manager of nodes (none: of the centre), or else."""

    email: Email
    name: Name
    role: Literal["partner", "manager", "administrator"]
    organisation_id: str | None = None
    nodes: list[str] = Field(default=[], max_length=200)


class PersonOut(BaseModel):
    """Someone who signs in."""

    id: str
    email: str | None
    name: str
    role: Role
    organisation_id: str | None
    active: bool
    created_at: datetime

    @classmethod
    def of(cls, row: PersonRow) -> PersonOut:
        """Render a person."""
        names = ("id", "email", "name", "role", "organisation_id", "active")
        return cls(**{name: getattr(row, name) for name in names}, **zoned(row, "created_at"))


class InvitedOut(BaseModel):
    """A person and the invitation with which they set their password; it is shown this once."""

    person: PersonOut
    invitation: str


class PeopleOut(BaseModel):
    """One page of people by id."""

    items: list[PersonOut]
    next_cursor: str | None


class KeyIn(Wire):
    """A key to be made: for what it may be used, and until when."""

    name: Name
    scopes: list[str] = Field(min_length=1, max_length=20)
    expires_at: datetime | None = None


class KeyOut(BaseModel):
    """A key, without its secret."""

    id: str
    name: str
    scopes: list[str]
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, row: ApiKeyRow) -> KeyOut:
        """Render a key."""
        times = zoned(row, "created_at", "expires_at", "revoked_at", "last_used_at")
        return cls(id=row.id, name=row.name, scopes=row.scopes, created_by=row.created_by, **times)


class MadeKeyOut(BaseModel):
    """A new key with its text, which is shown this once."""

    key: KeyOut
    secret: str


class KeysOut(BaseModel):
    """All keys of an organisation, the newest first."""

    items: list[KeyOut]
