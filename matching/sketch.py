"""A sketch of a set of vectors: 48 bytes each of 384 dimensions, read through for every query (FAISS, 4-bit PQ).

Product quantisation with 16 code words for every four dimensions, scanned by the processor's shuffle instruction
(André, Kermarrec, Le Scouarnec, 2015, "Cache locality is not enough"; FAISS's "fast scan"). It says which vectors may
be near; how near they are is for the vectors themselves to say. Nothing is skipped, so neither the way in which the
vectors lie nor a filter can hide one, as they do from graphs and from lists of cells; a million take about 3 ms.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from matching.embedding import Kept
from matching.encoder import Vectors
from matching.errors import ArtefactError
from matching.files import write_atomically

FAISS: Any = faiss  # the types that it ships name other arguments than it takes
PER_CODE = 4  # dimensions; a dimension that is no multiple of it is filled up with zeros
BITS = 4
TRAINED_ON = 50_000  # vectors
LISTS = 16  # all of them are read: only FAISS's lists take a filter along, and one long list takes twice the time
BLOCK = 20_000  # vectors turned into codes at a time


class Sketch:
    """The codes of all rows of a matrix, in their order; it does not change."""

    def __init__(self, index: Any) -> None:
        self._index = index

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @staticmethod
    def of(vectors: Kept, seed: int = 0) -> Sketch:
        """Learn the code words from a sample and encode every row; a million take 10–20 s on two cores.

        `vectors`: shape (rows, dimension), at least 624 rows, the least that 16 code words can be learned from.
        """
        index = _empty(vectors.shape[1])
        chosen = np.random.default_rng(seed).permutation(len(vectors))[:TRAINED_ON]
        index.train(_filled_up(vectors[np.sort(chosen)]))
        for start in range(0, len(vectors), BLOCK):
            index.add(_filled_up(vectors[start : start + BLOCK]))
        return Sketch(index)

    def candidates(self, queries: Vectors, depth: int, allowed: NDArray[np.bool_] | None) -> NDArray[np.int64]:
        """For each query the rows that seem nearest among the `allowed` (rows,), in no order; −1 where there are none.

        Shape (len(queries), depth).
        """
        chosen = None if allowed is None else FAISS.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
        parameters = FAISS.SearchParametersIVF(nprobe=LISTS, sel=chosen)
        _, rows = self._index.search(_filled_up(queries), depth, params=parameters)
        return np.asarray(rows, np.int64)

    def save(self, path: Path) -> None:
        """Write one file, whole or not at all."""
        write_atomically(path, faiss.serialize_index(self._index).tobytes())

    @staticmethod
    def load(path: Path) -> Sketch:
        """Read what `save` wrote. Raises ArtefactError for anything else."""
        try:
            index = faiss.read_index(str(path))
        except RuntimeError as error:
            raise ArtefactError(f"{path} is missing, truncated or no sketch; build the index again") from error
        if not isinstance(index, faiss.IndexIVFPQFastScan):
            raise ArtefactError(f"{path} is an index of another kind; build the index again")
        return Sketch(index)


def _empty(dimension: int) -> Any:
    full = -(-dimension // PER_CODE) * PER_CODE
    quantizer = FAISS.IndexFlatIP(full)
    index = FAISS.IndexIVFPQFastScan(quantizer, full, LISTS, full // PER_CODE, BITS, faiss.METRIC_INNER_PRODUCT)
    index.by_residual = False
    index.own_fields = True
    quantizer.this.disown()
    index.cp.niter = 4  # the lists need not be good ones
    index.pq.cp.niter = 10
    return index


def _filled_up(vectors: NDArray[Any]) -> Vectors:
    """Contiguous float32, its dimension a multiple of PER_CODE."""
    missing = -vectors.shape[1] % PER_CODE
    filled = np.pad(vectors, ((0, 0), (0, missing))) if missing else vectors
    return np.ascontiguousarray(filled, np.float32)
