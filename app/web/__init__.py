"""The pages: one module and one router for each part of them."""

from app.web import accounts, listing, listing_actions, listings, nights, search

routers = (search.router, accounts.router, nights.router, listings.router, listing.router, listing_actions.router)

__all__ = ["routers"]
