"""The pages of an import: a file is sent, its columns are named, what is wrong is corrected, and it is brought in."""

from __future__ import annotations

import html
import io
import json
import re
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from fastapi.testclient import TestClient

from app import accounts, drafts
from app.access import Principal
from app.clock import utc_now
from app.imports import Job
from app.tables import PersonRow
from tests.app.conftest import World
from tests.app.signing import fields

PATIENCE = 30
CSV = """Nummer,类型,Heading line,Words,国家或地区,TRL,Extra
a1,供给,Ceramic elbows for slurry,Alumina elbows that last six times longer than cast iron.,CN,9,x
a2,purchase,Wear resistant pipes,Pipes for ore slurry that wear out in five months.,KZ,7,x
a3,需求,Solar pumps,Irrigation pumps without a grid are wanted.,EG,12,x
"""
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
COLUMNS = {"column-0": "reference", "column-1": "side", "column-2": "title", "column-3": "description"}
COLUMNS |= {"column-4": "country", "column-5": "trl", "column-6": ""}


def csrf(client: TestClient, path: str = "/account") -> str:
    return fields(client.get(path).text)["csrf"]


def send(client: TestClient, body: bytes | str, name: str = "list.csv", **given: str) -> Any:
    """Send a file on the first page, as the browser does."""
    data = {"csrf": csrf(client)} | given
    return client.post("/imports", data=data, files={"file": (name, body)})


def post(client: TestClient, path: str, given: dict[str, str]) -> Any:
    return client.post(path, data={"csrf": csrf(client)} | given)


def named(client: TestClient, body: bytes | str = CSV, columns: dict[str, str] | None = None) -> str:
    """Send a file and name its columns; the draft's path."""
    page = send(client, body)
    assert page.status_code == 200, page.text
    path = page.url.path
    assert post(client, path, columns or COLUMNS).url.path == f"{path}/rows"
    return str(path)


def ended(client: TestClient, path: str) -> str:
    """An import's page once it is over."""
    until = time.monotonic() + PATIENCE
    while "hx-trigger" in (page := client.get(path).text):
        assert time.monotonic() < until
        time.sleep(0.05)
    return page


def selected(page: str) -> list[str]:
    """What each column is read as."""
    return [
        html.unescape(found[0]) if (found := re.findall(r'value="([^"]*)" selected', one)) else ""
        for one in re.findall(r"<select name=\"column-\d+\".*?</select>", page, re.S)
    ]


def counts(page: str) -> list[str]:
    return re.findall(r"<dd>([\d,]+)</dd>", page)


def test_a_file_becomes_listings_step_by_step(world: World) -> None:
    client = world.partner
    page = send(client, CSV)
    assert selected(page.text) == ["", "side", "", "", "country", "trl", ""]
    path = page.url.path
    page = post(client, path, COLUMNS)
    assert counts(page.text) == ["1", "0", "0", "2"]
    assert "Nothing has been written yet" in page.text
    assert client.get("/api/v1/listings").json()["items"] == []
    cells = {"cell-3-side": "need", "cell-4-trl": "8"}
    assert set(cells) == set(re.findall(r'id="(cell-\d+-\w+)" name', page.text))
    page = post(client, f"{path}/rows", cells)
    assert counts(page.text) == ["3", "0", "0", "0"]
    assert client.get(f"{path}/rows").text == page.text  # nothing is lost by reloading
    page = post(client, f"{path}/start", {})
    assert re.fullmatch(r"/imports/[0-9a-f-]{36}", page.url.path)
    done = ended(client, page.url.path)
    assert counts(done) == ["3", "0", "0", "0"]
    listings = client.get("/api/v1/listings").json()["items"]
    assert {one["title"] for one in listings} == {"Ceramic elbows for slurry", "Wear resistant pipes", "Solar pumps"}
    for one in listings:
        assert f'href="/listings/{one["id"]}"' in done
    assert page.url.path in client.get("/imports").text


def test_wrong_rows_are_left_out_and_can_be_brought_in_later(world: World) -> None:
    client = world.partner
    path = named(client)
    done = ended(client, post(client, f"{path}/start", {}).url.path)
    assert counts(done) == ["1", "0", "0", "2"]
    assert f'href="{path}/rows">Correct what was left out' in done
    page = post(client, f"{path}/rows", {"cell-3-side": "need", "cell-4-trl": "8"})
    assert counts(page.text) == ["2", "0", "1", "0"]


def test_all_or_nothing_writes_nothing_where_a_row_is_wrong(world: World) -> None:
    path = named(world.partner)
    done = ended(world.partner, post(world.partner, f"{path}/start", {"whole": "yes"}).url.path)
    assert "2 rows are wrong, so nothing was written" in done
    assert f"{path}/rows" in done
    assert world.partner.get("/api/v1/listings").json()["items"] == []


def test_a_cell_of_a_column_that_the_file_lacks_can_be_filled_in(world: World) -> None:
    page = send(world.partner, "title,description\nPumps,Solar pumps for fields without a grid.\n")
    path = page.url.path
    page = post(world.partner, path, {"column-0": "title", "column-1": "description"})
    assert 'name="cell-2-side"' in page.text
    page = post(world.partner, f"{path}/rows", {"cell-2-side": "offer"})
    assert counts(page.text) == ["1", "0", "0", "0"]


def workbook() -> bytes:
    book = openpyxl.Workbook()
    book.active.append(["类型", "标题", "详细说明", "技术成熟度"])
    book.active.append(["供给", "陶瓷弯头", "氧化铝陶瓷弯头，寿命为铸铁的六倍。", "=3+4"])
    book.create_sheet("other").append(["类型", "标题"])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_a_formula_in_a_workbook_is_written_over(world: World) -> None:
    page = send(world.partner, workbook(), "list.xlsx")
    assert selected(page.text) == ["side", "title", "description", "trl"]
    path = page.url.path
    columns = {f"column-{place}": one for place, one in enumerate(selected(page.text))}
    page = post(world.partner, path, columns)
    assert counts(page.text) == ["0", "0", "0", "1"]
    assert "holds a formula" in page.text
    page = post(world.partner, f"{path}/rows", {"cell-2-trl": ""})
    assert counts(page.text) == ["0", "0", "0", "1"]  # untouched: still a formula
    page = post(world.partner, f"{path}/rows", {"cell-2-trl": "7"})
    assert counts(page.text) == ["1", "0", "0", "0"]


def test_json_lines_come_through_whole(world: World) -> None:
    record = {
        "reference": "j1",
        "side": "offer",
        "title": "'=1+1 is a title",
        "description": "Ceramic elbows; with a semicolon | and a bar, and more words of them.",
        "keywords": ["wear; tear", "slurry"],
        "budget": {"minimum": 1, "maximum": 2.5, "currency": "CNY"},
        "requirements": [{"parameter": "density", "operator": ">=", "value": 4.2, "unit": "g/cm³", "must": True}],
        "translations": [{"language": "zh", "origin": "author", "title": "陶瓷弯头"}],
        "sample": True,
        "trl": 5,
        "odd": {"x": 1},
    }
    page = send(world.partner, json.dumps(record) + "\nnot json\n", "list.jsonl")
    found = selected(page.text)
    assert found == [*list(record)[:-1], ""]
    path = page.url.path
    page = post(world.partner, path, {f"column-{place}": one for place, one in enumerate(found)})
    assert counts(page.text) == ["1", "0", "0", "1"]
    ended(world.partner, post(world.partner, f"{path}/start", {}).url.path)
    listing = world.partner.get("/api/v1/listings").json()["items"][0]
    stored = world.partner.get(f"/api/v1/listings/{listing['id']}").json()
    for key, value in record.items():
        if key not in ("odd", "requirements", "translations"):
            assert stored[key] == value, key
    assert stored["requirements"][0]["value"] == 4.2
    assert stored["translations"][0]["title"] == "陶瓷弯头"


def test_two_columns_cannot_be_the_same(world: World) -> None:
    page = send(world.partner, CSV)
    page = post(world.partner, page.url.path, COLUMNS | {"column-6": "title"})
    assert page.status_code == 422
    assert "Two columns have the same meaning" in page.text
    assert selected(page.text)[6] == "title"  # what was chosen is still there


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("list.csv", "", "The file holds no rows"),
        ("list.xlsx", "PK no zip", "no XLSX workbook"),
        ("list.xlsx", b"\xd0\xcf\x11\xe0", "locked with a password"),
        ("list.csv", 'a,b\n"x\n', "cannot be cut into cells"),
        ("list.csv", "title,side\n" + "x,offer\n" * 20_001, "more than 20,000 rows"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_where_it_was_sent(
    world: World, name: str, body: bytes | str, said: str
) -> None:
    page = send(world.partner, body, name)
    assert page.status_code == 422
    assert said in page.text
    assert 'id="file"' in page.text
    page = world.partner.post("/imports", data={"csrf": csrf(world.partner)})
    assert "Choose a file first" in page.text


def test_a_file_that_is_too_large_gets_a_page(world: World) -> None:
    page = send(world.partner, b"x" * 20_000_001)
    assert page.status_code == 413
    assert "at most 20 MB" in page.text


def test_ten_thousand_rows_are_taken(world: World) -> None:
    rows = "".join(f"r{one},offer,Elbow {one},Ceramic elbows that last longer {one}\n" for one in range(10_000))
    page = send(world.partner, "reference,side,title,description\n" + rows)
    found = selected(page.text)
    page = post(world.partner, page.url.path, {f"column-{place}": one for place, one in enumerate(found)})
    assert "Import 10000 rows" in page.text or "Import 10,000 rows" in page.text


def test_the_progress_is_told_in_steps_and_without_scripts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    path = named(world.partner)
    with monkeypatch.context() as patch:
        held = list[Job]()
        patch.setattr(world.app.state.importer, "submit", held.append)
        page = post(world.partner, f"{path}/start", {})
    assert '<noscript><meta http-equiv="refresh"' in page.text
    assert "<progress" in page.text
    part = world.partner.get(page.url.path, params={"told": "-1"}, headers={"HX-Request": "true"}).text
    assert "<html" not in part
    assert 'hx-swap-oob="innerHTML:#said"' in part
    again = world.partner.get(page.url.path, params={"told": "0"}, headers={"HX-Request": "true"}).text
    assert "hx-trigger" in again
    assert "#said" not in again  # nothing new is said to who listens
    world.app.state.importer.submit(held[0])
    ended(world.partner, page.url.path)
    part = world.partner.get(page.url.path, params={"told": "100"}, headers={"HX-Request": "true"}).text
    assert "hx-trigger" not in part
    assert "Imported</p>" in part


def test_managers_import_for_organisations_of_their_nodes_alone(world: World) -> None:
    page = world.manager.get("/imports").text
    assert world.ids["offerer"] in page
    assert world.ids["waiting"] in page
    assert world.ids["seeker"] not in page
    assert world.other_manager.get("/imports").text.count('type="file"') == 1  # the only one is chosen at once
    assert world.ids["offerer"] not in world.centre.get("/imports", params={"find": "seek"}).text
    page = send(world.manager, CSV, organisation=world.ids["offerer"])
    assert page.status_code == 200
    refused = send(world.manager, CSV, organisation=world.ids["seeker"])
    assert refused.status_code == 404
    partner = send(world.partner, CSV, organisation=world.ids["seeker"])  # a partner's own is the only one
    assert (
        drafts.under(world.app.state.live.home).of(who(world, "partner"), utc_now())[0].organisation_id
        == (world.ids["offerer"])
    )
    assert partner.status_code == 200


def who(world: World, name: str) -> Principal:
    with world.database.reading() as session:
        person = session.get(PersonRow, world.ids[name])
        assert person is not None
        return accounts.of_person(session, person)


def test_a_draft_is_its_persons_own_for_a_day(world: World) -> None:
    path = named(world.partner)
    for client in (world.administrator, world.manager, world.centre):
        assert client.get(path).status_code == 404
        assert client.get(f"{path}/rows").status_code == 404
        for end in ("", "/rows", "/start", "/discard"):
            assert post(client, path + end, {}).status_code == 404
    assert world.public.get(path, follow_redirects=False).status_code == 303
    assert world.partner.get("/imports/drafts/../../secret").status_code == 404
    kept = drafts.under(world.app.state.live.home)
    later = utc_now() + drafts.KEPT + timedelta(minutes=1)
    assert kept.of(who(world, "partner"), later) == []
    kept.sweep(later)
    assert list(Path(kept.folder).iterdir()) == []
    assert world.partner.get(path).status_code == 404


def test_a_person_has_three_drafts_and_can_discard_them(world: World) -> None:
    first = send(world.partner, CSV).url.path
    others = [send(world.partner, CSV).url.path for _ in range(3)]
    page = world.partner.get("/imports").text
    assert first not in page
    assert all(one in page for one in others)
    post(world.partner, f"{others[0]}/discard", {})
    assert others[0] not in world.partner.get("/imports").text


def test_forms_that_are_not_ours_do_nothing(world: World) -> None:
    path = named(world.partner)
    for end in ("", "/rows", "/start", "/discard"):
        assert world.partner.post(path + end, data={"csrf": "x"}).status_code == 403
    assert world.partner.post("/imports", data={"csrf": "x"}, files={"file": ("a.csv", CSV)}).status_code == 403


def test_what_stands_in_a_file_is_shown_as_text(world: World) -> None:
    evil = EVIL.replace('"', '""')
    body = f'"{evil}",类型,标题,说明\n"{evil}","{evil}","{evil}","{evil}"\n"r2",供给,"{evil}","{evil} words enough"\n'
    page = send(world.partner, body, f"{EVIL}.csv")
    path = page.url.path
    pages = [page.text, world.partner.get("/imports").text]
    columns = {"column-0": "reference", "column-1": "side", "column-2": "title", "column-3": "description"}
    pages.append(post(world.partner, path, columns).text)
    done = post(world.partner, f"{path}/start", {})
    pages += [ended(world.partner, done.url.path), world.partner.get("/imports").text]
    for text in pages:
        assert "<script>alert" not in text
        assert "<img src=x" not in text
    assert "&lt;script&gt;" in pages[2]


def test_the_templates_come_in_the_language_of_the_page(world: World) -> None:
    book = openpyxl.load_workbook(io.BytesIO(world.partner.get("/imports/template.xlsx?lang=zh").content))
    assert book.sheetnames[0] == "供需信息"
    assert "Reference" in world.partner.get("/imports/template.csv?lang=en").text
    assert world.partner.get("/imports/template.exe").status_code == 404


def test_in_chinese_the_report_is_chinese(world: World) -> None:
    path = named(world.partner)
    page = world.partner.get(f"{path}/rows?lang=zh").text
    assert "须为供给或需求" in page
    assert "must be" not in page


def test_two_imports_of_one_organisation_wait_for_each_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = named(world.partner), named(world.partner)
    with monkeypatch.context() as patch:
        held = list[Job]()
        patch.setattr(world.app.state.importer, "submit", held.append)
        started = post(world.partner, f"{first}/start", {})
        refused = post(world.partner, f"{second}/start", {})
    assert refused.status_code == 409
    assert "An import of this organisation is running" in refused.text
    world.app.state.importer.submit(held[0])
    ended(world.partner, started.url.path)


@pytest.mark.parametrize(
    ("headings", "expected"),
    [
        ("编号,类型,标题,详细说明,国家或地区", ["reference", "side", "title", "description", "country"]),
        ("供需类型,项目名称,简介,国别,单位名称", ["side", "title", "summary", "country", "organisation"]),
        ("Type,Name,Details,Title@ru,标题@en:机器", ["side", "title", "description", "title@ru", "title@en:machine"]),
        ("title,标题,序号,No.,", ["title", "", "", "", ""]),
    ],
)
def test_columns_are_guessed_from_their_headings(world: World, headings: str, expected: list[str]) -> None:
    page = send(world.partner, f"{headings}\n1,2,3,4,5\n").text
    assert selected(page) == expected[: page.count("<select")]


def test_corrections_make_no_columns_that_no_page_asks_for(world: World) -> None:
    path = named(world.partner)
    given = {f"cell-3-title@{tag} ({part})": "x" for tag in ("fr", "de", "kk") for part in range(2, 200)}
    assert post(world.partner, f"{path}/rows", given | {"cell-3-trl": "9", "cell-3-region": "EG-C"}).status_code == 200
    kept = drafts.under(world.app.state.live.home)
    grid = kept.grid(kept.of(who(world, "partner"), utc_now())[0])
    assert grid.labels == [*COLUMNS.values(), "region"]


def test_a_draft_does_not_grow_without_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    path = named(world.partner)
    monkeypatch.setattr(drafts, "LARGEST", 5_000)
    cells = {f"cell-{row}-description": "x" * 2_000 for row in (2, 3, 4)}
    assert post(world.partner, f"{path}/rows", cells).status_code == 422
    assert send(world.partner, CSV + "a9,need," + "x" * 5_000).status_code == 422
    folder = world.app.state.live.home / "drafts"
    assert [sorted(one.name for one in draft.iterdir()) for draft in folder.iterdir()] == [
        ["about.json", "cells.jsonl"]
    ]


def test_what_a_crash_or_another_version_has_left_stops_nobody(world: World) -> None:
    folder = world.app.state.live.home / "drafts"
    for number, left in enumerate(("", "{", "{}", '{"checked": null, "created_at": "x", "form": "csv"}')):
        (folder / f"{number:032x}").mkdir(parents=True)
        (folder / f"{number:032x}" / "about.json").write_text(left)
    assert world.partner.get("/imports").status_code == 200
    assert named(world.partner)
