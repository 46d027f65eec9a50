"""What is stored. These classes are never a request's body: SQLModel does not validate tables. Times are UTC."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Column, DateTime, Index, Text, UniqueConstraint
from sqlmodel import Field, SQLModel


def new_id() -> str:
    """An id that nobody can guess and no two servers make twice."""
    return str(uuid.uuid4())


def _json() -> Any:
    return Field(sa_column=Column(JSON(none_as_null=True), nullable=False))


def _time(*, index: bool = False) -> Any:
    return Field(sa_column=Column(DateTime, nullable=False, index=index))


def _maybe_time(*, index: bool = False) -> Any:
    return Field(default=None, sa_column=Column(DateTime, nullable=True, index=index))


class NodeRow(SQLModel, table=True):
    """A transfer node; `place` is the one of the centre's two (chongqing, sichuan) that looks after it."""

    __tablename__ = "node"

    id: str = Field(default_factory=new_id, primary_key=True)
    name: str = Field(unique=True)
    country: str | None = None
    place: str | None = None
    created_at: datetime = _time()


class OrganisationRow(SQLModel, table=True):
    """A partner organisation. Listings of one that is not `trusted` wait for a manager before they are published."""

    __tablename__ = "organisation"
    __table_args__ = (UniqueConstraint("node_id", "name"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    node_id: str = Field(foreign_key="node.id", index=True)
    name: str
    country: str | None = None
    region: str | None = None
    website: str | None = None
    contact_name: str | None = None
    contact_email: str | None = None
    contact_phone: str | None = None
    trusted: bool = False
    created_at: datetime = _time()


class PersonRow(SQLModel, table=True):
    """Someone who signs in. An erased person keeps the id, so that histories stay whole, and nothing else."""

    __tablename__ = "person"
    __table_args__ = (UniqueConstraint("oidc_issuer", "oidc_subject"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    email: str | None = Field(default=None, unique=True)
    name: str
    role: str
    organisation_id: str | None = Field(default=None, foreign_key="organisation.id", index=True)
    language: str = "en"
    active: bool = True
    password_hash: str | None = None
    oidc_issuer: str | None = None
    oidc_subject: str | None = None
    invitation_hash: str | None = Field(default=None, unique=True)
    invitation_until: datetime | None = _maybe_time()
    created_at: datetime = _time()


class PersonNodeRow(SQLModel, table=True):
    """A technology manager works for these nodes; for none: for the centre, which sees all."""

    __tablename__ = "person_node"

    person_id: str = Field(foreign_key="person.id", primary_key=True)
    node_id: str = Field(foreign_key="node.id", primary_key=True)


class SignInRow(SQLModel, table=True):
    """A person's browser session; of its token only the hash is kept."""

    __tablename__ = "sign_in"

    token_hash: str = Field(primary_key=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    csrf: str
    created_at: datetime = _time()
    expires_at: datetime = _time(index=True)


class ApiKeyRow(SQLModel, table=True):
    """A program's key for one organisation; of its secret only the hash is kept."""

    __tablename__ = "api_key"

    id: str = Field(primary_key=True)
    organisation_id: str = Field(foreign_key="organisation.id", index=True)
    name: str
    secret_hash: str
    scopes: list[str] = _json()
    created_by: str
    created_at: datetime = _time()
    expires_at: datetime | None = _maybe_time()
    revoked_at: datetime | None = _maybe_time()
    last_used_at: datetime | None = _maybe_time()


class ListingRow(SQLModel, table=True):
    """One listing; `record` is what its author sent, original text included.

    Lists are narrowed by `country`, `field_codes` and `title_folded`, which `app.listings.describe` takes from the
    record and a manager's corrections: what stands in JSON, a database reads row by row.
    """

    __tablename__ = "listing"
    __table_args__ = (
        UniqueConstraint("organisation_id", "reference"),
        Index("ix_listing_told", "status", "side", "country", "field_codes", "organisation_id", "id"),
        Index("ix_listing_country", "country", "id"),
        # PostgreSQL has no place in an index for the longest of titles.
        Index("ix_listing_named", "status", "title_folded", "reference", "organisation_id", "id").ddl_if("sqlite"),
        Index("ix_listing_changed", "updated_at", "id"),
        Index("ix_listing_ending", "expires_at", "id"),
    )

    id: str = Field(default_factory=new_id, primary_key=True)
    organisation_id: str = Field(foreign_key="organisation.id", index=True)
    reference: str | None = None
    side: str
    status: str
    country: str | None = None
    field_codes: str = Field(default="", sa_column=Column(Text, nullable=False))  # "|environment|clean_energy|"
    title_folded: str = Field(default="", sa_column=Column(Text, nullable=False))
    disclosure: str = "public"
    version: int = 1
    record: dict[str, Any] = _json()
    text_hash: str = Field(index=True)
    sample: bool = False
    returned_reason: str | None = None
    corrected_fields: list[str] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    extended: bool = False
    notice_given: bool = False
    revision: int = Field(default=0, index=True)  # the write that made it what it is
    created_at: datetime = _time()
    updated_at: datetime = _time()
    published_at: datetime | None = _maybe_time(index=True)
    expires_at: datetime | None = _maybe_time()


class ListingVersionRow(SQLModel, table=True):
    """A listing's text as it once was: written with each version, never changed."""

    __tablename__ = "listing_version"

    listing_id: str = Field(foreign_key="listing.id", primary_key=True)
    version: int = Field(primary_key=True)
    record: dict[str, Any] = _json()
    actor: str
    at: datetime = _time()


class IdempotencyRow(SQLModel, table=True):
    """The answer that a request with an Idempotency-Key got, for the same request sent again."""

    __tablename__ = "idempotency"

    principal: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: str
    status: int
    body: dict[str, Any] = _json()
    at: datetime = _time(index=True)


class RevisionRow(SQLModel, table=True):
    """One row: the number of the last write. Who writes holds it until the commit, so numbers follow the commits."""

    __tablename__ = "revision"

    id: int = Field(primary_key=True)
    number: int
    proposed: int = 0  # the listings up to this write have been looked at for proposals


class EmbeddingRow(SQLModel, table=True):
    """The stored vectors of a text, by what made them (`matching.embedding_key`): computed once for each text."""

    __tablename__ = "embedding"

    encoder: str = Field(primary_key=True)
    text_hash: str = Field(primary_key=True)
    body: bytes


class PairingRow(SQLModel, table=True):
    """An offer and a need, and how far people have brought them: since when, says `since`.

    `run` made or last confirmed the proposal.
    """

    __tablename__ = "pairing"
    __table_args__ = (
        UniqueConstraint("offer_id", "need_id"),
        # As the queue is read, and the board where the longest waiting come first; the rest is what filters look at.
        Index("ix_pairing_queue", "state", "probability", "id", "offer_id", "need_id"),
        Index("ix_pairing_waiting", "state", "since", "id", "offer_id", "need_id"),
    )

    id: str = Field(default_factory=new_id, primary_key=True)
    offer_id: str = Field(foreign_key="listing.id", index=True)
    need_id: str = Field(foreign_key="listing.id", index=True)
    state: str = Field(index=True)
    since: datetime = _time()
    held_from: str | None = None
    probability: float = Field(index=True)
    parts: dict[str, float] = _json()
    evidence: list[dict[str, Any]] = _json()
    direction: str | None = None
    run: str
    offer_version: int
    need_version: int
    offer_interest_at: datetime | None = _maybe_time()
    need_interest_at: datetime | None = _maybe_time()
    version: int = 1
    created_at: datetime = _time()
    updated_at: datetime = _time(index=True)


class StepRow(SQLModel, table=True):
    """One step of a pairing: written once, never changed. The listings' versions are those that the step looked at."""

    __tablename__ = "pairing_step"

    pairing_id: str = Field(foreign_key="pairing.id", primary_key=True)
    number: int = Field(primary_key=True)
    at: datetime = _time()
    actor_kind: str
    actor_id: str
    action: str
    state_before: str | None = None
    state_after: str
    side: str | None = None
    reason: str | None = None
    note: str | None = Field(default=None, sa_column=Column(Text))
    consent: bool = False
    offer_version: int
    need_version: int


class ContractRow(SQLModel, table=True):
    """The contract of a pairing: one of the types of article 843 of the Civil Code, and its registration."""

    __tablename__ = "contract"

    pairing_id: str = Field(foreign_key="pairing.id", primary_key=True)
    type: str
    value: float | None = None
    currency: str | None = None
    signed_on: date
    starts_on: date | None = None
    ends_on: date | None = None
    registration_number: str | None = None
    recorded_by: str
    recorded_at: datetime = _time()


class ScreeningRow(SQLModel, table=True):
    """What the screening of one version of an offer against one catalogue found, and what a named person decided."""

    __tablename__ = "screening"
    __table_args__ = (UniqueConstraint("listing_id", "version", "catalogue", "number"),)

    id: str = Field(default_factory=new_id, primary_key=True)
    listing_id: str = Field(foreign_key="listing.id", index=True)
    version: int
    catalogue: str
    number: int = 1
    candidates: list[dict[str, Any]] = _json()
    screened_at: datetime = _time()
    decision: str | None = None
    reason: str | None = Field(default=None, sa_column=Column(Text))
    decided_by: str | None = None
    decided_at: datetime | None = _maybe_time()


class EventRow(SQLModel, table=True):
    """The outbox and the change feed at once: what happened, in the order of the commits, for one audience."""

    __tablename__ = "event"

    sequence: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    id: str = Field(default_factory=new_id, unique=True)
    audience: str = Field(index=True)
    organisation_id: str | None = Field(default=None, foreign_key="organisation.id", index=True)
    type: str
    subject: str
    data: dict[str, Any] = _json()
    at: datetime = _time()


class SubscriptionRow(SQLModel, table=True):
    """Where events are sent. Its secret is derived from the service's own and `generation`, and is not stored."""

    __tablename__ = "subscription"

    id: str = Field(default_factory=new_id, primary_key=True)
    organisation_id: str = Field(foreign_key="organisation.id", index=True)
    audience: str
    url: str
    types: list[str] = _json()
    active: bool = True
    generation: int = 1
    previous_until: datetime | None = _maybe_time()
    created_by: str
    created_at: datetime = _time()


class DeliveryRow(SQLModel, table=True):
    """One event for one subscription: pending, delivered or dead. `replay` counts how often it was asked for again.

    A pending one is sent when it is due; a worker that takes it has until `claimed_until` to write down what came of
    it, after which another takes it over.
    """

    __tablename__ = "delivery"
    __table_args__ = (Index("ix_delivery_due", "status", "due_at"),)

    subscription_id: str = Field(foreign_key="subscription.id", primary_key=True)
    event_id: str = Field(foreign_key="event.id", primary_key=True)
    status: str = Field(index=True)
    replay: int = 0
    attempts: int = 0
    last_status: int | None = None
    last_error: str | None = None
    due_at: datetime = _time()
    claimed_until: datetime | None = _maybe_time()
    created_at: datetime = _time()
    updated_at: datetime = _time()


class AuditRow(SQLModel, table=True):
    """One line of the audit log. `digest` covers the line and the digest before it, so that no line can be changed."""

    __tablename__ = "audit"

    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    at: datetime = _time()
    actor_kind: str
    actor_id: str
    action: str
    subject: str = Field(index=True)
    detail: dict[str, Any] = _json()
    digest: str


class ImportRow(SQLModel, table=True):
    """An import of a file: how far it is, and its report."""

    __tablename__ = "import"

    id: str = Field(default_factory=new_id, primary_key=True)
    organisation_id: str = Field(foreign_key="organisation.id", index=True)
    actor: str
    state: str
    rows: int
    done: int = 0
    report: dict[str, Any] = _json()
    created_at: datetime = _time()
    updated_at: datetime = _time()


class NightRow(SQLModel, table=True):
    """One overnight run: running, done or failed, the stage that it is at, and its report as far as it has come."""

    __tablename__ = "night"

    id: str = Field(primary_key=True)
    state: str = Field(index=True)
    stage: str
    started_at: datetime = _time(index=True)
    finished_at: datetime | None = _maybe_time()
    report: dict[str, Any] = _json()
    error: str | None = None


class SavedSearchRow(SQLModel, table=True):
    """A search that a person keeps. `seen` and `fresh` are ids of listings that answer it well: those that the person
    has been shown, and those found since; `looked_to` is the revision up to which listings have been looked at."""

    __tablename__ = "saved_search"

    id: str = Field(default_factory=new_id, primary_key=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    side: str
    text: str = Field(sa_column=Column(Text, nullable=False))
    wanted: dict[str, str | None] = _json()
    seen: list[str] = _json()
    fresh: list[str] = _json()
    fresh_count: int = 0
    looked_to: int = 0
    looked_at: datetime = _time(index=True)
    created_at: datetime = _time()
