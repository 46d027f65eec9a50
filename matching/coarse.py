"""Vectors in eight bits, and their products as whole numbers: fast to multiply, with a known error.

A fixed turn of the space comes first: it spreads what one dimension has much of over all of them and leaves inner
products as they are. Codes are whole numbers and so are their products: these depend neither on the shape of a block
nor on the kind of processor. Where one lacks int8 instructions the same numbers come from float32, which holds them
exactly up to 1,040 dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from matching.encoder import Vectors

Codes = NDArray[np.int8]
Products = NDArray[np.int32]
Stored = NDArray[np.float32] | NDArray[np.float16]

BLOCK = 8192  # rows that are turned at once
HIGHEST = 127
REACH = 5.5  # standard deviations of a turned unit vector's components that the codes cover
DOUBT = 4.0  # see `error`


@dataclass(frozen=True)
class Coarse:
    """codes × step ≈ turned vectors. `lengths`: norms of the vectors; `residues`: of what the codes leave out."""

    codes: Codes
    step: float
    lengths: Vectors
    residues: Vectors

    def __len__(self) -> int:
        return len(self.codes)


def coarse(vectors: Stored) -> Coarse:
    """Codes of vectors of shape (n, dimension), float16 or float32; the step is the same for all, so that none is
    scaled on its own and products can be compared as they are."""
    count, dimension = vectors.shape
    lengths = np.zeros(count, np.float32)
    for block in blocks(count, BLOCK):
        lengths[block] = np.linalg.norm(vectors[block].astype(np.float32), axis=1)
    step = float(lengths.max(initial=0.0) * min(1.0, REACH / np.sqrt(dimension)) / HIGHEST) or 1.0
    codes, residues = np.zeros((count, dimension), np.int8), np.zeros(count, np.float32)
    for block in blocks(count, BLOCK):
        turned = (vectors[block].astype(np.float32) @ _turn(dimension)) / np.float32(step)
        rounded = np.clip(np.rint(turned), -HIGHEST, HIGHEST)
        codes[block] = rounded
        residues[block] = np.linalg.norm(turned - rounded, axis=1) * step
    return Coarse(codes, step, lengths, residues)


def error(own: Coarse, other: Coarse) -> Vectors:
    """How far the exact product of each of `own` with any of `other` may be from the coarse one, shape (own,).

    x·y − x̃·ỹ = x·s + r·y − r·s with residues r, s. By Cauchy–Schwarz that is at most |x||s| + |r||y| + |r||s|; in many
    dimensions, after a turn that knows nothing of the data, it is about 1/√dimension of that, and `DOUBT` times as
    much has a chance of some 10⁻⁸. In up to 16 dimensions the bound is strict.
    """
    length, residue = float(other.lengths.max(initial=0.0)), float(other.residues.max(initial=0.0))
    most = own.lengths * residue + own.residues * length + own.residues * residue
    return np.asarray(most * min(1.0, DOUBT / np.sqrt(max(1, own.codes.shape[1]))), np.float32)


def products(left: Codes, right: Codes, out: Products) -> Products:
    """left @ right.T in whole numbers, into `out` of shape (left, right)."""
    import torch

    if has_fast_int8():
        torch._int_mm(torch.from_numpy(left), torch.from_numpy(right).t(), out=torch.from_numpy(out))
    else:
        out[:] = left.astype(np.float32) @ right.astype(np.float32).T
    return out


@cache
def has_fast_int8() -> bool:
    """Whether the processor multiplies int8 in hardware."""
    import torch

    return bool(torch.cpu._is_vnni_supported())


def blocks(count: int, size: int) -> list[slice]:
    """Slices of `size` that cover range(count)."""
    return [slice(start, min(count, start + size)) for start in range(0, count, size)]


@cache
def _turn(dimension: int) -> Vectors:
    """A fixed orthogonal matrix, as good as random."""
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(dimension, dimension)))
    return np.asarray(turn, np.float32)
