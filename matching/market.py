"""Both sides of the market, ready to be compared: one language space, neighbourhoods, lexical and dense indexes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matching.background import Background
from matching.dense import VectorIndex, best_scores
from matching.embedding import Embedding, Kept
from matching.encoder import Vectors
from matching.fields import agreement, with_stated
from matching.language import UNKNOWN
from matching.lexical import LexicalMarket, LexicalTail
from matching.listing import FIELDS, Listing, Side
from matching.models import Models
from matching.neighbours import crowding
from matching.scoring import FEATURES, csls
from matching.space import LanguageSpace, fit
from matching.terms import Conditions, maturity_gap

NEIGHBOURHOOD = 10  # CSLS's k
MARGIN_SCALE = 10.0

Positions = NDArray[np.int64]


class Stand:
    """One side of the market in the language space; everything is aligned by position."""

    def __init__(
        self, listings: Sequence[Listing], embeddings: Sequence[Embedding], space: LanguageSpace, models: Models
    ) -> None:
        self.listings = tuple(listings)
        self.position = {one.id: position for position, one in enumerate(listings)}
        self.conditions = Conditions.of(listings)
        self.languages = np.array([one.language for one in embeddings], dtype=np.str_)
        self.words = [one.words for one in embeddings]
        self.vectors = space.apply(_stack([one.vector for one in embeddings], models), self.languages.tolist())
        titles = _stack([one.title_vector for one in embeddings], models)
        self.has_title = np.linalg.norm(titles, axis=1) > 0
        self.titles = space.apply(titles, self.languages.tolist()) * self.has_title[:, None]
        self.passages = [one.passages for one in embeddings]
        self._space = space
        self._passage_vectors = [one.passage_vectors for one in embeddings]
        self.fields = self._fields(models)

    def __len__(self) -> int:
        return len(self.listings)

    def passage_vectors(self, position: int) -> Vectors:
        """Of one listing, in the language space: made when asked for, since few listings are ever shown."""
        raw = self._passage_vectors[position].astype(np.float32)
        return self._space.apply(raw, [str(self.languages[position])] * len(raw))

    def _fields(self, models: Models) -> Vectors:
        guessed = np.zeros((len(self), len(FIELDS)), np.float32)
        if models.fields is not None:
            guessed = models.fields.probabilities(self.vectors, self.words)
        return with_stated(guessed, [one.fields for one in self.listings])


@dataclass(frozen=True)
class Market:
    """Offers and needs in one space, with what the score of any pair refers to."""

    models: Models
    space: LanguageSpace
    stands: dict[Side, Stand]
    indexes: dict[Side, VectorIndex]
    lexical: dict[Side, LexicalMarket | LexicalTail]
    around: dict[Side, Vectors]  # how crowded it is around each offer among the needs, and the reverse
    title_around: dict[Side, Vectors]

    @staticmethod
    def build(
        listings: Sequence[Listing],
        embeddings: Sequence[Embedding],
        models: Models,
        space: LanguageSpace | None = None,
    ) -> Market:
        """Prepare both sides. Without `space` it is fitted to these listings and the shipped prior.

        Positions follow the ids' order.
        """
        if space is None:
            by_id = sorted(range(len(listings)), key=lambda i: listings[i].id)
            vectors = _stack([embeddings[i].vector for i in by_id], models)
            space = fit(vectors, [embeddings[i].language for i in by_id], models.encoder.name, models.prior)
        stands = _stands(listings, embeddings, space, models)
        offers, needs = stands[Side.OFFER], stands[Side.NEED]
        background = models.background
        return Market(
            models=models,
            space=space,
            stands=stands,
            indexes={side: _index(stand, space) for side, stand in stands.items()},
            lexical={side: LexicalMarket(stand.words, stand.languages, background) for side, stand in stands.items()},
            around=_crowding_both_ways(offers.vectors, needs.vectors, background),
            title_around=_title_crowding(offers, needs, background),
        )

    def tail(self, listings: Sequence[Listing], embeddings: Sequence[Embedding]) -> Market:
        """A market of later listings, measured by this one: in its space, among its neighbours, by its words.

        Built in milliseconds, so that what was posted is found at once; `answers` takes both.
        """
        stands = _stands(listings, embeddings, self.space, self.models)
        lexical: dict[Side, LexicalMarket | LexicalTail] = {}
        around, title_around = {}, {}
        for side, stand in stands.items():
            own, other = self.lexical[side], self.stands[side.opposite]
            assert isinstance(own, LexicalMarket), "a tail has no tail"
            lexical[side] = LexicalTail(own, stand.words, stand.languages)
            beside = self.models.background.beside(len(other))
            around[side] = _filled(stand.vectors @ other.vectors.T, stand.vectors @ beside.T)
            titled = _filled(stand.titles @ other.titles[other.has_title].T, stand.titles @ beside.T)
            title_around[side] = titled * stand.has_title
        indexes = {side: _index(stand, self.space) for side, stand in stands.items()}
        return Market(self.models, self.space, stands, indexes, lexical, around, title_around)


Chosen = tuple[Stand, Positions, Vectors, Vectors]  # a side, positions in it, crowding by text and by title


def features_of(offers: Chosen, needs: Chosen, shared_words: Vectors) -> NDArray[np.float64]:
    """Features of pairs, shape (pairs, len(FEATURES)); `shared_words` of shape (pairs,)."""
    (left, o, around_o, title_o), (right, n, around_n, title_n) = offers, needs
    similar = np.einsum("ij,ij->i", left.vectors[o], right.vectors[n])
    titles = np.einsum("ij,ij->i", left.titles[o], right.titles[n])
    titled = left.has_title[o] & right.has_title[n]
    agreed = agreement(left.fields[o], right.fields[n])
    known = (left.fields[o].sum(axis=1) > 0) & (right.fields[n].sum(axis=1) > 0)
    columns = {
        "margin": MARGIN_SCALE * csls(similar, around_o[o], around_n[n]),
        "title_margin": MARGIN_SCALE * csls(titles, title_o[o], title_n[n]) * titled,
        "shared_words": shared_words,
        "same_language": ((left.languages[o] == right.languages[n]) & (left.languages[o] != UNKNOWN)).astype(float),
        "field_agreement": (agreed - 0.5) * known,
        "maturity_gap": np.array(
            [maturity_gap(left.listings[i], right.listings[j]) for i, j in zip(o, n, strict=True)]
        ),
    }
    return np.stack([np.asarray(columns[name], np.float64) for name in FEATURES], axis=1)


def crowding_of_one(best: Vectors, size: int, query: Vectors, background: Background) -> Vectors:
    """How crowded it is around one query, shape (dimension,), as an array of shape (1,).

    `best` holds at least its `NEIGHBOURHOOD` best scores on the other side, of `size` listings.
    """
    return _filled(best[None, :], (background.beside(size) @ query)[None, :])


def _crowding_both_ways(offers: Vectors, needs: Vectors, background: Background) -> dict[Side, Vectors]:
    """Mean similarity of each listing to its nearest of the other side, filled up with background passages."""
    of_offers, of_needs = best_scores(offers, needs, NEIGHBOURHOOD), best_scores(needs, offers, NEIGHBOURHOOD)
    return {
        Side.OFFER: _filled(of_offers, offers @ background.beside(len(needs)).T),
        Side.NEED: _filled(of_needs, needs @ background.beside(len(offers)).T),
    }


def _stands(
    listings: Sequence[Listing], embeddings: Sequence[Embedding], space: LanguageSpace, models: Models
) -> dict[Side, Stand]:
    order = sorted(range(len(listings)), key=lambda i: listings[i].id)
    stands = {}
    for side in Side:
        own = [i for i in order if listings[i].side is side]
        stands[side] = Stand([listings[i] for i in own], [embeddings[i] for i in own], space, models)
    return stands


def _filled(scores: Vectors, beside: Vectors) -> Vectors:
    return crowding(np.concatenate([scores, beside], axis=1), NEIGHBOURHOOD)


def _title_crowding(offers: Stand, needs: Stand, background: Background) -> dict[Side, Vectors]:
    """The same for titles; listings without one stand out of it and have 0."""
    left, right = np.flatnonzero(offers.has_title), np.flatnonzero(needs.has_title)
    titled = _crowding_both_ways(offers.titles[left], needs.titles[right], background)
    around = {Side.OFFER: np.zeros(len(offers), np.float32), Side.NEED: np.zeros(len(needs), np.float32)}
    around[Side.OFFER][left] = titled[Side.OFFER]
    around[Side.NEED][right] = titled[Side.NEED]
    return around


def _index(stand: Stand, space: LanguageSpace) -> VectorIndex:
    index = VectorIndex(stand.vectors.shape[1], space.encoder, space.version)
    index.put([one.id for one in stand.listings], stand.vectors)
    return index


def _stack(vectors: list[Kept], models: Models) -> Vectors:
    return (
        np.stack(vectors, dtype=np.float32, casting="safe")
        if vectors
        else np.zeros((0, models.encoder.dimension), np.float32)
    )
