"""The API: one router for each subject."""

from app.api import accounts, changes, health, listings, pairings, screenings

routers = (accounts.router, listings.router, pairings.router, screenings.router, changes.router, health.router)

__all__ = ["routers"]
