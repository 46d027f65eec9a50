"""BM25 over the model's own subwords: numbers, formulae, material grades and names that vectors blur.

The tokenizer of the encoder serves every language, so nothing needs a segmenter; a word segmenter for Chinese was
measured to be worse. Scoring is Lucene's BM25 (Robertson and Zaragoza, 2009) through bm25s (Lù, 2024).
"""

from __future__ import annotations

from collections.abc import Sequence

import bm25s
import numpy as np

from matching.encoder import Vectors

K1 = 1.2
B = 0.75


class LexicalIndex:
    """BM25 over documents given as lists of token ids."""

    def __init__(self, documents: Sequence[Sequence[int]]) -> None:
        self._size = len(documents)
        self._index = bm25s.BM25(k1=K1, b=B, method="lucene")
        self._vocabulary: frozenset[str] = frozenset(str(token) for tokens in documents for token in tokens)
        if self._vocabulary:
            self._index.index([[str(token) for token in tokens] for tokens in documents], show_progress=False)

    def scores(self, query: Sequence[int]) -> Vectors:
        """BM25 of every document for one query, float32, shape (documents,). A repeated query token counts once."""
        known = sorted({str(token) for token in query} & self._vocabulary)
        if not known:
            return np.zeros(self._size, np.float32)
        return np.asarray(self._index.get_scores(known), dtype=np.float32)
