"""The pages: one module and one router for each part of them."""

from app.web import accounts, nights, overview, search

routers = (search.router, accounts.router, nights.router, overview.router)

__all__ = ["routers"]
