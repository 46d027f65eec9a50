"""Both sides of the market, ready to be compared: one language space, neighbourhoods, lexical and dense indexes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matching.dense import VectorIndex
from matching.embedding import Embedding
from matching.encoder import Vectors
from matching.evidence import Evidence, align
from matching.fields import agreement, with_stated
from matching.lexical import LexicalIndex
from matching.listing import FIELDS, Listing, Side
from matching.models import Models
from matching.neighbours import Nearest, nearest_both_ways
from matching.scoring import FEATURES, csls, standardised
from matching.space import LanguageSpace, fit
from matching.terms import MISSION, Direction, direction, maturity_gap, veto

NEIGHBOURHOOD = 10  # CSLS's k
DENSE_DEPTH = 100  # nearest by meaning that are scored, at least
MARGIN_SCALE = 10.0

Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pairing:
    """An offer and a need, how probable it is that a manager would introduce them, and why.

    `parts` are log-odds that add up to those of `probability`. A rank is None where it was not computed.
    """

    offer: str
    need: str
    rank_for_need: int | None
    rank_for_offer: int | None
    probability: float
    parts: dict[str, float]
    evidence: tuple[Evidence, ...]
    direction: Direction | None

    def to_record(self) -> dict[str, Any]:
        """The line of `docs/formats.md`."""
        return {
            "offer": self.offer,
            "need": self.need,
            "rank_for_need": self.rank_for_need,
            "rank_for_offer": self.rank_for_offer,
            "probability": self.probability,
            "parts": self.parts,
            "evidence": [{"offer": e.offer, "need": e.need, "similarity": e.similarity} for e in self.evidence],
            "direction": str(self.direction) if self.direction is not None else None,
        }


class Stand:
    """One side of the market in the language space; everything is aligned by position."""

    def __init__(
        self, listings: Sequence[Listing], embeddings: Sequence[Embedding], space: LanguageSpace, models: Models
    ) -> None:
        self.listings = tuple(listings)
        self.languages = np.array([one.language for one in embeddings], dtype=np.str_)
        self.tokens = [one.tokens for one in embeddings]
        self.vectors = space.apply(_stack([one.vector for one in embeddings], models), self.languages.tolist())
        titles = _stack([one.title_vector for one in embeddings], models)
        self.has_title = np.linalg.norm(titles, axis=1) > 0
        self.titles = space.apply(titles, self.languages.tolist()) * self.has_title[:, None]
        self.passages = [one.passages for one in embeddings]
        self.passage_vectors = [
            space.apply(one.passage_vectors, [one.language] * len(one.passages)) for one in embeddings
        ]
        self.fields = self._fields(models)

    def __len__(self) -> int:
        return len(self.listings)

    def _fields(self, models: Models) -> Vectors:
        known = models.fields
        guessed = known.probabilities(self.vectors) if known else np.zeros((len(self), len(FIELDS)), np.float32)
        return with_stated(guessed, [one.fields for one in self.listings])


@dataclass(frozen=True)
class Market:
    """Offers and needs in one space, with what the score of any pair refers to."""

    models: Models
    space: LanguageSpace
    stands: dict[Side, Stand]
    indexes: dict[Side, VectorIndex]
    lexical: dict[Side, LexicalIndex]
    nearest: dict[Side, Nearest]  # offers' nearest needs, needs' nearest offers
    around: dict[Side, Vectors]
    title_around: dict[Side, Vectors]

    @staticmethod
    def build(
        listings: Sequence[Listing],
        embeddings: Sequence[Embedding],
        models: Models,
        space: LanguageSpace | None = None,
        depth: int = DENSE_DEPTH,
    ) -> Market:
        """Prepare both sides. Without `space` it is fitted to these listings and the shipped prior.

        `depth` is how many nearest of the other side are kept for each listing. Positions follow the ids' order.
        """
        order = sorted(range(len(listings)), key=lambda i: listings[i].id)
        if space is None:
            vectors = _stack([embeddings[i].vector for i in order], models)
            space = fit(vectors, [embeddings[i].language for i in order], models.encoder.name, models.prior)
        stands = {}
        for side in Side:
            own = [i for i in order if listings[i].side is side]
            stands[side] = Stand([listings[i] for i in own], [embeddings[i] for i in own], space, models)
        offers, needs = stands[Side.OFFER], stands[Side.NEED]
        of_offers, of_needs = nearest_both_ways(offers.vectors, needs.vectors, max(depth, NEIGHBOURHOOD))
        return Market(
            models=models,
            space=space,
            stands=stands,
            indexes={side: _index(stand, space) for side, stand in stands.items()},
            lexical={side: LexicalIndex(stand.tokens) for side, stand in stands.items()},
            nearest={Side.OFFER: of_offers, Side.NEED: of_needs},
            around={
                Side.OFFER: of_offers.neighbourhood(NEIGHBOURHOOD),
                Side.NEED: of_needs.neighbourhood(NEIGHBOURHOOD),
            },
            title_around=_title_neighbourhoods(offers, needs),
        )

    def rank(
        self, listing: Listing, embedding: Embedding, limit: int = 10, directions: Collection[Direction] = MISSION
    ) -> list[Pairing]:
        """The best of the other side for one listing, which need not be in the market. Vetoed ones are left out."""
        other = self.stands[listing.side.opposite]
        query = Stand([listing], [embedding], self.space, self.models)
        if not len(other):
            return []
        hits = self.indexes[listing.side.opposite].search(query.vectors, max(DENSE_DEPTH, 2 * limit))[0]
        place = {one.id: position for position, one in enumerate(other.listings)}
        scores = self.lexical[listing.side.opposite].scores(embedding.tokens)
        best = np.argsort(-scores, kind="stable")[:limit]
        found = {place[name] for name, _ in hits} | set(best[scores[best] > 0].tolist()) - {place.get(listing.id, -1)}
        chosen = np.array(sorted(found), np.int64)
        features = self._features_of_one(query, other, chosen, scores, hits)
        probabilities = self.models.fusion.probabilities(features)
        ranked = sorted(range(len(chosen)), key=lambda i: (-probabilities[i], other.listings[chosen[i]].id))
        pairings: list[Pairing] = []
        for i in ranked:
            sides = {listing.side: (query, 0), listing.side.opposite: (other, int(chosen[i]))}
            (offers, o), (needs, n) = sides[Side.OFFER], sides[Side.NEED]
            if len(pairings) < limit and veto(offers.listings[o], needs.listings[n], directions) is None:
                ranks = (None, len(pairings) + 1) if listing.side is Side.OFFER else (len(pairings) + 1, None)
                pairings.append(pairing(self.models, offers, o, needs, n, features[i], ranks))
        return pairings

    def _features_of_one(
        self, query: Stand, other: Stand, chosen: Positions, scores: Vectors, hits: list[tuple[str, float]]
    ) -> NDArray[np.float64]:
        side = query.listings[0].side
        near = np.array([score for _, score in hits[:NEIGHBOURHOOD]], np.float32)
        title_scores = (query.titles @ other.titles.T)[0]
        around = (np.full(1, near.mean(), np.float32), np.full(1, _top_mean(title_scores), np.float32))
        own = np.zeros(len(chosen), np.int64)
        lexical = standardised(scores, other.languages, query.languages[0])
        ours = (query, own, around[0], around[1])
        theirs = (other, chosen, self.around[side.opposite], self.title_around[side.opposite])
        offers, needs = (ours, theirs) if side is Side.OFFER else (theirs, ours)
        return features_of(offers, needs, (lexical[0][chosen], lexical[1][chosen]))


Chosen = tuple[Stand, Positions, Vectors, Vectors]  # a side, positions in it, its neighbourhoods by text and by title


def features_of(offers: Chosen, needs: Chosen, lexical: tuple[Vectors, Vectors]) -> NDArray[np.float64]:
    """Features of pairs, shape (pairs, len(FEATURES)); `lexical` within and across languages, shape (pairs,) each."""
    (left, o, around_o, title_o), (right, n, around_n, title_n) = offers, needs
    similar = np.einsum("ij,ij->i", left.vectors[o], right.vectors[n])
    titles = np.einsum("ij,ij->i", left.titles[o], right.titles[n])
    titled = left.has_title[o] & right.has_title[n]
    agreed = agreement(left.fields[o], right.fields[n])
    known = (left.fields[o].sum(axis=1) > 0) & (right.fields[n].sum(axis=1) > 0)
    columns = {
        "margin": MARGIN_SCALE * csls(similar, around_o[o], around_n[n]),
        "title_margin": MARGIN_SCALE * csls(titles, title_o[o], title_n[n]) * titled,
        "shared_words": lexical[0],
        "shared_marks": lexical[1],
        "same_language": (left.languages[o] == right.languages[n]).astype(float),
        "field_agreement": (agreed - 0.5) * known,
        "maturity_gap": np.array(
            [maturity_gap(left.listings[i], right.listings[j]) for i, j in zip(o, n, strict=True)]
        ),
    }
    return np.stack([np.asarray(columns[name], np.float64) for name in FEATURES], axis=1)


def pairing(
    models: Models,
    offers: Stand,
    o: int,
    needs: Stand,
    n: int,
    features: NDArray[np.float64],
    ranks: tuple[int | None, int | None],
) -> Pairing:
    """Make a Pairing of one scored pair, with its evidence; `ranks` for the need and for the offer."""
    similarities = offers.passage_vectors[o] @ needs.passage_vectors[n].T
    return Pairing(
        offer=offers.listings[o].id,
        need=needs.listings[n].id,
        rank_for_need=ranks[0],
        rank_for_offer=ranks[1],
        probability=float(f"{models.fusion.probabilities(features[None, :])[0]:.6g}"),
        parts=models.fusion.parts(features),
        evidence=align(offers.passages[o], needs.passages[n], similarities),
        direction=direction(offers.listings[o], needs.listings[n]),
    )


def _index(stand: Stand, space: LanguageSpace) -> VectorIndex:
    index = VectorIndex(stand.vectors.shape[1], space.encoder, space.version)
    index.put([one.id for one in stand.listings], stand.vectors)
    return index


def _stack(vectors: list[Vectors], models: Models) -> Vectors:
    return np.stack(vectors) if vectors else np.zeros((0, models.encoder.dimension), np.float32)


def _title_neighbourhoods(offers: Stand, needs: Stand) -> dict[Side, Vectors]:
    """Mean similarity of each title to its nearest titles of the other side; those without a title stand out of it."""
    left, right = np.flatnonzero(offers.has_title), np.flatnonzero(needs.has_title)
    of_offers, of_needs = nearest_both_ways(offers.titles[left], needs.titles[right], NEIGHBOURHOOD)
    around = {Side.OFFER: np.zeros(len(offers), np.float32), Side.NEED: np.zeros(len(needs), np.float32)}
    around[Side.OFFER][left] = of_offers.neighbourhood(NEIGHBOURHOOD)
    around[Side.NEED][right] = of_needs.neighbourhood(NEIGHBOURHOOD)
    return around


def _top_mean(scores: Vectors) -> float:
    return float(np.sort(scores)[-NEIGHBOURHOOD:].mean()) if len(scores) else 0.0
