"""Measures what one writer at a time costs (decision 0015): posts a second by 1, 8 and 32 threads, on both databases.

    python scripts/writers.py

Posts go through the use case, each in a transaction of its own with its version and two events, and wait for the disk.
Then an import of 10,000 rows: new, as they were, and changed; in blocks, and all of it or nothing. Its longest turn is
how long others that write wait.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from postgres import running
from sqlmodel import Session

from app import accounts, imports
from app.access import OPERATOR
from app.clock import utc_now
from app.db import Database
from app.listings import post_listing
from app.sheets import Format
from app.tables import ImportRow, OrganisationRow, new_id

POSTS = 320
ROWS = 10_000
THREADS = (1, 8, 32)
TEXT = "Alumina ceramic elbows, zirconia 20 %, last six times longer than cast iron in ore slurry. " * 10


def measure(database: Database, threads: int) -> tuple[float, float]:
    """Posts a second, and the 95th percentile of a post's time in milliseconds."""
    with database.writing() as session:
        node = accounts.add_node(session, f"Node {threads}", "CN", None, utc_now())
        owner_id = accounts.add_organisation(session, OPERATOR, node.id, utc_now(), name="Works", trusted=True).id

    def post(number: int) -> float:
        began = time.perf_counter()
        record = {"side": "offer", "title": f"Elbows {number}", "description": TEXT, "reference": str(number)}
        with database.writing() as session:
            post_listing(session, OPERATOR, session.get_one(OrganisationRow, owner_id), record, utc_now())
        return time.perf_counter() - began

    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        times = list(pool.map(post, range(POSTS)))
    return POSTS / (time.perf_counter() - began), statistics.quantiles(times, n=20)[-1] * 1000


class Timed(Database):
    """A database that notes how long each turn of a writer lasts."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.turns: list[float] = []

    @contextmanager
    def writing(self) -> Iterator[Session]:
        with super().writing() as session:
            began = time.perf_counter()
            yield session
            session.flush()
        self.turns.append(time.perf_counter() - began)


def imported(database: Timed, owner: OrganisationRow, version: str, whole: bool) -> tuple[float, float]:
    """Seconds of an import, and of its longest turn."""
    lines = [
        {
            "side": "offer",
            "title": f"Elbows {i}",
            "description": f"{version} {TEXT}",
            "reference": str(i),
            "country": "CN",
        }
        for i in range(ROWS)
    ]
    body = "\n".join(map(json.dumps, lines)).encode()
    job = imports.Job(new_id(), owner.id, OPERATOR, body, Format.JSONL, False, whole)
    with database.writing() as session:
        imports.begin(session, owner, job, utc_now())
    database.turns.clear()
    began = time.perf_counter()
    imports.run(database, job, threading.Event())
    took = time.perf_counter() - began
    with database.reading() as session:
        assert session.get_one(ImportRow, job.import_id).done == ROWS
    return took, max(database.turns)


def table_of_imports(name: str, url: str) -> None:
    """Print a line for each way to import."""
    for whole in (False, True):
        database = Timed(url)
        with database.writing() as session:
            node = accounts.add_node(session, f"Importing {whole}", "CN", None, utc_now())
            owner = accounts.add_organisation(session, OPERATOR, node.id, utc_now(), name="Works", trusted=True)
        for kind, version in (("new", "first"), ("unchanged", "first"), ("changed", "second")):
            took, longest = imported(database, owner, version, whole)
            print(f"| {name} | {'all or nothing' if whole else 'in blocks'} | {kind} | {took:.1f} | {longest:.2f} |")
        database.close()


def table(name: str, url: str) -> None:
    """Print a line for each number of threads."""
    database = Database(url)
    for threads in THREADS:
        rate, slow = measure(database, threads)
        print(f"| {name} | {threads} | {rate:.0f} | {slow:.0f} |")
    database.close()


def main() -> None:
    """Both databases in turn."""
    with tempfile.TemporaryDirectory() as folder, running(durable=True) as server:
        urls = {"SQLite": f"sqlite:///{Path(folder) / 'dukou.db'}", "PostgreSQL": server.make()}
        print("| database | threads | posts a second | 95 % within, ms |\n|---|---:|---:|---:|")
        for name, url in urls.items():
            table(name, url)
        print("\n| database | import | rows | seconds | longest turn, s |\n|---|---|---|---:|---:|")
        for name, url in urls.items():
            table_of_imports(name, url)


if __name__ == "__main__":
    main()
