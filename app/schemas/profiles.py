"""Profiles on the wire: `docs/profiles.md` has the values of each field."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, Field, StrictBool

from app.een import SCHEMA
from app.record import Budget, Disclosure, Requirement, Translation, Wire


class PartnerSought(Wire):
    """Who is sought, and what they are to do."""

    types: list[str] | None = Field(default=None, max_length=100)
    role: str | None = None


class ProfileOrganisation(Wire):
    """Whose profile it is and where they are."""

    name: str | None = None
    country: str | None = Field(default=None, description="ISO 3166-1, two letters")
    region: str | None = Field(default=None, description="ISO 3166-2")


class Dissemination(Wire):
    """Where the profile is to be shown and where not, and until when."""

    countries: list[str] | None = None
    excluded_countries: list[str] | None = None
    deadline: date | None = None


class Additional(Wire):
    """What the profile form has no field for, as a listing has it."""

    fields: list[str] | None = None
    classifications: list[str] | None = None
    requirements: list[Requirement] | None = None
    budget: Budget | None = None
    translations: list[Translation] | None = None
    disclosure: Disclosure | None = None
    sample: StrictBool | None = None


class Profile(Wire):
    """A technology offer or request in the groups of fields of a partnering profile. Absent is unknown."""

    schema_name: Literal["dukou-profile/1"] = Field(default=SCHEMA, alias="schema")
    profile_type: str
    reference_number: str | None = None
    title: str | None = None
    summary: str | None = None
    description: str | None = None
    language: str | None = None
    advantages_and_innovations: str | None = None
    technical_specification_sought: str | None = None
    stage_of_development: str | None = None
    trl: int | str | None = None
    ipr_status: str | None = None
    keywords: list[str] | None = None
    type_of_cooperation: list[str] | None = Field(default=None, max_length=100)
    partner_sought: PartnerSought | None = None
    organisation: ProfileOrganisation | None = None
    dissemination: Dissemination | None = None
    additional: Additional | None = None


class ProfileIn(Profile):
    """A profile that is sent; the same reference number updates it."""

    reference_number: str = Field(min_length=1, max_length=200)

    def plain(self) -> dict[str, Any]:
        """What was sent, as `app.een.from_profile` reads it."""
        sent = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        if self.dissemination is not None and self.dissemination.deadline is not None:
            sent["dissemination"]["deadline"] = self.dissemination.deadline
        return sent


class ProfileOut(BaseModel):
    """What became of a profile: its listing, and until when that is shown at most."""

    listing_id: str
    reference_number: str
    status: str
    version: int
    created: bool
    changed: bool
    deadline: date | None
