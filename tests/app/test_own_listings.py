"""The list of one's own listings, asked of each database."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from app import accounts, listings
from app.access import ALLOWED, OPERATOR, Principal, Role
from app.db import Database
from app.queries import own_listings as queries
from app.queries.own_listings import Chosen

NOW = datetime(2026, 3, 1)
MANAGER = Principal("person", "m", "M", Role.MANAGER, ALLOWED[Role.MANAGER])
CENTRE = Principal("person", "c", "C", Role.MANAGER, ALLOWED[Role.MANAGER], nodes=None)


@pytest.fixture
def people(database: Database) -> dict[str, Principal]:
    """Two organisations in two nodes, with five and two listings; one of each waits."""
    found = {"centre": CENTRE}
    with database.writing() as session:
        for name, count in (("Tea 100%", 5), ("Ore", 2)):
            node = accounts.add_node(session, f"node of {name}", None, None, NOW)
            owner = accounts.add_organisation(session, OPERATOR, node.id, NOW, name=name, trusted=True)
            rights = ALLOWED[Role.PARTNER]
            found[name] = Principal("person", "p", "P", Role.PARTNER, rights, owner.id, frozenset())
            found[f"manager of {name}"] = Principal(
                "person", "m", "M", Role.MANAGER, ALLOWED[Role.MANAGER], None, frozenset({node.id})
            )
            for number in range(count):
                at = NOW + timedelta(days=number // 2)
                record = {"reference": f"{name} {number}", "side": "offer", "title": f"茶 dryer {number}"}
                record |= {"fields": ["aerospace"]} if number == 1 else {}
                listings.post_listing(session, found[name], owner, record, at)
            owner.trusted = False
            record = {"reference": "waits", "side": "need", "title": "Waiting_one"}
            listings.post_listing(session, found[name], owner, record, NOW)
    return found


def references(database: Database, who: Principal, chosen: Chosen, sort: str = "changed", **how: bool) -> list[str]:
    """All pages of the list, two a page."""
    found, after = list[str](), None
    while True:
        with database.reading() as session:
            rows = queries.page(session, who, chosen, sort, after, 2, **how)
        if not rows:
            return found
        found += [str(row.reference) for row, _ in rows]
        last = rows[-1][0]
        at = getattr(last, queries.SORTS[sort][0])
        after = (at, last.id)


def test_each_sees_what_is_theirs(database: Database, people: dict[str, Principal]) -> None:
    seen = {name: len(references(database, who, Chosen())) for name, who in people.items()}
    expected = {"centre": 9, "Tea 100%": 6, "Ore": 3, "manager of Tea 100%": 6, "manager of Ore": 3}
    assert seen == expected
    with database.reading() as session:
        assert queries.counts(session, people["Ore"], Chosen(status="submitted")) == {"published": 2, "submitted": 1}
        assert queries.counts(session, CENTRE, Chosen(organisation="tea 100%")) == {"published": 5, "submitted": 1}
        assert queries.organisation_names(session, CENTRE) == ["Ore", "Tea 100%"]
        assert queries.organisation_names(session, people["manager of Ore"]) == ["Ore"]
        assert [one.name for one in queries.organisations_named(session, CENTRE, "ORE")] == ["Ore"]
        assert queries.organisations_named(session, people["manager of Ore"], "Tea 100%") == []


def test_the_list_is_in_order_and_whole_over_all_pages(database: Database, people: dict[str, Principal]) -> None:
    own = people["Tea 100%"]
    latest = references(database, own, Chosen(status="published"))
    assert [int(one[-1]) // 2 for one in latest] == [2, 1, 1, 0, 0]
    waiting = references(database, own, Chosen(status="published"), "waiting")
    assert sorted(waiting) == sorted(latest)
    assert [int(one[-1]) // 2 for one in waiting] == [0, 0, 1, 1, 2]
    assert len(references(database, own, Chosen(), "ending")) == 5  # what waits has no end
    for few in (False, True):
        assert references(database, CENTRE, Chosen(status="submitted"), "waiting", few=few) == ["waits", "waits"]


@pytest.mark.parametrize(
    ("chosen", "count"),
    [
        (Chosen(text="茶"), 7),
        (Chosen(text="DRYER 4"), 1),
        (Chosen(text="ore 1"), 1),
        (Chosen(text="Waiting_"), 2),
        (Chosen(text="%"), 5),
        (Chosen(text="_"), 2),
        (Chosen(side="need"), 2),
        (Chosen(field="aerospace"), 2),
        (Chosen(organisation="0%"), 6),
    ],
)
def test_the_list_is_narrowed(database: Database, people: dict[str, Principal], chosen: Chosen, count: int) -> None:
    assert len(references(database, people["centre"], chosen)) == count
