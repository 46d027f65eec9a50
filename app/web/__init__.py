"""The pages: one module and one router for each part of them."""

from app.web import (
    accounts,
    administration,
    catalogue,
    imports,
    listing,
    listing_actions,
    listings,
    nights,
    overview,
    pairing,
    pipeline,
    posting,
    public_listing,
    queue,
    search,
    sitemap,
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
    catalogue.router,
    public_listing.router,
    sitemap.router,
)

__all__ = ["routers"]
