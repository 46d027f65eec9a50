"""The night's two great costs, encoding and the comparison of all pairs, spread over a Ray cluster.

The one module that imports ray, which is optional (`pip install dukou[cluster]`). Who calls has connected with
`ray.init`; every machine has this version of the package. Tasks only compute, so one that was lost with its machine is
run again elsewhere: any machine may go but the caller's own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import ray

from matching.allpairs import Bars, Half, PairsAllowed, checked, prepared, sweep, workers
from matching.coarse import Stored, blocks
from matching.embedding import Embedding, embed
from matching.encoder import Encoder
from matching.listing import Listing
from matching.nearest import Nearest, merged, nothing, stacked

SHARD = 32_768  # rows of either side that one task compares
LISTINGS = 256  # that one task embeds
AHEAD = 2  # tasks a core that are under way or wait to be taken; bounds the memory
TASK = {"num_cpus": 1, "max_retries": -1}  # a task is run again as often as its machine is lost


def spread_both_ways(
    left: Stored, right: Stored, k: int, allowed: PairsAllowed | None = None, shard: int = SHARD
) -> tuple[Nearest, Nearest]:
    """`neighbours.nearest_both_ways` of large sides on a cluster, the same to the last bit; see there.

    One task compares `shard` rows of one side with as many of the other; the best of each are merged here, and the few
    rows that are done again are done here. `allowed` goes to the workers (cloudpickle).
    """
    halves, sure = prepared(left, right, k, _bars_spread, shard)
    ours, theirs = ([ray.put(half.part(rows)) for rows in blocks(len(half.codes), shard)] for half in halves)
    task = ray.remote(**TASK)(_part)
    found = _in_order(task.remote(own, other, k, allowed) for own in ours for other in theirs)
    of_right = [nothing(rows.stop - rows.start, 0) for rows in blocks(len(right), shard)]
    of_left = []
    for rows in blocks(len(left), shard):
        best = nothing(rows.stop - rows.start, 0)
        for number in range(len(theirs)):
            forth, back = next(found)
            best = merged(best, forth, k)
            of_right[number] = merged(of_right[number], back, k)
        of_left.append(best)
    return checked(halves, (stacked(of_left, k), stacked(of_right, k)), sure, k, allowed)


def spread_embed(listings: Sequence[Listing], load: Callable[[], Encoder], size: int = LISTINGS) -> list[Embedding]:
    """`embedding.embed` on a cluster, in the order of the listings; `load`, a module's function, makes the encoder.

    It is called once in each worker. Encoders that round by the batch (bf16) may differ in a last bit from one machine.
    """
    task = ray.remote(**TASK)(_embedded)
    found = _in_order(task.remote(list(listings[part]), load) for part in blocks(len(listings), size))
    return [embedding for part in found for embedding in part]


def _bars_spread(jobs: Iterable[Callable[[], Bars]]) -> Iterator[Bars]:
    task = ray.remote(**TASK)(_run)
    return _in_order(task.remote(job) for job in jobs)


def _run(job: Callable[[], Bars]) -> Bars:
    return job()


def _part(left: Half, right: Half, k: int, allowed: PairsAllowed | None) -> tuple[Nearest, Nearest]:
    """The pass over two shards; what Ray hands over is read-only, and torch wants codes that aren't."""
    ours, theirs = (replace(half, codes=np.array(half.codes)) for half in (left, right))
    with workers(1) as pool:
        return sweep(ours, theirs, k, pool, allowed)


def _embedded(listings: list[Listing], load: Callable[[], Encoder]) -> list[Embedding]:
    return embed(listings, _encoder(load))


@cache
def _encoder(load: Callable[[], Encoder]) -> Encoder:
    return load()


def _in_order(tasks: Iterable[Any]) -> Iterator[Any]:
    """Results of tasks in their order; `tasks` starts one whenever it is asked for the next."""
    most = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
    waiting: deque[Any] = deque()
    for task in tasks:
        waiting.append(task)
        if len(waiting) > most:
            yield ray.get(waiting.popleft())
    while waiting:
        yield ray.get(waiting.popleft())
