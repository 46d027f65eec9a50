"""Measure the search in markets of any size, without a database: docs/speed-search.md.

    python scripts/benchmark_search.py [--cache var/models] [--offers 10000,100000,1000000] [--needs 20000] [--report]

The market is made of the training texts over and over, each time with vectors a little apart, published into a folder
and opened from it by a process of its own, which searches for texts of 40 to 400 characters, encoding included.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import tempfile
import time
from pathlib import Path

import numpy as np
from benchmark import processor
from corpora import DATA, ROOT, as_listing, embed_cached, read_jsonl
from threadpoolctl import threadpool_limits

from app.search import WARMED
from matching import (
    Listing,
    Market,
    Models,
    Side,
    answers,
    embed_query,
    load_models,
    prepare_languages,
    prepare_search,
    read_listing,
)
from matching.encoder import unit
from matching.published import open_market, save_market
from matching.space import fit
from matching.stand import Stand, Texts, stacked

PAGE = ROOT / "docs" / "speed-search.md"
NOISE = 0.02  # of each number of a vector
BLOCK = 20_000
SEARCHES = 300


def sources() -> list[Listing]:
    """The training texts."""
    return [as_listing(one) for one in read_jsonl(DATA / "training" / "listings.jsonl")]


def texts_of(models: Models) -> Texts:
    """What is stored of the texts: those of the source that an id names."""
    listings = sources()
    embeddings = embed_cached(listings, models.encoder)
    return lambda ids: [embeddings[int(one.split("-")[1])] for one in ids]


def market_of(models: Models, sizes: dict[Side, int]) -> Market:
    """A market of so many listings a side."""
    listings = sources()
    embeddings = embed_cached(listings, models.encoder)
    vectors = stacked([one.vector for one in embeddings], models)
    space = fit(vectors, [one.language for one in embeddings], models.encoder.name, models.prior)
    stands = {}
    for side, size in sizes.items():
        own = [i for i, one in enumerate(listings) if one.side is side]
        stand = Stand.of(side, [listings[i] for i in own], [embeddings[i] for i in own], space, models)
        stands[side] = multiplied(stand, np.array(own), size)
    return Market.of(stands, models)


def multiplied(stand: Stand, numbers: np.ndarray, size: int) -> Stand:
    """A stand over and over, until it has `size` listings; ids tell the number of the source text."""
    rng, rows = np.random.default_rng(0), np.arange(size) % len(stand)
    many = stand.taken(rows)
    for columns in (many.vectors, many.titles):
        for start in range(0, size, BLOCK):
            own = columns[start : start + BLOCK].astype(np.float32)
            there = np.linalg.norm(own, axis=1, keepdims=True) > 0
            columns[start : start + BLOCK] = unit(own + rng.normal(0, NOISE, own.shape).astype(np.float32)) * there
    ids = np.array([f"{i:08d}-{numbers[row]}".encode() for i, row in enumerate(rows)])
    return Stand(**{**vars(many), "ids": ids})


def measured(folder: Path, cache: Path) -> dict[str, float]:
    """Open the market and search in it."""
    models = load_models(cache)
    prepare_languages()
    prepare_search()
    for count, tokens in WARMED:
        models.encoder.encode([" a" * tokens] * count)
    texts, before, start = texts_of(models), anonymous(), time.perf_counter()
    market, _, _ = open_market(folder, models, texts)
    opening = time.perf_counter() - start
    threadpool_limits(1, user_api="blas")  # as a serving process does
    needs = [one.description[: 40 + 60 * (i % 7)] for i, one in enumerate(sources()) if one.side is Side.NEED]
    whole, search = [], []
    for i in range(20 + SEARCHES):
        query = read_listing({"id": "query", "side": Side.NEED, "text": needs[i * 7 % len(needs)]})
        start = time.perf_counter()
        embedding = embed_query(query, models.encoder)
        encoded = time.perf_counter()
        answers(market, query, embedding, 10)
        if i >= 20:
            whole.append(time.perf_counter() - start)
            search.append(time.perf_counter() - encoded)
    found = {"opening": opening, "memory": anonymous() - before}
    for name, taken in (("whole", whole), ("search", search)):
        for percent in (50, 95):
            found[f"{name}_{percent}"] = float(np.percentile(taken, percent)) * 1000
    return found | {"recall": market.stores[Side.OFFER].manifest["recall_at_10"]}


def anonymous() -> float:
    """GiB of this process's memory that no file backs."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1024**2


def run(cache: Path, offers: int, needs: int) -> str:
    """One row of the table."""
    models = load_models(cache)
    with tempfile.TemporaryDirectory() as home:
        folder, start = Path(home) / "market", time.perf_counter()
        market = market_of(models, {Side.OFFER: offers, Side.NEED: needs})
        built = time.perf_counter() - start
        save_market(market, folder, {}, {})
        del market
        size = sum(path.stat().st_size for path in folder.iterdir()) / 1024**3
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            one = pool.apply(measured, (folder, cache))
    print(json.dumps({"offers": offers, "built": built, "size": size, **one}), flush=True)
    took = f"{one['whole_50']:.0f} | {one['whole_95']:.0f} | {one['search_50']:.1f} | {one['search_95']:.1f}"
    held = f"{one['recall']:.3f} | {one['opening']:.2f} | {one['memory']:.2f} | {size:.2f} | {built:.0f}"
    return f"| {offers:,} | {took} | {held} |"


def main() -> None:
    """Print a row for each size; with --report put them into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=ROOT / "var" / "models")
    parser.add_argument("--offers", default="10000,100000,1000000")
    parser.add_argument("--needs", type=int, default=20_000)
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    rows = [run(given.cache, int(size), given.needs) for size in given.offers.split(",")]
    head = (
        "| offers | search p50, ms | p95 | without encoding p50, ms | p95 | recall at 10 | opened, s | memory, GiB "
        "| folder, GiB | built, s |\n|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n"
    )
    table = head + "\n".join(rows)
    print(table)
    if given.report:
        body = (
            f"<!-- table -->\n{processor()}; {given.needs:,} needs beside the offers.\n\n{table}\n<!-- end of table -->"
        )
        page = PAGE.read_text("utf-8")
        PAGE.write_text(
            re.sub(r"<!-- table -->.*<!-- end of table -->", lambda _: body, page, flags=re.DOTALL), "utf-8"
        )


if __name__ == "__main__":
    main()
