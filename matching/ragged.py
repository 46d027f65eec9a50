"""Many lists of numbers of different lengths as two arrays, so that a million of them can be kept in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Words = Sequence[int] | NDArray[np.int32]  # one list


@dataclass(frozen=True, eq=False)
class Ragged:
    """List i is `numbers[starts[i] : starts[i + 1]]`; `starts` int64, shape (lists + 1,), `numbers` int32."""

    starts: NDArray[np.int64]
    numbers: NDArray[np.int32]

    @staticmethod
    def of(lists: Sequence[Sequence[int]]) -> Ragged:
        """The same lists."""
        starts = np.cumsum([0, *map(len, lists)], dtype=np.int64)
        parts = [np.asarray(one, np.int32) for one in lists]
        return Ragged(starts, np.concatenate(parts) if parts else np.zeros(0, np.int32))

    @staticmethod
    def joined(parts: Sequence[Ragged]) -> Ragged:
        """All lists of the parts, one part behind the other."""
        lengths = [np.diff(part.starts) for part in parts]
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate(lengths))])
        return Ragged(starts, np.concatenate([part.numbers for part in parts]))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        return self.numbers[self.starts[row] : self.starts[row + 1]]

    def taken(self, rows: NDArray[np.int64]) -> Ragged:
        """The lists of these rows, in this order."""
        lengths = self.starts[rows + 1] - self.starts[rows]
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        places = np.arange(starts[-1]) + np.repeat(self.starts[rows] - starts[:-1], lengths)
        return Ragged(starts, self.numbers[places])
