"""A listing's text in the language of the page where there is such a version, and its other versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.schemas.listings import ListingOut
from app.tables import ListingRow
from app.web.words import Language

EXCERPT = 240  # characters of a text that stand on a card


@dataclass(frozen=True, slots=True)
class Version:
    """A text of a listing; `origin` says by whom: "original", or a translation by its "author" or a "machine"."""

    language: str | None
    origin: str
    title: str
    summary: str
    description: str

    @property
    def excerpt(self) -> str:
        """What a card says under the title."""
        text = self.summary or self.description
        return text if len(text) <= EXCERPT else f"{text[:EXCERPT].rsplit(' ', 1)[0].rstrip('，。,.;；')} …"


def versions(listing: ListingOut) -> list[Version]:
    """The original first."""
    original = Version(listing.language, "original", listing.title, listing.summary, listing.description)
    others = [
        Version(one.language, one.origin, one.title, one.summary, one.description) for one in listing.translations
    ]
    return [original, *others]


def best(listing: ListingOut, language: Language) -> Version:
    """The version in the language of the page, the author's before a machine's; without one the original."""
    order = ("original", "author", "machine")
    fitting = [one for one in versions(listing) if _primary(one.language) == language.code and one.title]
    return min(fitting, key=lambda one: order.index(one.origin), default=versions(listing)[0])


def card(row: ListingRow, language: Language) -> dict[str, Any]:
    """A public listing as the lists show it."""
    listing = ListingOut.of(row)
    return {"listing": listing, "told": best(listing, language), "path": f"/{language.code}/listings/{row.id}"}


def _primary(tag: str | None) -> str:
    return (tag or "").split("-")[0].lower()
