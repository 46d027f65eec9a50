"""BM25 over words: the figures, material grades, model names and terms of art that vectors blur.

Scoring is Lucene's BM25 (Robertson and Zaragoza, 2009) through bm25s (Lù, 2024), with full length normalisation:
listings differ in length for reasons that say nothing of what they are about. Words are compared within a language;
what texts in two languages share is mostly what the languages share.
"""

from __future__ import annotations

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
        self._index = bm25s.BM25(k1=K1, b=B, method="lucene")
        self._vocabulary = frozenset(str(word) for words in documents for word in words)
        if self._vocabulary:
            self._index.index([[str(word) for word in words] for words in documents], show_progress=False)

    def scores(self, query: Words) -> Vectors:
        """BM25 of every document for one query, float32, shape (documents,). A repeated query word counts again."""
        known = [token for token in map(str, query) if token in self._vocabulary]
        if not known:
            return np.zeros(self._size, np.float32)
        return np.asarray(self._index.get_scores(known), dtype=np.float32)


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
            scores = self._indexes[language].scores(query)
            spread = float(scores.std())
            if len(scores) >= FEWEST and spread > 1e-3:
                result[own] = ((scores - scores.mean()) / spread)[: len(own)]
        return result
