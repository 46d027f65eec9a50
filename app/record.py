"""A whole listing as its author writes it: the wire of the API, a row of a file, and what is stored.

`matching.read_listing` checks what the matching reads (texts, codes); the model here says which keys there are and
checks the rest. Missing is unknown.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    field_validator,
    model_validator,
)

from matching import InvalidListing, Listing, read_listing

Record = dict[str, Any]

CURRENCY = r"^[A-Z]{3}$"
PATENT_CLASS = r"^[A-HY][0-9]{2}[A-Z]( ?[0-9]{1,4}(/[0-9]{2,6})?)?$"
COUNTRY = r"^[A-Z]{2}$"


NO_TEXT = re.compile("[\x00\ud800-\udfff]")


def _visible(text: str) -> str:
    if NO_TEXT.search(text):
        raise ValueError("holds characters that are no text; write whole characters")
    return text


Text = Annotated[str, AfterValidator(_visible)]


class Wire(BaseModel):
    """What all input has in common: a key that is not known is refused, so that a typing error is noticed."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _is_text(cls, value: Any) -> Any:
        """Neither NUL nor half a surrogate pair: PostgreSQL stores neither, and no reader could show them."""
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str):
                _visible(text)
        return value


class Stage(StrEnum):
    """How far a technology is, in the words of partnering profiles."""

    CONCEPT = "concept"
    DEVELOPMENT = "development"
    PROTOTYPE = "prototype"
    DEMONSTRATED = "demonstrated"
    ON_MARKET = "on_market"


class IprStatus(StrEnum):
    """How the technology is protected."""

    NONE = "none"
    SECRET_KNOW_HOW = "secret_know_how"
    APPLIED = "applied"
    GRANTED = "granted"


class PartnerType(StrEnum):
    """Who is sought."""

    INDUSTRY = "industry"
    SMALL_ENTERPRISE = "small_enterprise"
    UNIVERSITY = "university"
    RESEARCH = "research"
    GOVERNMENT = "government"
    INVESTOR = "investor"
    INTERMEDIARY = "intermediary"


class Disclosure(StrEnum):
    """Who may read a published listing: everybody, who has an account, or managers and whom it is offered to."""

    PUBLIC = "public"
    REGISTERED = "registered"
    INTRODUCTION = "introduction"


class Translation(Wire):
    """A listing's text in another language, by its author or by a machine."""

    language: str = Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$")
    origin: Literal["author", "machine"]
    title: Text = Field(default="", max_length=1_000)
    summary: Text = Field(default="", max_length=2_000)
    description: Text = Field(default="", max_length=50_000)


class Requirement(Wire):
    """A figure that is asked for (a need) or reached (an offer)."""

    parameter: Text = Field(min_length=1, max_length=200)
    operator: Literal["<", "<=", "=", ">=", ">"]
    value: float = Field(allow_inf_nan=False)
    unit: Text = Field(default="", max_length=40)
    must: StrictBool = Field(default=True, description="A must-have; false: nice to have")


class Budget(Wire):
    """A band of money; ISO 4217."""

    minimum: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    maximum: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    currency: str = Field(pattern=CURRENCY)

    @model_validator(mode="after")
    def _ordered(self) -> Budget:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("the minimum is above the maximum; exchange them")
        return self


class ListingIn(Wire):
    """An offer or a need as its author sends it; `docs/formats.md` has the codes."""

    reference: Text | None = Field(
        default=None, min_length=1, max_length=200, description="Yours; posting it again updates the listing"
    )
    side: str = Field(description="offer or need")
    title: str | None = ""
    summary: str | None = ""
    description: str | None = ""
    text: str | None = Field(default=None, description="Another name for description; give one of the two")
    advantages: str | None = Field(default="", description="What an offer has over present practice")
    requirement: str | None = Field(default="", description="What a need asks of a solution")
    partner_role: Text | None = Field(default="", max_length=10_000, description="What the partner is to do")
    language: str | None = Field(default=None, description="BCP 47; left out, it is detected")
    translations: list[Translation] | None = Field(default=[], max_length=20)
    country: str | None = Field(default=None, description="ISO 3166-1, two letters; left out, the organisation's")
    region: str | None = Field(default=None, description="ISO 3166-2, such as CN-51")
    fields: list[str] | None = []
    trl: StrictInt | None = None
    stage: Stage | None = None
    ipr: IprStatus | None = None
    classifications: list[Annotated[str, Field(pattern=PATENT_CLASS)]] | None = Field(default=[], max_length=50)
    keywords: list[str] | None = []
    modes: list[str] | None = []
    partner_types: list[PartnerType] | None = []
    target_countries: list[str] | None = []
    excluded_countries: list[str] | None = []
    budget: Budget | None = None
    requirements: list[Requirement] | None = Field(default=[], max_length=50)
    disclosure: Disclosure = Disclosure.PUBLIC
    organisation: str | None = Field(default=None, description="Name to show instead of the owner's")
    sample: bool = False


KEYS = tuple(ListingIn.model_fields)


def read_record(record: Record) -> Listing:
    """Check a whole record; the Listing that the matching sees, under the record's reference.

    Raises InvalidListing with the first field that is wrong. Keys that no listing has are wrong too.
    """
    name = record.get("id") if record.get("reference") is None else record["reference"]
    listing = read_listing({**record, "id": "unnamed" if name is None else name})
    _encodable(listing.id)
    try:
        ListingIn.model_validate({key: value for key, value in record.items() if key != "id"})
    except ValidationError as error:
        raise _first_of(error) from error
    return listing


def stored(record: Record, listing: Listing) -> Record:
    """A checked record as it is kept: what was sent, the reference under its one name, nothing that is empty."""
    kept = {key: value for key, value in record.items() if key in KEYS and value not in (None, "", [], {})}
    if record.get("reference") is not None or record.get("id") is not None:
        kept["reference"] = listing.id
    return kept


def as_listing(record: Record, listing_id: str) -> Listing:
    """The Listing of a stored record, under the listing's own id."""
    return read_listing({**record, "id": listing_id})


def unknown_keys(record: Record) -> list[str]:
    """Keys that no listing has, in their order: likely typing errors."""
    return [key for key in record if key not in KEYS and key != "id"]


def _encodable(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InvalidListing("id", "holds half of a surrogate pair; write whole characters") from error


def _first_of(error: ValidationError) -> InvalidListing:
    first = error.errors()[0]
    fix = "is no field here; see /openapi.json" if first["type"] == "extra_forbidden" else first["msg"]
    return InvalidListing(re.sub(r"\.(\d+)", r"[\1]", ".".join(str(part) for part in first["loc"])), fix)
