"""Measure speed.

    python scripts/benchmark.py encoding [--cache var/models] [--runs 5]         writes docs/speed.md
    python scripts/benchmark.py search [--cache var/models] [--sizes 1000,10000,100000]  writes docs/speed-search.md

All ways of encoding run in turn, A B C A B C …, so that a drift of the machine meets all of them; quoted are medians
and the ratio of each run to the plain one beside it.
"""

from __future__ import annotations

import argparse
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from corpora import DATA, ROOT, as_listing, benchmark, read_jsonl
from markets import fill, owners_of

from app import accounts
from app.access import OPERATOR
from app.clock import utc_now
from app.db import Database
from app.listings import post_listing
from app.results import Sight
from app.search import Live
from app.settings import Settings
from matching import (
    Embedding,
    Encoder,
    Listing,
    MatchOptions,
    SentenceEncoder,
    Side,
    answers,
    embed,
    evaluation,
    load_models,
    match_embedded,
    run_of,
)
from matching.accelerated import AcceleratedEncoder, can_accelerate
from matching.bundled import NAME, ensure_model
from matching.encoder import Vectors, has_fast_bf16, unit
from matching.language import detect
from matching.models import with_artefacts

WARM_UP = 16  # texts
QUERIES = 100
POSTS = 20
BLOCK = 1_000  # listings stored in one transaction
NOISE = 0.02
STAGES: list[str] = []  # rows of the second table, gathered while the first is made


def sample_texts() -> list[str]:
    """The sample listings and the held-back half of the benchmark: short and long, in fifteen languages."""
    records = read_jsonl(DATA / "samples" / "listings.jsonl")
    for side in ("needs", "offers"):
        records += read_jsonl(DATA / "benchmark" / f"test-{side}.jsonl")
    return [as_listing(record).text for record in records]


def ways(folder: Path) -> dict[str, Callable[[list[str]], Vectors]]:
    """Ways to turn the same texts into vectors, the plain one first."""
    from sentence_transformers import SentenceTransformer

    plain = SentenceTransformer(str(folder))
    found: dict[str, Callable[[list[str]], Vectors]] = {
        "sentence-transformers as it comes, fp32": lambda texts: plain.encode(
            ["passage: " + text for text in texts], show_progress_bar=False
        )
    }
    return found | {f"Dukou, {name}": encoder.encode for name, encoder in encoders(folder).items()}


def encoders(folder: Path) -> dict[str, Encoder]:
    """Our own ways on this machine, float32 first."""
    found: dict[str, Encoder] = {
        f"torch {number_format}": SentenceEncoder(folder, name=NAME, number_format=number_format)
        for number_format in formats()
    }
    if can_accelerate():
        found["OpenVINO int8"] = AcceleratedEncoder(folder, name=NAME)
    return found


def formats() -> list[str]:
    """Number formats that this processor multiplies in hardware."""
    return ["float32", "bfloat16"] if has_fast_bf16() else ["float32"]


def time_encoding(folder: Path, runs: int) -> list[str]:
    """Table rows: seconds, texts and tokens a second, ratio to the plain way."""
    texts = sample_texts()
    encoder = SentenceEncoder(folder)
    tokens = sum(min(len(ids), encoder.max_tokens) for ids in encoder.tokenize(texts))
    candidates = ways(folder)
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for run in range(runs + 1):
        for name, encode in candidates.items():
            start = time.perf_counter()
            encode(texts if run else texts[:WARM_UP])
            if run:
                seconds[name].append(time.perf_counter() - start)
    plain = next(iter(seconds.values()))
    rows = []
    for name, own in seconds.items():
        ratios = [p / s for p, s in zip(plain, own, strict=True)]
        middle = statistics.median(own)
        rows.append(
            f"| {name} | {middle:.1f} | {len(texts) / middle:.0f} | {tokens / middle:,.0f} "
            f"| {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}) |"
        )
    return rows


def quality_of(folder: Path) -> list[str]:
    """Table rows: the ranking of the held-back half with vectors of each number format, and how far these differ."""
    trained, _ = benchmark("train")
    held, qrels = benchmark("test")
    listings = trained + held
    rows, first = [], None
    for name, encoder in encoders(folder).items():
        models = with_artefacts(encoder)
        embeddings = embed(listings, models.encoder, progress=True)
        run = run_of(match_embedded(listings, embeddings, models, MatchOptions(top=100, rank_all=True)))
        vectors = unit(np.stack([one.vector for one in embeddings]).astype(np.float32))
        first = vectors if first is None else first
        least = float((vectors * first).sum(axis=1).min())
        rows.append(f"| {name} | {evaluation.ndcg(qrels, run):.4f} | {least:.5f} |")
    return rows


def time_short(folder: Path) -> list[str]:
    """Table rows: milliseconds for one text of so many characters, median and 95th percentile, by each of our ways."""
    rows, texts = [], sample_texts()[:QUERIES]
    for name, encoder in encoders(folder).items():
        for length in (100, 400):
            cut = [text[:length] for text in texts]
            encoder.encode(cut)
            taken = [elapsed(lambda text=text, encoder=encoder: encoder.encode([text])) for text in cut]
            middle, slow = np.percentile(taken, [50, 95]) * 1000
            rows.append(f"| {name} | {length} | {middle:.1f} | {slow:.1f} |")
    return rows


def encoding_page(folder: Path, runs: int) -> str:
    """The page of the encoder's speed."""
    return f"""# Speed of encoding

Written by `python scripts/benchmark.py encoding` on {processor()}; other machines differ, so the ratios count.

{len(sample_texts())} texts in fifteen languages, each cut at 512 tokens, encoded by each way in turn, {runs}
times; medians, and the ratio to the plain way with its range.

| way | seconds | texts a second | tokens a second | times as fast |
|---|---|---|---|---|
{chr(10).join(time_encoding(folder, runs))}

One text alone, as in a search:

| way | characters | median ms | p95 ms |
|---|---|---|---|
{chr(10).join(time_short(folder))}

What the number format costs in quality: nDCG@10 of the held-back half of our benchmark, and the least cosine between
a listing's vector and the one by torch in float32.

| way | nDCG@10 | least cosine |
|---|---|---|
{chr(10).join(quality_of(folder))}
"""


def time_search(cache: Path, size: int) -> str:
    """A table row: a service over `size` invented listings, one client."""
    texts = [as_listing(r) for r in read_jsonl(DATA / "training" / "listings.jsonl")]
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home))
        database = Database(settings.url)
        models = load_models(cache)
        fill(database, models, texts, size)
        del models
        settings.cache.symlink_to(cache.resolve())
        live = Live(settings, database)
        start = time.perf_counter()
        live.load()
        loading = time.perf_counter() - start
        queries = [one.description[:400] for one in texts if one.side is Side.NEED][:QUERIES]
        everything = Sight(OPERATOR)
        live.search(queries[0], Side.OFFER, 10, sight=everything)
        searching = [elapsed(lambda text=text: live.search(text, Side.OFFER, 10, sight=everything)) for text in queries]
        posting = [
            elapsed(lambda i=i, text=text: post_and_find(live, i, text)) for i, text in enumerate(queries[:POSTS])
        ]
        STAGES.extend(stages(live, texts, size))
        database.close()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    middle, slow = np.percentile(searching, [50, 95]) * 1000
    posted = np.percentile(posting, 95)
    return f"| {size:,} | {loading:.0f} | {middle:.0f} | {slow:.0f} | {posted:.2f} | {memory:.1f} |"


def stages(live: Live, texts: list[Listing], size: int) -> list[str]:
    """Table rows: median milliseconds of a search's stages, for queries of three lengths."""
    models, snapshot = live._current()
    market, encoder, long = snapshot.base.market, models.encoder, " ".join(one.description for one in texts[:500])
    rows = []
    for length in (100, 400, 2_000):
        cut = [long[start : start + length] for start in range(0, 20 * length, length)]
        asked = [Listing(id="query", side=Side.NEED, description=text) for text in cut]
        made = embed(asked, encoder)
        work: tuple[Callable[[Listing, Embedding], object], ...] = (
            lambda one, _: encoder.tokenize([one.text]),
            lambda one, _: detect([one.text]),
            lambda one, _: embed([one], encoder),
            lambda one, own: answers(market, one, own, 0),
            lambda one, own: answers(market, one, own, 10),
        )
        taken = [
            np.median([elapsed(lambda w=w, q=q, m=m: w(q, m)) for q, m in zip(asked, made, strict=True)]) * 1000
            for w in work
        ]
        rows.append(f"| {size:,} | {length:,} | " + " | ".join(f"{ms:.1f}" for ms in taken) + " |")
    return rows


def post_and_find(live: Live, number: int, text: str) -> None:
    """Post an offer and search until it is found; it is at once or never."""
    record = {"reference": f"new-{number}", "side": "offer", "title": f"Novelty {number}", "country": "CN"}
    owner_id = owners_of(live.database)[Side.OFFER]
    with live.database.writing() as session:
        owner = accounts.organisation(session, OPERATOR, owner_id)
        posted = post_listing(session, OPERATOR, owner, record | {"description": text}, utc_now()).row
    found = live.search(text, Side.OFFER, 10, sight=Sight(OPERATOR))
    if posted.id not in [one.listing.id for one in found.items]:
        raise RuntimeError(f"{posted.reference} was posted and is not found")


def elapsed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def search_page(cache: Path, sizes: list[int]) -> str:
    """The page of the live search's speed."""
    return f"""# Speed of the live search

Written by `python scripts/benchmark.py search` on {processor()}. Listings: our training texts
again and again, each with a number in its title and its vector moved a little; offers from China, needs from abroad.
One client: {QUERIES} needs of up to 400 characters, encoding included; then {POSTS} offers, each posted and searched
for until it is found. SQLite on disk; memory is the most of the whole process so far, model included.

| listings | seconds to load | search, median ms | search, p95 ms | posted and found, p95 s | GiB |
|---|---|---|---|---|---|
{chr(10).join(time_search(cache, size) for size in sizes)}

Where the time of a search goes, median ms, by the query's length. Tokenizing and the detection of the language are
part of embedding; what the ten results need beyond finding and scoring is their evidence.

| listings | characters | tokenize once | language | embed in all | find and score | the same with evidence |
|---|---|---|---|---|---|---|
{chr(10).join(STAGES)}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["encoding", "search"])
    parser.add_argument("--cache", type=Path, default=Path("var/models"))
    parser.add_argument("--runs", type=int, default=5, help="of encoding")
    parser.add_argument("--sizes", default="1000,10000,100000", help="of the market searched")
    asked = parser.parse_args()
    if asked.what == "encoding":
        path, page = ROOT / "docs" / "speed.md", encoding_page(ensure_model(asked.cache), asked.runs)
    else:
        sizes = [int(size) for size in asked.sizes.split(",")]
        path, page = ROOT / "docs" / "speed-search.md", search_page(asked.cache, sizes)
    path.write_text(page, "utf-8")
    print(page)


def processor() -> str:
    """Cores and the number formats of this machine, without its name."""
    import torch

    return f"{torch.get_num_threads()} cores, {platform.machine()}, " + (
        "with AVX512-BF16 or AMX" if has_fast_bf16() else "without bf16 in hardware"
    )


if __name__ == "__main__":
    main()
