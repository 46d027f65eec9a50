"""What harvesters read: Atom (RFC 4287), JSON Feed 1.1, schema.org, and lines of JSON. Public listings alone.

Every form is made of the same entries; none holds a person's name or a contact.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from feedgen.entry import FeedEntry
from feedgen.ext.base import BaseEntryExtension, BaseExtension
from feedgen.feed import FeedGenerator
from lxml.etree import SubElement, _Element

from app.listings import Status, listing_of
from app.record import Disclosure
from app.schemas.listings import ListingOut
from app.tables import ListingRow
from matching import Listing, Side

LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2
START = datetime(2024, 12, 1, tzinfo=UTC)  # `updated` of a feed without entries: the centre was approved then
SERVICES = frozenset({"technical_service", "consulting", "training"})  # modes that sell work, not a thing
NOT_SHOWN = ("reference", "returned_reason")  # between the author and the centre


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses of a feed: the site, the feed itself as it was asked for, the next page (None: this is the last)."""

    home: str
    self: str
    next: str | None

    def listing(self, listing_id: str) -> str:
        """The address of one listing, for programs."""
        return f"{self.home}api/v1/listings/{listing_id}"

    def page(self, row: ListingRow) -> str:
        """The address of its page: the Chinese one where it is written in Chinese."""
        language = "zh" if (row.record.get("language") or "").lower().startswith("zh") else "en"
        return f"{self.home}{language}/listings/{row.id}"


@dataclass(frozen=True, slots=True)
class Entry:
    """A listing as every feed shows it."""

    id: str
    title: str
    summary: str
    text: str
    language: str | None
    organisation: str | None
    published: datetime
    updated: datetime
    tags: tuple[tuple[str, str], ...]  # (what it says, the code)


def entry_of(row: ListingRow) -> Entry:
    """A published listing as an entry."""
    listing = listing_of(row)
    assert row.published_at is not None
    return Entry(
        id=f"urn:uuid:{row.id}",
        title=listing.title or listing.body[:100],
        summary=listing.summary,
        text=listing.body or listing.title,
        language=listing.language,
        organisation=listing.organisation,
        published=row.published_at.replace(tzinfo=UTC),
        updated=row.updated_at.replace(tzinfo=UTC),
        tags=_tags(listing),
    )


def _tags(listing: Listing) -> tuple[tuple[str, str], ...]:
    place = (("country", listing.country),) if listing.country is not None else ()
    words = tuple(("keyword", word) for word in listing.keywords)
    return (("side", str(listing.side)), *place, *(("field", field) for field in listing.fields), *words)


def atom(rows: Sequence[ListingRow], links: Links, title: str) -> bytes:
    """An Atom feed."""
    entries = [entry_of(row) for row in rows]
    feed = FeedGenerator()
    feed.id(links.self)
    feed.title(xml_text(title))
    feed.updated(max((entry.updated for entry in entries), default=START))
    feed.author({"name": "Dukou"})
    feed.generator("Dukou")
    feed.link(href=links.self, rel="self", type="application/atom+xml")
    feed.link(href=links.home, rel="alternate")
    if links.next is not None:
        feed.link(href=links.next, rel="next", type="application/atom+xml")
    feed.register_extension("more", BaseExtension, _EntryMore, rss=False)
    for row, entry in zip(rows, entries, strict=True):
        _fill(feed.add_entry(order="append"), entry, links.page(row), links.listing(row.id))
    body: bytes = feed.atom_str(pretty=True)
    return body


class _EntryMore(BaseEntryExtension):  # type: ignore[misc]
    """Of one entry the language, which feedgen knows for whole feeds only, and links by type, whose type it drops."""

    def __init__(self) -> None:
        self.language: str | None = None
        self.links: dict[str, str] = {}

    def extend_atom(self, entry: _Element) -> _Element:
        if self.language is not None:
            entry.set(LANGUAGE, self.language)
        for kind, address in self.links.items():
            SubElement(entry, "link", rel="alternate", type=kind, href=address)
        return entry


def _fill(target: FeedEntry, entry: Entry, page: str, address: str) -> None:
    target.id(entry.id)
    target.title(xml_text(entry.title))
    target.updated(entry.updated)
    target.published(entry.published)
    target.more.links = {
        "text/html": page,
        "application/json": address,
        "application/ld+json": f"{address}/schema.org",
    }
    target.content(xml_text(entry.text), type="text")
    if entry.summary:
        target.summary(xml_text(entry.summary))
    if entry.organisation is not None:
        target.author({"name": xml_text(entry.organisation)})
    for kind, code in entry.tags:
        target.category({"term": xml_text(code), "scheme": f"urn:dukou:{kind}"})
    target.more.language = entry.language


def xml_text(text: str) -> str:
    """A text without the characters that no XML document can hold, however they are written."""
    return NO_XML.sub("\ufffd", text)


def json_feed(rows: Sequence[ListingRow], links: Links, title: str) -> dict[str, Any]:
    """A JSON Feed 1.1; the extension `_dukou` has the codes."""
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": title,
        "home_page_url": links.home,
        "feed_url": links.self,
        "next_url": links.next,
        "authors": [{"name": "Dukou"}],
    }
    return _given(feed) | {"items": [_item(entry_of(row), links.page(row), links.listing(row.id)) for row in rows]}


def _item(entry: Entry, page: str, address: str) -> dict[str, Any]:
    item = {
        "id": entry.id,
        "url": page,
        "title": entry.title,
        "summary": entry.summary or None,
        "content_text": entry.text,
        "date_published": entry.published.isoformat(),
        "date_modified": entry.updated.isoformat(),
        "authors": [{"name": entry.organisation}] if entry.organisation is not None else None,
        "tags": [code for _, code in entry.tags],
        "language": entry.language,
        "_dukou": {
            "record": address,
            "side": next(code for kind, code in entry.tags if kind == "side"),
            "country": next((code for kind, code in entry.tags if kind == "country"), None),
            "fields": [code for kind, code in entry.tags if kind == "field"],
        },
    }
    return _given(item)


def schema_org(row: ListingRow, address: str) -> dict[str, Any]:
    """A listing as a schema.org Offer or Demand in JSON-LD; the organisation by name, no contacts.

    An Offer names its seller; a Demand has no such property: the organisation `seeks` it.
    """
    listing, name = listing_of(row), row.record.get("organisation")
    owner = {"@type": "Organization", "name": name} if name else None
    is_offer = listing.side is Side.OFFER
    facts = {
        "@context": "https://schema.org",
        "@type": "Offer" if is_offer else "Demand",
        "@id": f"urn:uuid:{row.id}",
        "url": address,
        "name": listing.title or None,
        "description": listing.body or None,
        "availabilityStarts": _time(row.published_at),
        "availabilityEnds": _time(row.expires_at),
        "areaServed": [{"@type": "Country", "name": code} for code in listing.target_countries],
        "ineligibleRegion": [{"@type": "Country", "name": code} for code in listing.excluded_countries],
        "itemOffered": _item_offered(row, listing),
        "seller": owner if is_offer else None,
        "@reverse": {"seeks": owner} if owner is not None and not is_offer else None,
    }
    return _given(facts)


def _time(stored: datetime | None) -> str | None:
    return stored.replace(tzinfo=UTC).isoformat() if stored is not None else None


def _item_offered(row: ListingRow, listing: Listing) -> dict[str, Any]:
    """What it is about, with its texts: the author's, then the translations."""
    texts = [_work(listing.language, listing.title, listing.body, list(listing.keywords))]
    for one in row.record.get("translations", []):
        text = one.get("description") or one.get("summary", "")
        texts.append(_work(one["language"], one.get("title", ""), text, []))
    kind = "Service" if SERVICES.intersection(listing.modes) else "Product"
    item = {"@type": kind, "name": listing.title or None, "category": list(listing.fields), "subjectOf": texts}
    return _given(item)


def _work(language: str | None, title: str, text: str, keywords: list[str]) -> dict[str, Any]:
    facts = {"name": title or None, "text": text or None, "inLanguage": language, "keywords": keywords}
    return _given({"@type": "CreativeWork", **facts})


def is_public(row: ListingRow) -> bool:
    """Whether anybody may read it: `app.queries.feeds.public`, for one row."""
    return row.status == Status.PUBLISHED and row.disclosure == Disclosure.PUBLIC


def line(row: ListingRow) -> dict[str, Any]:
    """One line of the export: the listing, or only that it is gone."""
    changed = row.updated_at.replace(tzinfo=UTC).isoformat()
    if not is_public(row):
        return {"id": row.id, "deleted": True, "updated_at": changed}
    shown = ListingOut.of(row).model_dump(mode="json", exclude=set(NOT_SHOWN))
    return {"id": row.id, "deleted": False, "updated_at": changed, "listing": shown}


def _given(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts without those that are unknown."""
    return {name: value for name, value in facts.items() if value not in (None, [])}
