"""Selects for the public catalogue: what it counts and sorts by."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import String, cast
from sqlmodel import Session, col, select

from app.queries.feeds import public
from app.tables import ListingRow


@dataclass(frozen=True, slots=True)
class Facts:
    """What the catalogue sorts and counts a public listing by; empty and None are unknown."""

    id: str
    side: str
    published_at: datetime
    updated_at: datetime
    fields: tuple[str, ...]
    country: str | None
    stage: str | None
    trl: int | None
    modes: tuple[str, ...]
    language: str | None


def written_since(session: Session, number: int) -> tuple[list[Facts], list[str]]:
    """Of the listings written after a revision the facts of those that are public, and the ids of the others.

    The database takes the few codes out of the records: all records of a large catalogue are gigabytes as objects.
    """
    later, record = col(ListingRow.revision) > number, col(ListingRow.record)
    plain = (ListingRow.id, ListingRow.side, ListingRow.published_at, ListingRow.updated_at)
    told = (ListingRow.field_codes, ListingRow.country, cast(record["modes"], String))
    codes = [record[name].as_string() for name in ("language", "stage")]
    chosen = select(*plain, *told, *codes, record["trl"].as_integer()).where(later, public())  # type: ignore[call-overload]
    gone = select(ListingRow.id).where(later, ~public())
    return [_facts(*one) for one in session.exec(chosen)], list(session.exec(gone))


def _facts(
    name: str,
    side: str,
    published: datetime,
    updated: datetime,
    fields: str,
    country: str | None,
    modes: str | None,
    language: str | None,
    stage: str | None,
    trl: int | None,
) -> Facts:
    """Codes as `matching.read_listing` has them."""
    stated = tuple(fields.strip("|").split("|")) if fields else ()
    return Facts(name, side, published, updated, stated, country, stage, trl, _list(modes), _primary(language))


def _primary(tag: str | None) -> str | None:
    """The language itself of a tag of BCP 47."""
    return tag.split("-")[0].lower() if tag else None


@cache
def _list(text: str | None) -> tuple[str, ...]:
    """The codes of a list in JSON, of which there are few."""
    return tuple(dict.fromkeys(json.loads(text) or ())) if text else ()
