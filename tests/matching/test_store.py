from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matching import store as stores
from matching.embedding import Kept
from matching.encoder import unit
from matching.errors import ArtefactError
from matching.exact import BLOCK, recall
from matching.nearest import Nearest
from matching.sketch import Sketch
from matching.store import LocalStore, VectorStore, open_store, save_store, store_of
from tests.matching.vector_store_contract import MANY, VectorStoreContract, asked, draw


class TestExact(VectorStoreContract):
    @pytest.fixture
    def store(self) -> VectorStore:
        return LocalStore(draw(0))

    @pytest.fixture
    def full(self) -> VectorStore:
        return store_of(draw(MANY))


@pytest.fixture(scope="module")
def sketched() -> LocalStore:
    return store_of(draw(MANY), approximate_from=1_000)


class TestSketched(VectorStoreContract):
    @pytest.fixture
    def store(self) -> VectorStore:
        return store_of(draw(0), approximate_from=0)

    @pytest.fixture
    def full(self, sketched: LocalStore, tmp_path: Path) -> VectorStore:
        save_store(sketched, tmp_path, "s")
        return open_store(tmp_path, "s", draw(MANY))


def on_disk(folder: Path, vectors: Kept) -> Kept:
    np.save(folder / "vectors.npy", vectors)
    mapped: Kept = np.load(folder / "vectors.npy", mmap_mode="r")
    return mapped


def test_the_size_says_which_kind_is_built(sketched: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store_of(draw(MANY)).manifest["kind"] == "exact"
    assert sketched.manifest["kind"] == "sketch"
    monkeypatch.setattr(stores, "APPROXIMATE_FROM", 10)
    assert store_of(draw(20), approximate_from=10).manifest["kind"] == "exact"  # of so few nothing can be learned


def test_the_manifest_says_the_measured_recall(sketched: LocalStore) -> None:
    truth = LocalStore(draw(MANY)).search(asked(100), 10)
    assert sketched.manifest["recall_at_10"] >= 0.99
    assert recall(sketched.search(asked(100), 10), truth) >= 0.99
    assert store_of(draw(MANY)).manifest["recall_at_10"] == 1


def test_a_sketch_that_misses_too_many_looks_deeper_and_then_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "DEPTH", 12)
    built = store_of(draw(MANY), approximate_from=1_000)
    assert built.manifest["kind"] == "sketch"
    assert built.manifest["depth"] > 12
    monkeypatch.setattr(stores, "DEEPEST", 12)
    assert store_of(draw(MANY), approximate_from=1_000).manifest["kind"] == "exact"


@pytest.mark.parametrize("approximate_from", [1_000, 1_000_000])
def test_a_saved_store_answers_the_same_over_a_mapped_file(tmp_path: Path, approximate_from: int) -> None:
    built = store_of(draw(MANY), approximate_from=approximate_from)
    save_store(built, tmp_path, "s")
    back = open_store(tmp_path, "s", on_disk(tmp_path, draw(MANY)))
    before, after = built.search(asked(5), 30), back.search(asked(5), 30)
    assert (before.positions == after.positions).all()
    assert (before.scores == after.scores).all()
    assert back.manifest == built.manifest


def test_one_query_and_many_are_answered_alike(sketched: LocalStore) -> None:
    queries = asked(9)
    for store in (sketched, LocalStore(draw(MANY))):
        together = store.search(queries, 20)
        for row, query in enumerate(queries):
            alone = store.search(query[None], 20)
            assert (alone.positions[0] == together.positions[row]).all()
            assert (alone.scores[0] == together.scores[row]).all()


def test_more_equals_than_a_block_holds_still_tie_by_id() -> None:
    same = np.repeat(draw(1), BLOCK + 50, axis=0)
    assert LocalStore(same).search(asked(2), 12).positions.tolist() == [list(range(12))] * 2


def test_a_dimension_that_is_no_multiple_of_four_is_filled_up() -> None:
    vectors = unit(np.random.default_rng(0).standard_normal((3_000, 30)).astype(np.float32)).astype(np.float16)
    built = store_of(vectors, approximate_from=1_000)
    assert built.manifest["kind"] == "sketch"
    assert (built.search(vectors[:20].astype(np.float32), 1).positions[:, 0] == np.arange(20)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 4}, "count is 4, the vectors' is 5000"),
        ({"dimension": 4}, "dimension is 4, the vectors' is 64"),
        ({"kind": "tree"}, "'tree' is no kind of ours"),
        ({"depth": None}, "no manifest of a vector store"),
    ],
)
def test_a_store_of_other_vectors_is_refused(
    tmp_path: Path, sketched: LocalStore, change: dict[str, Any], message: str
) -> None:
    save_store(sketched, tmp_path, "s")
    (tmp_path / "s.json").write_text(json.dumps(sketched.manifest | change))
    with pytest.raises(ArtefactError, match=message):
        open_store(tmp_path, "s", draw(MANY))


def test_a_damaged_or_foreign_sketch_is_refused(tmp_path: Path, sketched: LocalStore) -> None:
    save_store(sketched, tmp_path, "s")
    body = (tmp_path / "s.sketch").read_bytes()
    for content in (b"", body[:20], body[: len(body) // 2], b"x" * 100):
        (tmp_path / "s.sketch").write_bytes(content)
        with pytest.raises(ArtefactError, match=r"s\.sketch"):
            open_store(tmp_path, "s", draw(MANY))
    (tmp_path / "s.sketch").unlink()
    with pytest.raises(ArtefactError, match="missing"):
        open_store(tmp_path, "s", draw(MANY))
    (tmp_path / "s.json").write_text("{")
    with pytest.raises(ArtefactError, match="not readable"):
        open_store(tmp_path, "s", draw(MANY))
    save_store(sketched, tmp_path, "s")
    Sketch.of(draw(MANY - 1)).save(tmp_path / "s.sketch")
    with pytest.raises(ArtefactError, match="a sketch of 4999 vectors beside 5000"):
        open_store(tmp_path, "s", draw(MANY))


def test_recall_counts_ties_as_found_and_leaves_out_what_is_not_there() -> None:
    truth = Nearest(np.array([[1, 2], [3, -1]]), np.array([[0.9, 0.5], [0.4, -np.inf]], np.float32))
    tied = Nearest(np.array([[1, 7], [3, -1]]), np.array([[0.9, 0.5], [0.4, -np.inf]], np.float32))
    missed = Nearest(np.array([[1, 7], [-1, -1]]), np.array([[0.9, 0.4], [-np.inf, -np.inf]], np.float32))
    assert recall(tied, truth) == 1
    assert recall(missed, truth) == pytest.approx(1 / 3)
