import json
import os
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app import accounts, embeddings, listings, search
from app.access import OPERATOR
from app.db import Database
from app.errors import StorageFull
from app.main import LIMIT, create_app
from app.queries import listings as queries
from app.settings import Settings
from app.snapshot import Base
from app.tables import OrganisationRow
from matching import Side
from tests.app.conftest import NEED, OFFER, OTHERS, World, populated, problem


def test_a_listing_is_posted_and_read_again(world: World) -> None:
    posted = world.offerer.post("/api/v1/listings", json=OFFER)
    assert posted.status_code == 201
    assert world.offerer.get(posted.headers["location"]).json() == posted.json()
    assert posted.json()["title"] == OFFER["title"]
    assert (posted.json()["status"], posted.json()["version"]) == ("published", 1)


def test_posting_a_reference_again_updates_it(world: World) -> None:
    first = world.offerer.post("/api/v1/listings", json=OFFER).json()
    again = world.offerer.post("/api/v1/listings", json=OFFER | {"title": "Another title"})
    assert again.status_code == 200
    assert (again.json()["id"], again.json()["title"]) == (first["id"], "Another title")
    assert again.json()["created_at"] == first["created_at"]
    assert again.json()["updated_at"] > first["updated_at"]


def test_listings_without_a_reference_stand_side_by_side(world: World) -> None:
    body = {key: value for key, value in OFFER.items() if key != "reference"}
    ids = {world.offerer.post("/api/v1/listings", json=body).json()["id"] for _ in range(2)}
    assert len(ids) == 2
    assert all(world.offerer.get(f"/api/v1/listings/{one}").json()["reference"] is None for one in ids)


def test_a_reference_is_its_owners_alone(world: World) -> None:
    ours = world.offerer.post("/api/v1/listings", json=OFFER).json()["id"]
    theirs = world.seeker.post("/api/v1/listings", json=OFFER).json()["id"]
    assert ours != theirs


def test_pages_of_listings_hold_each_listing_once(filled: World) -> None:
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = filled.public.get("/api/v1/listings", params={"limit": 2, "cursor": cursor}).json()
        seen += [item["reference"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert sorted(seen) == ["n1", "n2", "o1", "o2", "o3"]


def test_a_search_finds_the_offer_that_answers(filled: World) -> None:
    response = filled.public.post("/api/v1/search", json={"text": "ceramic elbows for ore slurry pipelines"})
    found = response.json()
    assert 0.0 < found["threshold"] < 1.0
    assert filled.found(response)[0] == "o1"
    keys = {"id", "side", "title", "text", "language", "country", "organisation", "probability", "parts", "evidence"}
    assert set(found["items"][0]) == {*keys, "direction"}
    probabilities = [item["probability"] for item in found["items"]]
    assert probabilities == sorted(probabilities, reverse=True)


def test_a_search_for_needs_gives_needs(filled: World) -> None:
    found = filled.offerer.post("/api/v1/search", json={"text": "solar pumps", "side": "need", "limit": 1}).json()
    assert [item["side"] for item in found["items"]] == ["need"]


def test_matches_name_the_other_side_and_the_direction(filled: World) -> None:
    response = filled.seeker.get(f"/api/v1/listings/{filled.ids['n1']}/matches")
    assert filled.found(response)[0] == "o1"
    assert response.json()["items"][0]["direction"] == "go-out"
    response = filled.offerer.get(f"/api/v1/listings/{filled.ids['o1']}/matches", params={"limit": 1})
    assert filled.found(response) == ["n1"]


def test_a_changed_listing_is_found_by_its_new_text(filled: World) -> None:
    query = {"text": "graphene battery electrodes", "limit": 1}
    filled.offerer.post("/api/v1/search", json=query)
    filled.offerer.post("/api/v1/listings", json=OFFER | {"title": "Graphene battery electrodes", "description": ""})
    assert (
        filled.offerer.post("/api/v1/search", json=query).json()["items"][0]["title"] == "Graphene battery electrodes"
    )


def test_only_changed_text_is_embedded(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    filled.offerer.post("/api/v1/search", json={"text": "pumps"})
    embedded: list[str] = []
    real = embeddings.embed

    def spy(listings, encoder, **options):  # type: ignore[no-untyped-def]
        embedded.extend(listing.id for listing in listings)
        return real(listings, encoder, **options)

    monkeypatch.setattr(embeddings, "embed", spy)
    filled.seeker.post("/api/v1/listings", json=NEED | {"title": "New title"})
    filled.offerer.post("/api/v1/search", json={"text": "pumps"})
    assert embedded == [filled.ids["n1"]]  # and not again the text that was searched with


def test_an_empty_database_answers_with_nothing(world: World) -> None:
    assert world.public.post("/api/v1/search", json={"text": "anything"}).json()["items"] == []


def test_many_threads_post_and_search_at_once(filled: World) -> None:
    statuses: list[int] = []

    def work(number: int) -> None:
        record = NEED | {"reference": f"t{number}", "title": f"Pump number {number}"}
        statuses.append(filled.seeker.post("/api/v1/listings", json=record).status_code)
        statuses.append(
            filled.offerer.post("/api/v1/search", json={"text": f"pump {number}", "side": "need"}).status_code
        )

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(statuses)) == [200, 201]


def test_an_unknown_listing_is_404(world: World) -> None:
    problem(world.offerer.get("/api/v1/listings/none"), 404)
    problem(world.offerer.get("/api/v1/listings/none/matches"), 404)
    problem(world.offerer.get("/api/v1/nothing"), 404)


def test_a_wrong_method_is_405(world: World) -> None:
    response = world.public.delete("/api/v1/search")
    problem(response, 405)
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_over_the_limit_is_413(world: World, announced: bool) -> None:
    body = b'{"text": "' + b"x" * LIMIT + b'"}'
    content = body if announced else iter([body[:1000], body[1000:]])
    problem(world.public.post("/api/v1/search", content=content), 413)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"side": "both"}, "side"),
        ({"trl": 12}, "trl"),
        ({"trl": "nine"}, "trl"),
        ({"country": "Kazakhstan"}, "country"),
        ({"colour": "red"}, "colour"),
        ({"keywords": "one"}, "keywords"),
        ({"keywords": [1]}, "keywords.0"),
        ({"reference": ""}, "reference"),
        ({"title": "", "description": "…"}, "description"),
        ({"description": "x" * 50_001}, "description"),
        ({"title": None, "description": None}, "description"),
        ({"text": "said twice"}, "text"),
        ({"trl": "9"}, "trl"),
        ({"id": "mine"}, "id"),
        ({"requirements": [{"parameter": "pH", "operator": "~", "value": 7}]}, "requirements.0.operator"),
        ({"budget": {"minimum": 5, "maximum": 1, "currency": "EUR"}}, "budget"),
        ({"classifications": ["nonsense"]}, "classifications.0"),
        ({"disclosure": "secret"}, "disclosure"),
        ({"country": "KZ", "region": "CN-50"}, "region"),
    ],
)
def test_an_invalid_listing_is_422_and_names_the_field(world: World, change: dict[str, object], field: str) -> None:
    body = problem(world.offerer.post("/api/v1/listings", json=OFFER | change), 422)
    assert body["errors"][0]["field"] == field
    assert body["errors"][0]["fix"]
    assert world.offerer.get("/api/v1/listings").json()["items"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"text": " "}, "text"),
        ({"text": "pump", "limit": 51}, "limit"),
        ({"text": "pump", "side": "all"}, "side"),
        ({"text": "pump", "language": "not a tag"}, "language"),
        ({}, "text"),
        ({"text": "pump", "page": 2}, "page"),
    ],
)
def test_an_invalid_search_is_422_and_names_the_field(world: World, body: dict[str, object], field: str) -> None:
    assert problem(world.public.post("/api/v1/search", json=body), 422)["errors"][0]["field"] == field


@pytest.mark.parametrize("content", [b'{"text": ', b"[1]", b'"text"', b"", b"\xff\xfe"])
def test_a_body_that_is_no_object_is_a_problem_not_a_defect(world: World, content: bytes) -> None:
    response = world.public.post("/api/v1/search", content=content, headers={"content-type": "application/json"})
    assert response.status_code in (400, 422)
    problem(response, response.status_code)


def test_half_a_surrogate_pair_is_refused(world: World) -> None:
    headers = {"content-type": "application/json"}
    for field in ("reference", "title"):
        content = json.dumps(OFFER | {field: "a\ud800"}).encode()
        problem(world.offerer.post("/api/v1/listings", content=content, headers=headers), 422)


def test_a_defect_is_500_and_says_nothing_of_the_inside(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret path")

    monkeypatch.setattr("app.queries.listings.page", fail)
    assert "secret" not in problem(world.offerer.get("/api/v1/listings"), 500)["detail"]


def test_null_is_unknown_and_text_another_name_for_description(world: World) -> None:
    record = {
        "reference": "o",
        "side": "offer",
        "title": None,
        "text": "A pump",
        "fields": None,
        "keywords": None,
        "trl": None,
    }
    posted = world.post(world.offerer, record)
    assert world.offerer.get(f"/api/v1/listings/{posted['id']}").json()["description"] == "A pump"


def test_a_write_is_noticed_even_when_no_time_and_no_count_tells(filled: World) -> None:
    """An import that took its time earlier and commits later changes a row without changing the newest time."""
    query = {"text": "graphene battery electrodes", "limit": 1}
    filled.public.post("/api/v1/search", json=query)
    with filled.database.writing() as session:
        owner = accounts.organisation(session, OPERATOR, filled.ids["offerer"])
        record = OFFER | {"title": "Graphene battery electrodes"}
        listings.post_listing(session, OPERATOR, owner, record, datetime(2001, 1, 1))
    found = filled.public.post("/api/v1/search", json=query).json()
    assert found["items"][0]["title"] == "Graphene battery electrodes"


def test_two_processes_may_store_the_vectors_of_one_text(settings: Settings) -> None:
    database = Database(settings.url)
    with database.writing() as one:
        queries.keep_embeddings(one, "x", {"hash": b"first"})
    with database.writing() as other:
        queries.keep_embeddings(other, "x", {"hash": b"second"})
        assert queries.embeddings(other, "x", ["hash"]) == {"hash": b"first"}
    database.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_while_loading_is_said_and_mended_by_the_next_search(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = search.Live.build
    broken = iter([True])

    def failing(self: search.Live, *arguments: Any, **options: Any) -> Base:
        if next(broken, False):
            raise ZeroDivisionError
        return real(self, *arguments, **options)

    monkeypatch.setattr(search.Live, "build", failing)
    app = create_app(settings)
    with TestClient(app) as client:
        app.state.loading.join()
        assert "defect" in problem(client.get("/health/ready"), 503)["detail"]
        assert client.post("/api/v1/search", json={"text": "elbows"}).status_code == 200
        assert client.get("/health/ready").status_code == 200


def test_the_interface_is_the_one_that_is_written_down(world: World) -> None:
    """docs/openapi.json is what clients are built from: a change of it is to be meant."""
    written = Path(__file__).parents[2] / "docs" / "openapi.json"
    assert world.offerer.get("/openapi.json").json() == json.loads(written.read_text("utf-8"))


def test_health_answers(world: World) -> None:
    assert world.offerer.get("/health/live").json() == {"status": "live"}
    world.app.state.proposer.stop()
    told = world.public.get("/health/ready").json()
    assert 0 <= told["index"].pop("age_seconds") < 60
    assert told == {"status": "ready", "model": "hashing-256", "index": {"revision": 0}, "waiting": 0}
    world.post(world.offerer, OFFER)
    assert world.public.get("/health/ready").json()["waiting"] == 1


def test_until_the_model_is_loaded_posting_works_and_searching_waits(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    real = search.hashing_models
    monkeypatch.setattr(search, "hashing_models", lambda: (gate.wait(20), real())[1])
    app = create_app(settings)
    with TestClient(app) as client:
        assert client.get("/health/live").status_code == 200
        problem(client.get("/health/ready"), 503)
        world = populated(app, client)
        assert world.offerer.post("/api/v1/listings", json=OFFER).status_code == 201
        assert world.public.post("/api/v1/search", json={"text": "elbows"}).headers["retry-after"]
        assert world.offerer.get("/", params={"q": "elbows"}).status_code == 503
        gate.set()
        app.state.loading.join()
        assert world.offerer.get("/health/ready").status_code == 200
        found = world.public.post("/api/v1/search", json={"text": "elbows"}).json()
        assert found["items"][0]["title"] == OFFER["title"]


def test_a_model_that_cannot_be_loaded_is_said(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"model": os.devnull}))
    with TestClient(app) as client:
        app.state.loading.join()
        assert "cannot load the model" in problem(client.get("/health/ready"), 503)["detail"]


def test_what_is_posted_beside_a_large_base_is_found_at_once_and_what_it_replaces_no_longer(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "TAIL_SHARE", 10)
    live: search.Live = filled.app.state.live
    query = {"text": "graphene battery electrodes", "limit": 50}
    base = filled.found(filled.public.post("/api/v1/search", json=query))
    filled.post(filled.offerer, OFFER | {"title": "Graphene battery electrodes", "description": ""})
    filled.post(filled.offerer, OFFER | {"reference": "new", "title": "Electrodes of graphene for a battery"})
    response = filled.public.post("/api/v1/search", json=query)
    assert live._snapshot is not None
    assert live._snapshot.tail is not None
    assert sorted(filled.found(response)) == sorted([*base, "new"])
    titles = {item["id"]: item["title"] for item in response.json()["items"]}
    assert titles[filled.ids["o1"]] == "Graphene battery electrodes"
    answers = filled.found(filled.offerer.get(f"/api/v1/listings/{filled.ids['new']}/matches"))
    assert sorted(answers) == ["n1", "n2"]


def test_what_is_withdrawn_is_found_no_longer_and_what_waits_is_not_found_yet(filled: World) -> None:
    query = {"text": "ceramic elbows for ore slurry pipelines", "limit": 50}
    assert "o1" in filled.found(filled.public.post("/api/v1/search", json=query))
    filled.post(filled.waiting, OFFER | {"reference": "waits"})
    assert "waits" not in filled.found(filled.public.post("/api/v1/search", json=query))
    filled.offerer.post(f"/api/v1/listings/{filled.ids['o1']}/withdraw")
    assert "o1" not in filled.found(filled.public.post("/api/v1/search", json=query))
    filled.manager.post(f"/api/v1/listings/{filled.ids['waits']}/publish")
    assert filled.found(filled.public.post("/api/v1/search", json=query))[0] == "waits"


@pytest.mark.parametrize(
    ("disclosure", "finders"),
    [
        ("public", {"public", "seeker", "offerer", "manager", "other_manager", "centre", "administrator"}),
        ("registered", {"seeker", "offerer", "manager", "other_manager", "centre", "administrator"}),
        ("introduction", {"offerer", "manager", "centre", "administrator"}),
    ],
)
def test_a_listing_is_found_and_read_by_those_it_is_disclosed_to(
    filled: World, disclosure: str, finders: set[str]
) -> None:
    own = filled.post(filled.offerer, OFFER | {"reference": "own", "disclosure": disclosure})
    query = {"text": "ceramic elbows for ore slurry pipelines", "limit": 50}
    for name in ("public", "seeker", "offerer", "manager", "other_manager", "centre", "administrator"):
        client = getattr(filled, name)
        assert ("own" in filled.found(client.post("/api/v1/search", json=query))) == (name in finders), name
        assert (client.get(f"/api/v1/listings/{own['id']}").status_code == 200) == (name in finders), name
        listed = [one["id"] for one in client.get("/api/v1/listings").json()["items"]]
        assert (own["id"] in listed) == (name in finders), name


def test_where_many_are_hidden_those_that_are_shown_are_found_behind_them(world: World) -> None:
    for i in range(30):
        world.post(world.offerer, OFFER | {"reference": f"h{i}", "disclosure": "introduction"})
    world.post(world.offerer, OTHERS[0])
    query = {"text": "ceramic elbows for ore slurry pipelines", "limit": 3}
    assert world.found(world.public.post("/api/v1/search", json=query)) == ["o2"]


@pytest.mark.parametrize(
    ("narrowed", "found"),
    [
        ({}, {"o1", "o2", "o3"}),
        ({"country": "CN"}, {"o1", "o2", "o3"}),
        ({"country": "KZ"}, set()),
        ({"field": "clean_energy"}, {"o4"}),
        ({"field": "clean_energy", "country": "KZ"}, set()),
    ],
)
def test_a_search_is_narrowed_by_country_field_and_node(
    filled: World, narrowed: dict[str, str], found: set[str]
) -> None:
    query = {"text": "ceramic elbows, tea drying, solar pumps", "limit": 50}
    if "field" in narrowed:
        filled.post(filled.offerer, OFFER | {"reference": "o4", "fields": ["clean_energy"]})
    response = filled.public.post("/api/v1/search", json=query | narrowed)
    assert set(filled.found(response)) == found
    for name, expected in (("offerer", found), ("seeker", set())):
        with filled.database.reading() as session:
            owner = session.get(OrganisationRow, filled.ids[name])
        assert owner is not None
        response = filled.public.post("/api/v1/search", json=query | narrowed | {"node": owner.node_id})
        assert set(filled.found(response)) == expected


@pytest.mark.parametrize("wrong", [{"country": "China"}, {"field": "cooking"}])
def test_what_a_search_cannot_be_narrowed_to_is_named(filled: World, wrong: dict[str, str]) -> None:
    body = problem(filled.public.post("/api/v1/search", json={"text": "pumps", **wrong}), 422)
    assert body["errors"][0]["field"] == next(iter(wrong))


def gated_build(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """From here on a base is built only once the event is set."""
    gate, real = threading.Event(), search.Live.build

    def slow(self: search.Live, *arguments: Any, **options: Any) -> Base:
        gate.wait(20)
        return real(self, *arguments, **options)

    monkeypatch.setattr(search.Live, "build", slow)
    return gate


def test_a_base_that_is_outgrown_is_built_aside_while_searches_go_on(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    live: search.Live = filled.app.state.live
    filled.offerer.post("/api/v1/search", json={"text": "pumps"})
    monkeypatch.setattr(search, "QUICK", 0)
    gate = gated_build(monkeypatch)
    late = filled.post(filled.seeker, NEED | {"reference": "late", "title": "Late pumps", "description": ""})["id"]
    query = {"text": "late pumps", "side": "need", "limit": 1}
    assert filled.found(filled.public.post("/api/v1/search", json=query)) == ["late"]
    gate.set()
    assert live._building is not None
    live._building.join(20)
    assert live._snapshot is not None
    assert live._snapshot.tail is not None, "the base in use stands until the next request"
    assert filled.found(filled.public.post("/api/v1/search", json=query)) == ["late"]
    assert live._snapshot.tail is None
    assert live._snapshot.base.name == live.publisher.current() != ""
    assert live._snapshot.base.market.stands[Side.NEED].find([late])[0] >= 0


def test_the_first_index_of_many_listings_is_published_and_the_next_start_opens_it(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving: search.Live = filled.app.state.live
    filled.app.state.proposer.stop()
    assert serving.publisher.current() == ""
    monkeypatch.setattr(search, "QUICK", 0)
    live = search.Live(serving._settings, serving.database)
    live.load()
    assert live._snapshot is not None
    assert live._snapshot.base.name == live.publisher.current() != ""
    monkeypatch.setattr(search.Live, "build", None)
    again = search.Live(serving._settings, serving.database)
    again.load()
    assert again.state is not None
    assert again.state.listings == live._snapshot.base.size > 0


def test_a_first_index_that_cannot_be_written_serves_from_memory(
    filled: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    serving: search.Live = filled.app.state.live
    filled.app.state.proposer.stop()
    monkeypatch.setattr(search, "QUICK", 0)

    def full(*_: object) -> None:
        raise StorageFull("cannot write: no space left")

    monkeypatch.setattr("app.publishing.Publisher.write", full)
    live = search.Live(serving._settings, serving.database)
    live.load()
    assert live.is_ready
    assert live.publisher.current() == ""
    assert "no space left" in caplog.text


def test_an_index_that_cannot_be_written_is_not_built_again_at_each_request(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    live: search.Live = filled.app.state.live
    filled.app.state.proposer.stop()
    monkeypatch.setattr(search, "QUICK", 0)
    tried: list[str] = []

    def full(_self: object, _base: Base, name: str, _about: dict[str, Any]) -> None:
        tried.append(name)
        raise StorageFull("cannot write: no space left")

    monkeypatch.setattr("app.publishing.Publisher.write", full)
    filled.post(filled.seeker, NEED | {"reference": "late", "title": "Late pumps", "description": ""})
    query = {"text": "late pumps", "side": "need", "limit": 1}
    for _ in range(3):
        assert filled.found(filled.public.post("/api/v1/search", json=query)) == ["late"]
        assert live._building is not None
        live._building.join(20)
    assert len(tried) == 1
    live._not_before = 0.0
    filled.post(filled.seeker, NEED | {"reference": "later"})
    filled.public.post("/api/v1/search", json=query)
    live._building.join(20)
    assert len(tried) == 2


def test_after_a_large_import_searches_go_on_with_what_they_have_until_the_next_base(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    live: search.Live = filled.app.state.live
    filled.app.state.proposer.stop()
    filled.offerer.post("/api/v1/search", json={"text": "pumps"})
    monkeypatch.setattr(search, "QUICK", 0)
    monkeypatch.setattr(search, "LONGEST_TAIL", 3)
    gate = gated_build(monkeypatch)
    for i in range(5):
        filled.post(filled.seeker, NEED | {"reference": f"many-{i}", "title": f"Pump {i}"})
    query = {"text": "pump", "side": "need", "limit": 50}
    assert sorted(filled.found(filled.public.post("/api/v1/search", json=query))) == ["n1", "n2"]
    assert filled.found(filled.seeker.get(f"/api/v1/listings/{filled.ids['many-1']}/matches"))
    gate.set()
    assert live._building is not None
    live._building.join(20)
    assert len(filled.found(filled.public.post("/api/v1/search", json=query))) == 7
