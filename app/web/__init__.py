"""The pages: one module and one router for each part of them."""

from app.web import (
    accounts,
    administration,
    imports,
    listing,
    listing_actions,
    listings,
    nights,
    overview,
    pairing,
    pipeline,
    posting,
    queue,
    search,
)

routers = (
    search.router,
    accounts.router,
    nights.router,
    imports.router,
    administration.router,
    overview.router,
    queue.router,
    pipeline.router,
    pairing.router,
    listings.router,
    posting.router,  # before listing: /listings/new is no listing's id
    listing.router,
    listing_actions.router,
)

__all__ = ["routers"]
