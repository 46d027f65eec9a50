"""What every vector store must do, as a suite: inherit `VectorStoreContract` and say how a store is made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from matching.encoder import Vectors, unit
from matching.errors import DimensionMismatch
from matching.nearest import Nearest
from matching.store import Mask, VectorStore

SIZE, MANY = 64, 5_000


def draw(rows: int, seed: int = 0) -> Vectors:
    """Unit vectors in 40 uneven clusters, as float16 keeps them."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).standard_normal((40, SIZE))
    chosen = np.minimum(rng.geometric(0.08, rows) - 1, 39)
    return unit((centres[chosen] + rng.standard_normal((rows, SIZE))).astype(np.float32)).astype(np.float16)


def asked(rows: int) -> Vectors:
    return unit(draw(rows, seed=99).astype(np.float32))


def oracle(stored: dict[int, NDArray[Any]], queries: Vectors, k: int) -> list[list[int]]:
    """The ids of the k best of each query, by one product of all with all."""
    ids = sorted(stored)
    scores = queries.astype(np.float64) @ np.stack([stored[i] for i in ids]).astype(np.float64).T
    return [[ids[n] for n in np.lexsort((ids, -row))[:k]] for row in scores.round(6)]


def recall(hits: Nearest, truth: list[list[int]]) -> float:
    shares = [len({*row.tolist()} & {*true}) / len(true) for row, true in zip(hits.positions, truth, strict=True)]
    return float(np.mean(shares))


class VectorStoreContract:
    """The tests; `store` is empty, of SIZE dimensions, and `full` holds `draw(MANY)` under 0, 1, 2 …"""

    @pytest.fixture
    def store(self) -> VectorStore:
        raise NotImplementedError

    @pytest.fixture
    def full(self) -> VectorStore:
        raise NotImplementedError

    def agree(self, store: VectorStore, stored: dict[int, NDArray[Any]], k: int = 5) -> None:
        """The store holds just this."""
        queries = asked(4)
        hits = store.search(queries, k)
        assert len(store) == len(stored)
        assert hits.positions.shape == hits.scores.shape == (4, k)
        for ids, scores, true, query in zip(
            hits.positions, hits.scores, oracle(stored, queries, k), queries, strict=True
        ):
            assert ids.tolist() == true + [-1] * (k - len(true))
            exact = [float(query @ stored[i].astype(np.float32)) for i in true]
            np.testing.assert_allclose(scores, exact + [-np.inf] * (k - len(true)), atol=1e-3)

    def filled(self, store: VectorStore, ids: list[int]) -> dict[int, NDArray[Any]]:
        vectors = draw(len(ids))
        store.put(np.array(ids), vectors.astype(np.float32))
        return dict(zip(ids, vectors, strict=True))

    def test_what_was_put_is_found(self, store: VectorStore) -> None:
        assert store.dimension == SIZE
        self.agree(store, self.filled(store, [4, 0, 11, 7, 2, 30, 9]))

    def test_more_than_there_is_ends_in_nothing(self, store: VectorStore) -> None:
        self.agree(store, self.filled(store, [3, 1]), k=5)

    def test_a_vector_put_again_is_replaced(self, store: VectorStore) -> None:
        stored = self.filled(store, list(range(12)))
        fresh = draw(2, seed=5)
        store.put(np.array([3, 40]), fresh.astype(np.float32))
        self.agree(store, stored | {3: fresh[0], 40: fresh[1]}, k=13)

    def test_what_was_removed_is_not_found_and_can_come_back(self, store: VectorStore) -> None:
        stored = self.filled(store, list(range(12)))
        assert store.remove(np.array([5, 6, 700])) == 2
        assert store.remove(np.array([5])) == 0
        self.agree(store, {i: one for i, one in stored.items() if i not in (5, 6)}, k=12)
        store.put(np.array([6]), stored[6][None].astype(np.float32))
        self.agree(store, {i: one for i, one in stored.items() if i != 5}, k=12)

    def test_an_empty_store_finds_nothing(self, store: VectorStore) -> None:
        hits = store.search(asked(2), 3)
        assert hits.positions.tolist() == [[-1] * 3] * 2
        assert np.isneginf(hits.scores).all()
        assert store.remove(np.array([1])) == 0
        assert store.search(asked(2)[:0], 3).positions.shape == (0, 3)

    def test_ties_go_to_the_lower_id(self, store: VectorStore) -> None:
        vectors = np.repeat(asked(1), 9, axis=0)
        store.put(np.array([8, 3, 5, 1, 0, 7, 2, 6, 4]), vectors)
        store.put(np.array([20, 21]), unit(draw(2, seed=3).astype(np.float32)))
        assert store.search(asked(1), 4).positions.tolist() == [[0, 1, 2, 3]]

    def test_vectors_that_do_not_fit_are_refused(self, store: VectorStore) -> None:
        stored = self.filled(store, [0, 1])
        with pytest.raises(DimensionMismatch):
            store.put(np.array([5]), np.ones((1, SIZE + 1), np.float32))
        with pytest.raises(DimensionMismatch):
            store.search(np.ones((1, SIZE - 1), np.float32), 3)
        with pytest.raises(ValueError, match=r"the vector of id 5 has length 2\.000: divide it by that"):
            store.put(np.array([4, 5]), asked(2) * np.array([[1], [2]], np.float32))
        with pytest.raises(ValueError, match="has length nan"):
            store.put(np.array([4]), asked(1) * np.float32("nan"))
        with pytest.raises(ValueError, match="1 distinct ids for 2 vectors"):
            store.put(np.array([4, 4]), asked(2))
        with pytest.raises(ValueError, match="id -1: ids are positions, from 0 on"):
            store.put(np.array([-1]), asked(1))
        self.agree(store, stored)

    @pytest.mark.parametrize("share", [1, 0.5, 0.1, 0.02])
    def test_among_many_nearly_all_of_the_best_are_found(self, full: VectorStore, share: float) -> None:
        allowed = np.random.default_rng(1).random(MANY) < share
        vectors = draw(MANY)
        stored = {i: vectors[i] for i in np.flatnonzero(allowed).tolist()}
        queries = asked(40)
        hits = full.search(queries, 10, None if share == 1 else allowed)
        assert allowed[hits.positions].all()
        assert recall(hits, oracle(stored, queries, 10)) >= 0.95
        exact = np.einsum("qd,qkd->qk", queries, vectors[hits.positions].astype(np.float32))
        np.testing.assert_allclose(hits.scores, exact, atol=1e-3)
        assert (np.diff(hits.scores, axis=1) <= 0).all()

    @pytest.mark.parametrize("allowed", [0, 1, 7, 100, 4_000])
    def test_a_filter_leaves_no_answer_short(self, full: VectorStore, allowed: int) -> None:
        mask = np.zeros(MANY, np.bool_)
        mask[np.random.default_rng(2).permutation(MANY)[:allowed]] = True
        hits = full.search(asked(3), 50, mask)
        assert ((hits.positions >= 0).sum(axis=1) == min(50, allowed)).all()
        assert mask[hits.positions[hits.positions >= 0]].all()

    def test_an_id_beyond_the_filter_is_not_allowed(self, full: VectorStore) -> None:
        assert full.search(asked(3), 20, np.ones(15, np.bool_)).positions.max() < 15
        longer: Mask = np.ones(MANY + 100, np.bool_)
        assert (full.search(asked(3), 20, longer).positions == full.search(asked(3), 20).positions).all()

    def test_a_large_store_takes_changes(self, full: VectorStore) -> None:
        query = asked(1)
        first = full.search(query, 3).positions[0].tolist()
        full.put(np.array([MANY + 7]), query)
        assert full.search(query, 1).positions.tolist() == [[MANY + 7]]
        assert full.search(query, 4).positions[0].tolist() == [MANY + 7, *first]
        assert full.remove(np.array([MANY + 7, first[0]])) == 2
        assert full.search(query, 2).positions[0].tolist() == first[1:]
        assert len(full) == MANY - 1
        full.put(np.array([first[2]]), query)
        only = np.zeros(MANY, np.bool_)
        only[[first[1], first[2]]] = True
        assert full.search(query, 3, only).positions[0].tolist() == [first[2], first[1], -1]
