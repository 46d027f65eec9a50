"""What the search answers from: its model and its index, for the health check and the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class IndexState:
    """The model's name; the index's last write, number of listings and time of building (UTC).

    `tail`: the listings written since, as of the last search, which stand beside the index.
    """

    model: str
    revision: int
    listings: int
    tail: int
    built_at: datetime
