"""All published listings → a base: read in chunks, so that a million of them never stand in memory as objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise

import numpy as np

from app.db import Database
from app.embeddings import Embeddings
from app.listings import listing_of
from app.queries import listings as queries
from app.snapshot import Base, Holder, Holders
from matching import Embedding, LanguageSpace, Listing, Market, Models, Side
from matching.space import fit
from matching.stand import Stand

CHUNK = 1_000

Progress = Callable[[int], None]
Chunk = list[tuple[Listing, Holder, Embedding]]


def nothing_said(_: int) -> None:
    """For those who do not want to hear of progress."""


def chunks(database: Database, embeddings: Embeddings, progress: Progress = nothing_said) -> Iterator[Chunk]:
    """All published listings by id with their holders and embeddings; what is new is encoded and stored."""
    after = ""
    while True:
        with database.reading() as session:
            rows = queries.published_after(session, after, CHUNK)
            nodes = queries.nodes_by_organisation(session)
        if not rows:
            return
        listings = [listing_of(row) for row in rows]
        made = embeddings.of(listings)
        yield [
            (one, Holder(row.organisation_id, nodes[row.organisation_id], row.disclosure), made[one.text_hash])
            for one, row in zip(listings, rows, strict=True)
        ]
        after = rows[-1].id
        progress(len(rows))


def fitted(
    database: Database, embeddings: Embeddings, models: Models, progress: Progress = nothing_said
) -> LanguageSpace:
    """The language space of all published listings."""
    vectors, languages = [np.zeros((0, models.encoder.dimension), np.float16)], list[str]()
    for chunk in chunks(database, embeddings, progress):
        vectors.append(np.stack([embedding.vector for _, _, embedding in chunk]))
        languages += [embedding.language for _, _, embedding in chunk]
    return fit(np.concatenate(vectors).astype(np.float32), languages, models.encoder.name, models.prior)


def built(
    database: Database,
    embeddings: Embeddings,
    models: Models,
    space: LanguageSpace,
    space_age: int,
    now: datetime,
    progress: Progress = nothing_said,
) -> Base:
    """All published listings as they are now, in one market."""
    with database.reading() as session:
        revision = queries.last_written(session)  # first: a write between the two is then seen again
    stands: dict[Side, list[Stand]] = {side: [Stand.of(side, [], [], space, models)] for side in Side}
    holders: dict[Side, list[Holders]] = {side: [Holders.of([])] for side in Side}
    for chunk in chunks(database, embeddings, progress):
        for side in Side:
            own = [one for one in chunk if one[0].side is side]
            stands[side].append(Stand.of(side, [one for one, _, _ in own], [made for _, _, made in own], space, models))
            holders[side].append(Holders.of([holder for _, holder, _ in own]))
    sides, held = {}, {}
    for side in Side:
        whole, owners = Stand.joined(stands[side], embeddings.of_ids), Holders.joined(holders[side])
        order = _ascending(whole)
        sides[side], held[side] = (whole, owners) if order is None else (whole.taken(order), owners.taken(order))
    return Base(revision, space_age, Market.of(sides, models), held, now)


def _ascending(stand: Stand) -> np.ndarray | None:
    """How to order a stand by its ids' bytes, which a database's own order need not be; None where it is."""
    if all(a < b for a, b in pairwise(stand.ids)):
        return None
    return np.argsort(stand.ids, kind="stable")
