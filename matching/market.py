"""Both sides of the market, ready to be compared: one language space, neighbourhoods, lexical and dense indexes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matching.background import Background
from matching.embedding import Embedding, Kept
from matching.encoder import Vectors
from matching.fields import agreement
from matching.language import UNKNOWN
from matching.lexical import LexicalMarket, LexicalTail
from matching.listing import Listing, Side
from matching.models import Models
from matching.neighbours import crowding, nearest_both_ways
from matching.scoring import FEATURES, csls
from matching.space import LanguageSpace, fit
from matching.stand import Positions, Stand, Texts, stacked
from matching.store import LocalStore, VectorStore, store_of
from matching.terms import maturity_gap

NEIGHBOURHOOD = 10  # CSLS's k
MARGIN_SCALE = 10.0
BLOCK = 65_536  # rows compared with the background at a time
PAIRS = 2_048  # whose vectors are gathered at a time


@dataclass(frozen=True)
class Market:
    """Offers and needs in one space, with what the score of any pair refers to.

    `around` says how crowded it is around each offer among the needs, and the reverse, `title_around` the same by
    titles; float32, shape (listings,). `stores` and `title_stores` find vectors by position.
    """

    models: Models
    space: LanguageSpace
    stands: Mapping[Side, Stand]
    stores: Mapping[Side, VectorStore]
    title_stores: Mapping[Side, VectorStore]
    lexical: Mapping[Side, LexicalMarket | LexicalTail]
    around: Mapping[Side, Vectors]
    title_around: Mapping[Side, Vectors]

    @staticmethod
    def build(
        listings: Sequence[Listing],
        embeddings: Sequence[Embedding],
        models: Models,
        space: LanguageSpace | None = None,
    ) -> Market:
        """Prepare both sides. Without `space` it is fitted to these listings and the shipped prior."""
        order = sorted(range(len(listings)), key=lambda i: listings[i].id.encode())
        listings, embeddings = [listings[i] for i in order], [embeddings[i] for i in order]
        if space is None:
            vectors = stacked([one.vector for one in embeddings], models)
            space = fit(vectors, [one.language for one in embeddings], models.encoder.name, models.prior)
        return Market.of(stands_of(listings, embeddings, space, models), models)

    @staticmethod
    def of(stands: Mapping[Side, Stand], models: Models) -> Market:
        """Prepare two sides in one space."""
        offers, needs, background = stands[Side.OFFER], stands[Side.NEED], models.background
        return Market(
            models=models,
            space=offers.space,
            stands=stands,
            stores={side: store_of(stand.vectors) for side, stand in stands.items()},
            title_stores={side: store_of(stand.titles) for side, stand in stands.items()},
            lexical={side: LexicalMarket.of(one.words, one.languages, background) for side, one in stands.items()},
            around=_crowding_both_ways(offers.vectors, needs.vectors, background),
            title_around=_title_crowding(offers, needs, background),
        )

    def tail(self, stands: Mapping[Side, Stand]) -> Market:
        """A market of later listings, measured by this one: in its space, among its neighbours, by its words.

        Built in milliseconds, so that what was posted is found at once; `answers` takes both.
        """
        around = {side: self.crowding(stand) for side, stand in stands.items()}
        return self._beside(stands, around, {side: self.title_crowding(stand) for side, stand in stands.items()})

    def _beside(
        self, stands: Mapping[Side, Stand], around: Mapping[Side, Vectors], title_around: Mapping[Side, Vectors]
    ) -> Market:
        lexical: dict[Side, LexicalMarket | LexicalTail] = {}
        for side, stand in stands.items():
            own = self.lexical[side]
            assert isinstance(own, LexicalMarket), "a tail has no tail"
            lexical[side] = LexicalTail(own, stand.words, stand.languages)
        return Market(
            models=self.models,
            space=self.space,
            stands=stands,
            stores={side: LocalStore(stand.vectors) for side, stand in stands.items()},
            title_stores={side: LocalStore(stand.titles) for side, stand in stands.items()},
            lexical=lexical,
            around=around,
            title_around=title_around,
        )

    def grown(self, tail: Market | None, gone: Collection[str], stands: Mapping[Side, Stand], texts: Texts) -> Market:
        """A tail of this market without what is gone and with later listings; what stays is not measured again."""
        new = self.tail(stands)
        if tail is None:
            return new
        joined, around, titled = dict(new.stands), dict(new.around), dict(new.title_around)
        for side, stand in tail.stands.items():
            stays = np.setdiff1d(np.arange(len(stand)), stand.find(sorted(gone)))
            whole = Stand.joined([stand.taken(stays), new.stands[side]], texts)
            order = np.argsort(whole.ids, kind="stable")
            joined[side] = whole.taken(order)
            around[side] = np.concatenate([tail.around[side][stays], new.around[side]])[order]
            titled[side] = np.concatenate([tail.title_around[side][stays], new.title_around[side]])[order]
        return self._beside(joined, around, titled)

    def crowding(self, stand: Stand, best: Vectors | None = None) -> Vectors:
        """How crowded it is around listings that need not be in the market, among its other side; (listings,).

        `best`: their highest scores there, best first, where they are known; shape (listings, k).
        """
        other, near = self.stands[stand.side.opposite], self.stores[stand.side.opposite]
        k = min(NEIGHBOURHOOD, len(other))
        found = _best(near, stand.vectors, k, None) if best is None else best[:, :k]
        return _filled(found, stand.vectors, self.models.background.beside(len(other)))

    def title_crowding(self, stand: Stand) -> Vectors:
        """The same by titles; 0 for listings without one."""
        other, result = self.stands[stand.side.opposite], np.zeros(len(stand), np.float32)
        own, titled = np.flatnonzero(stand.has_title), int(np.count_nonzero(other.has_title))
        if len(own):
            queries = stand.titles[own]
            near = self.title_stores[stand.side.opposite]
            best = _best(near, queries, min(NEIGHBOURHOOD, titled), other.has_title)
            result[own] = _filled(best, queries, self.models.background.beside(titled))
        return result


def stands_of(
    listings: Sequence[Listing], embeddings: Sequence[Embedding], space: LanguageSpace, models: Models
) -> dict[Side, Stand]:
    """Both sides of listings in the order of their ids."""
    stands = {}
    for side in Side:
        own = [i for i, one in enumerate(listings) if one.side is side]
        stands[side] = Stand.of(side, [listings[i] for i in own], [embeddings[i] for i in own], space, models)
    return stands


Chosen = tuple[Stand, Positions, Vectors, Vectors]  # a side, positions in it, crowding by text and by title


def features_of(offers: Chosen, needs: Chosen, shared_words: Vectors) -> NDArray[np.float64]:
    """Features of pairs, shape (pairs, len(FEATURES)); `shared_words` of shape (pairs,)."""
    (left, o, around_o, title_o), (right, n, around_n, title_n) = offers, needs
    similar, titles = _products(left.vectors, o, right.vectors, n), _products(left.titles, o, right.titles, n)
    titled = left.has_title[o] & right.has_title[n]
    agreed = agreement(left.fields[o], right.fields[n])
    known = (left.fields[o].sum(axis=1) > 0) & (right.fields[n].sum(axis=1) > 0)
    columns = {
        "margin": MARGIN_SCALE * csls(similar, around_o[o], around_n[n]),
        "title_margin": MARGIN_SCALE * csls(titles, title_o[o], title_n[n]) * titled,
        "shared_words": shared_words,
        "same_language": ((left.languages[o] == right.languages[n]) & (left.languages[o] != UNKNOWN)).astype(float),
        "field_agreement": (agreed - 0.5) * known,
        "maturity_gap": maturity_gap(left.conditions, o, right.conditions, n),
    }
    return np.stack([np.asarray(columns[name], np.float64) for name in FEATURES], axis=1)


def _products(left: Kept, o: Positions, right: Kept, n: Positions) -> Vectors:
    """Inner products of rows, paired, in float32, in blocks that stay in the processor's cache."""
    result = np.empty(len(o), np.float32)
    for start in range(0, len(o), PAIRS):
        own = slice(start, start + PAIRS)
        np.einsum("ij,ij->i", left[o[own]].astype(np.float32), right[n[own]].astype(np.float32), out=result[own])
    return result


def _crowding_both_ways(offers: Kept, needs: Kept, background: Background) -> dict[Side, Vectors]:
    """Mean similarity of each listing to its nearest of the other side, filled up with background passages."""
    of_offers, of_needs = nearest_both_ways(offers, needs, NEIGHBOURHOOD)
    return {
        Side.OFFER: _filled(of_offers.scores, offers, background.beside(len(needs))),
        Side.NEED: _filled(of_needs.scores, needs, background.beside(len(offers))),
    }


def _best(near: VectorStore, queries: Kept, k: int, among: NDArray[np.bool_] | None) -> Vectors:
    """The k best scores of each query, shape (queries, k)."""
    if k < 1 or not len(queries):
        return np.zeros((len(queries), 0), np.float32)
    return near.search(queries.astype(np.float32), k, among).scores


def _filled(best: Vectors, vectors: Kept, beside: Vectors) -> Vectors:
    """Crowding of rows whose best scores are given, among the background's vectors too, in blocks."""
    if not len(beside):
        return crowding(best, NEIGHBOURHOOD)
    parts = [
        crowding(np.concatenate([best[own], vectors[own].astype(np.float32) @ beside.T], axis=1), NEIGHBOURHOOD)
        for own in (slice(start, start + BLOCK) for start in range(0, len(vectors), BLOCK))
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _title_crowding(offers: Stand, needs: Stand, background: Background) -> dict[Side, Vectors]:
    """The same for titles; listings without one stand out of it and have 0."""
    left, right = np.flatnonzero(offers.has_title), np.flatnonzero(needs.has_title)
    titled = _crowding_both_ways(offers.titles[left], needs.titles[right], background)
    around = {Side.OFFER: np.zeros(len(offers), np.float32), Side.NEED: np.zeros(len(needs), np.float32)}
    around[Side.OFFER][left] = titled[Side.OFFER]
    around[Side.NEED][right] = titled[Side.NEED]
    return around
