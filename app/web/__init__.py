"""The pages: one module and one router for each part of them."""

from app.web import accounts, nights, search

routers = (search.router, accounts.router, nights.router)

__all__ = ["routers"]
