"""The API: one router for each subject."""

from app.api import accounts, changes, health, listings, pairings, webhooks

routers = (accounts.router, listings.router, pairings.router, changes.router, webhooks.router, health.router)

__all__ = ["routers"]
