"""Every select of the service: plain functions that take a session."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from app.tables import EmbeddingRow, ListingRow, RevisionRow

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


def revision(session: Session) -> int:
    """The number of the last write to the listings that is committed."""
    return session.exec(select(RevisionRow.number)).one()


def next_revision(session: Session) -> int:
    """Count a write. The row stays locked until the transaction ends, so that numbers follow the commits."""
    session.connection().execute(update(RevisionRow).values(number=col(RevisionRow.number) + 1))
    return revision(session)


def listings_since(session: Session, number: int) -> list[ListingRow]:
    """Listings written after a revision, in the order of their ids."""
    changed = select(ListingRow).where(col(ListingRow.revision) > number).order_by(col(ListingRow.id))
    return list(session.exec(changed))


def keep_embeddings(session: Session, encoder: str, bodies: Mapping[str, bytes]) -> None:
    """Store embeddings by text hash; one that another process has stored meanwhile stays."""
    insert: Any = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    for text_hash, body in bodies.items():
        row = insert(EmbeddingRow).values(encoder=encoder, text_hash=text_hash, body=body)
        session.connection().execute(row.on_conflict_do_nothing())


def embeddings(session: Session, encoder: str, hashes: Collection[str]) -> dict[str, bytes]:
    """The stored embeddings of these texts by text hash; absent ones are left out."""
    wanted = sorted(hashes)
    found: dict[str, bytes] = {}
    for start in range(0, len(wanted), BLOCK):
        block = col(EmbeddingRow.text_hash).in_(wanted[start : start + BLOCK])
        both = select(EmbeddingRow.text_hash, EmbeddingRow.body).where(EmbeddingRow.encoder == encoder, block)
        found.update((text_hash, body) for text_hash, body in session.exec(both))
    return found
