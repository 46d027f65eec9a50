"""The API: one router for each subject."""

from app.api import (
    accounts,
    advice,
    changes,
    feeds,
    health,
    imports,
    listings,
    metrics,
    nights,
    oai,
    pairings,
    profiles,
    screenings,
    webhooks,
)

# imports before listings: /listings/export is no listing's id
routers = (
    accounts.router,
    imports.router,
    listings.router,
    advice.router,
    profiles.router,
    pairings.router,
    screenings.router,
    nights.router,
    changes.router,
    feeds.router,
    oai.router,
    webhooks.router,
    health.router,
    metrics.router,
)

__all__ = ["routers"]
