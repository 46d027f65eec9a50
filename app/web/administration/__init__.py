"""Administration: one page for each kind of thing that is looked after, shown to whoever may."""

from fastapi import APIRouter

from app.web.administration import audit, catalogue, frame, keys, people, places, webhooks

router = APIRouter()
for part in (frame, places, people, keys, webhooks, catalogue, audit):
    router.include_router(part.router)

__all__ = ["router"]
