"""Rows kept by column as numbers, so that tens of thousands can be narrowed and counted while a page waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


class Tally:
    """Rows of equal length with a name for each column; what stands in them can be hashed."""

    def __init__(self, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        columns = list(zip(*rows, strict=True)) or [()] * len(names)
        self._values: dict[str, list[Any]] = {}
        self._codes: dict[str, NDArray[np.int64]] = {}
        for name, column in zip(names, columns, strict=True):
            known: dict[Any, int] = {}
            self._codes[name] = np.array([known.setdefault(value, len(known)) for value in column], np.int64)
            self._values[name] = list(known)
        self._size = len(columns[0]) if columns else 0

    def __len__(self) -> int:
        return self._size

    def where(self, name: str, holds: Callable[[Any], bool]) -> Mask:
        """Which rows hold a value for which `holds` is true."""
        right = np.array([holds(value) for value in self._values[name]], np.bool_)
        return right[self._codes[name]] if self._size else np.zeros(0, np.bool_)

    def taken(self, mask: Mask) -> Tally:
        """Those rows alone."""
        if mask.all():
            return self
        part = Tally((), ())
        part._values = self._values
        part._codes = {name: codes[mask] for name, codes in self._codes.items()}
        part._size = int(mask.sum())
        return part

    def counted(self, *names: str) -> Counter[tuple[Any, ...]]:
        """How many rows there are of each combination of values in these columns."""
        if not self._size:
            return Counter()
        sizes = [len(self._values[name]) for name in names]
        whole = np.ravel_multi_index([self._codes[name] for name in names], sizes)
        numbers = np.bincount(whole)
        there = np.nonzero(numbers)[0]
        codes = zip(*(one.tolist() for one in np.unravel_index(there, sizes)), strict=True)
        values = [self._values[name] for name in names]
        keys = (tuple(own[code] for own, code in zip(values, row, strict=True)) for row in codes)
        return Counter(dict(zip(keys, numbers[there].tolist(), strict=True)))

    def of(self, name: str) -> list[Any]:
        """A column."""
        values = self._values[name]
        return [values[code] for code in self._codes[name].tolist()]

    def quartiles(self, name: str) -> tuple[float, float, float]:
        """Of a column of numbers and at least one row."""
        values = np.array(self._values[name], np.float64)[self._codes[name]]
        lower, median, upper = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
        return lower, median, upper
