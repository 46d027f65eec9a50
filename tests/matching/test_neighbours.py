from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matching import neighbours
from matching.encoder import Vectors
from matching.neighbours import Nearest, crowding, nearest_both_ways


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


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 10), st.integers(1, 10), st.integers(1, 6), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_what_is_not_allowed_never_takes_a_place(rows: int, columns: int, k: int, block: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    left, right = (random.integers(-2, 3, (n, 3)).astype(np.float32) for n in (rows, columns))
    mask = random.random((rows, columns)) < 0.5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "BLOCK", block)
        forth, back = nearest_both_ways(left, right, k, lambda rows, columns: mask[rows, columns])
    for found, scores in (
        (forth, np.where(mask, left @ right.T, -np.inf)),
        (back, np.where(mask, left @ right.T, -np.inf).T),
    ):
        for row, own in enumerate(scores):
            allowed = [j for j in sorted(range(len(own)), key=lambda j: (-own[j], j)) if np.isfinite(own[j])][:k]
            assert found.positions[row][np.isfinite(found.scores[row])].tolist() == allowed


def test_crowding_is_the_mean_of_the_best() -> None:
    scores = np.random.default_rng(2).normal(size=(6, 20)).astype(np.float32)
    np.testing.assert_allclose(crowding(scores, 5), -np.sort(-scores, axis=1)[:, :5].mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(crowding(scores, 50), scores.mean(axis=1), rtol=1e-4)


def test_beside_an_empty_side_there_is_no_crowding() -> None:
    assert crowding(np.zeros((3, 0), np.float32), 2).tolist() == [0.0, 0.0, 0.0]
