"""Every select of the service: plain functions that take a session."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlmodel import Session, col, func, select

from app.tables import EmbeddingRow, ListingRow

State = tuple[int, datetime | None]
BLOCK = 500  # SQLite takes a limited number of values in one statement


def listing(session: Session, listing_id: str) -> ListingRow | None:
    """One listing, or None."""
    return session.get(ListingRow, listing_id)


def all_listings(session: Session) -> list[ListingRow]:
    """All listings in the order of their ids."""
    return list(session.exec(select(ListingRow).order_by(col(ListingRow.id))))


def listings_after(session: Session, cursor: str, limit: int) -> list[ListingRow]:
    """The next `limit` listings whose id comes after `cursor`."""
    chosen = select(ListingRow).where(col(ListingRow.id) > cursor).order_by(col(ListingRow.id)).limit(limit)
    return list(session.exec(chosen))


def state(session: Session) -> State:
    """How many listings there are and when one last changed: equal states mean equal contents."""
    return session.exec(select(func.count(), func.max(ListingRow.updated_at)).select_from(ListingRow)).one()


def embeddings(session: Session, encoder: str, hashes: Collection[str]) -> dict[str, bytes]:
    """The stored embeddings of these texts by text hash; absent ones are left out."""
    wanted = sorted(hashes)
    found: dict[str, bytes] = {}
    for start in range(0, len(wanted), BLOCK):
        block = col(EmbeddingRow.text_hash).in_(wanted[start : start + BLOCK])
        rows = session.exec(select(EmbeddingRow).where(EmbeddingRow.encoder == encoder, block))
        found.update((row.text_hash, row.body) for row in rows)
    return found
