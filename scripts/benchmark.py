"""Measure the speed of encoding.

    python scripts/benchmark.py [--cache var/models] [--runs 5] [--sets ../shared/evaldata]

Writes docs/speed.md. All ways of encoding run in turn, A B C A B C …, so that a drift of the machine meets all of them;
quoted are medians and the ratio of each run to the plain one beside it.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from corpora import DATA, ROOT, as_listing, benchmark, read_jsonl
from evaluate import Qrels, mixed_language, sbir

from matching import (
    Encoder,
    MatchOptions,
    SentenceEncoder,
    embed,
    evaluation,
    match_embedded,
    run_of,
)
from matching.accelerated import AcceleratedEncoder, can_accelerate
from matching.bundled import NAME, ensure_model
from matching.encoder import Vectors, has_fast_bf16, unit
from matching.models import with_artefacts

WARM_UP = 16  # texts
QUERIES = 100


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


def quality_of(folder: Path, sets: Path) -> list[str]:
    """Table rows: how well vectors of each number format rank each set, and how far they are from the first's."""
    (trained, _), (held, qrels) = benchmark("train"), benchmark("test")
    markets = [(trained + held, qrels)]
    if sets.exists():
        markets += [sbir(sets), mixed_language(sets / "ntrex" / "passages.jsonl")]
    rows, first = [], None
    for name, encoder in encoders(folder).items():
        models, ranked, vectors = with_artefacts(encoder), list[float](), list[Vectors]()
        for (listings, judged), measure in zip(markets, (evaluation.ndcg, evaluation.ndcg, recall_at_1), strict=False):
            embeddings = embed(listings, encoder, progress=True)
            run = run_of(match_embedded(listings, embeddings, models, MatchOptions(top=100, rank_all=True)))
            ranked.append(measure(judged, run))
            vectors += [one.vector.astype(np.float32) for one in embeddings]
        own = unit(np.stack(vectors))
        first = own if first is None else first
        cosines = (own * first).sum(axis=1)
        figures = [f"{value:.4f}" for value in ranked] + ["–"] * (3 - len(ranked))
        rows.append(f"| {name} | {' | '.join(figures)} | {cosines.mean():.5f} | {cosines.min():.5f} |")
    return rows


def recall_at_1(qrels: Qrels, run: evaluation.Run) -> float:
    """The share of needs whose first offer is right."""
    return evaluation.recall(qrels, run, 1)


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


def encoding_page(folder: Path, runs: int, sets: Path) -> str:
    """The page of the encoder's speed."""
    return f"""# Speed of encoding

Written by `python scripts/benchmark.py` on {processor()}; other machines differ, so the ratios count.

{len(sample_texts())} texts in fifteen languages, each cut at 512 tokens, encoded by each way in turn, {runs}
times; medians, and the ratio to the plain way with its range.

| way | seconds | texts a second | tokens a second | times as fast |
|---|---|---|---|---|
{chr(10).join(time_encoding(folder, runs))}

One text alone, as in a search:

| way | characters | median ms | p95 ms |
|---|---|---|---|
{chr(10).join(time_short(folder))}

What the number format costs in quality: nDCG@10 of the held-back half of our benchmark (45 needs) and of `sbir_dev`
(116), R@1 of `ntrex` (300), and the cosine between a listing's vector and the one by torch in float32.

| way | held-back half | sbir_dev | ntrex | mean cosine | least |
|---|---|---|---|---|---|
{chr(10).join(quality_of(folder, sets))}
"""


def elapsed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path("var/models"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--sets", type=Path, default=ROOT.parent / "shared" / "evaldata")
    asked = parser.parse_args()
    page = encoding_page(ensure_model(asked.cache), asked.runs, asked.sets)
    (ROOT / "docs" / "speed.md").write_text(page, "utf-8")
    print(page)


def processor() -> str:
    """Cores and the number formats of this machine, without its name."""
    import torch

    return f"{torch.get_num_threads()} cores, {platform.machine()}, " + (
        "with AVX512-BF16 or AMX" if has_fast_bf16() else "without bf16 in hardware"
    )


if __name__ == "__main__":
    main()
