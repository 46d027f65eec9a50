"""The vector index: exact inner product by FAISS, with the listings' own ids.

A saved index is a folder: `vectors.faiss`, `ids.json`, and a manifest with the encoder, the language space, dimension,
count and digests, by which a foreign, truncated or altered folder is refused.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from matching.encoder import Vectors
from matching.errors import ArtefactError, DimensionMismatch

FORMAT = "dukou-index-1"
PARTS = ("vectors.faiss", "ids.json")


class VectorIndex:
    """Unit vectors under string ids; `encoder` (`Encoder.name`) and `space` (`LanguageSpace.version`) made them."""

    def __init__(self, dimension: int, encoder: str, space: str) -> None:
        self.encoder = encoder
        self.space = space
        self._index: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
        self._number: dict[str, int] = {}
        self._id: dict[int, str] = {}
        self._next = 0

    @property
    def dimension(self) -> int:
        return int(self._index.d)

    def __len__(self) -> int:
        return len(self._number)

    def __contains__(self, listing_id: str) -> bool:
        return listing_id in self._number

    def put(self, ids: Sequence[str], vectors: Vectors) -> None:
        """Add vectors, float32, shape (len(ids), dimension); an id that is there gets the new one.

        Raises DimensionMismatch, and ValueError when ids and vectors differ in number or an id comes twice.
        """
        if len(ids) != len(vectors) or len(set(ids)) != len(ids):
            raise ValueError(f"{len(set(ids))} distinct ids for {len(vectors)} vectors")
        if vectors.shape[1] != self.dimension:
            raise DimensionMismatch(self.dimension, vectors.shape[1])
        self.remove([listing_id for listing_id in ids if listing_id in self._number])
        numbers = range(self._next, self._next + len(ids))
        self._index.add_with_ids(np.ascontiguousarray(vectors, np.float32), np.array(numbers, np.int64))
        self._next += len(ids)
        self._number.update(zip(ids, numbers, strict=True))
        self._id.update(zip(numbers, ids, strict=True))

    def remove(self, ids: Sequence[str]) -> int:
        """Take vectors out; ids that are not there are passed over. Returns how many went."""
        numbers = [self._number.pop(listing_id) for listing_id in dict.fromkeys(ids) if listing_id in self._number]
        for number in numbers:
            del self._id[number]
        if numbers:
            self._index.remove_ids(np.array(numbers, np.int64))
        return len(numbers)

    def search(self, queries: Vectors, k: int) -> list[list[tuple[str, float]]]:
        """The k most similar of each query as (id, inner product), best first, ties by id; fewer in a smaller index."""
        if queries.shape[1] != self.dimension:
            raise DimensionMismatch(self.dimension, queries.shape[1])
        if min(k, len(self)) < 1:
            return [[] for _ in queries]
        scores, numbers = self._with_ties(np.ascontiguousarray(queries, np.float32), min(k, len(self)))
        found = [
            [(self._id[int(n)], float(s)) for n, s in zip(ns, ss, strict=True) if n >= 0]
            for ns, ss in zip(numbers, scores, strict=True)
        ]
        return [sorted(row, key=lambda hit: (-hit[1], hit[0]))[:k] for row in found]

    def _with_ties(self, queries: Vectors, k: int) -> tuple[Vectors, NDArray[np.int64]]:
        """FAISS's scores and numbers, deep enough to hold all that tie with the k-th: FAISS breaks ties its own way."""
        depth = k + 1
        while True:
            scores, numbers = self._index.search(queries, min(depth, len(self)))
            if depth >= len(self) or not (scores[:, k - 1] == scores[:, -1]).any():
                return scores, numbers
            depth *= 2

    def vectors(self, ids: Sequence[str]) -> Vectors:
        """Stored vectors of `ids`, shape (len(ids), dimension). Raises KeyError for an id that is not there."""
        rows = [self._index.reconstruct(self._number[listing_id]) for listing_id in ids]
        return np.stack(rows) if rows else np.zeros((0, self.dimension), np.float32)

    def save(self, folder: Path) -> None:
        """Write the folder anew: built aside, then put in place, so that no reader sees half of it.

        An old folder is moved aside first and comes back when the new one cannot take its place.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            (aside / "vectors.faiss").write_bytes(faiss.serialize_index(self._index).tobytes())
            (aside / "ids.json").write_text(json.dumps({str(n): i for n, i in sorted(self._id.items())}), "utf-8")
            (aside / "manifest.json").write_text(json.dumps(self._manifest(aside), indent=1), "utf-8")
            aside.chmod(0o755)
            _put_in_place(aside, folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _manifest(self, folder: Path) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "encoder": self.encoder,
            "space": self.space,
            "dimension": self.dimension,
            "count": len(self),
            "sha256": {name: _sha256(folder / name) for name in PARTS},
        }


def best_scores(queries: Vectors, vectors: Vectors, k: int) -> Vectors:
    """The k best inner products of each query, best first; shape (len(queries), k or all that there are)."""
    k = min(k, len(vectors))
    if k < 1 or not len(queries):
        return np.zeros((len(queries), k), np.float32)
    ours, theirs = (np.ascontiguousarray(one, np.float32) for one in (queries, vectors))
    scores, _ = faiss.knn(ours, theirs, k, metric=faiss.METRIC_INNER_PRODUCT)
    return np.asarray(scores, np.float32)


def pair_scores(queries: Vectors, vectors: Vectors, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Vectors:
    """Inner products of queries[rows] and vectors[columns], float32, shape (pairs,), without copies of the rows.

    Both must be C-contiguous float32. What a pair scores depends on its two vectors alone.
    """
    if queries.shape[1] != vectors.shape[1]:
        raise DimensionMismatch(vectors.shape[1], queries.shape[1])
    scores = np.empty(len(rows), np.float32)
    x, y, out = (faiss.swig_ptr(one) for one in (queries, vectors, scores))
    left, right = (np.ascontiguousarray(one, np.int64) for one in (rows, columns))
    if len(rows):
        faiss.pairwise_indexed_inner_product(  # type: ignore[attr-defined]
            queries.shape[1], len(rows), x, faiss.swig_ptr(left), y, faiss.swig_ptr(right), out
        )
    return scores


def one_thread() -> None:
    """From now on what the calling thread asks of FAISS is done in that thread alone."""
    faiss.omp_set_num_threads(1)


def load_index(folder: Path, *, encoder: str, space: str) -> VectorIndex:
    """Read what `save` wrote. Raises ArtefactError unless the folder is whole and of this encoder and space."""
    manifest = _read_manifest(folder)
    for key, wanted in (("format", FORMAT), ("encoder", encoder), ("space", space)):
        if manifest.get(key) != wanted:
            raise ArtefactError(
                f"{folder}: {key} is {manifest.get(key)!r}, {wanted!r} is needed; build the index again"
            )
    for name in PARTS:
        if not (folder / name).is_file() or _sha256(folder / name) != manifest["sha256"].get(name):
            raise ArtefactError(f"{folder / name} is missing, truncated or altered; build the index again")
    index = VectorIndex(manifest["dimension"], encoder, space)
    index._index = faiss.deserialize_index(np.frombuffer((folder / "vectors.faiss").read_bytes(), np.uint8))
    index._id = {
        int(number): listing_id for number, listing_id in json.loads((folder / "ids.json").read_text("utf-8")).items()
    }
    index._number = {listing_id: number for number, listing_id in index._id.items()}
    index._next = max(index._id, default=-1) + 1
    if not index._index.ntotal == len(index._id) == manifest["count"] or index._index.d != manifest["dimension"]:
        raise ArtefactError(
            f"{folder}: vectors, ids and manifest disagree in number or dimension; build the index again"
        )
    return index


def _put_in_place(new: Path, folder: Path) -> None:
    if not folder.exists():
        new.rename(folder)
        return
    old = new.with_name(f"{new.name}-old")
    folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old)


def _read_manifest(folder: Path) -> Mapping[str, Any]:
    try:
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{folder} holds no readable manifest.json: not an index of ours") from error
    kinds = {"dimension": int, "count": int, "sha256": dict}
    if not isinstance(manifest, dict) or not all(isinstance(manifest.get(key), kinds[key]) for key in kinds):
        raise ArtefactError(f"{folder / 'manifest.json'} is no manifest: not an index of ours")
    return manifest


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
