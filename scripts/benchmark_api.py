"""Measure the service from outside.

    python scripts/benchmark_api.py [--cache var/models] [--sizes 10000,100000] [--seconds 20]

It writes docs/speed-api.md.

A real `dukou serve` over SQLite in a process of its own; 1, 8 and 32 clients that each send one request after another.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
from benchmark import processor
from corpora import DATA, ROOT, as_listing, read_jsonl
from markets import fill, owners_of

from app import accounts
from app.access import OPERATOR, PARTNER_SCOPES
from app.clock import utc_now
from app.db import Database
from app.settings import Settings
from app.tables import OrganisationRow
from matching import Side, load_models

CLIENTS = (1, 8, 32)
PATIENCE = 900  # seconds until a large market is loaded
Request = Callable[[httpx.Client, int], httpx.Response]


@dataclass(frozen=True)
class Timed:
    """What some clients saw: requests a second, milliseconds at three percentiles, and how many were refused."""

    rate: float
    median: float
    p95: float
    p99: float
    failed: int


def texts() -> list[str]:
    """Needs of 40 to 400 characters, as somebody types or pastes them."""
    needs = [as_listing(one) for one in read_jsonl(DATA / "training" / "listings.jsonl") if one["side"] == "need"]
    return [one.description[: 40 + 60 * (i % 7)] for i, one in enumerate(needs)]


def requests(key: str, need_ids: list[str]) -> dict[str, Request]:
    """The three kinds of request that are measured."""
    queries, run = texts(), secrets.token_hex(4)
    known = {"Authorization": f"Bearer {key}"}

    def search(client: httpx.Client, i: int) -> httpx.Response:
        text = (
            f"{queries[i % len(queries)]} {run} {i}"  # one that nobody has searched with: its vectors are not at hand
        )
        return client.post("/api/v1/search", json={"text": text}, headers=known)

    def matches(client: httpx.Client, i: int) -> httpx.Response:
        return client.get(f"/api/v1/listings/{need_ids[i % len(need_ids)]}/matches", headers=known)

    def post(client: httpx.Client, i: int) -> httpx.Response:
        text = f"{queries[i % len(queries)]} {i}"
        body = {"reference": f"{run}-{i}", "side": "need", "title": text[:60], "description": text, "country": "KZ"}
        return client.post("/api/v1/listings", json=body, headers=known)

    return {"search": search, "matches": matches, "post": post}


def measure(base: str, request: Request, clients: int, seconds: float, first: int) -> Timed:
    """Let `clients` send requests for some seconds; each waits for its answer before it sends the next."""
    taken: list[float] = []
    failed: list[int] = []
    end = time.perf_counter() + seconds

    def work(number: int) -> None:
        i = first + number * 100_000
        with httpx.Client(base_url=base, timeout=60) as client:
            while time.perf_counter() < end:
                start = time.perf_counter()
                status = request(client, i).status_code
                taken.append(time.perf_counter() - start)
                if status >= 400:
                    failed.append(status)
                i += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    median, p95, p99 = np.percentile(taken, [50, 95, 99]) * 1000
    return Timed(len(taken) / (time.perf_counter() - start), median, p95, p99, len(failed))


@contextmanager
def serving(home: Path, cache: Path) -> Iterator[tuple[str, int, float]]:
    """A running service: its address, its process id, and the seconds until it was ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "DUKOU_HOME": str(home),
        "DUKOU_SECRET": secrets.token_urlsafe(32),
        "DUKOU_KNOWN_LIMIT": "10000000/minute",
        "DUKOU_PUBLIC_LIMIT": "10000000/minute",
    }
    if not (home / "models").exists():
        (home / "models").symlink_to(cache.resolve())
    command = [str(Path(sys.executable).parent / "dukou"), "serve", "--port", str(port)]
    start = time.perf_counter()
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        base = f"http://127.0.0.1:{port}"
        wait_until_ready(base, process)
        yield base, process.pid, time.perf_counter() - start
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def wait_until_ready(base: str, process: subprocess.Popen[bytes]) -> None:
    """Ask until the market is loaded."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(f"{base}/health/ready", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise RuntimeError("the service does not become ready")


def memory(pid: int) -> float:
    """GiB that a process holds now."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1024**2


def rows_for(cache: Path, size: int, seconds: float) -> list[str]:
    """Table rows for a market of that size."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        database = Database(Settings(home=home).url)
        fill(
            database,
            load_models(cache),
            [as_listing(r) for r in read_jsonl(DATA / "training" / "listings.jsonl")],
            size,
        )
        key = make_key(database)
        database.close()
        rows = []
        with serving(home, cache) as (base, pid, ready):
            page = httpx.get(f"{base}/api/v1/listings", params={"side": "need", "limit": 100}, timeout=60).json()
            kinds = requests(key, [one["id"] for one in page["items"]])
            first = 0
            for name, request in kinds.items():
                measure(base, request, 1, 3, 50_000_000)  # what is read once is read before
                for clients in CLIENTS:
                    first += 4_000_000
                    seen = measure(base, request, clients, seconds, first)
                    rows.append(
                        f"| {size:,} | {name} | {clients} | {seen.rate:.0f} | {seen.median:.0f} | {seen.p95:.0f} "
                        f"| {seen.p99:.0f} | {seen.failed} | {memory(pid):.1f} | {ready:.0f} |"
                    )
                    print(rows[-1], flush=True)
    return rows


def make_key(database: Database) -> str:
    """A key of the seeker, who owns the needs."""
    owner_id = owners_of(database)[Side.NEED]
    with database.writing() as session:
        owner = session.get(OrganisationRow, owner_id)
        assert owner is not None
        return accounts.make_key(session, OPERATOR, owner, "benchmark", sorted(PARTNER_SCOPES), utc_now())[1]


def page(rows: list[str], seconds: float) -> str:
    """The page of the service's speed."""
    return f"""# Speed of the service

Written by `python scripts/benchmark_api.py` on {processor()}. One `dukou serve` over SQLite; clients on the same
machine, so that they take part of its cores. Each client sends one request after another for {seconds:g} s. Searches
are needs of 40 to 400 characters, each a new text, encoding included; a post stores a need that is published at once.
Memory is what the service holds after the row; "ready" is the seconds from its start until searches are answered.

| listings | request | clients | a second | median ms | p95 ms | p99 ms | failed | GiB | ready s |
|---|---|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}
"""


def main() -> None:
    """Measure every size and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path("var/models"))
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--seconds", type=float, default=20)
    asked = parser.parse_args()
    rows = [row for size in asked.sizes.split(",") for row in rows_for(asked.cache, int(size), asked.seconds)]
    (ROOT / "docs" / "speed-api.md").write_text(page(rows, asked.seconds), "utf-8")


if __name__ == "__main__":
    main()
