from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from matching.lexical import K1, B, LexicalIndex


def bm25(documents: list[list[int]], query: list[int]) -> list[float]:
    """Lucene's BM25 as its paper writes it, without the constant factor k1 + 1."""
    average = sum(map(len, documents)) / len(documents)
    scores = []
    for document in documents:
        score = 0.0
        for token in set(query):
            holding = sum(token in other for other in documents)
            frequency = document.count(token)
            if frequency:
                rarity = math.log(1 + (len(documents) - holding + 0.5) / (holding + 0.5))
                score += rarity * frequency / (frequency + K1 * (1 - B + B * len(document) / average))
        scores.append(score)
    return scores


TOKENS = st.lists(st.integers(0, 6), max_size=8)


@settings(max_examples=40, deadline=None)
@given(st.lists(TOKENS, min_size=1, max_size=8).filter(any), TOKENS)
def test_scores_are_those_of_the_formula(documents: list[list[int]], query: list[int]) -> None:
    found = LexicalIndex(documents).scores(query)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, bm25(documents, query), rtol=1e-4, atol=1e-6)


def test_a_repeated_query_token_counts_once() -> None:
    index = LexicalIndex([[1, 2], [2, 3]])
    assert index.scores([1, 1, 1]).tolist() == index.scores([1]).tolist()


def test_unknown_tokens_and_empty_corpora_score_zero() -> None:
    assert LexicalIndex([[1], [2]]).scores([99]).tolist() == [0.0, 0.0]
    assert LexicalIndex([[1], [2]]).scores([]).tolist() == [0.0, 0.0]
    assert LexicalIndex([[], []]).scores([1]).tolist() == [0.0, 0.0]
    assert LexicalIndex([]).scores([1]).shape == (0,)
