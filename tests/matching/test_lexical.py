from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matching.background import Background, nothing
from matching.lexical import FEWEST, K1, B, LexicalIndex, LexicalMarket, LexicalTail, Shared
from matching.ragged import Ragged


def bm25(documents: list[list[int]], query: list[int]) -> list[float]:
    """Lucene's BM25 as its paper writes it, without the constant factor k1 + 1."""
    average = sum(map(len, documents)) / len(documents)
    scores = []
    for document in documents:
        score = 0.0
        for token in query:
            holding = sum(token in other for other in documents)
            frequency = document.count(token)
            if frequency:
                rarity = math.log(1 + (len(documents) - holding + 0.5) / (holding + 0.5))
                score += rarity * frequency / (frequency + K1 * (1 - B + B * len(document) / average))
        scores.append(score)
    return scores


NOTHING = nothing("x", 2)


def market_of(documents: list[list[int]], languages: np.ndarray, background: Background) -> LexicalMarket:
    return LexicalMarket.of(Ragged.of(documents), languages, background)


def dense(shared: Shared, size: int) -> list[float]:
    return shared.at(np.arange(size)).tolist()


TOKENS = st.lists(st.integers(0, 6), max_size=8)


@settings(max_examples=40, deadline=None)
@given(st.lists(TOKENS, min_size=1, max_size=8).filter(any), TOKENS)
def test_scores_are_those_of_the_formula(documents: list[list[int]], query: list[int]) -> None:
    found = LexicalIndex.of(Ragged.of(documents)).scores(query)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, bm25(documents, query), rtol=1e-4, atol=1e-6)


def test_a_repeated_query_word_counts_again() -> None:
    index = LexicalIndex.of(Ragged.of([[1, 2], [2, 3]]))
    assert index.scores([1, 1]).tolist() == pytest.approx([2 * x for x in index.scores([1]).tolist()])


def test_unknown_tokens_and_empty_corpora_score_zero() -> None:
    assert LexicalIndex.of(Ragged.of([[1], [2]])).scores([99]).tolist() == [0.0, 0.0]
    assert LexicalIndex.of(Ragged.of([[1], [2]])).scores([]).tolist() == [0.0, 0.0]
    assert LexicalIndex.of(Ragged.of([[], []])).scores([1]).tolist() == [0.0, 0.0]
    assert LexicalIndex.of(Ragged.of([])).scores([1]).shape == (0,)


def test_words_count_among_texts_of_the_query_s_language_in_standard_deviations() -> None:
    spanish = [[1, 2], [1, 3], [4, 5], [6, 7], [8, 9]]
    languages = np.array(["es"] * 5 + ["pt"])
    shared = dense(market_of([*spanish, [1, 2]], languages, NOTHING).shared([1, 2], "es"), 6)
    alone = LexicalIndex.of(Ragged.of(spanish)).scores([1, 2])
    np.testing.assert_allclose(shared[:5], (alone - alone.mean()) / alone.std(), rtol=1e-4)
    assert shared[5] == 0.0


def test_background_texts_tell_what_is_usual_and_are_not_returned() -> None:
    """Alone two texts tell nothing; beside eight that all hold the word 1, sharing it says little."""
    languages = np.array(["kk", "kk"])
    usual = Background("x", NOTHING.vectors, {"kk": tuple((1, 10 + i) for i in range(8))})
    assert dense(market_of([[1, 2], [1, 3]], languages, NOTHING).shared([1, 2], "kk"), 2) == [0.0, 0.0]
    found = market_of([[1, 2], [1, 3]], languages, usual).shared([1, 2], "kk")
    assert found.positions.tolist() == [0, 1]
    shared = dense(found, 2)
    assert shared[0] > 2.5
    assert abs(shared[1]) < 0.5


def test_too_few_texts_or_an_unknown_language_say_nothing() -> None:
    documents = [[1]] * (FEWEST - 1)
    market = market_of(documents, np.array(["th"] * len(documents)), NOTHING)
    assert not any(dense(market.shared([1], "th"), 4))
    assert not any(dense(market.shared([1], "xx"), 4))
    assert dense(market_of([], np.array([], np.str_), NOTHING).shared([1], "th"), 0) == []


@settings(max_examples=40, deadline=None)
@given(st.lists(TOKENS, min_size=5, max_size=9).filter(any), TOKENS, st.integers(0, 4))
def test_a_document_scored_beside_the_index_scores_as_in_it(
    documents: list[list[int]], query: list[int], chosen: int
) -> None:
    index = LexicalIndex.of(Ragged.of(documents))
    beside = index.scores_of(query, Ragged.of([[], documents[chosen]]))
    assert beside[0] == 0.0
    assert beside[1] == pytest.approx(float(index.scores(query)[chosen]), rel=1e-4)


def test_a_tail_is_measured_by_the_market_it_stands_beside() -> None:
    documents = [[1, 2], [1, 3], [4, 5], [6, 7], [8, 9]]
    market = market_of(documents, np.array(["es"] * 5), NOTHING)
    tail = LexicalTail(market, Ragged.of([[1, 2], [1, 2]]), np.array(["es", "pt"]))
    found = dense(tail.shared([1, 2], "es"), 2)
    assert found[0] == pytest.approx(dense(market.shared([1, 2], "es"), 1)[0], rel=1e-4)
    assert found[1] == 0.0
    assert not any(dense(tail.shared([1, 2], "pt"), 2))


@settings(max_examples=40, deadline=None)
@given(st.lists(TOKENS, min_size=1, max_size=9), st.lists(st.sampled_from(["es", "pt", "und"]), min_size=9, max_size=9))
def test_a_market_taken_apart_into_arrays_comes_together_again(documents: list[list[int]], codes: list[str]) -> None:
    market = market_of(documents, np.array(codes[: len(documents)], "U3"), NOTHING)
    again = LexicalMarket.from_arrays(*market.to_arrays())
    for code in ("es", "pt"):
        assert dense(again.shared([1, 2, 2], code), 9) == dense(market.shared([1, 2, 2], code), 9)


def test_the_best_by_words_are_those_allowed_with_the_highest_scores_ties_by_position() -> None:
    shared = Shared(np.array([2, 4, 6, 8, 9]), np.array([1.0, 3.0, -1.0, 3.0, 3.0], np.float32))
    assert shared.best(2).tolist() == [4, 8]
    assert shared.best(9).tolist() == [4, 8, 9, 2]
    allowed = np.ones(10, np.bool_)
    allowed[4] = False
    assert shared.best(2, allowed).tolist() == [8, 9]
