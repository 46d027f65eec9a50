"""BM25 over words: the figures, material grades, model names and terms of art that vectors blur.

Scoring is Lucene's BM25 (Robertson and Zaragoza, 2009) through bm25s (Lù, 2024), with full length normalisation:
listings differ in length for reasons that say nothing of what they are about. Words are compared within a language;
what texts in two languages share is mostly what the languages share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import bm25s
import numpy as np
from numpy.typing import NDArray

from matching.background import Background
from matching.encoder import Vectors
from matching.language import UNKNOWN

K1 = 2.0
B = 1.0
FEWEST = 5  # documents of a language, below which they cannot tell what is usual in it

Words = Sequence[int]


class LexicalIndex:
    """BM25 over documents given as lists of word numbers."""

    def __init__(self, documents: Sequence[Words]) -> None:
        self._size = len(documents)
        self._mean_length = sum(map(len, documents)) / max(1, len(documents))
        self._holding = Counter(word for words in documents for word in set(words))
        self._index = bm25s.BM25(k1=K1, b=B, method="lucene")
        if self._holding:
            names = {word: str(word) for word in self._holding}  # one string for a word, however often it comes
            self._index.index([[names[word] for word in words] for words in documents], show_progress=False)

    def scores(self, query: Words) -> Vectors:
        """BM25 of every document for one query, float32, shape (documents,). A repeated query word counts again."""
        known = [str(word) for word in query if word in self._holding]
        if not known:
            return np.zeros(self._size, np.float32)
        return np.asarray(self._index.get_scores(known), dtype=np.float32)

    def score_of(self, query: Words, document: Words) -> float:
        """What `scores` would give a document that is not in the index, by the statistics of those that are."""
        counts, norm = Counter(document), K1 * (1 - B + B * len(document) / (self._mean_length or 1.0))
        return sum(self._rarity(word) * counts[word] / (counts[word] + norm) for word in query if word in counts)

    def _rarity(self, word: int) -> float:
        holding = self._holding[word]
        return float(np.log1p((self._size - holding + 0.5) / (holding + 0.5)))


class LexicalMarket:
    """One index a language over one side of a market, filled up with background documents of that language.

    The background says which words are common and how much two texts share by chance, where a market has few texts in
    a language; its documents are never returned.
    """

    def __init__(self, documents: Sequence[Words], languages: NDArray[np.str_], background: Background) -> None:
        self._size = len(documents)
        known = [str(code) for code in np.unique(languages) if code != UNKNOWN]
        self._positions = {code: np.flatnonzero(languages == code) for code in known}
        self._indexes = {
            code: LexicalIndex([*(documents[int(i)] for i in own), *background.words_beside(code, len(own))])
            for code, own in self._positions.items()
        }

    def shared(self, query: Words, language: str) -> Vectors:
        """BM25 in standard deviations above the mean of the texts in the query's language; shape (documents,).

        0 for documents in another or an unknown language, and where fewer than `FEWEST` texts, or equal scores,
        cannot tell.
        """
        result = np.zeros(self._size, np.float32)
        if language in self._indexes:
            own = self._positions[language]
            scores, mean, spread = self._usual(query, language)
            if spread > 0:
                result[own] = ((scores - mean) / spread)[: len(own)]
        return result

    def shared_with(self, query: Words, language: str, documents: Sequence[Words], languages: Sequence[str]) -> Vectors:
        """`shared` of documents that are not in the market, by what is usual in it; shape (documents,)."""
        result = np.zeros(len(documents), np.float32)
        if language in self._indexes:
            _, mean, spread = self._usual(query, language)
            for i, words in enumerate(documents):
                if spread > 0 and languages[i] == language:
                    result[i] = (self._indexes[language].score_of(query, words) - mean) / spread
        return result

    def _usual(self, query: Words, language: str) -> tuple[Vectors, float, float]:
        """The scores of all texts in a language, background included, their mean and their spread (0: cannot tell)."""
        scores = self._indexes[language].scores(query)
        spread = float(scores.std())
        return scores, float(scores.mean()), spread if len(scores) >= FEWEST and spread > 1e-3 else 0.0


class LexicalTail:
    """Later documents beside a market whose statistics they are measured by; the same interface."""

    def __init__(self, market: LexicalMarket, documents: Sequence[Words], languages: NDArray[np.str_]) -> None:
        self._market = market
        self._documents = documents
        self._languages = languages.tolist()

    def shared(self, query: Words, language: str) -> Vectors:
        """As `LexicalMarket.shared`; 0 too in a language that the market has no texts in."""
        return self._market.shared_with(query, language, self._documents, self._languages)
