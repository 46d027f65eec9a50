from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matching.dense import VectorIndex, best_scores, load_index
from matching.encoder import Vectors
from matching.errors import ArtefactError, DimensionMismatch

ENCODER, SPACE, SIZE = "model|passage:", "abc", 4


def draw(rows: int, seed: int = 0) -> Vectors:
    """Vectors that are not of unit length, whole numbers so that products are exact and ties happen."""
    return np.random.default_rng(seed).integers(-2, 3, (rows, SIZE)).astype(np.float32)


def filled(rows: int = 12) -> tuple[VectorIndex, dict[str, Vectors]]:
    index = VectorIndex(SIZE, ENCODER, SPACE)
    stored = dict(zip([f"id-{i}" for i in range(rows)], draw(rows), strict=True))
    index.put(list(stored), np.stack(list(stored.values())))
    return index, stored


def oracle(stored: dict[str, Vectors], query: Vectors, k: int) -> list[tuple[str, float]]:
    hits = [(listing_id, float(query @ vector)) for listing_id, vector in stored.items()]
    return sorted(hits, key=lambda hit: (-hit[1], hit[0]))[:k]


def agree(index: VectorIndex, stored: dict[str, Vectors], k: int) -> None:
    queries = draw(6, seed=99)
    assert index.search(queries, k) == [oracle(stored, query, k) for query in queries]
    assert len(index) == len(stored)


@pytest.mark.parametrize("k", [0, 1, 3, 12, 40])
def test_search_equals_the_product_of_all_with_all(k: int) -> None:
    agree(*filled(), k)


STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "remove"]), st.sets(st.integers(0, 7)), st.integers(0, 999)), max_size=8
)


@settings(max_examples=50, deadline=None)
@given(STEPS, st.integers(1, 9))
def test_after_any_updates_and_deletions_search_is_exact(steps: list[tuple[str, set[int], int]], k: int) -> None:
    index, stored = filled(5)
    for action, numbers, seed in steps:
        ids = [f"id-{n}" for n in sorted(numbers)]
        if action == "put":
            fresh = draw(len(ids), seed)
            index.put(ids, fresh)
            stored.update(zip(ids, fresh, strict=True))
        else:
            assert index.remove(ids) == sum(stored.pop(one, None) is not None for one in ids)
    agree(index, stored, k)
    assert np.array_equal(index.vectors(list(stored)), np.stack([*stored.values()]) if stored else draw(0))


def test_an_update_replaces_the_vector() -> None:
    index, stored = filled()
    stored["id-3"] = np.full(SIZE, 9, np.float32)
    index.put(["id-3"], stored["id-3"][None])
    agree(index, stored, 5)
    assert index.vectors(["id-3"]).tolist() == [[9.0] * SIZE]


def test_a_removed_listing_is_never_found() -> None:
    index, stored = filled()
    assert index.remove(["id-0", "id-0", "absent"]) == 1
    del stored["id-0"]
    assert "id-0" not in index
    assert "id-1" in index
    agree(index, stored, 20)
    with pytest.raises(KeyError):
        index.vectors(["id-0"])


def test_an_empty_index_finds_nothing() -> None:
    index = VectorIndex(SIZE, ENCODER, SPACE)
    assert index.search(draw(2), 3) == [[], []]
    assert index.vectors([]).shape == (0, SIZE)


def test_vectors_that_do_not_fit_are_refused() -> None:
    index, stored = filled()
    with pytest.raises(DimensionMismatch):
        index.put(["x"], np.zeros((1, SIZE + 1), np.float32))
    with pytest.raises(DimensionMismatch):
        index.search(np.zeros((1, SIZE - 1), np.float32), 3)
    with pytest.raises(ValueError, match="1 distinct ids for 2"):
        index.put(["x", "x"], draw(2))
    with pytest.raises(ValueError, match="1 distinct ids for 3"):
        index.put(["x"], draw(3))
    agree(index, stored, 5)


def test_a_saved_index_comes_back_and_can_be_changed(tmp_path: Path) -> None:
    index, stored = filled()
    index.remove(["id-11"])
    del stored["id-11"]
    folder = tmp_path / "deep" / "index"
    index.save(folder)
    index.save(folder)
    assert list(folder.parent.iterdir()) == [folder]
    back = load_index(folder, encoder=ENCODER, space=SPACE)
    agree(back, stored, 5)
    stored["中文 id"] = np.full(SIZE, 3, np.float32)
    back.put(["中文 id"], stored["中文 id"][None])
    agree(back, stored, 5)


def test_when_the_new_index_cannot_take_its_place_the_old_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, stored = filled()
    folder = tmp_path / "index"
    index.save(folder)
    rename = Path.rename

    def refusing(self: Path, target: Path) -> Path:
        if target == folder and not self.name.endswith("-old"):
            raise OSError(errno.EIO, "cannot rename")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refusing)
    with pytest.raises(OSError, match="cannot rename"):
        VectorIndex(SIZE, ENCODER, SPACE).save(folder)
    assert list(tmp_path.iterdir()) == [folder]
    agree(load_index(folder, encoder=ENCODER, space=SPACE), stored, 5)


def test_an_empty_index_can_be_saved(tmp_path: Path) -> None:
    VectorIndex(SIZE, ENCODER, SPACE).save(tmp_path / "index")
    assert len(load_index(tmp_path / "index", encoder=ENCODER, space=SPACE)) == 0


@pytest.mark.parametrize(("encoder", "space", "named"), [("other", SPACE, "encoder"), (ENCODER, "other", "space")])
def test_an_index_of_another_encoder_or_space_is_refused(tmp_path: Path, encoder: str, space: str, named: str) -> None:
    filled()[0].save(tmp_path / "index")
    with pytest.raises(ArtefactError, match=f"{named} is .* 'other' is needed"):
        load_index(tmp_path / "index", encoder=encoder, space=space)


@pytest.mark.parametrize("name", ["vectors.faiss", "ids.json", "manifest.json"])
@pytest.mark.parametrize("keep", [0, 1, 40])
def test_a_truncated_index_is_refused(tmp_path: Path, name: str, keep: int) -> None:
    filled()[0].save(tmp_path / "index")
    path = tmp_path / "index" / name
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ArtefactError, match=name):
        load_index(tmp_path / "index", encoder=ENCODER, space=SPACE)


@pytest.mark.parametrize("name", ["vectors.faiss", "ids.json", "manifest.json"])
def test_an_index_with_a_missing_part_is_refused(tmp_path: Path, name: str) -> None:
    filled()[0].save(tmp_path / "index")
    (tmp_path / "index" / name).unlink()
    with pytest.raises(ArtefactError, match=name):
        load_index(tmp_path / "index", encoder=ENCODER, space=SPACE)


def test_an_altered_vector_is_refused(tmp_path: Path) -> None:
    filled()[0].save(tmp_path / "index")
    path = tmp_path / "index" / "vectors.faiss"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match="altered"):
        load_index(tmp_path / "index", encoder=ENCODER, space=SPACE)


def test_parts_of_another_index_are_refused(tmp_path: Path) -> None:
    filled(12)[0].save(tmp_path / "one")
    filled(5)[0].save(tmp_path / "two")
    shutil.copy(tmp_path / "two" / "ids.json", tmp_path / "one" / "ids.json")
    with pytest.raises(ArtefactError, match=r"ids\.json"):
        load_index(tmp_path / "one", encoder=ENCODER, space=SPACE)


@pytest.mark.parametrize(
    "change",
    [{"format": "dukou-index-0"}, {"count": 3}, {"dimension": 3}, {"dimension": None}, {"count": None}, {"sha256": []}],
)
def test_a_manifest_that_tells_something_else_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    filled()[0].save(tmp_path / "index")
    path = tmp_path / "index" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ArtefactError):
        load_index(tmp_path / "index", encoder=ENCODER, space=SPACE)


@pytest.mark.parametrize("content", ["[]", '"text"', "{}", "not json"])
def test_a_foreign_folder_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(ArtefactError, match="not an index"):
        load_index(tmp_path, encoder=ENCODER, space=SPACE)
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ArtefactError):
        load_index(tmp_path, encoder=ENCODER, space=SPACE)


def test_best_scores_are_those_of_numpy_and_all_where_there_are_fewer() -> None:
    rng = np.random.default_rng(5)
    queries, vectors = (rng.normal(size=(n, 16)).astype(np.float32) for n in (7, 30))
    expected = -np.sort(-(queries @ vectors.T), axis=1)
    np.testing.assert_allclose(best_scores(queries, vectors, 4), expected[:, :4], rtol=1e-5)
    np.testing.assert_allclose(best_scores(queries, vectors, 50), expected, rtol=1e-5, atol=1e-6)
    assert best_scores(queries, vectors[:0], 4).shape == (7, 0)
    assert best_scores(queries[:0], vectors, 4).shape == (0, 4)
