"""The order of the queue and what is counted, in both databases."""

from __future__ import annotations

import pytest

from app import accounts
from app.access import OPERATOR, Principal, Role
from app.clock import utc_now
from app.db import Database
from app.listings import describe
from app.queries.queue import Chosen, counts, nearest
from app.tables import ListingRow, PairingRow
from tests.app.proposed import put

OFFERS = [{"country": "CN", "fields": ["clean_energy"]}, {"region": "CN-50"}]
NEEDS = [{"country": "KZ", "fields": ["clean_energy", "food_health"]}, {"country": "EG"}, {}]


@pytest.fixture
def nodes(database: Database) -> tuple[str, str]:
    """Two nodes, with six proposals from an organisation of the one to one of the other."""
    owners = []
    with database.writing() as session:
        for name in ("Chongqing", "Almaty"):
            node = accounts.add_node(session, name, None, None, utc_now())
            owner = accounts.add_organisation(session, OPERATOR, node.id, utc_now(), name=name)
            owners.append((owner.id, node.id))
    put(database, owners[0][0], owners[1][0], 6, offers=OFFERS, needs=NEEDS)
    return owners[0][1], owners[1][1]


def walked(database: Database, chosen: Chosen, who: Principal = OPERATOR, *, back: bool = False) -> list[int]:
    """The numbers of the proposals from the one end to the other."""
    found: list[int] = []
    place = (0.0, "") if back else None
    with database.reading() as session:
        while row := nearest(session, who, chosen, place, back=back):
            found.append(int(row.id[-6:]))
            place = (row.probability, row.id)
    return found


@pytest.mark.usefixtures("nodes")
def test_the_queue_is_walked_in_both_directions(database: Database) -> None:
    assert walked(database, Chosen()) == [0, 1, 2, 3, 4, 5]
    assert walked(database, Chosen(), back=True) == [5, 4, 3, 2, 1, 0]
    with database.writing() as session:
        for number in (1, 2, 3):
            row = session.get(PairingRow, f"pairing-{number:06}")
            assert row is not None
            row.probability = 0.5
            session.add(row)
    assert walked(database, Chosen()) == [0, 1, 2, 3, 4, 5]
    assert walked(database, Chosen(), back=True) == [5, 4, 3, 2, 1, 0]


def test_each_choice_shows_as_many_as_are_counted(database: Database, nodes: tuple[str, str]) -> None:
    with database.reading() as session:
        found = counts(session, OPERATOR, Chosen())
    assert found.total == 6
    assert found.of["field"] == {"clean_energy": 4, "food_health": 2, "unknown": 5}
    assert found.of["country"] == {"CN": 6, "KZ": 2, "EG": 2, "unknown": 2}
    assert found.of["node"] == dict.fromkeys(nodes, 6)
    for facet, values in found.of.items():
        for value, count in values.items():
            assert len(walked(database, Chosen(**{facet: value}))) == count, (facet, value)
    for level, count in found.levels.items():
        assert len(walked(database, Chosen(least=level))) == count


@pytest.mark.usefixtures("nodes")
def test_counts_are_those_under_the_other_choices(database: Database) -> None:
    chosen = Chosen(field="food_health", country="KZ")
    with database.reading() as session:
        found = counts(session, OPERATOR, chosen)
    assert found.total == len(walked(database, chosen)) == 2
    assert found.of["field"]["clean_energy"] == len(walked(database, Chosen(field="clean_energy", country="KZ")))
    assert found.of["country"]["EG"] == len(walked(database, Chosen(field="food_health", country="EG"))) == 0
    assert found.of["direction"].total() == 2


@pytest.mark.usefixtures("nodes")
def test_a_managers_fields_stand_for_the_authors(database: Database) -> None:
    with database.writing() as session:
        for number, fields in ((0, ["aerospace"]), (2, [])):
            row = session.get(ListingRow, f"offer-{number:06}")
            assert row is not None
            row.corrected_fields = fields
            describe(row)
            session.add(row)
    assert walked(database, Chosen(field="aerospace")) == [0]
    assert walked(database, Chosen(field="clean_energy")) == [0, 3, 4]  # 0 and 3 by the need
    assert 2 in walked(database, Chosen(field="unknown"))


def test_managers_walk_and_count_what_is_theirs(database: Database, nodes: tuple[str, str]) -> None:
    for own, seen in (({nodes[0]}, 6), ({nodes[1]}, 6), ({"another"}, 0)):
        who = Principal("person", "x", "X", Role.MANAGER, frozenset(), nodes=frozenset(own))
        assert len(walked(database, Chosen(), who)) == seen
        with database.reading() as session:
            assert counts(session, who, Chosen()).total == seen


@pytest.mark.usefixtures("nodes")
def test_what_is_answered_is_in_the_queue_no_more(database: Database) -> None:
    with database.writing() as session:
        row = session.get(PairingRow, "pairing-000002")
        assert row is not None
        row.state = "declined"
        session.add(row)
    assert walked(database, Chosen()) == [0, 1, 3, 4, 5]
