"""Inner products of chosen pairs by FAISS, without copies of their vectors."""

from __future__ import annotations

import faiss
import numpy as np
from numpy.typing import NDArray

from matching.encoder import Vectors
from matching.errors import DimensionMismatch


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
