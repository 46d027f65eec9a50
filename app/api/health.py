"""Whether the service lives and is ready, and how far it is. Open to all: numbers of the machine, not of anybody."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.asking import Data, Now, Search
from app.errors import NotReady
from app.queries.condition import waiting

router = APIRouter(prefix="/health", tags=["health"])


class Health(BaseModel):
    """Whether the service lives."""

    status: str


class IndexHealth(BaseModel):
    """The index that searches are answered from; what is written later stands beside it."""

    revision: int = Field(description="The write up to which it was built")
    age_seconds: int = Field(description="Time since it was built")


class Readiness(Health):
    """Whether searches are answered, from what, and what waits."""

    model: str
    index: IndexHealth
    waiting: int = Field(description="Listings that wait for their proposals")


@router.get("/live")
async def live() -> Health:
    """The process answers, even while all its threads wait for the search."""
    return Health(status="live")


@router.get("/ready")
def ready(search: Search, data: Data, at: Now) -> Readiness:
    """The model is loaded, searches are answered and the database can be read; 503 until then."""
    state = search.state
    if state is None:
        raise NotReady(search.failure or "the model is still loading")
    with data.reading() as session:
        queue = waiting(session)
    index = IndexHealth(revision=state.revision, age_seconds=int((at - state.built_at).total_seconds()))
    return Readiness(status="ready", model=state.model, index=index, waiting=queue)
