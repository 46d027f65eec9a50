"""A night spread over a real Ray cluster: the same proposals as on one machine, and clear words where there is none."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster
from sqlalchemy import insert
from sqlmodel import select

from app import accounts
from app.access import OPERATOR
from app.db import Database
from app.listings import describe
from app.night import run_night
from app.record import as_listing
from app.settings import Settings
from app.tables import ListingRow, PairingRow
from matching import ClusterError, allpairs, cluster, neighbours
from tests.clusters import two_nodes

LEAST = allpairs.SAMPLE * allpairs.GROUPS + 52  # listings of a side that are compared by the pass that is spread
WORDS = [f"{first}{last}" for first in ("pump", "dryer", "kiln", "valve", "drone") for last in range(20)]
NOW = datetime(2026, 3, 1)

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning:ray.*")


@pytest.fixture(scope="module")
def nodes() -> Iterator[Cluster]:
    with two_nodes(4) as own:
        yield own


def row(owner: str, side: str, number: int) -> ListingRow:
    """A listing of some words of a hundred, another mixture for each."""
    chance = random.Random(number)
    words = " ".join(chance.choices(WORDS, k=12))
    country = "CN" if side == "offer" else "KZ"
    record = {"side": side, "title": words[:40], "description": words, "country": country, "language": "en"}
    found = ListingRow(
        id=f"{side}-{number:05}",
        organisation_id=owner,
        side=side,
        status="published",
        record=record,
        text_hash=as_listing(record, "any").text_hash,
        created_at=NOW,
        updated_at=NOW,
    )
    describe(found)
    return found


def a_night(settings: Settings, home: Path, each: int = 3) -> tuple[set[tuple[Any, ...]], dict[str, Any]]:
    """A night over `each` offers and needs in a home of its own: what it proposes, and its report."""
    own = settings.model_copy(update={"home": home, "cap": 1})
    database = Database(own.url)
    try:
        with database.writing() as session:
            node = accounts.add_node(session, "A node", None, None, NOW)
            owners = {
                side: accounts.add_organisation(session, OPERATOR, node.id, NOW, name=f"Of each {side}").id
                for side in ("offer", "need")
            }
            rows = [row(owners[side], side, number) for side in owners for number in range(each)]
            session.connection().execute(insert(ListingRow), [one.model_dump() for one in rows])
        _, report = run_night(own, database)
        with database.reading() as session:
            found = session.exec(select(PairingRow)).all()
        return {(one.offer_id, one.need_id, one.probability, one.state) for one in found}, report
    finally:
        database.close()


def test_a_night_on_a_cluster_proposes_what_one_machine_does(
    settings: Settings, nodes: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "LARGE", 1)
    monkeypatch.setattr(neighbours, "FEW", 1 / 20)
    here, _ = a_night(settings, tmp_path / "here", LEAST)
    spread: list[tuple[int, int]] = []
    whole = cluster.spread_both_ways

    def counted(left: Any, right: Any, *rest: Any) -> Any:
        spread.append((len(left), len(right)))
        return whole(left, right, *rest, shard=700)

    monkeypatch.setattr(cluster, "spread_both_ways", counted)
    there, report = a_night(settings.model_copy(update={"cluster": nodes.address}), tmp_path / "there", LEAST)
    assert report["embed"]["new texts"] == 2 * LEAST
    assert spread == [(LEAST, LEAST)]
    assert len(here) > 200
    assert there == here


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", "127.0.0.1:port", ":"])
def test_a_cluster_that_does_not_answer_stops_the_night_in_words(
    settings: Settings, tmp_path: Path, address: str
) -> None:
    with pytest.raises(ClusterError, match="no Ray cluster answers"):
        a_night(settings.model_copy(update={"cluster": address}), tmp_path)
