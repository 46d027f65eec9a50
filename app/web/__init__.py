"""The pages: one module and one router for each part of them."""

from app.web import accounts, nights, pairing, pipeline, queue, search

routers = (search.router, accounts.router, nights.router, queue.router, pipeline.router, pairing.router)

__all__ = ["routers"]
