"""Measure the night's comparison of all offers with all needs.

    python scripts/benchmark_night.py [--size 100000] [--growth 10000,30000] [--report]
    python scripts/benchmark_night.py --large [--report]

In one run: how time grows, the machine's bare rate of matrix products, `faiss.knn` in both directions, and ours.
`--large` is 1,000,000 offers × 100,000 needs by ours alone, once. `--report` writes docs/speed-night.md, or with
`--large` adds a row to it. All vectors are invented.
Ours runs in a process of its own, which reads the vectors from disk as the night does, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import torch
from benchmark import processor
from corpora import ROOT

from matching.encoder import Vectors
from matching.neighbours import best, nearest_both_ways

DIMENSION = 384
K, JUDGED = 50, 10
CENTRES = 300
CHUNK = 16_384  # vectors made at once
FAISS_ROWS = 20_000  # queries asked of FAISS in each direction; its time is proportional to them
TRUTH = 2_000  # rows a side whose exact neighbours are looked up
LARGE = (1_000_000, 100_000)
PAGE = ROOT / "docs" / "speed-night.md"
END = "\n\nWhat it costs:"


@dataclass(frozen=True)
class Taken:
    """What ours took for `offers` × `needs`: seconds, of the clock and of all cores, and GiB at the most."""

    offers: int
    needs: int
    wall: float
    cpu: float
    gib: float

    @property
    def operations(self) -> float:
        return 2.0 * DIMENSION * self.offers * self.needs

    def row(self) -> str:
        rate, cost = self.operations / self.wall / 1e9, self.cpu / (self.offers * self.needs) * 1e6
        return (
            f"| {self.offers:,} × {self.needs:,} | {self.wall:,.1f} | {self.cpu:,.1f} | {rate:,.0f} "
            f"| {cost:.5f} | {self.gib:.2f} |"
        )


def write_vectors(path: Path, rows: int, seed: int) -> Path:
    """Invented float16 unit vectors: centres of uneven size, mixtures of two, noise of uneven spread."""
    fixed, random = np.random.default_rng(7), np.random.default_rng(seed)
    centres = fixed.normal(size=(CENTRES, DIMENSION))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    weights = np.arange(1, CENTRES + 1) ** -0.7
    spread = np.arange(1, DIMENSION + 1) ** -0.35
    spread /= np.linalg.norm(spread)
    out = np.lib.format.open_memmap(path, "w+", np.float16, (rows, DIMENSION))
    for start in range(0, rows, CHUNK):
        count = min(CHUNK, rows - start)
        one, two = random.choice(CENTRES, (2, count), p=weights / weights.sum())
        share = random.uniform(0.2, 1.0, (count, 1))
        noise = random.normal(size=(count, DIMENSION)) * spread * random.uniform(0.5, 1.2, (count, 1))
        vectors = share * centres[one] + (1 - share) * centres[two] + noise
        out[start : start + count] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    out.flush()
    return path


@dataclass(frozen=True)
class Rate:
    """GFLOP by a second of the clock, and by a second of one core, which hardly minds what else the machine does."""

    clock: float
    core: float

    def row(self, name: str, seconds: str = "") -> str:
        return f"| {name} | {seconds} | {self.clock:,.0f} | {self.core:,.0f} |"


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the clock, and of all cores together."""
    cpu, start = time.process_time(), time.perf_counter()
    work()
    return time.perf_counter() - start, time.process_time() - cpu


def bare_rate(number_format: torch.dtype) -> Rate:
    """The best of products of 2048 × 384 with 384 × 2048, by torch's own threads and by one a core."""
    cores = torch.get_num_threads()
    left, right = (torch.randn(2048, DIMENSION).to(number_format) for _ in range(2))
    out = [torch.empty(2048, 2048, dtype=number_format) for _ in range(cores)]

    def multiply(core: int) -> None:
        for _ in range(100):
            torch.mm(left, right.T, out=out[core])

    once = 100 * 2 * DIMENSION * 2048**2 / 1e9
    taken = [(once, *timed(lambda: multiply(0))) for _ in range(4)]
    with ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        taken += [(cores * once, *timed(lambda: list(pool.map(multiply, range(cores))))) for _ in range(4)]
    torch.set_num_threads(cores)
    return Rate(max(done / wall for done, wall, _ in taken), max(done / cpu for done, _, cpu in taken))


def faiss_seconds(offers: Vectors, needs: Vectors) -> tuple[float, float]:
    """Seconds, of clock and cores, for the nearest K of both sides, from FAISS_ROWS queries in each direction."""
    total = np.zeros(2)
    for own, other in ((offers, needs), (needs, offers)):
        asked = np.ascontiguousarray(own[:FAISS_ROWS], np.float32)
        base = np.ascontiguousarray(other, np.float32)
        taken = timed(lambda a=asked, b=base: faiss.knn(a, b, K, metric=faiss.METRIC_INNER_PRODUCT))
        total += np.array(taken) * (len(own) / len(asked))
    return float(total[0]), float(total[1])


def ours(folder: Path, offers: Path, needs: Path) -> tuple[Taken, Path]:
    """In a process of its own; also the file of what was found."""
    found = folder / "found.npz"
    command = [sys.executable, __file__, "--child", str(offers), str(needs), str(found)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return Taken(**json.loads(said.splitlines()[-1])), found


def child(offers: str, needs: str, found: str) -> None:
    """The process that is measured."""
    left, right = np.load(offers, mmap_mode="r"), np.load(needs, mmap_mode="r")
    results = []
    wall, cpu = timed(lambda: results.extend(nearest_both_ways(left, right, K)))
    forth, back = results
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    np.savez(found, forth=forth.positions[:, :JUDGED], back=back.positions[:, :JUDGED])
    print(json.dumps({"offers": len(left), "needs": len(right), "wall": wall, "cpu": cpu, "gib": gib}))


def agreement(found: Path, offers: Vectors, needs: Vectors) -> float:
    """Share of sampled rows of both sides whose JUDGED nearest are the set that exact float32 gives."""
    own = np.load(found)
    same = []
    for name, left, right in (("forth", offers, needs), ("back", needs, offers)):
        rows = np.random.default_rng(3).choice(len(left), min(TRUTH, len(left)), replace=False)
        for part in np.array_split(rows, max(1, len(rows) // 200)):
            truth = best(left[part].astype(np.float32) @ right.astype(np.float32).T, JUDGED).positions
            same += [set(a) == set(b) for a, b in zip(own[name][part].tolist(), truth.tolist(), strict=True)]
    return float(np.mean(same))


def said(line: str) -> str:
    print(line, flush=True)
    return line


def compared(folder: Path, size: int) -> tuple[list[str], list[str], Taken]:
    """The tables of one size: bare products, FAISS, ours; FAISS runs between two runs of ours, bare products around."""
    paths = [write_vectors(folder / f"{name}-{size}.npy", size, seed) for name, seed in (("offers", 1), ("needs", 2))]
    offers, needs = (np.load(path) for path in paths)
    before = bare_rate(torch.float32), bare_rate(torch.bfloat16)
    (first, found), (wall, cpu) = ours(folder, *paths), faiss_seconds(offers, needs)
    second, found = ours(folder, *paths)
    after = bare_rate(torch.float32), bare_rate(torch.bfloat16)
    single, half = (Rate(max(a.clock, b.clock), max(a.core, b.core)) for a, b in zip(before, after, strict=True))
    taken = Taken(size, size, min(first.wall, second.wall), min(first.cpu, second.cpu), max(first.gib, second.gib))
    theirs, own = (
        Rate(taken.operations / w / 1e9, taken.operations / c / 1e9) for w, c in ((wall, cpu), (taken.wall, taken.cpu))
    )
    rates = [
        single.row("bare products, float32"),
        half.row("bare products, bfloat16"),
        theirs.row("`faiss.knn`, both directions", f"{wall:,.1f}"),
        own.row("ours, both directions", f"{taken.wall:,.1f}"),
        f"| ours, times as fast as FAISS | | {own.clock / theirs.clock:.1f} | {own.core / theirs.core:.1f} |",
        f"| ours, part of bare bfloat16 | | {own.clock / half.clock:.0%} | {own.core / half.core:.0%} |",
    ]
    others = [
        f"| most memory of our process | {taken.gib:.2f} GiB |",
        f"| top {JUDGED} as exact float32, {min(TRUTH, size):,} rows a side | {agreement(found, offers, needs):.2%} |",
        f"| load of the machine over five minutes, 1 is full | {os.getloadavg()[1] / (os.cpu_count() or 1):.1f} |",
    ]
    return [said(row) for row in rates], [said(row) for row in others], taken


def grown(folder: Path, offers: int, needs: int) -> Taken:
    paths = (write_vectors(folder / f"o-{offers}.npy", offers, 1), write_vectors(folder / f"n-{needs}.npy", needs, 2))
    taken, _ = ours(folder, *paths)
    said(taken.row())
    for path in paths:
        path.unlink()
    return taken


def page(size: int, rates: list[str], others: list[str], curve: list[Taken]) -> str:
    return f"""# Speed of the night's comparison

Written by `python scripts/benchmark_night.py` on {processor()}; other machines differ, so the ratios count.
The row of {LARGE[0]:,} × {LARGE[1]:,} is added by the same with `--large`.

{size:,} offers × {size:,} needs, {DIMENSION} dimensions, the nearest {K} of both sides. The vectors are invented: unit
length, stored as float16, mixtures of {CENTRES} centres of uneven size. FAISS is asked {FAISS_ROWS:,} queries in each
direction and its time scaled to all; ours is the better of two runs, a bare rate the best of sixteen. Where other work
keeps the cores busy, the last column is the fairer one.

| | seconds | GFLOP/s | GFLOP by a second of one core |
|---|---|---|---|
{chr(10).join(rates)}

| | |
|---|---|
{chr(10).join(others)}

How it grows. Memory is the most of the whole process, with torch, the results, and the mapped files of the vectors.

| offers × needs | seconds | seconds of all cores | GFLOP/s | core seconds a million pairs | GiB |
|---|---|---|---|---|---|
{chr(10).join(taken.row() for taken in curve)}{END}
core seconds a million pairs × pairs / 10⁶ / 3600 × price of a core hour.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=100_000, help="of either side")
    parser.add_argument("--growth", default="10000,30000", help="other sizes")
    parser.add_argument("--large", action="store_true", help="only 1,000,000 × 100,000")
    parser.add_argument("--report", action="store_true", help="write docs/speed-night.md")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(*asked.child)
        return
    with tempfile.TemporaryDirectory() as home:
        if asked.large:
            row = grown(Path(home), *LARGE).row()
            written = PAGE.read_text("utf-8").replace(END, f"\n{row}{END}", 1) if asked.report else ""
        else:
            curve = [grown(Path(home), size, size) for size in map(int, filter(None, asked.growth.split(",")))]
            rates, others, taken = compared(Path(home), asked.size)
            written = page(asked.size, rates, others, [*curve, taken])
    if asked.report:
        PAGE.write_text(written, "utf-8")


if __name__ == "__main__":
    main()
