"""Subscriptions and deliveries on the wire. A secret appears in the answer that makes it, and nowhere else."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from app.deliveries import Status
from app.destinations import LONGEST
from app.events import Audience
from app.record import Wire
from app.schemas.listings import zoned
from app.tables import DeliveryRow, EventRow, SubscriptionRow

Url = Annotated[str, Field(min_length=1, max_length=LONGEST)]
Types = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=50)]


class SubscriptionIn(Wire):
    """Where to send what; `types` empty: all of the audience. `organisation`: of a manager, whose it is."""

    url: Url
    audience: Audience = Audience.ORGANISATION
    types: Types = Field(default_factory=list)
    organisation: str | None = Field(default=None, max_length=100)


class SubscriptionChange(Wire):
    """What is to change; what is left out stays."""

    url: Url | None = None
    types: Types | None = None
    active: bool | None = None


class SubscriptionOut(BaseModel):
    """A subscription. `previous_until`: until then the secret before the present one signs too."""

    id: str
    organisation: str
    audience: Audience
    url: str
    types: list[str]
    active: bool
    generation: int
    previous_until: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, row: SubscriptionRow) -> SubscriptionOut:
        """Render a subscription."""
        return cls(
            id=row.id,
            organisation=row.organisation_id,
            audience=Audience(row.audience),
            url=row.url,
            types=row.types,
            active=row.active,
            generation=row.generation,
            **zoned(row, "previous_until", "created_at"),
        )


class SubscriptionsOut(BaseModel):
    """The subscriptions of an organisation, the oldest first."""

    items: list[SubscriptionOut]


class SecretOut(BaseModel):
    """A subscription and its secret, which is shown now and never again."""

    subscription: SubscriptionOut
    secret: str


class DeliveryOut(BaseModel):
    """One event for one subscription: how often it was tried, what the last try came to.

    `due_at`: of a pending one, when the next try is due.
    """

    event: str
    sequence: str
    type: str
    status: Status
    replay: int
    attempts: int
    last_status: int | None
    last_error: str | None
    due_at: datetime
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: DeliveryRow, event: EventRow) -> DeliveryOut:
        """Render a delivery."""
        return cls(
            event=event.id,
            sequence=str(event.sequence),
            type=event.type,
            status=Status(row.status),
            replay=row.replay,
            attempts=row.attempts,
            last_status=row.last_status,
            last_error=row.last_error,
            **zoned(row, "due_at", "created_at", "updated_at"),
        )


class DeliveriesOut(BaseModel):
    """Deliveries, the newest event first; `next_cursor` null: there are no more."""

    items: list[DeliveryOut]
    next_cursor: str | None


class ReplayedOut(BaseModel):
    """How many deliveries are made anew."""

    replayed: int


class PingOut(BaseModel):
    """The id of the event that was sent to try a subscription."""

    event: str
