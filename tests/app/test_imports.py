import json
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import Session, select

from app import accounts, imports
from app.access import OPERATOR
from app.clock import utc_now
from app.db import Database
from app.errors import Conflict, TooMany
from app.exports import MEDIA
from app.import_queue import ABANDONED, Importer, interrupt, interrupt_abandoned, keep_alive
from app.importing import import_file
from app.imports import Job, State, Tally
from app.main import LARGER, LIMIT
from app.queries import listings as queries
from app.settings import Settings
from app.sheets import Format, LineProblem
from app.tables import ImportRow, ListingRow, OrganisationRow, new_id
from tests.app.conftest import NEED, OFFER, OTHERS, World, problem
from tests.app.test_sheets import FULL, workbook

MANY = 10_000
IN_TIME = 150  # seconds for many rows; 5 s of one core and 5 s of waiting, measured: 13 s at a load of 5 on two cores


def lines(records: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def numbered(count: int) -> list[dict[str, Any]]:
    return [OFFER | {"reference": f"o{i}", "title": f"Sample pump {i}"} for i in range(count)]


def send(client: TestClient, body: bytes, **options: Any) -> str:
    """Start an import; where it can be seen."""
    response = client.post("/api/v1/imports", params={"format": "jsonl"} | options, content=body)
    assert response.status_code == 202, response.text
    assert response.json()["state"] == "running"
    return str(response.headers["location"])


def finished(client: TestClient, place: str, within: float = 30.0) -> dict[str, Any]:
    """The import once it runs no more."""
    until = time.monotonic() + within
    while (body := client.get(place).json())["state"] == "running":
        assert time.monotonic() < until, body
        time.sleep(0.02)
    return dict(body)


def counts(body: dict[str, Any]) -> tuple[int, ...]:
    return tuple(body["report"][name] for name in ("new", "changed", "unchanged", "left_out"))


def stored(database: Database) -> list[str | None]:
    with database.reading() as session:
        return list(session.exec(select(ListingRow.reference).order_by(ListingRow.reference)))


def test_an_import_brings_in_what_is_good_and_tells_the_rest(world: World) -> None:
    bad = {"reference": "b", "side": "seller", "title": "pump"}
    body = lines([OFFER, bad, {"side": "offer", "title": "Nameless pump"}])
    done = finished(world.offerer, send(world.offerer, body))
    assert (done["state"], done["rows"], done["done"]) == ("done", 3, 3)
    assert counts(done) == (2, 0, 0, 1)
    assert [(one["line"], one["field"]) for one in done["report"]["problems"]] == [(2, "side")]
    assert [(one["line"], one["field"]) for one in done["report"]["warnings"]] == [(3, "reference")]
    again = finished(world.offerer, send(world.offerer, lines([OFFER | {"trl": 8}])))
    assert counts(again) == (0, 1, 0, 0)


@pytest.mark.parametrize("form", list(Format))
def test_an_export_brought_in_again_changes_nothing(world: World, form: Format) -> None:
    for record in (OFFER, OTHERS[0], FULL):
        world.post(world.offerer, record)
    export = world.offerer.get("/api/v1/listings/export", params={"format": form})
    assert export.headers["content-type"] == MEDIA[form]
    assert f'.{form}"' in export.headers["content-disposition"]
    before = stored(world.database)
    done = finished(world.offerer, send(world.offerer, export.content, format=form))
    assert (done["state"], counts(done)) == ("done", (0, 0, 3, 0))
    assert done["report"]["problems"] == done["report"]["warnings"] == []
    assert stored(world.database) == before


def test_an_export_holds_what_one_may_change_and_nothing_else(filled: World) -> None:
    def references(client: TestClient, **options: str) -> set[str]:
        body = client.get("/api/v1/listings/export", params=options).text
        return {json.loads(line)["reference"] for line in body.splitlines()}

    assert references(filled.offerer) == references(filled.manager) == {"o1", "o2", "o3"}
    assert references(filled.seeker) == {"n1", "n2"}
    assert references(filled.centre) == {"o1", "o2", "o3", "n1", "n2"}
    assert references(filled.centre, organisation=filled.ids["seeker"]) == {"n1", "n2"}
    problem(filled.seeker.get("/api/v1/listings/export", params={"organisation": filled.ids["offerer"]}), 404)
    problem(filled.public.get("/api/v1/listings/export"), 401)
    filled.offerer.post(f"/api/v1/listings/{filled.ids['o2']}/withdraw")
    assert references(filled.offerer) == {"o1", "o3"}


def test_a_dry_run_writes_nothing_and_says_what_would_happen(world: World) -> None:
    world.post(world.offerer, OFFER)
    body = lines([OFFER, OFFER | {"reference": "new"}, OTHERS[0] | {"side": "seller"}])
    done = finished(world.offerer, send(world.offerer, body, dry_run=True))
    assert (done["state"], counts(done), done["report"]["dry_run"]) == ("done", (1, 0, 1, 1), True)
    turned = finished(world.offerer, send(world.offerer, lines([OFFER | {"side": "need"}]), dry_run=True))
    assert [one["field"] for one in turned["report"]["problems"]] == ["side"]
    changed = finished(world.offerer, send(world.offerer, lines([OFFER | {"trl": 1}]), dry_run=True))
    assert counts(changed) == (0, 1, 0, 0)
    assert stored(world.database) == ["o1"]
    assert world.offerer.get(f"/api/v1/listings/{world.ids['o1']}").json()["version"] == 1


@pytest.mark.parametrize("wrong", [{"reference": "b", "side": "seller", "title": "p"}, OFFER | {"side": "need"}])
def test_all_or_nothing_leaves_nothing_where_a_row_is_wrong(world: World, wrong: dict[str, Any]) -> None:
    world.post(world.offerer, OFFER)
    body = lines([*numbered(3), wrong])
    failed = finished(world.offerer, send(world.offerer, body, all_or_nothing=True))
    assert (failed["state"], counts(failed)) == ("failed", (0, 0, 0, 1))
    assert failed["report"]["problems"][0]["line"] == 4
    assert "nothing was written" in failed["report"]["reason"]
    assert stored(world.database) == ["o1"]
    good = finished(world.offerer, send(world.offerer, lines(numbered(3)), all_or_nothing=True))
    assert (good["state"], counts(good)) == ("done", (2, 1, 0, 0))


def test_a_file_that_cannot_be_read_fails_and_says_why(world: World) -> None:
    failed = finished(world.offerer, send(world.offerer, b"no workbook", format="xlsx"))
    assert (failed["state"], "no XLSX workbook" in failed["report"]["reason"]) == ("failed", True)
    assert counts(finished(world.offerer, send(world.offerer, lines([OFFER])))) == (1, 0, 0, 0)


def test_the_form_is_taken_from_the_type_or_the_name(world: World) -> None:
    book = workbook(["编号", "类型", "标题"], ["x1", "供给", "泵"])
    posted = world.offerer.post("/api/v1/imports", content=book, headers={"Content-Type": MEDIA[Format.XLSX]})
    assert counts(finished(world.offerer, posted.headers["location"])) == (1, 0, 0, 0)
    named = world.offerer.post("/api/v1/imports", files={"file": ("list.xlsx", book)})
    assert counts(finished(world.offerer, named.headers["location"])) == (0, 0, 1, 0)
    assert problem(world.offerer.post("/api/v1/imports", content=b"x"), 422)["errors"][0]["field"] == "format"
    assert problem(world.offerer.post("/api/v1/imports", content=b""), 422)["errors"][0]["field"] == "body"
    assert problem(world.offerer.post("/api/v1/imports", files={"other": b"x"}), 422)["errors"][0]["field"] == "file"
    sent = world.manager.post("/api/v1/imports?format=csv", content=b"x")
    assert problem(sent, 422)["errors"][0]["field"] == "organisation"


def test_the_templates_are_handed_out(world: World) -> None:
    book = world.offerer.get("/api/v1/imports/template.xlsx", params={"language": "zh"})
    assert (book.status_code, book.content[:2]) == (200, b"PK")
    assert "Reference" in world.offerer.get("/api/v1/imports/template.csv").text
    problem(world.public.get("/api/v1/imports/template.csv"), 401)
    assert counts(finished(world.offerer, send(world.offerer, book.content, format="xlsx"))) == (0, 0, 0, 0)


def test_imports_are_the_business_of_who_holds_the_organisation(world: World) -> None:
    place = send(world.offerer, lines([OFFER]))
    finished(world.offerer, place)
    for client, status in ((world.manager, 200), (world.centre, 200), (world.seeker, 404), (world.other_manager, 404)):
        assert client.get(place).status_code == status
    problem(world.public.get(place), 401)
    problem(world.public.post("/api/v1/imports?format=jsonl", content=lines([OFFER])), 401)
    other = {"format": "jsonl", "organisation": world.ids["seeker"]}
    problem(world.offerer.post("/api/v1/imports", params=other, content=lines([OFFER])), 404)
    by_manager = {"format": "jsonl", "organisation": world.ids["offerer"]}
    sent = world.manager.post("/api/v1/imports", params=by_manager, content=lines([OFFER]))
    assert counts(finished(world.manager, sent.headers["location"])) == (0, 0, 1, 0)


def test_what_an_untrusted_organisation_imports_waits_for_a_manager(world: World) -> None:
    finished(world.waiting, send(world.waiting, lines([OFFER])))
    (listing,) = world.waiting.get("/api/v1/listings").json()["items"]
    assert listing["status"] == "submitted"


def test_only_this_route_takes_large_bodies(world: World) -> None:
    large = lines([OFFER | {"reference": f"o{i}", "description": "slurry " * 3_000} for i in range(60)])
    assert LIMIT < len(large) < LARGER["POST", "/api/v1/imports"]
    finished(world.offerer, send(world.offerer, large))
    problem(world.offerer.post("/api/v1/listings", content=large), 413)
    problem(world.offerer.post("/api/v1/imports?format=jsonl", content=b" " * 20_000_001), 413)


def job(world: World, body: bytes, name: str = "offerer", **options: bool) -> Job:
    chosen = {"dry_run": False, "all_or_nothing": False} | options
    return Job(new_id(), world.ids[name], OPERATOR, body, Format.JSONL, **chosen)


def noted(world: World, one: Job, now: datetime | None = None) -> Job:
    with world.database.writing() as session:
        imports.begin(session, owner(session, one), one, now or utc_now())
    return one


def owner(session: Session, one: Job) -> OrganisationRow:
    found = session.get(OrganisationRow, one.organisation_id)
    assert found is not None
    return found


def test_a_second_import_of_an_organisation_waits_for_the_first(world: World) -> None:
    first = noted(world, job(world, lines([OFFER])))
    problem(world.offerer.post("/api/v1/imports?format=jsonl", content=lines([OFFER])), 409)
    finished(world.seeker, send(world.seeker, lines([NEED])))
    imports.run(world.database, first, threading.Event())
    assert counts(finished(world.offerer, send(world.offerer, lines([OFFER])))) == (0, 0, 1, 0)


def test_of_two_that_begin_at_the_same_time_one_is_refused(world: World) -> None:
    barrier, outcomes = threading.Barrier(2), list[str]()

    def begin() -> None:
        barrier.wait()
        try:
            noted(world, job(world, b""))
        except Conflict:
            outcomes.append("refused")
        else:
            outcomes.append("begun")

    threads = [threading.Thread(target=begin) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["begun", "refused"]


def test_no_more_imports_are_taken_on_than_can_be_held(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "AT_ONCE", 1)
    noted(world, job(world, b"", "seeker"))
    with pytest.raises(TooMany):
        noted(world, job(world, b""))


def test_progress_is_seen_and_a_stopped_import_is_interrupted(world: World) -> None:
    """Stopped after its first block; what it has done stays, and the same file does the rest."""
    body, stop = lines(numbered(imports.BLOCK + 250)), threading.Event()
    stop.set()
    one = noted(world, job(world, body))
    imports.run(world.database, one, stop)
    seen = world.offerer.get(f"/api/v1/imports/{one.import_id}").json()
    assert (seen["state"], seen["rows"], seen["done"]) == ("running", imports.BLOCK + 250, imports.BLOCK)
    assert len(stored(world.database)) == imports.BLOCK
    assert interrupt(world.database, utc_now(), lambda row: row.id == one.import_id) == 1
    seen = world.offerer.get(f"/api/v1/imports/{one.import_id}").json()
    assert (seen["state"], seen["done"], "send the file again" in seen["report"]["reason"]) == (
        "interrupted",
        imports.BLOCK,
        True,
    )
    again = finished(world.offerer, send(world.offerer, body))
    assert counts(again) == (250, 0, imports.BLOCK, 0)


def state(world: World, one: Job) -> str:
    with world.database.reading() as session:
        return session.get_one(ImportRow, one.import_id).state


def noted_at(world: World, one: Job) -> datetime:
    with world.database.reading() as session:
        return session.get_one(ImportRow, one.import_id).updated_at


def test_an_import_whose_service_has_died_is_marked_by_any_other(world: World) -> None:
    """Not at once: whoever starts does not know whether another lives."""
    left, taken = noted(world, job(world, b"")), noted(world, job(world, b"", "seeker"))
    later = utc_now() + ABANDONED - timedelta(seconds=1)
    keep_alive(world.database, later, [taken.import_id])
    assert interrupt_abandoned(world.database, later) == 0
    assert interrupt_abandoned(world.database, later + timedelta(seconds=2)) == 1
    assert (state(world, left), state(world, taken)) == ("interrupted", "running")
    keep_alive(world.database, later, [left.import_id])
    assert state(world, left) == "interrupted"


def test_a_second_service_that_comes_and_goes_leaves_the_imports_of_the_first_alone(world: World) -> None:
    """Though they have waited long: the first says all the time that it lives."""
    world.app.state.importer.stop()  # which is a service too, and would be the first to mark it
    one = noted(world, job(world, lines(numbered(3))), utc_now() - timedelta(hours=1))
    first, second = Importer(world.database, beat=0.05), Importer(world.database, beat=0.05)
    first.submit(one)
    first._watcher.start()  # the import waits for its turn
    until = time.monotonic() + 10
    while noted_at(world, one) < utc_now() - ABANDONED / 2:
        assert time.monotonic() < until
    second.start()
    time.sleep(0.2)
    second.stop()
    assert state(world, one) == "running"
    first._thread.start()
    done = finished(world.offerer, f"/api/v1/imports/{one.import_id}")
    first.stop()
    assert (done["state"], counts(done)) == ("done", (3, 0, 0, 0))


def test_what_a_service_that_ends_has_not_brought_in_is_marked_by_itself(world: World) -> None:
    own, other = noted(world, job(world, b"")), noted(world, job(world, b"", "seeker"))
    importer = Importer(world.database)
    importer.submit(own)
    importer._stop.set()  # told to end before its turn
    importer.start()
    importer.stop()
    assert (state(world, own), state(world, other)) == ("interrupted", "running")


def test_an_import_marked_as_ended_elsewhere_writes_no_more(world: World) -> None:
    one = noted(world, job(world, lines([OFFER])))
    interrupt(world.database, utc_now(), lambda _: True)
    imports.run(world.database, one, threading.Event())
    assert stored(world.database) == []


def test_a_report_holds_so_many_problems_and_counts_the_others(world: World) -> None:
    done = finished(world.offerer, send(world.offerer, b"nonsense\n" * 500))
    assert (len(done["report"]["problems"]), done["report"]["problem_count"], counts(done)[3]) == (200, 500, 500)


def test_a_row_with_two_problems_is_left_out_once() -> None:
    tally = Tally(problems=(LineProblem(2, "trl", "x"), LineProblem(2, "side", "y"))).plus(["new"])
    assert (tally.left_out, tally.done) == (1, 2)


def test_ten_thousand_rows_are_brought_in_in_time(settings: Settings) -> None:
    """Without the search and its proposals, which follow in their own time."""
    database = Database(settings.url)
    with database.writing() as session:
        node = accounts.add_node(session, "Sample node", None, None, utc_now())
        row = accounts.add_organisation(session, OPERATOR, node.id, utc_now(), name="Sample", trusted=True)
    one = Job(new_id(), row.id, OPERATOR, lines(numbered(MANY)), Format.JSONL, dry_run=False, all_or_nothing=False)
    with database.writing() as session:
        imports.begin(session, row, one, utc_now())
    start = time.monotonic()
    imports.run(database, one, threading.Event())
    took = time.monotonic() - start
    with database.reading() as session:
        done = session.get(ImportRow, one.import_id)
        assert done is not None
        assert (done.state, done.done, done.report["new"]) == (State.DONE, MANY, MANY)
        assert len(queries.published_after(session, "", 100_000)) == MANY
    database.close()
    assert took < IN_TIME


def test_more_rows_than_one_transaction_may_hold_are_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "LARGEST_WHOLE", 2)
    failed = finished(world.offerer, send(world.offerer, lines(numbered(3)), all_or_nothing=True))
    assert (failed["state"], "at most 2 rows" in failed["report"]["reason"]) == ("failed", True)
    assert stored(world.database) == []


def test_the_operator_imports_sheets_as_well(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "in.xlsx").write_bytes(
        workbook(["id", "side", "title"], ["x1", "offer", "pump"], [None, "offer", "dryer"])
    )
    (tmp_path / "in.csv").write_text("编号;类型;标题\nc1;需求;泵\n", "gb18030")
    database = Database(settings.url)
    sheet, table = import_file(database, tmp_path / "in.xlsx"), import_file(database, tmp_path / "in.csv")
    database.close()
    assert (sheet.new, [(one.line, one.field) for one in sheet.problems]) == (1, [(3, "id")])
    assert (table.new, [one.field for one in table.warnings]) == (1, ["encoding"])


def test_a_form_that_cannot_be_taken_apart_is_invalid_input(world: World) -> None:
    sent = {"content": b"--x\r\nNone--x--\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}
    found = problem(world.offerer.post("/api/v1/imports", **sent), 422)
    assert [one["field"] for one in found["errors"]] == ["body"]
