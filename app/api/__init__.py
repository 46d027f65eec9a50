"""The API: one router for each subject."""

from app.api import accounts, advice, changes, health, imports, listings, pairings, profiles, screenings

# imports before listings: /listings/export is no listing's id
routers = (
    accounts.router,
    imports.router,
    listings.router,
    advice.router,
    profiles.router,
    pairings.router,
    screenings.router,
    changes.router,
    health.router,
)

__all__ = ["routers"]
