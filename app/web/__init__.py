"""The pages: one module and one router for each part of them."""

from app.web import accounts, administration, imports, nights, search

routers = (search.router, accounts.router, nights.router, imports.router, administration.router)

__all__ = ["routers"]
