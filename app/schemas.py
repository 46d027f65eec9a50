"""The wire: what the API takes and gives. Unknown keys are refused, so that a typing error is noticed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from app.search import Found
from app.tables import ListingRow
from matching import Listing, Side, read_listing


class Wire(BaseModel):
    """What all input has in common."""

    model_config = ConfigDict(extra="forbid")


class ListingIn(Wire):
    """An offer or a need as its author sends it; `docs/formats.md` has the codes. Posting an id again updates it."""

    id: str | None = Field(default=None, description="Yours to choose; left out, one is made")
    side: str = Field(description="offer or need")
    title: str | None = ""
    description: str | None = ""
    text: str | None = Field(default=None, description="Another name for description; give one of the two")
    summary: str | None = ""
    language: str | None = Field(default=None, description="BCP 47; left out, it is detected")
    country: str | None = Field(default=None, description="ISO 3166-1, two letters")
    region: str | None = Field(default=None, description="ISO 3166-2, such as CN-51")
    fields: list[str] | None = []
    trl: StrictInt | None = None
    modes: list[str] | None = []
    keywords: list[str] | None = []
    organisation: str | None = None
    excluded_countries: list[str] | None = []
    sample: bool = False


class ListingOut(BaseModel):
    """A listing as it is read: cleaned of invisible characters, codes in their normal form."""

    id: str
    side: Side
    title: str
    description: str
    summary: str
    language: str | None
    country: str | None
    region: str | None
    fields: list[str]
    trl: int | None
    modes: list[str]
    keywords: list[str]
    organisation: str | None
    excluded_countries: list[str]
    sample: bool
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: ListingRow) -> ListingOut:
        """Render a stored listing."""
        listing = read_listing(row.record)
        values: dict[str, Any] = {name: getattr(listing, name) for name in Listing.__dataclass_fields__}
        created, updated = (time.replace(tzinfo=UTC) for time in (row.created_at, row.updated_at))
        return cls(**values, sample=row.sample, created_at=created, updated_at=updated)


class ListingsOut(BaseModel):
    """One page of listings by id; `next_cursor` asks for the next, null on the last."""

    items: list[ListingOut]
    next_cursor: str | None


class SearchIn(Wire):
    """A free text in any language, and which side is looked for: offers that answer a need, or needs."""

    text: str
    side: Side = Side.OFFER
    limit: Annotated[int, Field(ge=1, le=50)] = 10
    language: str | None = None


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
            probability=pairing.probability,
            parts=dict(pairing.parts),
            evidence=[EvidenceOut(offer=e.offer, need=e.need, similarity=e.similarity) for e in pairing.evidence],
            direction=pairing.direction,
        )


class MatchesOut(BaseModel):
    """Matches, best first. Those whose probability is below `threshold` are no good match."""

    threshold: float
    items: list[MatchOut]


class Health(BaseModel):
    """Whether the service lives or is ready."""

    status: str
