"""The pages: one module and one router for each part of them."""

from app.web import accounts, nights, queue, search

routers = (search.router, accounts.router, nights.router, queue.router)

__all__ = ["routers"]
