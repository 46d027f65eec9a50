"""The pages: one module and one router for each part of them."""

from app.web import accounts, listing, listing_actions, listings, nights, overview, posting, queue, search

routers = (
    search.router,
    accounts.router,
    nights.router,
    overview.router,
    queue.router,
    listings.router,
    posting.router,
    listing.router,
    listing_actions.router,
)

__all__ = ["routers"]
