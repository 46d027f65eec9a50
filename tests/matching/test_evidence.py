from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from matching.evidence import LEAST_SIMILARITY, MOST, Evidence, align


def test_the_best_sentences_come_first_and_each_once() -> None:
    similarities = np.array([[0.9, 0.8, 0.1], [0.7, 0.2, 0.1], [0.85, 0.3, 0.16]], np.float32)
    assert align(["o0", "o1", "o2"], ["n0", "n1", "n2"], similarities) == (
        Evidence("o0", "n0", 0.9),
        Evidence("o2", "n1", 0.3),
    )


def test_nothing_similar_is_no_evidence() -> None:
    assert align(["a", "b"], ["c"], np.full((2, 1), LEAST_SIMILARITY - 0.01, np.float32)) == ()
    assert align([], [], np.zeros((0, 0), np.float32)) == ()


def test_ties_go_to_the_earlier_sentence() -> None:
    found = align(["o0", "o1"], ["n0", "n1"], np.full((2, 2), 0.5, np.float32))
    assert [(one.offer, one.need) for one in found] == [("o0", "n0"), ("o1", "n1")]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_the_alignment_is_the_greedy_one(rows: int, columns: int, seed: int) -> None:
    similarities = np.random.default_rng(seed).uniform(-1, 1, (rows, columns)).astype(np.float32)
    expected = []
    left = similarities.copy()
    while len(expected) < min(MOST, rows, columns) and left.max() >= LEAST_SIMILARITY:
        i, j = np.unravel_index(left.argmax(), left.shape)
        expected.append((str(i), str(j), float(similarities[i, j])))
        left[i, :] = left[:, j] = -2
    found = align([str(i) for i in range(rows)], [str(j) for j in range(columns)], similarities)
    assert [(one.offer, one.need) for one in found] == [(i, j) for i, j, _ in expected]
    np.testing.assert_allclose([one.similarity for one in found], [s for *_, s in expected], atol=5e-5)
