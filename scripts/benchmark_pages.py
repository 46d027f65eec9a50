"""Measure the pages from outside: how long the server takes for each, and how much comes over the wire.

    python scripts/benchmark_pages.py [--cache var/models] [--listings 100000] [--pairings 50000] [--report]

With `--report` it writes docs/speed-pages.md. A real `dukou serve` over SQLite in a process of its own; one browser's
worth of requests, one after another, as a manager of the centre and as a stranger.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import httpx
import numpy as np
from benchmark import processor
from benchmark_api import serving
from corpora import DATA, ROOT, as_listing, read_jsonl
from markets import fill
from sqlmodel import select

from app import accounts
from app.access import Role
from app.asking import COOKIE
from app.clock import utc_now
from app.db import Database
from app.pairings import State
from app.settings import Settings
from app.tables import ListingRow, PairingRow, PersonRow, StepRow
from matching import load_models

TIMES = 30
QUERY = "ceramic elbows for slurry pipelines that wear out within months"
SHARES = {State.PROPOSED: 0.6, State.SHORTLISTED: 0.1, State.OFFERED: 0.08, State.MUTUAL: 0.05, State.NEGOTIATING: 0.02}
WORKBENCH = ("/overview", "/queue", "/pipeline", "/listings", "/listings/{need}", "/pairings/{pairing}", "/nights")
FILTERED = (
    "/queue?country=CN",
    "/pipeline?country=CN",
    "/pipeline?q=pump",
    "/pipeline?order=longest",
    "/listings?side=need",
)
NARROWED = ("/listings?q=pump", "/listings?status=submitted", "/listings?sort=ending")
MORE = ("/listings/new", "/imports", "/search", f"/search?q={QUERY}", "/administration/organisations")
PUBLIC = ("/en/", "/en/offers", "/en/offers?field=clean_energy", "/en/listings/{offer}", f"/en/offers?q={QUERY}")
TARGET = 100  # ms, p95


def add_pairings(database: Database, count: int) -> None:
    """Pairings of offers and needs, no two of one pair; most are proposed, the others on their way or declined."""
    rng, now, block = np.random.default_rng(1), utc_now(), 5_000
    with database.reading() as session:
        ids = {
            side: list(session.exec(select(ListingRow.id).where(ListingRow.side == side)).all())
            for side in ("offer", "need")
        }
    states = rng.choice([*SHARES, State.DECLINED], count, p=[*SHARES.values(), 1 - sum(SHARES.values())])
    for start in range(0, count, block):
        with database.writing() as session:
            for i in range(start, min(start + block, count)):
                at = now - timedelta(hours=float(rng.uniform(0, 2_000)))
                row = PairingRow(
                    offer_id=ids["offer"][i % len(ids["offer"])],
                    need_id=ids["need"][(7 * i + i // len(ids["offer"])) % len(ids["need"])],
                    state=str(states[i]),
                    since=at,
                    probability=float(rng.beta(2, 2)),
                    parts={"base": -1.0, "margin": 1.5, "shared_words": 0.4},
                    evidence=[],
                    direction="go-out",
                    run="benchmark",
                    offer_version=1,
                    need_version=1,
                    created_at=at,
                    updated_at=at,
                )
                session.add(row)
                session.add(
                    StepRow(
                        pairing_id=row.id,
                        number=1,
                        at=at,
                        actor_kind="system",
                        actor_id="dukou",
                        action="propose",
                        state_after=row.state,
                        offer_version=1,
                        need_version=1,
                    )
                )


def sign_in(database: Database) -> str:
    """A session of a manager of the centre."""
    with database.writing() as session:
        person = PersonRow(email="m@example.org", name="Manager", role=Role.MANAGER, created_at=utc_now())
        session.add(person)
        session.flush()
        return accounts.sign_in(session, person, utc_now()).token


def some_ids(database: Database) -> dict[str, str]:
    """An offer, a need and a pairing."""
    with database.reading() as session:
        pairing = session.exec(select(PairingRow).where(PairingRow.state == State.PROPOSED)).first()
        assert pairing is not None
        return {"offer": pairing.offer_id, "need": pairing.need_id, "pairing": pairing.id}


def timed(client: httpx.Client, path: str) -> str:
    """A row of the table."""
    client.get(path).raise_for_status()  # what is read once is read before
    taken, size = [], 0
    for number in range(TIMES):
        asked = f"{path} {number}" if QUERY in path else path  # a text that nobody has searched with yet
        start = time.perf_counter()
        with client.stream("GET", asked) as answer:
            size = sum(len(part) for part in answer.iter_raw())
            answer.raise_for_status()
        taken.append(1000 * (time.perf_counter() - start))
    median, p95 = np.percentile(taken, [50, 95])
    return f"| {median:.0f} | {p95:.0f} | {size / 1024:.1f} | {'yes' if p95 <= TARGET else '**no**'} |"


def rows(cache: Path, listings: int, pairings: int) -> list[str]:
    """The table's rows."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        database = Database(Settings(home=home).url)
        texts = [as_listing(one) for one in read_jsonl(DATA / "training" / "listings.jsonl")]
        fill(database, load_models(cache), texts, listings)
        add_pairings(database, pairings)
        token, ids = sign_in(database), some_ids(database)
        database.close()
        found = []
        with serving(home, cache) as (base, _, _):
            for name, cookies, paths in (
                ("manager", {COOKIE: token}, WORKBENCH + FILTERED + NARROWED + MORE),
                ("stranger", {}, PUBLIC),
            ):
                with httpx.Client(base_url=base, cookies=cookies, timeout=60) as client:
                    for path in paths:
                        found.append(f"| {name} | `{path.replace(QUERY, '…')}` ")
                        found[-1] += timed(client, path.format(**ids))
                        print(found[-1], flush=True)
        return found


def report(found: list[str], listings: int, pairings: int) -> str:
    """The page of the pages' speed."""
    return f"""# Speed of the pages

Written by `python scripts/benchmark_pages.py --report` on {processor()}: {listings:,} published listings,
{pairings:,} pairings, one `dukou serve` over SQLite, one request after another from the same machine, {TIMES} for
each page. Milliseconds until the last byte; KiB as they come over the wire. Asked: p95 at most {TARGET} ms. Each
searched text is a new one, so that its encoding is in the time. Offers come from China, needs from Kazakhstan, none
says its fields: every pairing fits the country that the board is narrowed to, which is the slowest case.

| who | page | p50, ms | p95, ms | KiB | reached |
|---|---|---|---|---|---|
{chr(10).join(found)}
"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=ROOT / "var" / "models")
    parser.add_argument("--listings", type=int, default=100_000)
    parser.add_argument("--pairings", type=int, default=50_000)
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    table = rows(given.cache, given.listings, given.pairings)
    if given.report:
        text = report(table, given.listings, given.pairings)
        (ROOT / "docs" / "speed-pages.md").write_text(text, "utf-8")
