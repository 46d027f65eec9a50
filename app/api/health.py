"""Whether the service lives and is ready."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from app.api.asking import Search
from app.errors import NotReady

router = APIRouter(prefix="/health", tags=["health"])


class Health(BaseModel):
    """Whether the service lives or is ready."""

    status: str


@router.get("/live")
async def live() -> Health:
    """The process answers, even while all its threads wait for the search."""
    return Health(status="live")


@router.get("/ready")
def ready(search: Search) -> Health:
    """The model is loaded and searches are answered; 503 until then."""
    if not search.is_ready:
        raise NotReady(search.failure or "the model is still loading")
    return Health(status="ready")
