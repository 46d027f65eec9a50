"""A real Ray cluster of two one-core nodes, one of which is killed in the middle."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from ray.cluster_utils import Cluster

from matching import neighbours
from matching.allpairs import PairsAllowed
from matching.cluster import connected, spread_both_ways, spread_embed
from matching.embedding import embed, embedding_to_bytes
from matching.encoder import HashingEncoder
from matching.listing import Listing, Side
from tests.clusters import two_nodes
from tests.matching.test_allpairs import market

ROWS = (4200, 3300)

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning:ray.*")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with two_nodes(2) as own, connected(own.address):
        yield own


def asked(folder: Path, victim: str) -> PairsAllowed:
    """A mask for workers: the victim's leaves a mark and never answers, the others wait until it has been asked."""

    def allowed(rows: Any, columns: Any) -> Any:
        own = ray.get_runtime_context().get_node_id()
        (folder / own).touch()
        while not (folder / victim).exists() or own == victim:
            time.sleep(0.01)
        return (rows + columns) % 11 != 0

    return allowed


def kill_when_busy(cluster: Cluster, folder: Path) -> None:
    """End the second node, gracelessly, in the middle of a task."""
    (victim,) = cluster.worker_nodes
    while not (folder / victim.node_id).exists():
        time.sleep(0.01)
    cluster.remove_node(victim, allow_graceful=False)


def test_texts_are_embedded_as_on_one_machine(cluster: Cluster) -> None:
    assert len(cluster.list_all_nodes()) == 2
    listings = [
        Listing(id=f"l{n}", side=Side.NEED, title=f"Need {n}", description=f"Pump {n} gives clean water. " * 9)
        for n in range(50)
    ]
    here, there = embed(listings, HashingEncoder()), spread_embed(listings, HashingEncoder, size=7)
    assert [embedding_to_bytes(one) for one in there] == [embedding_to_bytes(one) for one in here]


def test_the_result_is_one_machines_though_a_node_is_killed_in_the_middle(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "LARGE", 1)
    left, right = market(ROWS[0], 31).astype(np.float16), market(ROWS[1], 32).astype(np.float16)
    (victim,) = cluster.worker_nodes
    killer = threading.Thread(target=kill_when_busy, args=(cluster, tmp_path), daemon=True)
    killer.start()
    there = spread_both_ways(left, right, 10, asked(tmp_path, victim.node_id), shard=500)
    killer.join(timeout=30)
    here = neighbours.nearest_both_ways(left, right, 10, allowed=lambda rows, columns: (rows + columns) % 11 != 0)
    assert len(list(tmp_path.iterdir())) == 2, "both nodes took part"
    assert len(cluster.list_all_nodes()) == 1
    for one, other in zip(here, there, strict=True):
        assert one.positions.tobytes() == other.positions.tobytes()
        assert one.scores.tobytes() == other.scores.tobytes()
