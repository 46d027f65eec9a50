"""The client of examples/client, used against a running service."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from app.settings import Settings
from tests.app.conftest import NEED, OFFER, OTHERS
from tests.app.serving import Served, served

FILE = Path(__file__).resolve().parents[2] / "examples" / "client" / "dukou_client.py"


@pytest.fixture(scope="module")
def library() -> ModuleType:
    """The file as a module, as whoever copied it has it."""
    spec = importlib.util.spec_from_file_location("dukou_client", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["dukou_client"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def service(settings: Settings) -> Iterator[Served]:
    with served(settings) as running:
        yield running


@pytest.fixture
def client_of(service: Served, library: ModuleType) -> Iterator[Callable[..., Any]]:
    made = []

    def client(name: str, **more: Any) -> Any:
        authorization = getattr(service.world, name).headers["Authorization"]
        made.append(library.Client(service.address, authorization.removeprefix("Bearer "), **more))
        return made[-1]

    yield client
    for one in made:
        one.__exit__()


def test_listings_are_posted_found_and_gone_through(client_of: Callable[..., Any]) -> None:
    offerer, seeker = client_of("offerer"), client_of("seeker")
    offers = [offerer.post_listing(one) for one in (OFFER, *OTHERS) if one["side"] == "offer"]
    need = seeker.post_listing(NEED)
    assert {one["id"] for one in offerer.search("ceramic elbows for ore slurry")} == {one["id"] for one in offers}
    assert all(0 <= match["probability"] <= 1 for match in seeker.matches(need["id"]))
    assert {one["id"] for one in offerer.listings(side="offer", limit="2")} == {one["id"] for one in offers}
    offerer.withdraw(offers[0]["id"])
    gone = [one["id"] for one in offerer.export(limit="2") if one["deleted"]]
    assert gone == [offers[0]["id"]]


def test_a_revision_names_what_was_read(client_of: Callable[..., Any], library: ModuleType) -> None:
    offerer = client_of("offerer")
    read = offerer.listing(offerer.post_listing(OFFER)["id"])
    revised = offerer.revise(read, OFFER | {"title": "Another title"})
    assert (revised.body["title"], revised.body["version"]) == ("Another title", 2)
    with pytest.raises(library.Problem) as refused:
        offerer.revise(read, OFFER | {"title": "A third title"})
    assert (refused.value.status, refused.value.type) == (412, "urn:dukou:problem:version-mismatch")


def test_a_problem_names_the_fields(client_of: Callable[..., Any], library: ModuleType) -> None:
    with pytest.raises(library.Problem) as refused:
        client_of("offerer").post_listing({"side": "offer", "title": "x", "trl": "nine"})
    assert refused.value.status == 422
    assert [error.field for error in refused.value.errors] == ["trl"]


def test_changes_go_on_where_they_ended_and_what_failed_comes_again(
    client_of: Callable[..., Any], tmp_path: Path
) -> None:
    offerer, kept = client_of("offerer"), tmp_path / "cursor"
    first, second = (offerer.post_listing(OFFER | {"reference": one})["id"] for one in ("a", "b"))
    for event in offerer.changes(kept):
        assert event["subject"] == first
        break  # as if it had failed
    assert [event["subject"] for event in offerer.changes(kept)] == [first, second]
    assert list(offerer.changes(kept)) == []
    third = offerer.post_listing(OFFER | {"reference": "c"})["id"]
    assert [event["subject"] for event in offerer.changes(kept)] == [third]


def test_a_pairing_is_taken_a_step_further(service: Served, client_of: Callable[..., Any]) -> None:
    offerer, seeker = client_of("offerer"), client_of("seeker")
    offer, need = offerer.post_listing(OFFER)["id"], seeker.post_listing(NEED)["id"]
    centre = service.world.centre
    pairing = centre.post("/api/v1/pairings", json={"offer": offer, "need": need}).json()
    for action in ("shortlist", "offer"):
        tag = centre.get(f"/api/v1/pairings/{pairing['id']}").headers["etag"]
        sent = centre.post(
            f"/api/v1/pairings/{pairing['id']}/steps", json={"action": action}, headers={"If-Match": tag}
        )
        assert sent.status_code == 201, sent.text
    assert [one["id"] for one in seeker.pairings()] == [pairing["id"]]
    taken = seeker.step(seeker.pairing(pairing["id"]), "interest", consent=True)
    assert taken.body["need_interest_at"] is not None


def test_the_client_waits_as_it_is_told_and_posts_nothing_twice(service: Served, client_of: Callable[..., Any]) -> None:
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        service.world.app.state.limits = generous

    generous = service.world.app.state.limits
    service.world.app.state.limits = type(generous)("1/minute", "1/minute", "1/minute")
    offerer = client_of("offerer", sleep=sleep)
    offerer.listing(offerer.post_listing(OFFER)["id"])
    assert len(waited) == 1
    assert 0 < waited[0] <= 60


def test_a_post_whose_answer_is_lost_is_sent_again_with_the_same_key(
    client_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    offerer, keys = client_of("offerer", sleep=lambda _seconds: None), []
    request = offerer._http.request

    def losing(method: str, path: str, **more: Any) -> httpx.Response:
        answer = request(method, path, **more)
        if method == "POST":
            keys.append(more["headers"]["Idempotency-Key"])
            if len(keys) == 1:
                raise httpx.ReadTimeout("the answer is lost")
        return answer

    monkeypatch.setattr(offerer._http, "request", losing)
    without_reference = {name: value for name, value in OFFER.items() if name != "reference"}
    posted = offerer.post_listing(without_reference)
    assert (len(keys), len(set(keys))) == (2, 1)
    assert [one["id"] for one in offerer.listings()] == [posted["id"]]
