"""The queue without scripts: plain forms and links, as a browser sends them."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import event
from sqlmodel import select

from app import listings
from app.clock import utc_now
from app.main import create_app
from app.pairings import Reason
from app.settings import Settings
from app.tables import ListingRow, OrganisationRow, PairingRow
from tests.app.conftest import SECRET, World, populated
from tests.app.proposed import ASKED, TOLD, forget, propose
from tests.app.signing import browser, fields


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("home")
    settings = Settings(home=home, model="hashing", secret=SecretStr(SECRET), known_limit="10000/minute")
    app = create_app(settings)
    with TestClient(app, raise_server_exceptions=False) as public:
        app.state.proposer.stop()  # none but the proposals of the tests
        app.state.loading.join()
        yield populated(app, public)


@pytest.fixture
def world(service: World) -> World:
    """One service for all tests, without any listing."""
    forget(service)
    for name in ("manager", "other_manager", "centre", "partner"):
        getattr(service, name).follow_redirects = False
    return service


@pytest.fixture
def manager(world: World) -> TestClient:
    return world.manager


def read(client: TestClient, path: str = "/queue") -> str:
    """A page, after the redirects of a browser."""
    response = client.get(path, follow_redirects=True)
    assert response.status_code == 200, response.text
    return response.text


def shown(page: str) -> str:
    """The proposal on a page; empty where there is none."""
    found = re.search(r'data-id="([^"]+)"', page)
    return found[1] if found else ""


def link(page: str, rel: str) -> str:
    found = re.search(rf'href="([^"]+)" data-key="\w" rel="{rel}"', page)
    assert found, page
    return html.unescape(found[1])


def decide(client: TestClient, page: str, decision: str, **more: str) -> Any:
    """Send the form of a page."""
    found = re.search(r'<form class="yes" method="post" action="([^"]+)"', page)
    assert found, page
    return client.post(html.unescape(found[1]), data=fields(page) | {"decision": decision, **more})


def state(world: World, pairing: str) -> str:
    answer = world.centre.get(f"/api/v1/pairings/{pairing}").json()
    return str(answer["state"])


def steps(world: World, pairing: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = world.centre.get(f"/api/v1/pairings/{pairing}/steps").json()["items"]
    return items


def test_it_is_for_those_who_decide(world: World) -> None:
    pairing = propose(world, 1)[0]
    partner = world.partner
    for path in ("/queue", "/queue/filters", f"/queue/{pairing}"):
        assert partner.get(path).status_code == 403
        assert browser(world).get(path).headers["location"].startswith("/sign-in?")
    token = fields(partner.get("/account").text)["csrf"]
    form = {"csrf": token, "read": "1.1.1", "decision": "accept"}
    assert partner.post(f"/queue/{pairing}", data=form).status_code == 403
    assert world.manager.post(f"/queue/{pairing}", data=form).status_code == 403
    assert state(world, pairing) == "proposed"


def test_the_best_comes_first_with_both_sides_and_the_passages_marked(world: World, manager: TestClient) -> None:
    ids = propose(world, 3, offers=[{"country": "CN", "trl": 7}], needs=[{"country": "KZ"}])
    page = read(manager)
    assert shown(page) == ids[0]
    assert "99%" in page
    assert "very likely a match" in page
    for side, other, text in (("offer", "need", TOLD), ("need", "offer", ASKED)):
        assert re.search(
            rf'<mark[^>]* id="{side}-1"><a class="spot" href="#{other}-1"[^>]*>1</a>{re.escape(text)}</mark>', page
        )
    assert "Kazakhstan" in page
    assert "night 7" in page
    assert "3 days ago" in page
    assert "Going out" in page
    assert re.search(r"<dt>Maturity \(TRL\)</dt><dd>7</dd>", page)
    assert re.search(r'<dt>Maturity \(TRL\)</dt><dd class="unknown">unknown</dd>', page)


def test_one_goes_on_and_back_by_links_and_comes_to_an_end(world: World, manager: TestClient) -> None:
    ids = propose(world, 3)
    page, seen = read(manager), []
    while shown(page):
        seen.append(shown(page))
        page = read(manager, link(page, "next"))
    assert seen == ids
    assert "That was the last one" in page
    page = read(manager, f"/queue/{ids[2]}")
    for pairing in (ids[1], ids[0], ids[0]):
        page = read(manager, link(page, "prev"))
        assert shown(page) == pairing


def test_equal_probabilities_are_all_passed_once(world: World, manager: TestClient) -> None:
    ids = propose(world, 5)
    with world.database.writing() as session:
        for pairing in ids:
            row = session.get(PairingRow, pairing)
            assert row is not None
            row.probability = 0.5
            session.add(row)
    page, seen = read(manager), []
    while shown(page):
        seen.append(shown(page))
        page = read(manager, link(page, "next"))
    assert seen == ids
    page = read(manager, f"/queue/{ids[4]}")
    for pairing in reversed(ids[:4]):
        page = read(manager, link(page, "prev"))
        assert shown(page) == pairing


def test_accepting_shortlists_and_leads_to_the_next(world: World, manager: TestClient) -> None:
    ids = propose(world, 2)
    answer = decide(manager, read(manager), "accept")
    assert answer.status_code == 303
    page = read(manager, answer.headers["location"])
    assert shown(page) == ids[1]
    assert f'href="/pairings/{ids[0]}"' in page
    assert "Shortlisted" in page
    assert [one["action"] for one in steps(world, ids[0])] == ["propose", "shortlist"]
    assert steps(world, ids[0])[1]["actor_id"] == world.ids["manager"]
    audit = world.administrator.get("/api/v1/audit").json()
    assert "pairing.shortlist" in str(audit)


def test_holding_is_two_steps_at_once(world: World, manager: TestClient) -> None:
    pairing = propose(world, 1)[0]
    assert decide(manager, read(manager), "hold").status_code == 303
    assert [one["action"] for one in steps(world, pairing)] == ["propose", "shortlist", "hold"]
    assert state(world, pairing) == "held"


def test_declining_needs_a_reason_and_keeps_what_was_written(world: World, manager: TestClient) -> None:
    pairing = propose(world, 1)[0]
    page = read(manager)
    for reason in ("", "because"):
        answer = decide(manager, page, "decline", reason=reason, side="need", note="They <buy> elsewhere.")
        assert answer.status_code == 422
        assert "Choose a reason" in answer.text
        assert "They &lt;buy&gt; elsewhere." in answer.text
        assert '<option value="need" selected>' in answer.text
    assert state(world, pairing) == "proposed"
    answer = decide(manager, page, "decline", reason="terms", side="need", note="They <buy> elsewhere.")
    assert answer.status_code == 303
    last = steps(world, pairing)[-1]
    assert (last["action"], last["reason"], last["side"], last["note"]) == (
        "decline",
        "terms",
        "need",
        "They <buy> elsewhere.",
    )
    assert "The queue is empty" in read(manager)


def test_all_reasons_can_be_chosen(world: World, manager: TestClient) -> None:
    propose(world, 1)
    found = re.findall(r'name="reason" value="(\w+)" required> <kbd>(\d)</kbd>', read(manager))
    assert found == [(reason, str((place + 1) % 10)) for place, reason in enumerate(Reason)]


@pytest.mark.parametrize(
    "given", [{"decision": "contract"}, {"decision": ""}, {"decision": "decline", "reason": "terms", "side": "middle"}]
)
def test_what_is_no_decision_changes_nothing(world: World, manager: TestClient, given: dict[str, str]) -> None:
    pairing = propose(world, 1)[0]
    assert manager.post(f"/queue/{pairing}", data=fields(read(manager)) | given).status_code == 422
    assert len(steps(world, pairing)) == 1


def test_the_second_of_two_managers_is_told_who_was_first_and_goes_on(world: World, manager: TestClient) -> None:
    ids = propose(world, 2)
    other = world.other_manager
    first, second = read(manager), read(other)
    assert decide(manager, first, "decline", reason="too_early", note="Ours").status_code == 303
    answer = decide(other, second, "decline", reason="terms", note="My <note>")
    assert answer.status_code == 412
    for said in (
        "Somebody was first",
        "<bdi>manager</bdi>",
        "Too early a stage",
        "Terms do not fit",
        "My &lt;note&gt;",
    ):
        assert said in answer.text
    assert shown(answer.text) == ids[1]
    assert len(steps(world, ids[0])) == 2
    part = other.post(f"/queue/{ids[0]}", data=fields(second) | {"decision": "accept"}, headers={"HX-Request": "true"})
    assert part.status_code == 412
    assert "<html" not in part.text
    assert "Your decision is not recorded" in part.text


def test_of_two_decisions_at_the_same_moment_one_is_recorded(world: World, manager: TestClient) -> None:
    ids = propose(world, 4)
    for pairing in ids:
        pages = [(one, read(one, f"/queue/{pairing}")) for one in (manager, world.other_manager)]
        with ThreadPoolExecutor(2) as both:
            sent = [
                both.submit(decide, *pages[0], "accept"),
                both.submit(decide, *pages[1], "decline", reason="terms", note="mine"),
            ]
        answers = [one.result() for one in sent]
        assert sorted(one.status_code for one in answers) == [303, 412]
        assert len(steps(world, pairing)) == 2
        winner = "manager" if answers[0].status_code == 303 else "other_manager"
        assert steps(world, pairing)[1]["actor_id"] == world.ids[winner]


def test_what_the_service_or_a_partner_did_meanwhile_is_named_too(world: World, manager: TestClient) -> None:
    ids = propose(world, 2)
    page = read(manager)
    answer = world.seeker.post(
        f"/api/v1/pairings/{ids[0]}/steps", json={"action": "interest", "consent": True}, headers={"If-Match": '"1"'}
    )
    assert answer.status_code == 201
    late = decide(manager, page, "accept")
    assert late.status_code == 412
    assert "<bdi>seeker</bdi>" in late.text
    assert shown(read(manager, f"/queue/{ids[0]}")) == ids[0]
    page = read(manager, f"/queue/{ids[1]}")
    with world.database.writing() as session:
        offer = session.get(ListingRow, "offer-000001")
        assert offer is not None
        listings.withdraw(session, offer, utc_now())
    late = decide(manager, page, "accept")
    assert (late.status_code, "the service itself" in late.text) == (412, True)


def test_nobody_decides_on_a_text_that_they_have_not_read(world: World, manager: TestClient) -> None:
    pairing = propose(world, 1)[0]
    page = read(manager)
    with world.database.writing() as session:
        need = session.get(ListingRow, "need-000000")
        assert need is not None
        need.version, need.record = 2, need.record | {"title": "Something else"}
        session.add(need)
    late = decide(manager, page, "decline", reason="terms", note="kept")
    assert late.status_code == 412
    assert "One of the two texts has been revised" in late.text
    assert "kept" in late.text
    assert len(steps(world, pairing)) == 1
    page = read(manager)
    assert "The text has been revised since the proposal was made." in page
    assert decide(manager, page, "accept").status_code == 303
    assert steps(world, pairing)[1]["need_version"] == 2


@pytest.mark.parametrize("said", ["", "1", "1.1", "1.1.1.1", "1.1.x", "²", "9.9.9"])
def test_a_form_that_does_not_say_what_was_read_decides_nothing(world: World, manager: TestClient, said: str) -> None:
    pairing = propose(world, 1)[0]
    assert decide(manager, read(manager), "accept", read=said).status_code == 412
    assert state(world, pairing) == "proposed"


def test_a_decision_that_arrives_twice_counts_once(world: World, manager: TestClient) -> None:
    ids = propose(world, 3)
    for pairing, decision, more in (
        (ids[0], "accept", {}),
        (ids[1], "hold", {}),
        (ids[2], "decline", {"reason": "other", "note": "x"}),
    ):
        page = read(manager, f"/queue/{pairing}")
        answers = [decide(manager, page, decision, **more).status_code for _ in range(2)]
        assert answers == [303, 303]
        assert len(steps(world, pairing)) == (3 if decision == "hold" else 2)
    assert decide(manager, page, "decline", reason="terms").status_code == 412


def test_scripts_get_parts_of_the_page(world: World, manager: TestClient) -> None:
    ids = propose(world, 2)
    page = read(manager)
    part = manager.get(link(page, "next"), headers={"HX-Request": "true"})
    assert shown(part.text) == ids[1]
    assert "<html" not in part.text
    answer = manager.post(
        f"/queue/{ids[0]}", data=fields(page) | {"decision": "accept"}, headers={"HX-Request": "true"}
    )
    assert (answer.status_code, answer.text) == (204, "")


def test_what_is_no_proposal_any_more_is_shown_on_its_own_page(world: World, manager: TestClient) -> None:
    ids = propose(world, 2)
    decide(manager, read(manager), "accept")
    assert manager.get(f"/queue/{ids[0]}").headers["location"] == f"/pairings/{ids[0]}"
    assert manager.get("/queue/nothing").status_code == 404


def test_filters_narrow_and_count(world: World, manager: TestClient) -> None:
    ids = propose(
        world,
        6,
        offers=[{"country": "CN", "fields": ["clean_energy"]}, {"region": "CN-50"}],
        needs=[{"country": "KZ", "fields": ["clean_energy", "food_health"]}, {"country": "EG"}, {}],
    )
    page = read(manager, "/queue/filters")
    counted = {
        html.unescape(path): int(count)
        for path, count in re.findall(
            r'href="/queue\?([^"]+)"><bdi>[^<]*</bdi> <span class="number">(\d+)</span>', page
        )
    }
    almaty, chongqing = world.ids["Almaty"], world.ids["Chongqing"]
    expected = {
        "direction=go-out": 2, "direction=bring-in": 2, "direction=unknown": 2,
        "field=clean_energy": 4, "field=food_health": 2, "field=unknown": 5,
        "country=CN": 6, "country=KZ": 2, "country=EG": 2, "country=unknown": 2,
        f"node={almaty}": 6, f"node={chongqing}": 6,
        "least=0.9": 1, "least=0.8": 2, "least=0.7": 2, "least=0.6": 3, "least=0.5": 4,
    }  # fmt: skip
    assert counted == expected
    for query, count in expected.items():
        page, seen = read(manager, f"/queue?{query}"), []
        while shown(page):
            seen.append(shown(page))
            page = read(manager, link(page, "next"))
        assert len(seen) == count, query
        assert seen == sorted(seen)
    page = read(manager, "/queue?field=food_health&country=KZ&least=0.5")
    assert shown(page) == ids[0]
    assert "Food and health" in page
    answer = decide(manager, page, "accept")
    assert "field=food_health" in answer.headers["location"]
    assert "No proposal fits these filters" in read(manager, "/queue?field=aerospace")


def test_a_manager_has_the_proposals_of_their_nodes_alone(world: World) -> None:
    propose(world, 2)
    with world.database.writing() as session:
        for listing in session.exec(select(ListingRow)):
            listing.organisation_id = world.ids["seeker"]
            session.add(listing)
    assert "The queue is empty" in read(world.manager)
    assert "0 proposals in your queue" in read(world.manager, "/queue/filters")
    assert shown(read(world.other_manager))
    assert shown(read(world.centre))


NASTY = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'{{ 7 * 7 }}"


def test_nothing_that_a_listing_holds_is_read_as_markup(world: World, manager: TestClient) -> None:
    more: dict[str, Any] = {
        **{name: f"{name} {NASTY}" for name in ("title", "summary", "description", "organisation", "partner_role")},
        "keywords": [NASTY],
        "fields": [NASTY],
        "country": NASTY,
        "modes": [NASTY],
        "stage": NASTY,
        "ipr": NASTY,
        "partner_types": [NASTY],
        "target_countries": [NASTY],
        "excluded_countries": [NASTY],
        "requirements": [{"parameter": NASTY, "operator": ">=", "value": 1.0, "unit": NASTY, "must": False}],
        "budget": {"minimum": 1, "maximum": 2, "currency": NASTY},
    }
    pairing = propose(world, 1)[0]
    checked = {
        "fields",
        "country",
        "modes",
        "target_countries",
        "excluded_countries",
    }  # no listing gets these past its check
    with world.database.writing() as session:
        for name in ("offer-000000", "need-000000"):
            row = session.get(ListingRow, name)
            assert row is not None
            row.record = {"side": row.side} | {key: value for key, value in more.items() if key not in checked}
            row.corrected_fields = [NASTY]
            session.add(row)
        proposal = session.get(PairingRow, pairing)
        assert proposal is not None
        proposal.evidence = [{"offer": NASTY, "need": f"gone {NASTY}", "similarity": 1.0}]
        proposal.run = proposal.direction = NASTY
        proposal.parts = {NASTY: 2.0, f"{NASTY} not": -2.0}
        session.add(proposal)
        for owner in ("offerer", "seeker"):
            organisation = session.get(OrganisationRow, world.ids[owner])
            assert organisation is not None
            organisation.name = f"{owner} {NASTY}"
            session.add(organisation)
    pages = [read(manager), read(manager, "/queue/filters"), read(manager, "/queue?lang=zh")]
    pages.append(decide(manager, pages[0], "decline", reason=NASTY, note=NASTY).text)
    assert decide(manager, pages[0], "accept").status_code == 303
    pages.append(decide(manager, pages[0], "decline", reason="terms", note=NASTY).text)
    pages.append(read(manager, f"/queue?done={pairing}&field={NASTY}&country=%3Cb%3E&node=%3Cb%3E"))
    for page in pages:
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "<b>" not in re.sub(r"<b>[\w ]+</b>", "", page)
        assert "&lt;script&gt;" in page
    assert pages[0].count("alert(1)") > 20


def test_ten_thousand_proposals_are_as_quick_as_ten(world: World, manager: TestClient) -> None:
    ids = propose(world, 10_000, offers=[{"fields": ["clean_energy"], "country": "CN"}], needs=[{"country": "KZ"}])
    page, times = read(manager), []
    for _ in range(20):
        started = time.process_time()
        page = read(manager, link(page, "next"))
        times.append(time.process_time() - started)
    assert shown(page) == ids[20]
    assert sorted(times)[10] < 0.2, "far over the 0.05 s that it takes"
    assert "10,000 proposals in your queue" in read(manager, "/queue/filters")


def test_only_what_is_shown_is_read_and_by_an_index(world: World, manager: TestClient) -> None:
    propose(world, 50)
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _k: Any, statement: str, parameters: Any, _x: Any, _m: bool) -> None:
        asked.append((statement, parameters))

    engine = world.database.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        read(manager, "/queue?after=0.9,x")
    finally:
        event.remove(engine, "before_cursor_execute", note)
    ordered = [one for one in asked if "ORDER BY pairing.probability" in one[0]]
    assert len(ordered) == 1
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {ordered[0][0]}", ordered[0][1]).all()
    assert any("SEARCH pairing USING INDEX" in line[3] for line in plan), plan
    assert not any(line[3].startswith("SCAN") for line in plan), plan
    assert [
        sum(f"FROM {table} " in text.replace("\n", " ") for text, _ in asked) for table in ("listing", "pairing")
    ] == [2, 1]
