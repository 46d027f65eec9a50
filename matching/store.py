"""Stores of unit vectors under whole numbers: the one interface of every engine, and the one within the process.

An id is a position: the row of a matrix that the caller keeps, float16, in memory or mapped from a file. What a store
answers is always scored by those rows themselves, whatever has chosen the candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from matching.embedding import Kept
from matching.encoder import Vectors
from matching.errors import ArtefactError, DimensionMismatch
from matching.sketch import Sketch

Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]

APPROXIMATE_FROM = (
    20_000  # vectors; fewer are compared one and all in the time that a sketch would take (docs/speed-stores.md)
)
DEPTH = 1_000  # candidates that a sketch names for one query, or ten for each that is wanted
DEEPEST = 8_000
RECALL, RECALL_AT, ASKED = 0.99, 10, 200  # the least recall of a sketch, in the first so many, of so many queries
BLOCK = 8_192  # rows compared at a time
ROUNDING = 1e-5  # more than two ways to add up one inner product differ by
LENGTH = 0.01  # by which a unit vector may miss its length


@dataclass(frozen=True)
class Hits:
    """What was found for each query, best first, ties by id: `ids` int64 and `scores` float32, both (queries, k).

    Where there is nothing more, the id is −1 and the score −∞.
    """

    ids: Ids
    scores: Vectors


class VectorStore(Protocol):
    """Unit vectors under ids from 0 on, kept as float16.

    `put` replaces what is there; `search` compares by inner product, computed in float32 from what is kept. With
    `among` only those ids are found whose entry is True, and all k are found where so many are allowed; an id beyond
    its end is not allowed. Raises DimensionMismatch for vectors of another size and ValueError for ids that are
    negative or come twice, and vectors that are not of unit length.
    """

    @property
    def dimension(self) -> int: ...
    def __len__(self) -> int: ...
    def put(self, ids: Ids, vectors: Vectors) -> None: ...
    def remove(self, ids: Ids) -> int: ...
    def search(self, queries: Vectors, k: int, among: Mask | None = None) -> Hits: ...


@dataclass(frozen=True)
class _Changes:
    """What has changed since the matrix was made; replaced as a whole, so that a search never sees half of a change."""

    present: Mask | None  # rows of the matrix that still hold; None: all
    ids: Ids  # of vectors that came later
    vectors: Kept


class LocalStore:
    """The store within the process: a matrix whose rows are the ids, its sketch where it is large, later changes.

    What is put later is kept in memory beside the matrix and compared exactly; many changes want a new matrix
    (`build`). Searches may run beside one writer.
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
        """What `open_store` needs to know beside the files: kind, size, depth and the recall that was measured."""
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

    def search(self, queries: Vectors, k: int, among: Mask | None = None) -> Hits:
        """The k best of each query, (queries, dimension) float32. Raises as VectorStore says."""
        check_queries(queries, self.dimension)
        changes = self._changes
        later = np.arange(len(changes.ids))
        if among is not None:
            later = later[_resized(among, int(changes.ids.max(initial=-1)) + 1)[changes.ids]]
        of_matrix = self._in_matrix(queries, k, self._allowed(changes.present, among))
        if not len(later):
            return of_matrix
        found = _compared(queries, changes.vectors, later, k)
        ids = np.where(found.ids < 0, -1, changes.ids[found.ids])
        return merged([of_matrix, Hits(ids, found.scores)], k)

    def _allowed(self, present: Mask | None, among: Mask | None) -> Mask | None:
        if among is None:
            return present
        fitting = _resized(among, len(self._vectors))
        return fitting if present is None else fitting & present

    def _in_matrix(self, queries: Vectors, k: int, allowed: Mask | None) -> Hits:
        count = len(self._vectors) if allowed is None else int(np.count_nonzero(allowed))
        depth = max(self._depth, 10 * k)
        if self._sketch is None or count <= depth:
            rows = np.arange(count) if allowed is None else np.flatnonzero(allowed)
            return _compared(queries, self._vectors, rows, k)
        candidates = self._sketch.candidates(queries, depth, allowed)
        found = [
            _scored(q, self._vectors, np.sort(row[row >= 0]), k) for q, row in zip(queries, candidates, strict=True)
        ]
        return _stacked(found, k)

    def save(self, path: Path) -> None:
        """Write what `open_store` reads; matrix and manifest are the caller's to keep, and changes are lost."""
        if self._sketch is not None:
            self._sketch.save(path)


def build(vectors: Kept, *, approximate_from: int = APPROXIMATE_FROM, seed: int = 0) -> LocalStore:
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
        recall = recall_of(LocalStore(vectors, sketch, depth=depth).search(queries, RECALL_AT + 1), truth, itself=True)
        if recall >= RECALL:
            return LocalStore(vectors, sketch, depth=depth, recall=recall)
        depth *= 2
    return exact


def open_store(path: Path, vectors: Kept, manifest: Mapping[str, Any]) -> LocalStore:
    """What `save` wrote, over the same matrix. Raises ArtefactError when it belongs to another or is damaged."""
    for key, found in (("count", len(vectors)), ("dimension", vectors.shape[1])):
        if manifest.get(key) != found:
            raise ArtefactError(
                f"vector store: {key} is {manifest.get(key)!r}, the vectors' is {found}; build it again"
            )
    if manifest.get("kind") == "exact":
        return LocalStore(vectors)
    if manifest.get("kind") != "sketch":
        raise ArtefactError(f"vector store: {manifest.get('kind')!r} is no kind of ours; build the index again")
    try:
        depth, recall = int(manifest["depth"]), float(manifest[f"recall_at_{RECALL_AT}"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"vector store: the manifest lacks {error}; build the index again") from error
    return LocalStore(vectors, Sketch.load(path), depth=depth, recall=recall)


def recall_of(found: Hits, truth: Hits, *, itself: bool = False) -> float:
    """The share of true hits that were found, counted by score so that ties are no misses; 1.0 where none is true.

    With `itself` the best true hit of each query is the query, and is not counted.
    """
    least = np.where(truth.ids >= 0, truth.scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    wanted = (truth.ids >= 0).sum(axis=1)
    right = np.minimum(((found.ids >= 0) & (found.scores >= least - ROUNDING)).sum(axis=1), wanted)
    total = int((wanted - itself).sum())
    return float((right - itself).sum() / total) if total > 0 else 1.0


def check_queries(queries: Vectors, dimension: int) -> None:
    """Raises DimensionMismatch for queries of another size."""
    if queries.shape[1] != dimension:
        raise DimensionMismatch(dimension, queries.shape[1])


def check_put(ids: Ids, vectors: Vectors, dimension: int) -> None:
    """Raises what VectorStore.put says."""
    check_queries(vectors, dimension)
    if len(ids) != len(vectors) or len(np.unique(ids)) != len(ids):
        raise ValueError(f"{len(np.unique(ids))} distinct ids for {len(vectors)} vectors: give each one of its own")
    if len(ids) and ids.min() < 0:
        raise ValueError(f"id {ids.min()}: ids are positions, from 0 on")
    lengths = np.linalg.norm(vectors.astype(np.float32), axis=1)
    wrong = np.flatnonzero(~(np.abs(lengths - 1) <= LENGTH))
    if len(wrong):
        raise ValueError(f"the vector of id {ids[wrong[0]]} has length {lengths[wrong[0]]:.3f}: divide it by that")


def floats(vectors: NDArray[Any]) -> Vectors:
    """Float32 of float16, by torch: numpy's own way takes ten times as long."""
    import torch

    if vectors.dtype != np.float16:
        return np.asarray(vectors, np.float32)
    writable = vectors if vectors.flags.writeable else np.array(vectors)
    converted: Vectors = torch.from_numpy(writable).float().numpy()
    return converted


def merged(parts: list[Hits], k: int) -> Hits:
    """The k best of several answers to the same queries, each with other ids."""
    ids = np.concatenate([one.ids for one in parts], axis=1)
    scores = np.concatenate([one.scores for one in parts], axis=1)
    order = np.lexsort((ids, -scores), axis=1)[:, :k]
    return Hits(np.take_along_axis(ids, order, 1), np.take_along_axis(scores, order, 1))


def _compared(queries: Vectors, vectors: Kept, rows: Ids, k: int) -> Hits:
    """The k best of those rows (ascending), each of them compared, blockwise."""
    found = Hits(np.full((len(queries), k), -1), np.full((len(queries), k), -np.inf, np.float32))
    for start in range(0, len(rows), BLOCK):
        chosen = rows[start : start + BLOCK]
        block = floats(vectors[chosen[0] : chosen[-1] + 1] if _whole(chosen) else vectors[chosen])
        least = found.scores[:, -1:] if k else found.scores
        products = queries @ block.T
        parts = []
        for query, product, worst in zip(queries, products, least, strict=True):
            near = _near_best(product, k, float(worst[0]) if len(worst) else np.inf)
            part = _scored(query, block, near, k)
            parts.append(Hits(np.where(part.ids < 0, -1, chosen[part.ids]), part.scores))
        found = merged([found, _stacked(parts, k)], k)
    return found


def _whole(rows: Ids) -> bool:
    """Whether ascending rows leave none out: a slice of them need not be gathered."""
    return bool(rows[-1] - rows[0] + 1 == len(rows))


def _near_best(product: Vectors, k: int, worst: float) -> Ids:
    """Where the scores stand that can be among the k best, with those that rounding might have put behind."""
    if 0 < k < len(product):
        worst = max(worst, float(np.partition(product, len(product) - k)[len(product) - k]))
    return np.flatnonzero(product >= worst - ROUNDING)


def _scored(query: Vectors, vectors: NDArray[Any], rows: Ids, k: int) -> Hits:
    """The k best of those rows (ascending) for one query, each summed up in the same way, so that equals tie."""
    scores = np.einsum("ij,j->i", floats(vectors[rows]), query)
    order = np.argsort(-scores, kind="stable")[:k]
    missing = (0, k - len(order))
    return Hits(
        np.pad(rows[order], missing, constant_values=-1)[None],
        np.pad(scores[order], missing, constant_values=-np.inf)[None],
    )


def _stacked(parts: list[Hits], k: int) -> Hits:
    ids = [one.ids for one in parts] or [np.zeros((0, k), np.int64)]
    return Hits(np.concatenate(ids), np.concatenate([one.scores for one in parts] or [np.zeros((0, k), np.float32)]))


def _resized(mask: Mask, length: int) -> Mask:
    return mask[:length] if len(mask) >= length else np.pad(mask, (0, length - len(mask)))
