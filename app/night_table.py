"""A night on the screen: bars on a terminal, lines in a log, a table at the end."""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.night import Tell

log = logging.getLogger(__name__)

EVERY = 10.0  # seconds between two lines of a stage in a log
UNITS = {"embed": "listings", "build": "listings", "match": "needs", "record": "proposals"}


@contextmanager
def told() -> Iterator[Tell]:
    """What shows how far each stage is, on stderr."""
    if not sys.stderr.isatty():
        yield _in_lines()
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks: dict[str, Any] = {}

        def tell(stage: str, done: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(f"{stage}: {UNITS.get(stage, '')}", total=None)
            progress.advance(tasks[stage], done)

        yield tell


def _in_lines() -> Tell:
    counts, said = Counter[str](), Counter[str]()

    def tell(stage: str, done: int) -> None:
        counts[stage] += done
        if time.monotonic() - said[stage] >= EVERY:
            said[stage] = int(time.monotonic())
            log.info("%s: %s %s", stage, f"{counts[stage]:,}", UNITS.get(stage, ""))

    return tell


def night_table(run: str, report: dict[str, Any]) -> Table:
    """The report of a night, a row for each figure of each stage."""
    table = Table("stage", "what", "figure", title=run)
    for stage, figures in report.items():
        exposures = figures.get("exposure", {})
        for name, value in figures.items():
            if name != "exposure":
                table.add_row(stage, name, f"{value:,}" if isinstance(value, int) else str(value))
        for way, spread in exposures.items():
            for name, value in spread.items():
                table.add_row(stage, f"{way}: {name.replace('_', ' ')}", f"{value:,}")
    return table
