"""Stored embeddings of texts: from the database, and for new text from the encoder; computed once for each text."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from app.db import Database
from app.listings import listing_of
from app.metrics import encoding
from app.queries import listings as queries
from matching import (
    ArtefactError,
    Embedding,
    Listing,
    Models,
    embed,
    embed_query,
    embedding_from_bytes,
    embedding_key,
    embedding_to_bytes,
)
from matching.language import UNKNOWN

T = TypeVar("T")

log = logging.getLogger(__name__)

DECODED = 1_000  # stored embeddings read in one go: all at once would be in memory twice
ASKED = 2_000  # texts not stored that are remembered: narrowing, leafing and kept searches ask the same again
CHUNK = 64  # texts encoded in one go; between them searches get their turn
SPREAD = 20_000  # of which a cluster is given in one go

Embed = Callable[[Sequence[Listing]], list[Embedding]]


class Embeddings:
    """Embeddings by one encoder, kept in one database. Safe to use from many threads; one of them encodes at a time."""

    def __init__(self, database: Database, models: Models) -> None:
        self._database, self._models = database, models
        self._name = embedding_key(models.encoder)
        self.encoding = threading.Lock()  # held while encoding: tokenizers cannot be shared by threads
        self._asked: OrderedDict[tuple[str, str], Embedding] = OrderedDict()  # of the last texts that are not stored

    def of_query(self, listing: Listing) -> Embedding:
        """Of what somebody searches with: `matching.embed_query`. The last ones are at hand."""
        return self._at_hand("query", listing, lambda: embed_query(listing, self._models.encoder))

    def of_draft(self, listing: Listing) -> Embedding:
        """Of a listing that need not be kept: what is stored of its text, else made anew and not stored."""
        found = self.known([listing.text_hash]).get(listing.text_hash)
        if found is not None:
            return found
        return self._at_hand("draft", listing, lambda: embed([listing], self._models.encoder)[0])

    def _at_hand(self, kind: str, listing: Listing, make: Callable[[], Embedding]) -> Embedding:
        key = (kind, listing.text_hash)
        with self.encoding:
            if key not in self._asked:
                with encoding(1):
                    self._asked[key] = make()
            self._asked.move_to_end(key)
            while len(self._asked) > ASKED:
                self._asked.popitem(last=False)
            return self._asked[key]

    def known(self, text_hashes: Sequence[str]) -> dict[str, Embedding]:
        """What is stored of these texts, by hash."""
        found: dict[str, Embedding] = {}
        for start in range(0, len(text_hashes), DECODED):
            with self._database.reading() as session:
                bodies = queries.embeddings(session, self._name, text_hashes[start : start + DECODED])
            found |= _decoded(bodies)
        return found

    def of(self, listings: Sequence[Listing], spread: Embed | None = None) -> dict[str, Embedding]:
        """Of listings, by text hash; what is new is encoded, elsewhere if told how to `spread` it, and stored."""
        wanted = {listing.text_hash: listing for listing in listings}
        found = self.known(sorted(wanted))
        missing = [key for key in wanted if key not in found]
        for keys in _blocks(missing, spread):
            with self.encoding, encoding(len(keys)):
                texts = [wanted[key] for key in keys]
                made = embed(texts, self._models.encoder) if spread is None else spread(texts)
            found |= dict(zip(keys, made, strict=True))
            with self._database.writing() as session:
                queries.keep_embeddings(session, self._name, {key: embedding_to_bytes(found[key]) for key in keys})
        return found

    def complete(self, progress: Callable[[int], None], spread: Embed | None = None) -> int:
        """Encode the published listings that have no embedding yet, as `of` does; how many."""
        after, count = "", 0
        while True:
            with self._database.reading() as session:
                rows = queries.not_embedded(session, self._name, after, DECODED if spread is None else SPREAD)
            if not rows:
                return count
            for own in _blocks(rows, spread):
                self.of([listing_of(row) for row in own], spread)
                progress(len(own))
            after, count = rows[-1].id, count + len(rows)

    def of_ids(self, ids: Sequence[str]) -> list[Embedding]:
        """Of stored listings by id, in their order: `matching.stand.Texts`.

        Of a text that has changed since an index was made and is not yet encoded, nothing is known: no passages.
        """
        with self._database.reading() as session:
            found = _decoded(queries.embeddings_by_id(session, self._name, ids))
        nothing = _nothing(self._models.encoder.dimension)
        return [found.get(one, nothing) for one in ids]


def _blocks(items: Sequence[T], spread: Embed | None) -> Iterator[Sequence[T]]:
    size = CHUNK if spread is None else SPREAD
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _nothing(dimension: int) -> Embedding:
    empty = np.zeros(dimension, np.float16)
    return Embedding(UNKNOWN, empty, empty, (), np.zeros((0, dimension), np.float16), ())


def _decoded(bodies: dict[str, bytes]) -> dict[str, Embedding]:
    """Stored embeddings; a damaged one is left out and so made again."""
    found = {}
    for key, body in bodies.items():
        try:
            found[key] = embedding_from_bytes(body)
        except ArtefactError as error:
            log.warning("the stored vectors of %s are damaged (%s) and made again", key[:12], error)
    return found
