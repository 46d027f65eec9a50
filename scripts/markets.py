"""Invented markets of any size for the benchmarks: our training texts again and again, each a little different."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta

import numpy as np
from corpora import embed_cached
from sqlmodel import Session, select

from app import accounts
from app.access import OPERATOR
from app.db import Database
from app.listings import LIFETIME, Status, describe
from app.queries import listings as queries
from app.tables import ListingRow, OrganisationRow
from matching import Listing, Models, Side, embedding_key, embedding_to_bytes
from matching.encoder import unit

BLOCK = 1_000  # listings stored in one transaction
NOISE = 0.02
LONG_AGO = datetime(2026, 1, 1)
OWNERS = {Side.OFFER: "Invented offerer", Side.NEED: "Invented seeker"}


def fill(database: Database, models: Models, texts: list[Listing], size: int) -> None:
    """Store `size` published listings with vectors a little apart, already looked at for proposals.

    Offers come from China, needs from Kazakhstan; each side has one owner.
    """
    rng, embeddings = np.random.default_rng(0), embed_cached(texts, models.encoder)
    key = embedding_key(models.encoder)
    owners = owners_of(database)
    for start in range(0, size, BLOCK):
        with database.writing() as session:
            bodies = {}
            for i in range(start, min(start + BLOCK, size)):
                source, made = texts[i % len(texts)], embeddings[i % len(texts)]
                row = _row(source, i, owners[source.side], queries.next_revision(session))
                moved = unit(made.vector + rng.normal(0, NOISE, made.vector.shape).astype(np.float32))
                bodies[row.text_hash] = embedding_to_bytes(dataclasses.replace(made, vector=moved.astype(np.float16)))
                session.add(row)
            queries.keep_embeddings(session, key, bodies)
            queries.set_proposed_up_to(session, queries.last_written(session))


def owners_of(database: Database) -> dict[Side, str]:
    """The owner of each side, made where it is not there."""
    with database.writing() as session:
        return {side: _named(session, name) for side, name in OWNERS.items()}


def _named(session: Session, name: str) -> str:
    row = session.exec(select(OrganisationRow).where(OrganisationRow.name == name)).first()
    if row is None:
        node = accounts.add_node(session, f"Node of {name}", None, None, LONG_AGO)
        row = accounts.add_organisation(session, OPERATOR, node.id, LONG_AGO, name=name, trusted=True)
    return row.id


def _row(source: Listing, number: int, owner: str, revision: int) -> ListingRow:
    country = "CN" if source.side is Side.OFFER else "KZ"
    title = f"{source.title} {number}"
    record = {"reference": f"s{number}", "side": str(source.side), "title": title, "country": country}
    record["description"] = source.description
    listing = dataclasses.replace(source, title=title, country=country, summary="", keywords=(), language=None)
    row = ListingRow(
        organisation_id=owner,
        reference=f"s{number}",
        side=source.side,
        status=Status.PUBLISHED,
        record=record,
        text_hash=listing.text_hash,
        revision=revision,
        created_at=LONG_AGO,
        updated_at=LONG_AGO,
        published_at=LONG_AGO,
        expires_at=LONG_AGO + LIFETIME + timedelta(days=365),
    )
    describe(row)
    return row
