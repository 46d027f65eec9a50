"""Listings, searches and matches on the wire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from sqlmodel import SQLModel

from app.record import (
    Budget,
    Disclosure,
    IprStatus,
    PartnerType,
    Requirement,
    Stage,
    Translation,
    Wire,
)
from app.results import Found
from app.snapshot import Wanted
from app.tables import ListingRow, ListingVersionRow
from matching import FIELDS, Side, read_listing


def zoned(row: SQLModel, *names: str) -> dict[str, Any]:
    """Stored times with their zone, by name."""
    times = {name: getattr(row, name) for name in names}
    return {name: time.replace(tzinfo=UTC) if time is not None else None for name, time in times.items()}


class ListingOut(BaseModel):
    """A listing as it is read: cleaned of invisible characters, codes in their normal form; null is unknown."""

    id: str
    reference: str | None
    organisation_id: str
    organisation: str | None
    side: Side
    status: str
    version: int
    title: str
    summary: str
    description: str
    advantages: str
    requirement: str
    partner_role: str
    language: str | None
    translations: list[Translation]
    country: str | None
    region: str | None
    fields: list[str]
    fields_by: str | None
    trl: int | None
    stage: Stage | None
    ipr: IprStatus | None
    classifications: list[str]
    keywords: list[str]
    modes: list[str]
    partner_types: list[PartnerType]
    target_countries: list[str]
    excluded_countries: list[str]
    budget: Budget | None
    requirements: list[Requirement]
    disclosure: Disclosure
    sample: bool
    returned_reason: str | None
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None
    expires_at: datetime | None

    @classmethod
    def of(cls, row: ListingRow) -> ListingOut:
        """Render a stored listing."""
        listing = read_listing({**row.record, "id": row.id})
        own = {name: getattr(listing, name) for name in listing.__dataclass_fields__}
        rest = {name: row.record.get(name) for name in ("stage", "ipr", "budget")}
        lists = {name: row.record.get(name, []) for name in ("translations", "classifications", "partner_types")}
        values: dict[str, Any] = {
            **own,
            **rest,
            **lists,
            "requirements": row.record.get("requirements", []),
            "partner_role": row.record.get("partner_role", ""),
            **_fields(row, listing.fields),
            **_life(row),
        }
        return cls(**values)


def _fields(row: ListingRow, own: tuple[str, ...]) -> dict[str, Any]:
    if row.corrected_fields is not None:
        return {"fields": row.corrected_fields, "fields_by": "manager"}
    return {"fields": list(own), "fields_by": "author" if own else None}


def _life(row: ListingRow) -> dict[str, Any]:
    names = ("organisation_id", "reference", "status", "version", "disclosure", "sample", "returned_reason")
    times = ("created_at", "updated_at", "published_at", "expires_at")
    return {name: getattr(row, name) for name in names} | zoned(row, *times)


class ListingsOut(BaseModel):
    """One page of listings by id; `next_cursor` asks for the next, null on the last."""

    items: list[ListingOut]
    next_cursor: str | None


class VersionOut(BaseModel):
    """A listing's text as its author sent it."""

    version: int
    record: dict[str, Any]
    actor: str
    at: datetime

    @classmethod
    def of(cls, row: ListingVersionRow) -> VersionOut:
        """Render a version."""
        return cls(version=row.version, record=row.record, actor=row.actor, at=row.at.replace(tzinfo=UTC))


class VersionsOut(BaseModel):
    """All versions of a listing, the newest first."""

    items: list[VersionOut]


class ReturnIn(Wire):
    """Why a listing goes back to its author."""

    reason: str = Field(min_length=1, max_length=2_000)


class FieldsIn(Wire):
    """A manager's fields for a listing; null takes a correction back."""

    fields: list[str] | None


class SearchIn(Wire):
    """A free text in any language, and which side is looked for: offers that answer a need, or needs.

    `country`, `field` and `node` narrow what is looked for.
    """

    text: str
    side: Side = Side.OFFER
    limit: Annotated[int, Field(ge=1, le=50)] = 10
    language: str | None = None
    country: Annotated[str | None, Field(pattern="^[A-Z]{2}$")] = None
    field: Literal[FIELDS] | None = None  # type: ignore[valid-type]
    node: str | None = None

    @property
    def wanted(self) -> Wanted:
        """What the search is narrowed to."""
        return Wanted(self.country, self.field, self.node)


class EvidenceOut(BaseModel):
    """A passage of the offer and one of the need that speak to each other."""

    offer: str
    need: str
    similarity: float


class MatchOut(BaseModel):
    """The listing on the other side and why: probability, its parts in log-odds, evidence, direction."""

    id: str
    side: Side
    title: str
    text: str
    language: str
    country: str | None
    organisation: str | None
    probability: float
    parts: dict[str, float]
    evidence: list[EvidenceOut]
    direction: str | None

    @classmethod
    def of(cls, found: Found) -> MatchOut:
        """Render one result."""
        pairing = found.pairing
        return cls(
            id=found.listing.id,
            side=found.listing.side,
            title=found.listing.title,
            text=found.listing.body,
            language=found.language,
            country=found.listing.country,
            organisation=found.listing.organisation,
            probability=pairing.probability,
            parts=dict(pairing.parts),
            evidence=[EvidenceOut(offer=e.offer, need=e.need, similarity=e.similarity) for e in pairing.evidence],
            direction=pairing.direction,
        )


class MatchesOut(BaseModel):
    """Matches, best first. Those whose probability is below `threshold` are no good match."""

    threshold: float
    items: list[MatchOut]
