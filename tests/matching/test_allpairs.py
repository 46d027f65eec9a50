from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from matching import allpairs, coarse, gathered, neighbours
from matching.encoder import Vectors
from matching.neighbours import Nearest, nearest_both_ways

K = 10


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pass works on many small uneven blocks, and on sizes that are compared in a moment."""
    for module, name, value in (
        (neighbours, "LARGE", 1),
        (allpairs, "TILE", 1000),
        (allpairs, "BLOCK", (300, 256)),
        (allpairs, "REDONE", (100, 700)),
        (gathered, "ROWS", 170),
    ):
        monkeypatch.setattr(module, name, value)


def market(rows: int, seed: int, dimension: int = 48) -> Vectors:
    """Invented vectors around 20 centres, of unit length."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(20, dimension))
    vectors = centres[random.integers(0, 20, rows)] + random.normal(size=(rows, dimension))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def check(found: Nearest, left: Vectors, right: Vectors, mask: NDArray[np.bool_] | None = None) -> None:
    """Against all scores in double precision; places may only be swapped where scores are the same in float32."""
    scores = left.astype(np.float64) @ right.T.astype(np.float64)
    if mask is not None:
        scores[~mask] = -np.inf
    expected = -np.sort(-scores, axis=1)[:, :K]
    own = np.take_along_axis(scores, found.positions, axis=1)
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(np.isfinite(found.scores), finite)
    np.testing.assert_allclose(own[finite], expected[finite], atol=1e-6)
    np.testing.assert_allclose(found.scores[finite], expected[finite], atol=1e-6)
    assert all(len(set(row)) == K for row in found.positions.tolist())
    assert (found.scores[:, :-1] >= found.scores[:, 1:]).all()


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows are done again, filled in as it happens."""
    counts: list[int] = []
    again = allpairs._again

    def counting(rows: NDArray[np.int64], *rest: object) -> Nearest:
        counts.append(len(rows))
        return again(rows, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(allpairs, "_again", counting)
    return counts


@pytest.mark.parametrize("number_format", ["float32", "float16"])
def test_large_sides_give_the_exact_neighbours_and_hardly_a_row_is_done_twice(
    number_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = counted(monkeypatch)
    left, right = market(4300, 1).astype(number_format), market(2600, 2).astype(number_format)
    forth, back = nearest_both_ways(left, right, K)  # type: ignore[arg-type]
    check(forth, left.astype(np.float32), right.astype(np.float32))
    check(back, right.astype(np.float32), left.astype(np.float32))
    assert sum(counts) < 0.02 * (4300 + 2600)


def test_tiles_threads_and_the_kind_of_processor_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = market(3000, 3), market(2500, 4)
    first = nearest_both_ways(left, right, K, threads=1)
    monkeypatch.setattr(allpairs, "TILE", 411)
    monkeypatch.setattr(allpairs, "BLOCK", (77, 128))
    monkeypatch.setattr(gathered, "KEPT", 1)
    monkeypatch.setattr(coarse, "has_fast_int8", lambda: False)
    second = nearest_both_ways(left, right, K, threads=3)
    for one, other in zip(first, second, strict=True):
        assert one.positions.tobytes() == other.positions.tobytes()
        assert one.scores.tobytes() == other.scores.tobytes()


def test_a_pair_scores_the_same_from_both_sides() -> None:
    left, right = market(2500, 5), market(2500, 6)
    forth, back = nearest_both_ways(left, right, K)
    there = {(i, j): s for i in range(2500) for j, s in zip(forth.positions[i], forth.scores[i], strict=True)}
    both = [
        (there[i, j], s)
        for j in range(2500)
        for i, s in zip(back.positions[j].tolist(), back.scores[j], strict=True)
        if (i, j) in there
    ]
    assert len(both) > 2500
    assert np.mean([one == other for one, other in both]) > 0.99  # a row that was done again may differ in the last bit


@pytest.mark.parametrize("share", [0.03, 0.6, 0.9999])
def test_forbidden_pairs_take_no_place_however_many_they_are(share: float) -> None:
    left, right = market(2100, 7), market(2300, 8)
    mask = np.random.default_rng(9).random((2100, 2300)) >= share
    forth, back = nearest_both_ways(left, right, K, allowed=lambda rows, columns: mask[rows, columns])
    check(forth, left, right, mask)
    check(back, right, left, mask.T)


def test_ties_go_to_the_lower_position_even_where_all_are_tied() -> None:
    forth, back = nearest_both_ways(np.ones((2100, 4), np.float32), np.ones((2200, 4), np.float32), K)
    assert (forth.positions == np.arange(K)).all()
    assert (back.positions == np.arange(K)).all()


def test_copies_of_one_listing_and_empty_vectors_are_found_in_order() -> None:
    left, right = market(2100, 16), market(2200, 17)
    right[500:1700:3] = left[0]
    left[7] = 0.0
    forth, back = nearest_both_ways(left, right, K)
    check(forth, left, right)
    check(back, right, left)
    assert forth.positions[0].tolist() == list(range(500, 530, 3))
    assert forth.positions[7].tolist() == list(range(K))


def test_vectors_of_very_different_lengths_are_ranked_by_inner_product() -> None:
    random = np.random.default_rng(18)
    left, right = (market(2100, seed) * random.lognormal(0, 1, (2100, 1)).astype(np.float32) for seed in (19, 20))
    left[:, 3] *= 30.0  # one dimension that outweighs the others
    forth, back = nearest_both_ways(left, right, K)
    for found, own, other in ((forth, left, right), (back, right, left)):
        scores = own.astype(np.float64) @ other.T.astype(np.float64)
        np.testing.assert_allclose(found.scores, -np.sort(-scores, axis=1)[:, :K], rtol=1e-5, atol=1e-4)


def test_products_of_codes_are_within_the_error_that_is_claimed() -> None:
    left, right = market(1500, 21, 384), market(1500, 22, 384)
    ours, theirs = coarse.coarse(left), coarse.coarse(right)
    out = np.empty((1500, 1500), np.int32)
    products = coarse.products(ours.codes, theirs.codes, out)
    assert (products == ours.codes.astype(np.int64) @ theirs.codes.T.astype(np.int64)).all()
    off = np.abs(products * (ours.step * theirs.step) - left.astype(np.float64) @ right.T.astype(np.float64))
    claimed = coarse.error(ours, theirs)
    assert (off.max(axis=1) < claimed).all()
    assert claimed.max() < 0.01


def test_the_process_keeps_its_number_of_threads() -> None:
    before = torch.get_num_threads()
    nearest_both_ways(market(2100, 23), market(2100, 24), K)
    assert torch.get_num_threads() == before
