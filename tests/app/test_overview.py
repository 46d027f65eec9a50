"""The overview's figures against figures counted by hand, in its pages, tables and files, for everybody who may see."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from datetime import timedelta
from typing import Any

import pytest

from app import accounts, overview
from app.access import OPERATOR
from app.asking import now as asked_at
from app.db import Database
from app.overview import Overview, Scope, by_node, contracts, durations, in_states, published, reached
from app.queries import listings as queries
from app.tables import ListingRow, NodeRow
from app.tally import Tally
from tests.app.conftest import World
from tests.app.programme import NOW, add_listing, add_pairing, programme, store

PICTURES = ("targets", "map", "flows", "funnel", "times", "listings", "nodes")
ALL = Scope()


@pytest.fixture
def counted(world: World) -> World:
    programme(world)
    world.app.dependency_overrides[asked_at] = lambda: NOW
    return world


def table(client: Any, name: str, **query: str) -> list[list[str]]:
    """A picture's file, after a look at its form."""
    response = client.get(f"/overview/{name}.csv", params=query)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert f'filename="{name}.csv"' in response.headers["content-disposition"]
    assert response.content.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"))))


def organisations(database: Database) -> dict[str, str]:
    """Three organisations in two nodes, as in `World`."""
    ids = dict[str, str]()
    with database.writing() as session:
        for name, node in (("Chongqing", "chongqing"), ("Almaty", None)):
            ids[name] = accounts.add_node(session, name, None if node else "KZ", node, NOW).id
        for name, node in (("offerer", "Chongqing"), ("waiting", "Chongqing"), ("seeker", "Almaty")):
            ids[name] = accounts.add_organisation(session, OPERATOR, ids[node], NOW, name=name, trusted=True).id
    return ids


def test_the_figures_are_those_counted_by_hand_on_each_database(database: Database) -> None:
    ids = organisations(database)
    store(database, ids)
    count = Overview(database).count(NOW)
    assert count.pairings.counted("direction", "field", "country") == {
        ("go-out", "clean_energy", "KZ"): 1,
        ("go-out", "modern_agriculture", "KZ"): 1,
        ("bring-in", "aerospace", "KZ"): 1,
        ("go-out", "clean_energy", "EG"): 1,
        ("third-country", "aerospace", "KZ"): 1,
        ("domestic", "modern_agriculture", "CN"): 1,
    }
    homes = count.pairings.counted("home")
    assert homes == {("CN-50",): 2, ("CN-51",): 1, (None,): 3}
    way = ("proposed", "shortlisted", "offered", "mutual", "introduced", "negotiating", "contracted")
    assert reached(count.pairings) == dict(zip(way, (6, 5, 4, 3, 3, 3, 3), strict=True))
    took = durations(count.arrivals)
    assert (took["shortlisted"].number, took["shortlisted"].median) == (5, 1)  # 2, 4, 1, 1, 1
    assert (took["contracted"].lower, took["contracted"].median, took["contracted"].upper) == (6, 6, 23)  # 40, 6, 6
    assert contracts(count.pairings) == 2, "the one within Chongqing and Sichuan is none with another country"
    assert published(count.listings).counted("field", "side") == {
        ("clean_energy", "offer"): 1,
        ("modern_agriculture", "offer"): 1,
        ("aerospace", "offer"): 1,
        ("public_health", "need"): 1,
        (None, "need"): 1,
    }
    assert sorted((one.probability, one.accepted) for one in count.decided) == [(0.5, False), *4 * [(0.5, True)]]
    assert by_node(count.pairings, ("contracted", "completed")) == {ids["Chongqing"]: 2, ids["Almaty"]: 2}


def test_a_scope_narrows_by_node_and_month(database: Database) -> None:
    ids = organisations(database)
    store(database, ids)
    count = Overview(database).count(NOW)
    ours = Scope(frozenset([ids["Chongqing"]])).of(count)
    assert len(ours.pairings) == 5
    assert "third-country" not in ours.pairings.of("direction")
    assert len(ours.listings) == 3
    assert len(Scope(frozenset()).of(count).pairings) == 0
    assert sorted(Scope(since=202611).of(count).pairings.of("direction")) == ["bring-in", "go-out"]
    assert len(Scope(since=202512).of(count).pairings) == 5
    assert len(in_states(ours.pairings, ("declined",))) == 1


def test_the_pages_show_them_in_both_languages(counted: World) -> None:
    page = counted.centre.get("/overview?lang=en").text
    assert re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", page) == [
        ("Nodes", "2"),
        ("Organisations", "3"),
        ("Published offers", "3"),
        ("Published needs", "2"),
        ("Pairings proposed", "6"),
        ("still open", "2"),
        ("Contracts", "2"),
    ]
    assert "4 pairings with 2 countries, the most with Kazakhstan (75%)." in page
    chinese = counted.centre.get("/overview?lang=zh").text
    for word in ("总览", "成渝与世界", "走出去", "清洁能源", "哈萨克斯坦", "国际合作项目"):
        assert word in chinese


def test_every_table_is_on_the_page_and_in_a_file_and_the_script_draws_from_the_same(counted: World) -> None:
    page = counted.centre.get("/overview?lang=en").text
    files = {name: table(counted.centre, name, lang="en") for name in PICTURES}
    assert files["targets"] == [
        ["Target", "Reached", "Aim", "By the end of", "Share"],
        ["Transfer nodes", "2", "20", "2027", "0.1"],
        ["International cooperation projects", "2", "100", "2027", "0.02"],
        ["Person-times of training", "", "1500", "2027", ""],
        ["Joint projects (Double Thousand plan)", "2", "1000", "2030", "0.002"],
        ["Exchanges of young scientists (Double Thousand plan)", "", "1000", "2030", ""],
    ]
    assert page.count(">not measured here<") == 2
    assert files["map"][1:] == [
        ["Going out", "Kazakhstan", "2", "1", "1", "0"],
        ["Going out", "Egypt", "1", "1", "0", "0"],
        ["Bringing in", "Kazakhstan", "1", "0", "0", "1"],
    ]
    assert ["Going out", "Clean energy", "Egypt", "1"] in files["flows"]
    assert files["funnel"][1:4] == [["Proposed", "6", ""], ["Shortlisted", "5", "0.8333"], ["Offered", "4", "0.8"]]
    assert files["times"][-1] == ["Contracted", "3", "6.0", "6.0", "23.0"]
    assert files["listings"][-1] == ["unknown", "0", "1"]
    assert files["nodes"][1:] == [
        ["Almaty", "unknown", "1", "1", "1", "1", "2"],
        ["Chongqing", "unknown", "2", "2", "1", "1", "2"],
    ]
    drawn = re.findall(r'data-picture="(\w+)".*?<script type="application/json">(.*?)</script>', page, re.DOTALL)
    assert [name for name, _ in drawn] == ["map", "flows", "funnel", "times", "listings"]
    for name, text in drawn:
        data = json.loads(text)
        shown = re.search(rf'data-picture="{name}".*?<tbody>(.*?)</tbody>', page, re.DOTALL)
        assert shown is not None
        assert len(data["rows"]) == len(data["codes"]) == shown[1].count("<tr>") == len(files[name]) - 1
        assert data["columns"] == files[name][0]
        for row, line in zip(data["rows"], files[name][1:], strict=True):
            assert [
                "" if cell is None else str(round(cell, 4) if isinstance(cell, float) else cell) for cell in row
            ] == line


def test_a_filter_holds_for_page_and_files(counted: World) -> None:
    assert len(table(counted.centre, "flows", stage="contracted")) == 1 + 3
    assert len(table(counted.centre, "flows", stage="taken")) == 1 + 4
    assert len(table(counted.centre, "flows", period="month")) == 1 + 2
    assert len(table(counted.centre, "flows", period="quarter")) == 1 + 4
    assert len(table(counted.centre, "flows", period="year")) == 1 + 5
    assert len(table(counted.centre, "flows", period="nonsense", stage="nonsense")) == 1 + 6
    assert table(counted.centre, "targets", period="month")[2][1] == "2", "targets are for all times"
    node = counted.ids["Chongqing"]
    page = counted.centre.get("/overview", params={"node": node, "lang": "en"}).text
    assert f'href="/overview/map.csv?node={node}"' in page
    assert "the targets are the whole centre" in page
    assert len(table(counted.centre, "nodes", node=node)) == 1 + 1


def test_a_manager_sees_what_concerns_their_nodes(counted: World) -> None:
    own = table(counted.manager, "flows")
    assert sum(int(line[3]) for line in own[1:]) == 5
    assert "Third country" not in {line[0] for line in own}
    assert [line[0] for line in table(counted.other_manager, "nodes")[1:]] == ["Almaty"]
    assert counted.manager.get("/overview", params={"node": counted.ids["Almaty"]}).status_code == 404
    assert "Almaty" not in counted.manager.get("/overview").text
    for path in ("/overview", "/overview/flows.csv"):
        assert counted.partner.get(path).status_code == 403
        away = counted.public.get(path, follow_redirects=False)
        assert away.status_code == 303
        assert away.headers["location"].startswith("/sign-in")
    assert counted.administrator.get("/overview").status_code == 200
    assert counted.centre.get("/overview/nothing.csv").status_code == 404


def test_names_and_codes_are_text_on_the_page_and_no_formula_in_a_file(counted: World) -> None:
    evil = '</script><img src=x onerror="alert(1)">'
    with counted.database.writing() as session:
        session.add(NodeRow(name=evil, created_at=NOW))
        session.add(NodeRow(name='=HYPERLINK("http://x","y")', created_at=NOW))
        offer = add_listing(session, counted.ids["seeker"], NOW, {"side": "offer", "country": "KZ"})
        session.get_one(ListingRow, offer).field_codes = f"|{evil}|"
        add_pairing(session, offer, counted.ids["n2"], "bring-in", NOW, [])
    response = counted.centre.get("/overview")
    assert evil not in response.text
    assert "<img" not in response.text
    assert "unsafe" not in response.headers["content-security-policy"]
    assert '\'=HYPERLINK("http://x","y")' in {line[0] for line in table(counted.centre, "nodes")}
    assert evil in {line[1] for line in table(counted.centre, "flows")}


def test_an_empty_programme_says_what_to_do(world: World) -> None:
    page = world.centre.get("/overview?lang=en").text
    assert page.count('class="empty"') == 5
    for text in (
        "Proposals come with each posted listing",
        "The queue is where to begin",
        "Post one, or import a file",
    ):
        assert text in page
    assert table(world.centre, "flows", lang="en") == [["Direction", "Field", "Country", "Pairings"]]


def test_what_changes_is_counted_at_once_where_counting_is_quick(
    counted: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "QUICK", 60)
    before = sum(int(line[3]) for line in table(counted.centre, "flows")[1:])
    with counted.database.writing() as session:
        row = add_listing(session, counted.ids["offerer"], NOW, {"side": "offer", "country": "CN"})
        add_pairing(session, row, counted.ids["n1"], "go-out", NOW, [])
    assert sum(int(line[3]) for line in table(counted.centre, "flows")[1:]) == before + 1


def test_a_slow_count_is_done_in_the_background_and_not_too_often(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "QUICK", 0)
    ids = organisations(database)
    store(database, ids)
    kept = Overview(database)
    first = kept.count(NOW)
    with database.writing() as session:
        add_pairing(session, ids["o2"], ids["n3"], "go-out", NOW, [])
    assert kept.count(NOW + timedelta(seconds=30)) is first, "counted half a minute ago"
    later = NOW + timedelta(minutes=2)
    assert len(kept.count(later).pairings) in (6, 7), "the old figures while they are counted anew"
    until = time.monotonic() + 20
    while len(kept.count(later).pairings) != 7:
        assert time.monotonic() < until
        time.sleep(0.02)
    with database.writing() as session:
        add_listing(session, ids["seeker"], NOW, {"side": "need", "country": "UZ"})
    assert len(kept.count(later + timedelta(hours=2)).listings) == 7, "figures that old are not shown"


def test_a_listing_that_changes_is_counted_as_it_is_now(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "QUICK", 60)
    ids = organisations(database)
    store(database, ids)
    kept = Overview(database)
    assert published(kept.count(NOW).listings).counted("side")[("need",)] == 2
    with database.writing() as session:
        row = queries.listing(session, ids["n1"])
        assert row is not None
        row.status, row.revision = "withdrawn", queries.next_revision(session)
        session.add(row)
    assert published(kept.count(NOW).listings).counted("side")[("need",)] == 1


def test_a_tally_counts_as_a_plain_loop_does() -> None:
    rows = [(one % 3, "ab"[one % 2], None if one % 5 else one) for one in range(60)]
    tally = Tally(("a", "b", "c"), rows)
    assert tally.counted("a", "b") == {(a, b): 10 for a in range(3) for b in "ab"}
    part = tally.taken(tally.where("c", lambda value: value is not None))
    assert len(part) == 12
    assert part.of("c") == list(range(0, 60, 5))
    empty = Tally(("a",), [])
    assert (len(empty.taken(empty.where("a", bool))), empty.counted("a"), empty.of("a")) == (0, {}, [])
