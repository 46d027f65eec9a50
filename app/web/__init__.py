"""The pages: one module and one router for each part of them."""

from app.web import accounts, nights, pairing, pipeline, search

routers = (search.router, accounts.router, nights.router, pipeline.router, pairing.router)

__all__ = ["routers"]
