"""Measures what one writer at a time costs (decision 0015): posts a second by 1, 8 and 32 threads, on both databases.

    python scripts/writers.py

Posts go through the use case, each in a transaction of its own with its version and two events, and wait for the disk.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from postgres import running

from app import accounts
from app.access import OPERATOR
from app.clock import utc_now
from app.db import Database
from app.listings import post_listing
from app.tables import OrganisationRow

POSTS = 320
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


def table(name: str, url: str) -> None:
    """Print a line for each number of threads."""
    database = Database(url)
    for threads in THREADS:
        rate, slow = measure(database, threads)
        print(f"| {name} | {threads} | {rate:.0f} | {slow:.0f} |")
    database.close()


def main() -> None:
    """Both databases in turn."""
    print("| database | threads | posts a second | 95 % within, ms |\n|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        table("SQLite", f"sqlite:///{Path(folder) / 'dukou.db'}")
    with running(durable=True) as server:
        table("PostgreSQL", server.make())


if __name__ == "__main__":
    main()
