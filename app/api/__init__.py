"""The API: one router for each subject."""

from app.api import accounts, advice, changes, health, listings, pairings

routers = (accounts.router, listings.router, advice.router, pairings.router, changes.router, health.router)

__all__ = ["routers"]
