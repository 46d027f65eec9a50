"""The API: one router for each subject."""

from app.api import accounts, changes, feeds, health, listings, oai, pairings

routers = (accounts.router, listings.router, pairings.router, changes.router, feeds.router, oai.router, health.router)

__all__ = ["routers"]
