"""The night's two great costs, encoding and the comparison of all pairs, spread over a Ray cluster.

The one module that imports ray, which is optional (`pip install dukou[cluster]`). Everything here runs while it is
`connected`; every machine has this version of the package. Tasks only compute, so one that was lost with its machine is
run again elsewhere: any machine may go but the caller's own.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import ray

from matching import neighbours
from matching.allpairs import Bars, Half, PairsAllowed, checked, prepared, sweep, workers
from matching.coarse import Stored, blocks
from matching.embedding import Embedding, embed
from matching.encoder import Encoder
from matching.errors import ClusterError
from matching.listing import Listing
from matching.nearest import Nearest, merged, nothing, stacked

SHARD = 32_768  # rows of either side that one task compares
LISTINGS = 256  # that one task embeds
AUTO = "auto"
PATIENCE = 10.0  # seconds until a cluster answers
AHEAD = 2  # tasks a core that are under way or wait to be taken; bounds the memory
TASK = {"num_cpus": 1, "max_retries": -1}  # a task is run again as often as its machine is lost


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Be a driver of the cluster at `address`, host:port, or "auto" for the one of this machine.

    Raises ClusterError where none answers.
    """
    try:
        if address != AUTO:  # Ray itself would try for minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), PATIENCE).close()
        ray.init(address=address, log_to_driver=False)
    except (OSError, RuntimeError, ValueError) as error:
        fix = f"give host:port, or {AUTO!r} for the one of this machine"
        raise ClusterError(f"no Ray cluster answers at {address!r} ({error}); {fix}") from error
    try:
        yield
    finally:
        ray.shutdown()


def nearest_both_ways(
    left: Stored, right: Stored, k: int, allowed: PairsAllowed | None = None
) -> tuple[Nearest, Nearest]:
    """`neighbours.nearest_both_ways` of any size: what is large is spread."""
    if neighbours.is_large(left, right, k):
        return spread_both_ways(left, right, k, allowed)
    return neighbours.nearest_both_ways(left, right, k, allowed)


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
    """`embedding.embed` on a cluster, in the order of the listings; `load` makes the encoder, once in each worker.

    It can be pickled and is equal to its copies, as a module's function or `models.EncoderLoader` is. Encoders that
    round by the batch (bf16) may differ in a last bit from one machine.
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
            yield _result(waiting.popleft())
    while waiting:
        yield _result(waiting.popleft())


def _result(task: Any) -> Any:
    """What a task found. Raises ClusterError, in words alone: Ray's own error cannot be stored by a durable night."""
    try:
        return ray.get(task)
    except ray.exceptions.RayError as error:
        raise ClusterError(f"a task failed on the cluster: {error}") from None
