"""BM25 over words: the figures, material grades, model names and terms of art that vectors blur.

Scoring is Lucene's BM25 (Robertson and Zaragoza, 2009), its scores laid down in a sparse matrix when the index is built
(as Lù, 2024, does), with full length normalisation: listings differ in length for reasons that say nothing of what they
are about. Words are compared within a language; what texts in two languages share is mostly what the languages share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from matching.background import Background
from matching.encoder import Vectors
from matching.files import Arrays
from matching.language import UNKNOWN
from matching.ragged import Ragged, Words

K1 = 2.0
B = 1.0
FEWEST = 5  # documents of a language, below which they cannot tell what is usual in it

Positions = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LexicalIndex:
    """BM25 over documents given as lists of word numbers.

    `vocabulary` int32, ascending, has its word w in `documents[starts[w] : starts[w + 1]]` (int32, ascending), with
    what one such word in a query adds to their scores in `weights`, float32.
    """

    size: int
    mean_length: float
    vocabulary: NDArray[np.int32]
    starts: Positions
    documents: NDArray[np.int32]
    weights: Vectors

    @staticmethod
    def of(words: Ragged) -> LexicalIndex:
        """Index documents, each a list of words in any order."""
        lengths = np.diff(words.starts)
        mean = float(lengths.mean()) if len(lengths) else 0.0
        rows = np.repeat(np.arange(len(words), dtype=np.int32), lengths)
        vocabulary, columns = np.unique(words.numbers, return_inverse=True)
        counts = csc_array(
            (np.ones(len(rows), np.float32), (rows, columns)), shape=(len(words), len(vocabulary)), dtype=np.float32
        )
        counts.sum_duplicates()
        norm = (K1 * (1 - B + B * lengths / (mean or 1.0))).astype(np.float32)
        holding = np.diff(counts.indptr)
        weights = np.repeat(_rarity(len(words), holding), holding) * counts.data / (counts.data + norm[counts.indices])
        starts, documents = counts.indptr.astype(np.int64), counts.indices.astype(np.int32)
        return LexicalIndex(len(words), mean, vocabulary, starts, documents, weights.astype(np.float32))

    def scores(self, query: Words) -> Vectors:
        """BM25 of every document for one query, float32, shape (documents,). A repeated query word counts again."""
        result = np.zeros(self.size, np.float32)
        for word, times in self._known(query):
            own = slice(self.starts[word], self.starts[word + 1])
            np.add.at(result, self.documents[own], times * self.weights[own])  # a third of the time of +=
        return result

    def scores_of(self, query: Words, documents: Ragged) -> Vectors:
        """What `scores` would give documents that are not in the index, by the statistics of those that are."""
        known = self._known(query)
        asked = self.vocabulary[[place for place, _ in known]]
        result = np.zeros(len(documents), np.float32)
        if not known or not len(documents.numbers):
            return result
        rows = np.repeat(np.arange(len(documents)), np.diff(documents.starts))
        places = np.minimum(np.searchsorted(asked, documents.numbers), len(asked) - 1)
        met = asked[places] == documents.numbers
        held = np.zeros((len(documents), len(asked)), np.float32)
        np.add.at(held, (rows[met], places[met]), 1.0)
        norm = K1 * (1 - B + B * np.diff(documents.starts) / (self.mean_length or 1.0)).astype(np.float32)
        rarity = [times * _rarity(self.size, self.starts[place + 1] - self.starts[place]) for place, times in known]
        shares = np.divide(held, held + norm[:, None], out=np.zeros_like(held), where=held > 0)
        return np.asarray(shares @ np.array(rarity, np.float32), np.float32)

    def _known(self, query: Words) -> list[tuple[int, int]]:
        """The query's words that the index has, by place in the vocabulary, and how often each comes."""
        words, times = np.unique(np.asarray(query, np.int32), return_counts=True)
        places = np.searchsorted(self.vocabulary, words)
        return [(int(p), int(t)) for p, t, w in zip(places, times, words, strict=True) if self._is_at(int(p), int(w))]

    def _is_at(self, place: int, word: int) -> bool:
        return place < len(self.vocabulary) and int(self.vocabulary[place]) == word


def _rarity(size: int, holding: NDArray[np.int64] | np.int64) -> Vectors:
    return np.asarray(np.log1p((size - holding + 0.5) / (holding + 0.5)), np.float32)


@dataclass(frozen=True, eq=False)
class Shared:
    """How much the documents at `positions`, ascending, share with a query: `scores`, float32, both (documents,).

    In standard deviations above the mean of the texts in the query's language. All other documents have 0.
    """

    positions: Positions
    scores: Vectors

    def at(self, positions: Positions) -> Vectors:
        """Scores of the documents at these positions, shape as given."""
        result = np.zeros(positions.shape, np.float32)
        if len(self.positions):
            places = np.minimum(np.searchsorted(self.positions, positions), len(self.positions) - 1)
            known = self.positions[places] == positions
            result[known] = self.scores[places[known]]
        return result

    def best(self, depth: int, allowed: NDArray[np.bool_] | None = None) -> Positions:
        """Positions of the `depth` best above 0 that are `allowed`, by score, then by position."""
        above = np.flatnonzero(self.scores > 0)
        if allowed is not None:
            above = above[allowed[self.positions[above]]]
        if len(above) > depth:
            least = -np.partition(-self.scores[above], depth - 1)[depth - 1]
            above = above[self.scores[above] >= least]
        order = np.argsort(-self.scores[above], kind="stable")[:depth]
        return np.asarray(self.positions[above[order]], np.int64)


NOTHING = Shared(np.zeros(0, np.int64), np.zeros(0, np.float32))


class LexicalMarket:
    """One index a language over one side of a market, filled up with background documents of that language.

    The background says which words are common and how much two texts share by chance, where a market has few texts in
    a language; its documents are never returned.
    """

    def __init__(self, indexes: Mapping[str, LexicalIndex], positions: Mapping[str, Positions]) -> None:
        self._indexes = indexes
        self._positions = positions

    @staticmethod
    def of(words: Ragged, languages: NDArray[np.str_], background: Background) -> LexicalMarket:
        """Index the words of one side's listings, whose detected languages are given; shape (documents,)."""
        known = [str(code) for code in np.unique(languages) if code != UNKNOWN]
        positions = {code: np.flatnonzero(languages == code) for code in known}
        indexes = {}
        for code, own in positions.items():
            beside = Ragged.of(background.words_beside(code, len(own)))
            indexes[code] = LexicalIndex.of(Ragged.joined([words.taken(own), beside]))
        return LexicalMarket(indexes, positions)

    def shared(self, query: Words, language: str) -> Shared:
        """What each document shares with a query; none where fewer than `FEWEST` texts, or equal scores, tell not."""
        if language not in self._indexes:
            return NOTHING
        scores, mean, spread = self._usual(query, language)
        if spread <= 0:
            return NOTHING
        own = self._positions[language]
        return Shared(own, (scores[: len(own)] - np.float32(mean)) / np.float32(spread))

    def shared_with(self, query: Words, language: str, documents: Ragged, languages: NDArray[np.str_]) -> Shared:
        """`shared` of documents that are not in the market, by what is usual in it."""
        own = np.flatnonzero(languages == language)
        if language not in self._indexes or not len(own):
            return NOTHING
        _, mean, spread = self._usual(query, language)
        if spread <= 0:
            return NOTHING
        scores = self._indexes[language].scores_of(query, documents.taken(own))
        return Shared(own, (scores - np.float32(mean)) / np.float32(spread))

    def to_arrays(self) -> tuple[list[list[object]], Arrays]:
        """What `from_arrays` reads: of each language its code, size and mean length, and all arrays in a row."""
        codes = sorted(self._indexes)
        head: list[list[object]] = [[c, self._indexes[c].size, self._indexes[c].mean_length] for c in codes]
        arrays: Arrays = {
            name: _in_a_row([getattr(self._indexes[code], name) for code in codes], kind)
            for name, kind in PARTS.items()
        }
        arrays["positions"] = _in_a_row([self._positions[code] for code in codes], np.int64)
        lengths = [[len(getattr(self._indexes[c], name)) for name in PARTS] + [len(self._positions[c])] for c in codes]
        arrays["lengths"] = np.array(lengths, np.int64).reshape(len(codes), len(PARTS) + 1)
        return head, arrays

    @staticmethod
    def from_arrays(head: Sequence[Sequence[object]], arrays: Arrays) -> LexicalMarket:
        """Read what `to_arrays` gave; memory-mapped arrays stay so."""
        names = [*PARTS, "positions"]
        ends = np.cumsum(arrays["lengths"], axis=0)
        indexes, positions = {}, {}
        for row, (code, size, mean_length) in enumerate(head):
            own = {
                name: arrays[name][ends[row, at] - arrays["lengths"][row, at] : ends[row, at]]
                for at, name in enumerate(names)
            }
            positions[str(code)] = own.pop("positions")
            indexes[str(code)] = LexicalIndex(int(str(size)), float(str(mean_length)), **own)
        return LexicalMarket(indexes, positions)

    def _usual(self, query: Words, language: str) -> tuple[Vectors, float, float]:
        """The scores of all texts in a language, background included, their mean and their spread (0: cannot tell)."""
        scores = self._indexes[language].scores(query)
        spread = float(scores.std())
        return scores, float(scores.mean()), spread if len(scores) >= FEWEST and spread > 1e-3 else 0.0


PARTS = {"vocabulary": np.int32, "starts": np.int64, "documents": np.int32, "weights": np.float32}


def _in_a_row(parts: list[NDArray], kind: type) -> NDArray:  # type: ignore[type-arg]
    return np.concatenate(parts) if parts else np.zeros(0, kind)


class LexicalTail:
    """Later documents beside a market whose statistics they are measured by; the same interface."""

    def __init__(self, market: LexicalMarket, documents: Ragged, languages: NDArray[np.str_]) -> None:
        self._market = market
        self._documents = documents
        self._languages = languages

    def shared(self, query: Words, language: str) -> Shared:
        """As `LexicalMarket.shared`; nothing too in a language that the market has no texts in."""
        return self._market.shared_with(query, language, self._documents, self._languages)
