"""One side of a market in the language space, as columns: a million listings are a few arrays in memory or in files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matching.embedding import Embedding, Kept
from matching.encoder import Vectors
from matching.fields import with_stated
from matching.listing import FIELDS, Listing, Side
from matching.models import Models
from matching.ragged import Ragged
from matching.space import LanguageSpace
from matching.terms import Conditions

Positions = NDArray[np.int64]
Texts = Callable[[Sequence[str]], Sequence[Embedding]]  # ids → what is stored of the listings' texts, in their order


@dataclass(frozen=True, eq=False)
class Stand:
    """The listings of one side; all arrays are aligned by position, and positions follow the order of the ids.

    `ids` UTF-8, `languages` ISO 639-1 codes, `words` as numbers, `vectors` and `titles` (zeros without a title) unit
    vectors, float16, shape (listings, dimension), `has_title` bool, `fields` float32, shape (listings, 9). `texts`
    gives the passages of the few listings that are ever shown.
    """

    side: Side
    ids: NDArray[np.bytes_]
    conditions: Conditions
    languages: NDArray[np.str_]
    words: Ragged
    vectors: Kept
    titles: Kept
    has_title: NDArray[np.bool_]
    fields: Vectors
    space: LanguageSpace
    texts: Texts

    @staticmethod
    def of(
        side: Side,
        listings: Sequence[Listing],
        embeddings: Sequence[Embedding],
        space: LanguageSpace,
        models: Models,
    ) -> Stand:
        """The listings of one side, in the order of their ids, whose embeddings stand in memory."""
        languages = np.array([one.language for one in embeddings], dtype="U3")
        words = Ragged.of([one.words for one in embeddings])
        vectors = space.apply(stacked([one.vector for one in embeddings], models), languages.tolist())
        titles = stacked([one.title_vector for one in embeddings], models)
        has_title = np.linalg.norm(titles, axis=1) > 0
        held = {one.id: embedding for one, embedding in zip(listings, embeddings, strict=True)}
        return Stand(
            side=side,
            ids=np.array([one.id.encode() for one in listings], dtype=np.bytes_),
            conditions=Conditions.of(listings),
            languages=languages,
            words=words,
            vectors=vectors.astype(np.float16),
            titles=(space.apply(titles, languages.tolist()) * has_title[:, None]).astype(np.float16),
            has_title=has_title,
            fields=_fields(vectors, words, listings, models),
            space=space,
            texts=lambda ids: [held[one] for one in ids],
        )

    @staticmethod
    def joined(parts: Sequence[Stand], texts: Texts) -> Stand:
        """Several stands of one side and one space as one; their ids must follow each other to be found.

        `texts` gives the passages of all of them.
        """
        columns = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("ids", "languages", "vectors", "titles", "has_title", "fields")
        }
        conditions = Conditions.joined([part.conditions for part in parts])
        words = Ragged.joined([part.words for part in parts])
        first = parts[0]
        return Stand(side=first.side, conditions=conditions, words=words, space=first.space, texts=texts, **columns)

    def __len__(self) -> int:
        return len(self.ids)

    def taken(self, rows: Positions) -> Stand:
        """The listings at these positions, in this order."""
        columns = {
            name: getattr(self, name)[rows] for name in ("ids", "languages", "vectors", "titles", "has_title", "fields")
        }
        conditions, words = self.conditions.taken(rows), self.words.taken(rows)
        return Stand(side=self.side, conditions=conditions, words=words, space=self.space, texts=self.texts, **columns)

    def id(self, position: int) -> str:
        """The id of one listing."""
        return bytes(self.ids[position]).decode()

    def find(self, ids: Sequence[str]) -> Positions:
        """Positions of listings by id, −1 where there is none."""
        return self._places(np.array([one.encode() for one in ids], dtype=np.bytes_))

    def among(self, ids: NDArray[np.bytes_]) -> NDArray[np.bool_]:
        """Which listings have one of these ids."""
        mask, places = np.zeros(len(self), np.bool_), self._places(ids)
        mask[places[places >= 0]] = True
        return mask

    def _places(self, wanted: NDArray[np.bytes_]) -> Positions:
        if not len(self) or not len(wanted):
            return np.full(len(wanted), -1, np.int64)
        places = np.minimum(np.searchsorted(self.ids, wanted), len(self) - 1)
        return np.where(self.ids[places] == wanted, places, -1).astype(np.int64)

    def passages(self, positions: Sequence[int]) -> list[tuple[tuple[str, ...], Vectors]]:
        """Of each listing its passages and their vectors in the language space, shape (passages, dimension)."""
        stored = self.texts([self.id(one) for one in positions])
        return [(one.passages, self._in_space(one)) for one in stored]

    def _in_space(self, one: Embedding) -> Vectors:
        return self.space.apply(one.passage_vectors.astype(np.float32), [one.language] * len(one.passage_vectors))


def stacked(vectors: Sequence[Kept], models: Models) -> Vectors:
    """One array of vectors, float32, shape (vectors, dimension)."""
    if not vectors:
        return np.zeros((0, models.encoder.dimension), np.float32)
    return np.stack(vectors, dtype=np.float32, casting="safe")


def _fields(vectors: Vectors, words: Ragged, listings: Sequence[Listing], models: Models) -> Vectors:
    guessed = np.zeros((len(listings), len(FIELDS)), np.float32)
    if models.fields is not None:
        guessed = models.fields.probabilities(vectors, [words[i] for i in range(len(words))])
    return with_stated(guessed, [one.fields for one in listings])
