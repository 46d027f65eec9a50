"""The pages: one module and one router for each part of them."""

from app.web import accounts, listing, listing_actions, listings, nights, posting, search

routers = (
    search.router,
    accounts.router,
    nights.router,
    listings.router,
    posting.router,
    listing.router,
    listing_actions.router,
)

__all__ = ["routers"]
