"""The pages: one module and one router for each part of them."""

from app.web import accounts, catalogue, nights, public_listing, search, sitemap

routers = (search.router, accounts.router, nights.router, catalogue.router, public_listing.router, sitemap.router)

__all__ = ["routers"]
