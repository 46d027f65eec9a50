"""The pages: one module and one router for each part of them."""

from app.web import accounts, nights, overview, queue, search

routers = (search.router, accounts.router, nights.router, overview.router, queue.router)

__all__ = ["routers"]
