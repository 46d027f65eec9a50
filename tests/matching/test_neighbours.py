from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matching import neighbours
from matching.encoder import Vectors
from matching.neighbours import Nearest, nearest_both_ways


def brute_force(left: Vectors, right: Vectors, k: int) -> list[list[int]]:
    """For each row the k best columns by score, then by position."""
    scores = left @ right.T
    return [sorted(range(len(right)), key=lambda j: (-row[j], j))[:k] for row in scores]


def check(found: Nearest, left: Vectors, right: Vectors, k: int) -> None:
    expected = brute_force(left, right, k)
    assert found.positions.shape == found.scores.shape == (len(left), min(k, len(right)))
    assert found.positions.dtype == np.int64
    assert found.scores.dtype == np.float32
    assert found.positions.tolist() == expected
    if len(left) and len(right):
        np.testing.assert_allclose(found.scores, np.take_along_axis(left @ right.T, found.positions, 1), rtol=1e-5)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 12), st.integers(0, 12), st.integers(1, 14), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_both_ways_equal_brute_force_with_ties_in_any_block(
    rows: int, columns: int, k: int, block: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    left, right = (random.integers(-1, 2, (n, 3)).astype(np.float32) for n in (rows, columns))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "BLOCK", block)
        forth, back = nearest_both_ways(left, right, k)
    check(forth, left, right, k)
    check(back, right, left, k)


def test_vectors_that_are_not_of_unit_length_are_ranked_by_inner_product() -> None:
    random = np.random.default_rng(1)
    left, right = (random.normal(size=(n, 16)).astype(np.float32) * 7 for n in (40, 50))
    forth, back = nearest_both_ways(left, right, 10)
    check(forth, left, right, 10)
    check(back, right, left, 10)


def test_when_all_is_tied_the_lowest_positions_win() -> None:
    forth, back = nearest_both_ways(np.ones((5, 2), np.float32), np.ones((9, 2), np.float32), 4)
    assert forth.positions.tolist() == [[0, 1, 2, 3]] * 5
    assert back.positions.tolist() == [[0, 1, 2, 3]] * 9


def test_the_neighbourhood_is_the_mean_of_the_nearest() -> None:
    random = np.random.default_rng(2)
    left, right = (random.normal(size=(n, 8)).astype(np.float32) for n in (6, 20))
    forth, _ = nearest_both_ways(left, right, 10)
    expected = -np.sort(-(left @ right.T), axis=1)[:, :5].mean(axis=1)
    np.testing.assert_allclose(forth.neighbourhood(5), expected, rtol=1e-5)


def test_beside_an_empty_side_the_neighbourhood_is_zero() -> None:
    forth, back = nearest_both_ways(np.ones((3, 2), np.float32), np.zeros((0, 2), np.float32), 4)
    assert forth.neighbourhood(2).tolist() == [0.0, 0.0, 0.0]
    assert back.neighbourhood(2).shape == (0,)
