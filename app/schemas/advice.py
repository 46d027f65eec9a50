"""Advice on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from app.advice import Advice, Duplicate
from matching import Side


class HintOut(BaseModel):
    """What would make a listing easier to find: in which field, how much it helps, in Chinese and English."""

    code: str
    field: str
    weight: int = Field(ge=1, le=3)
    zh: str
    en: str


class DuplicateOut(BaseModel):
    """A listing of the same side that says the same, in whatever language."""

    id: str
    side: Side
    title: str
    text: str
    organisation: str | None
    country: str | None
    similarity: float = Field(description="Likeness, at most 1: a translation has less than a copy")
    identical: bool
    own: bool

    @classmethod
    def of(cls, one: Duplicate) -> DuplicateOut:
        """Render one."""
        found = one.listing
        return cls(
            id=found.id,
            side=found.side,
            title=found.title,
            text=found.body,
            organisation=found.organisation,
            country=found.country,
            similarity=one.similarity,
            identical=one.identical,
            own=one.own,
        )


class FieldAdviceOut(BaseModel):
    """One of the nine fields: what the classifier gives it, and who states it. null is unknown."""

    field: str
    probability: float | None
    stated_by: Literal["author", "manager"] | None
    suggested: bool


class AdviceOut(BaseModel):
    """Advice on a listing. Hints come the most helpful first, near duplicates the nearest first."""

    hints: list[HintOut]
    near_duplicates: list[DuplicateOut]
    fields: list[FieldAdviceOut]

    @classmethod
    def of(cls, advice: Advice) -> AdviceOut:
        """Render advice."""
        return cls(
            hints=[HintOut.model_validate(one, from_attributes=True) for one in advice.hints],
            near_duplicates=[DuplicateOut.of(one) for one in advice.near_duplicates],
            fields=[FieldAdviceOut.model_validate(one, from_attributes=True) for one in advice.fields],
        )
