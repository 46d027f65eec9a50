"""A real Ray cluster for tests: nodes of one core each, on one machine, under addresses of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"

from ray.cluster_utils import Cluster

ROOT = Path(__file__).resolve().parents[1]
STORE = 80 * 1024 * 1024  # bytes, about the least that Ray takes


@contextmanager
def two_nodes(first: int) -> Iterator[Cluster]:
    """A head on 127.0.0.`first` and a second node beside it, which may be killed."""
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", str(ROOT))  # what workers inherit
    head = {
        "node_ip_address": f"127.0.0.{first}",
        "include_dashboard": False,
        "num_cpus": 1,
        "object_store_memory": STORE,
    }
    own = Cluster(initialize_head=True, head_node_args=head)
    try:
        own.add_node(num_cpus=1, node_ip_address=f"127.0.0.{first + 1}", object_store_memory=STORE)
        yield own
    finally:
        own.shutdown()
        patch.undo()
