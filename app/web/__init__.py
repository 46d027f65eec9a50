"""The pages: one module and one router for each part of them."""

from app.web import accounts, nights, overview, pairing, pipeline, queue, search

routers = (
    search.router,
    accounts.router,
    nights.router,
    overview.router,
    queue.router,
    pipeline.router,
    pairing.router,
)

__all__ = ["routers"]
