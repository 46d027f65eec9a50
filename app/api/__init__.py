"""The API: one router for each subject."""

from app.api import accounts, changes, feeds, health, listings, pairings

routers = (accounts.router, listings.router, pairings.router, changes.router, feeds.router, health.router)

__all__ = ["routers"]
