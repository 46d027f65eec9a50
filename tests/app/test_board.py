"""What stands on the board and in which order, in both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from app import accounts, pipeline
from app.access import ALLOWED, OPERATOR, Principal, Role
from app.clock import utc_now
from app.db import Database
from app.errors import Unusable
from app.pairings import State
from app.pipeline import PAGE
from app.queries.pipeline import Wanted
from app.tables import PairingRow, StepRow
from tests.app.proposed import put

OFFERS = [{"country": "CN", "fields": ["clean_energy"]}, {"region": "CN-50", "title": "100 % насос"}]
NEEDS = [{"country": "KZ", "fields": ["clean_energy", "food_health"]}, {"country": "EG"}, {}]


@pytest.fixture
def owners(database: Database) -> list[tuple[str, str]]:
    """Three organisations, each with its node; twelve proposals from the first to the second."""
    made = []
    with database.writing() as session:
        for name in ("Chongqing", "Almaty", "Cairo"):
            node = accounts.add_node(session, name, None, None, utc_now())
            owner = accounts.add_organisation(session, OPERATOR, node.id, utc_now(), name=f"Owner in {name}")
            made.append((owner.id, node.id))
    put(database, made[0][0], made[1][0], 12, offers=OFFERS, needs=NEEDS)
    return made


def number(pairing_id: str) -> int:
    return int(pairing_id[-6:])


def seen(database: Database, wanted: Wanted = Wanted(), who: Principal = OPERATOR) -> dict[str, list[int]]:  # noqa: B008
    """The whole board, each column read to its end, after a look at its counts."""
    board: dict[str, list[int]] = {}
    with database.reading() as session:
        for column in pipeline.columns(session, who, wanted, list(State)):
            found, part = list(column.cards), column
            while part.more:
                assert len(part.cards) == PAGE
                part = pipeline.rest(session, who, wanted, column.state, part.more)
                found += part.cards
            assert len(found) == column.total == part.total
            if found:
                board[column.state] = [number(one.row.id) for one in found]
    return board


def place(database: Database, pairing: int, state: State, days: int) -> None:
    """Bring a pairing to a state, so many days ago."""
    name, then = f"pairing-{pairing:06}", utc_now() - timedelta(days=days)
    with database.writing() as session:
        row, first = session.get(PairingRow, name), session.get(StepRow, (name, 1))
        assert row is not None
        assert first is not None
        first.at = then - timedelta(days=1)
        session.add(
            StepRow(**first.model_dump() | {"number": 2, "at": then, "state_before": row.state, "state_after": state})
        )
        row.state, row.since = state, then
        session.add(row)


@pytest.mark.usefixtures("owners")
def test_the_most_probable_come_first_or_those_that_wait_longest(database: Database) -> None:
    assert seen(database) == {"proposed": list(range(12))}
    for pairing, days in ((7, 1), (2, 9), (5, 30)):
        place(database, pairing, State.OFFERED, days)
    assert seen(database)["offered"] == [2, 5, 7]
    longest = seen(database, Wanted(longest=True))
    assert longest["offered"] == [5, 2, 7]
    assert longest["proposed"] == [0, 1, 3, 4, 6, 8, 9, 10, 11]
    assert seen(database, Wanted(before=utc_now() - timedelta(days=8))) == {"offered": [2, 5]}


def test_every_filter_narrows_to_what_it_says(database: Database, owners: list[tuple[str, str]]) -> None:
    everything = list(range(12))
    for wanted, expected in (
        (Wanted(direction="go-out"), [0, 3, 6, 9]),
        (Wanted(country="CN"), everything),
        (Wanted(country="KZ"), [0, 3, 6, 9]),
        (Wanted(field="clean_energy"), [0, 2, 3, 4, 6, 8, 9, 10]),
        (Wanted(field="food_health", direction="bring-in"), []),
        (Wanted(node=owners[0][1]), everything),
        (Wanted(node=owners[2][1]), []),
        (Wanted(text="100 %"), [1, 3, 5, 7, 9, 11]),
        (Wanted(text="насос"), [1, 3, 5, 7, 9, 11]),
        (Wanted(text="owner in ALMATY"), everything),
        (Wanted(text="%"), [1, 3, 5, 7, 9, 11]),
        (Wanted(text="_"), []),
    ):
        assert seen(database, wanted).get("proposed", []) == expected, wanted


def test_each_sees_what_concerns_them(database: Database, owners: list[tuple[str, str]]) -> None:
    manager = Principal("person", "m", "m", Role.MANAGER, ALLOWED[Role.MANAGER], nodes=frozenset({owners[1][1]}))
    partner = Principal("person", "p", "p", Role.PARTNER, ALLOWED[Role.PARTNER], organisation=owners[0][0])
    for who in (manager, partner):
        assert seen(database, who=who) == {"proposed": list(range(12))}
    assert seen(database, who=replace(manager, nodes=frozenset({owners[2][1]}))) == {}
    assert seen(database, who=replace(partner, organisation=owners[2][0])) == {}


@pytest.mark.usefixtures("owners")
def test_a_cursor_that_is_none_is_refused(database: Database) -> None:
    with database.reading() as session:
        for wanted in (Wanted(), Wanted(longest=True)):
            with pytest.raises(Unusable):
                pipeline.rest(session, OPERATOR, wanted, State.PROPOSED, "nonsense,1")
