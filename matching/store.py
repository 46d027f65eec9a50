"""Stores of unit vectors under whole numbers: the one interface of every engine, and the one within the process.

An id is a position: the row of a matrix that the caller keeps, float16, in memory or mapped from a file. What a store
answers is always scored by those rows themselves, whatever has chosen the candidates.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from matching.embedding import Kept
from matching.encoder import Vectors
from matching.errors import ArtefactError, DimensionMismatch
from matching.exact import Ids, compared, recall, scored, united
from matching.files import write_atomically
from matching.nearest import Nearest, stacked
from matching.sketch import Sketch

Mask = NDArray[np.bool_]

APPROXIMATE_FROM = 20_000  # vectors: fewer are all compared in 10 ms (decision 0021)
DEPTH = 1_000  # candidates that a sketch names for one query, at least, and PER_HIT for each that is wanted
DEEPEST = 8_000
PER_HIT = 5
RECALL, RECALL_AT, ASKED = 0.99, 10, 200  # the least recall of a sketch, in the first so many, of so many queries
LENGTH = 0.01  # by which a unit vector may miss its length


class VectorStore(Protocol):
    """Unit vectors under ids from 0 on, kept as float16.

    `put` adds or replaces. `search` gives the k best of each query by inner product, ties by id, −1 and −∞ where there
    are no more, both (queries, k). With `among` only those ids are found whose entry is True, and all k are found
    where so many are allowed; an id beyond its end is not allowed. Raises DimensionMismatch for vectors of another
    size, and ValueError for ids that are negative or come twice and vectors that are not of unit length.
    """

    @property
    def dimension(self) -> int: ...
    def __len__(self) -> int: ...
    def put(self, ids: Ids, vectors: Vectors) -> None: ...
    def remove(self, ids: Ids) -> int: ...
    def search(self, queries: Vectors, k: int, among: Mask | None = None) -> Nearest: ...


@dataclass(frozen=True)
class _Changes:
    """What has changed since the matrix was made; replaced as a whole, so that a search never sees half of a change."""

    present: Mask | None  # rows of the matrix that still hold; None: all
    ids: Ids  # of vectors that came later
    vectors: Kept


class LocalStore:
    """The store within the process: a matrix whose rows are the ids, its sketch where it is large, later changes.

    What is put later is kept in memory beside the matrix and compared exactly; many changes want a new matrix and
    `store_of`. Searches may run beside one writer.
    """

    def __init__(self, vectors: Kept, sketch: Sketch | None = None, *, depth: int = DEPTH, recall: float = 1) -> None:
        if sketch is not None and len(sketch) != len(vectors):
            raise ArtefactError(f"a sketch of {len(sketch)} vectors beside {len(vectors)}; build the index again")
        self._vectors = vectors
        self._sketch = sketch
        self._depth = depth
        self._recall = recall
        self._changes = _Changes(None, np.zeros(0, np.int64), np.zeros((0, vectors.shape[1]), np.float16))

    @property
    def dimension(self) -> int:
        return int(self._vectors.shape[1])

    @property
    def manifest(self) -> dict[str, Any]:
        """What it is: "exact" or "sketch", its size, how deep it looks, the recall that was measured."""
        return {
            "kind": "exact" if self._sketch is None else "sketch",
            "count": len(self._vectors),
            "dimension": self.dimension,
            "depth": self._depth,
            f"recall_at_{RECALL_AT}": self._recall,
        }

    def __len__(self) -> int:
        present = self._changes.present
        return (len(self._vectors) if present is None else int(present.sum())) + len(self._changes.ids)

    def put(self, ids: Ids, vectors: Vectors) -> None:
        """Add or replace vectors, (len(ids), dimension); best in batches. Raises as VectorStore says."""
        check_put(ids, vectors, self.dimension)
        changes = self._without(ids)
        self._changes = _Changes(
            changes.present,
            np.concatenate([changes.ids, np.asarray(ids, np.int64)]),
            np.concatenate([changes.vectors, vectors.astype(np.float16)]),
        )

    def remove(self, ids: Ids) -> int:
        """Take vectors out; ids that are not there are passed over. Returns how many went."""
        before = len(self)
        self._changes = self._without(ids)
        return before - len(self)

    def _without(self, ids: Ids) -> _Changes:
        old = self._changes
        rows = ids[(ids >= 0) & (ids < len(self._vectors))]
        present = old.present
        if len(rows):
            present = np.ones(len(self._vectors), np.bool_) if present is None else present.copy()
            present[rows] = False
        kept = ~np.isin(old.ids, ids)
        return _Changes(present, old.ids[kept], old.vectors[kept])

    def search(self, queries: Vectors, k: int, among: Mask | None = None) -> Nearest:
        """The k best of each query, (queries, dimension) float32. Raises as VectorStore says."""
        check_queries(queries, self.dimension)
        changes = self._changes
        of_matrix = self._in_matrix(queries, k, _both(changes.present, among, len(self._vectors)))
        if not len(changes.ids):
            return of_matrix
        later = np.argsort(changes.ids)
        ids = changes.ids[later]
        allowed = np.arange(len(ids)) if among is None else np.flatnonzero(_resized(among, int(ids[-1]) + 1)[ids])
        found = compared(queries, changes.vectors[later], allowed, k)
        own = Nearest(np.where(found.positions < 0, -1, ids[found.positions]), found.scores)
        return united([of_matrix, own], k)

    def _in_matrix(self, queries: Vectors, k: int, allowed: Mask | None) -> Nearest:
        count = len(self._vectors) if allowed is None else int(np.count_nonzero(allowed))
        depth = max(self._depth, PER_HIT * k)
        if self._sketch is None or count <= depth:
            return compared(queries, self._vectors, np.arange(count) if allowed is None else np.flatnonzero(allowed), k)
        named = self._sketch.candidates(queries, depth, allowed)
        found = [scored(q, self._vectors, np.sort(row[row >= 0]), k) for q, row in zip(queries, named, strict=True)]
        return stacked(found, k)


def store_of(vectors: Kept, *, approximate_from: int = APPROXIMATE_FROM, seed: int = 0) -> LocalStore:
    """A store over a matrix, (rows, dimension) float16 unit vectors: exact when small, else by a sketch.

    The sketch's recall in the first ten is measured against all, with some of the vectors as queries; where it is
    below 0.99 the sketch names more candidates, and where 8,000 do not suffice the store compares with all.
    """
    exact = LocalStore(vectors)
    if len(vectors) < max(approximate_from, DEPTH):
        return exact
    sketch = Sketch.of(vectors, seed)
    asked = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:ASKED])
    queries = vectors[asked].astype(np.float32)
    truth = exact.search(queries, RECALL_AT + 1)  # each finds itself, and that is not counted
    depth = DEPTH
    while depth <= DEEPEST:
        found = LocalStore(vectors, sketch, depth=depth).search(queries, RECALL_AT + 1)
        measured = recall(found, truth, itself=True)
        if measured >= RECALL:
            return LocalStore(vectors, sketch, depth=depth, recall=measured)
        depth *= 2
    return exact


def save_store(store: VectorStore, folder: Path, name: str) -> None:
    """Write what `open_store` reads: `name`.json, the manifest, and `name`.sketch where there is one.

    The matrix is the caller's to keep; what was put or removed since is not kept.
    """
    assert isinstance(store, LocalStore), "other engines keep what they hold"
    if store._sketch is not None:
        store._sketch.save(folder / f"{name}.sketch")
    write_atomically(folder / f"{name}.json", json.dumps(store.manifest, indent=1).encode())


def open_store(folder: Path, name: str, vectors: Kept) -> LocalStore:
    """What `save_store` wrote, over the same matrix. Raises ArtefactError when it is of another one or damaged."""
    path = folder / f"{name}.json"
    manifest = _read_manifest(path)
    for key, found in (("count", len(vectors)), ("dimension", vectors.shape[1])):
        if manifest[key] != found:
            raise ArtefactError(f"{path}: {key} is {manifest[key]!r}, the vectors' is {found}; build the index again")
    if manifest["kind"] == "exact":
        return LocalStore(vectors)
    if manifest["kind"] != "sketch":
        raise ArtefactError(f"{path}: {manifest['kind']!r} is no kind of ours; build the index again")
    sketch = Sketch.load(folder / f"{name}.sketch")
    return LocalStore(vectors, sketch, depth=manifest["depth"], recall=manifest[f"recall_at_{RECALL_AT}"])


def check_queries(queries: Vectors, dimension: int) -> None:
    """Raises DimensionMismatch for queries of another size."""
    if queries.shape[1] != dimension:
        raise DimensionMismatch(dimension, queries.shape[1])


def check_put(ids: Ids, vectors: Vectors, dimension: int) -> None:
    """Raises what VectorStore says of `put`."""
    check_queries(vectors, dimension)
    if len(ids) != len(vectors) or len(np.unique(ids)) != len(ids):
        raise ValueError(f"{len(np.unique(ids))} distinct ids for {len(vectors)} vectors: give each one of its own")
    if len(ids) and ids.min() < 0:
        raise ValueError(f"id {ids.min()}: ids are positions, from 0 on")
    lengths = np.linalg.norm(vectors.astype(np.float32), axis=1)
    wrong = np.flatnonzero(~(np.abs(lengths - 1) <= LENGTH))
    if len(wrong):
        raise ValueError(f"the vector of id {ids[wrong[0]]} has length {lengths[wrong[0]]:.3f}: divide it by that")


def _read_manifest(path: Path) -> Mapping[str, Any]:
    kinds: dict[str, Any] = {
        "kind": str,
        "count": int,
        "dimension": int,
        "depth": int,
        f"recall_at_{RECALL_AT}": (int, float),
    }
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{path} is missing or not readable; build the index again") from error
    if not isinstance(manifest, dict) or not all(isinstance(manifest.get(key), kind) for key, kind in kinds.items()):
        raise ArtefactError(f"{path} is no manifest of a vector store; build the index again")
    return manifest


def _both(present: Mask | None, among: Mask | None, rows: int) -> Mask | None:
    if among is None:
        return present
    fitting = _resized(among, rows)
    return fitting if present is None else fitting & present


def _resized(mask: Mask, length: int) -> Mask:
    return mask[:length] if len(mask) >= length else np.pad(mask, (0, length - len(mask)))
