"""Pairings, their steps, contracts, screenings and exchanges on the wire."""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field, model_validator

from app.access import Principal
from app.compliance import Decision
from app.pairings import BY_PEOPLE, MOVES, Action, Exchange, Reason, State, withheld
from app.queries.pairings import Sides
from app.record import CURRENCY, Text, Wire
from app.schemas.accounts import ContactOut
from app.schemas.listings import EvidenceOut, zoned
from app.tables import ContractRow, ListingRow, PairingRow, ScreeningRow, StepRow
from matching import Side


class ContractType(StrEnum):
    """The types of technology contract of article 843 of the Chinese Civil Code."""

    DEVELOPMENT = "development"
    TRANSFER = "transfer"
    LICENCE = "licence"
    CONSULTING = "consulting"
    SERVICE = "service"


class PairIn(Wire):
    """An offer and a need that somebody takes up, whether or not a run has proposed them."""

    offer: str
    need: str


class StepIn(Wire):
    """A step. A decline needs a reason, an interest needs consent; a manager says for which side it speaks."""

    action: Action
    side: Side | None = None
    reason: Reason | None = None
    note: Text | None = Field(default=None, max_length=4_000)
    consent: bool = False


class ContractIn(Wire):
    """A contract: type, value and currency, dates, and the registration number once there is one."""

    type: ContractType
    value: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    currency: str | None = Field(default=None, pattern=CURRENCY)
    signed_on: date
    starts_on: date | None = None
    ends_on: date | None = None
    registration_number: Text | None = Field(default=None, min_length=1, max_length=100)

    @model_validator(mode="after")
    def _whole(self) -> ContractIn:
        if (self.value is None) != (self.currency is None):
            raise ValueError("value and currency belong together; give both or neither")
        if self.starts_on is not None and self.ends_on is not None and self.ends_on < self.starts_on:
            raise ValueError("ends_on lies before starts_on")
        return self


class ContractOut(BaseModel):
    """A contract as it is recorded."""

    type: ContractType
    value: float | None
    currency: str | None
    signed_on: date
    starts_on: date | None
    ends_on: date | None
    registration_number: str | None
    recorded_at: datetime

    @classmethod
    def of(cls, row: ContractRow) -> ContractOut:
        """Render a contract."""
        values = row.model_dump(exclude={"pairing_id", "recorded_by", "recorded_at"})
        return cls(**values, recorded_at=row.recorded_at.replace(tzinfo=UTC))


class SideOut(BaseModel):
    """One listing of a pairing, in short. Whose it is may be withheld until the two are introduced."""

    id: str
    organisation_id: str | None
    title: str
    status: str
    version: int

    @classmethod
    def of(cls, row: ListingRow, withheld: Side | None) -> SideOut:
        """Render a listing in short; `withheld` is the side of which only the title is told."""
        owner = None if row.side == withheld else row.organisation_id
        title = row.record.get("title") or ""
        return cls(id=row.id, organisation_id=owner, title=title, status=row.status, version=row.version)


class StepOut(BaseModel):
    """A step of a pairing's history."""

    number: int
    at: datetime
    actor_kind: str
    actor_id: str
    action: Action
    state_before: State | None
    state_after: State
    side: Side | None
    reason: Reason | None
    note: str | None
    consent: bool
    offer_version: int
    need_version: int

    @classmethod
    def of(cls, row: StepRow, *, with_note: bool) -> StepOut:
        """Render a step; notes are for managers and for who wrote them."""
        values = row.model_dump(exclude={"pairing_id", "at", "note"})
        return cls(**values, at=row.at.replace(tzinfo=UTC), note=row.note if with_note else None)


class PairingOut(BaseModel):
    """An offer and a need, why they are proposed, and how far people have brought them."""

    id: str
    state: State
    possible: list[Action]
    version: int
    offer: SideOut
    need: SideOut
    probability: float
    parts: dict[str, float]
    evidence: list[EvidenceOut]
    direction: str | None
    run: str
    offer_interest_at: datetime | None
    need_interest_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, who: Principal, row: PairingRow, sides: Sides) -> PairingOut:
        """Render a pairing for somebody. `possible` is what the state allows, whoever may do it."""
        hidden = withheld(who, row, sides)
        names = ("id", "state", "version", "probability", "parts", "direction", "run")
        times = ("offer_interest_at", "need_interest_at", "created_at", "updated_at")
        return cls(
            **{name: getattr(row, name) for name in names},
            **zoned(row, *times),
            possible=[action for action in BY_PEOPLE if row.state in MOVES[action].sources],
            offer=SideOut.of(sides.offer, hidden),
            need=SideOut.of(sides.need, hidden),
            evidence=[EvidenceOut(**one) for one in row.evidence],
        )


class PairingsOut(BaseModel):
    """One page of pairings, the most probable first."""

    items: list[PairingOut]
    next_cursor: str | None


class StepsOut(BaseModel):
    """The history of a pairing, the oldest step first."""

    items: list[StepOut]


class IntroductionOut(BaseModel):
    """Whom to write to on both sides of a pairing that is introduced."""

    offer: ContactOut
    need: ContactOut


class ScreeningOut(BaseModel):
    """A screening of one version of an offer, and a person's decision. No candidates does not mean that it is clear."""

    listing_id: str
    version: int
    catalogue: str
    number: int
    candidates: list[dict[str, Any]]
    screened_at: datetime
    decision: Decision | None
    reason: str | None
    decided_by: str | None
    decided_at: datetime | None
    present: bool

    @classmethod
    def of(cls, row: ScreeningRow, *, present: bool) -> ScreeningOut:
        """Render a screening; `present`: it is of the offer's present version and of the present catalogue."""
        values = row.model_dump(exclude={"id", "screened_at", "decided_at"})
        decided_at = row.decided_at.replace(tzinfo=UTC) if row.decided_at else None
        return cls(**values, screened_at=row.screened_at.replace(tzinfo=UTC), decided_at=decided_at, present=present)


class ScreeningsOut(BaseModel):
    """All screenings of an offer, the newest first."""

    items: list[ScreeningOut]


class DecisionIn(Wire):
    """A named person's decision on the present screening, with what it rests on."""

    decision: Decision
    reason: Text = Field(min_length=1, max_length=4_000)


class ExchangeOut(BaseModel):
    """Two organisations each of which has an offer that meets a need of the other."""

    organisations: list[str | None]
    pairings: list[PairingOut]
    probability: float

    @classmethod
    def of(cls, who: Principal, one: Exchange) -> ExchangeOut:
        """Render an exchange. An organisation is named where one of the two pairings names it."""
        first, second = PairingOut.of(who, *one.first), PairingOut.of(who, *one.second)
        there = first.offer.organisation_id or second.need.organisation_id
        return cls(
            organisations=[there, first.need.organisation_id or second.offer.organisation_id],
            pairings=[first, second],
            probability=one.probability,
        )


class ExchangesOut(BaseModel):
    """Exchanges, the most probable first."""

    items: list[ExchangeOut]
