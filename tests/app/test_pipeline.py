"""The pipeline's board and a pairing's page over HTTP, as a browser without scripts sends them."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app import proposals
from app.access import SYSTEM
from app.clock import utc_now
from app.pairings import State
from app.pipeline import BOARD, PAGE
from app.tables import ListingRow, PairingRow, StepRow
from matching import Pairing
from tests.app.conftest import NEED, OFFER, World
from tests.app.proposed import propose
from tests.app.test_pairings import go, pair, step

CROSS = '<img src=x onerror="alert(1)">'


@pytest.fixture(autouse=True)
def still(world: World) -> None:
    """No thread proposes or screens beside these tests."""
    world.app.state.proposer.stop()


def form(client: TestClient, path: str, to: str, /, **given: str) -> Any:
    """Send a form of a page: the one with that action, with its hidden fields and what is given."""
    page = client.get(path)
    assert page.status_code == 200, page.text
    found = next(one for one in re.findall(r"<form.*?</form>", page.text, re.S) if f'action="{to}"' in one)
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', found)
    fields = {name: html.unescape(value) for name, value in hidden} | given
    return client.post(to, data=fields, follow_redirects=False)


def taken(client: TestClient, pairing: str, **given: str) -> Any:
    """Take a step on the pairing's own page."""
    return form(client, f"/pairings/{pairing}", f"/pairings/{pairing}/steps", **given)


def cards(page: str, state: str) -> list[str]:
    """The pairings in a column of the board, by id."""
    column = re.search(rf'<section class="column" id="column-{state}".*?</section>', page, re.S)
    assert column is not None, f"no column {state}"
    return re.findall(r'id="card-([^"]+)"', column[0])


def other(world: World, reference: str, **more: Any) -> str:
    """One more pairing, of another need."""
    need = world.post(world.seeker, NEED | {"reference": reference, **more})
    body = {"offer": world.ids["o1"], "need": need["id"]}
    found: str = world.manager.post("/api/v1/pairings", json=body).json()["id"]
    return found


def test_a_pairing_goes_all_the_way_by_forms_alone(world: World) -> None:
    pairing = pair(world)
    manager = world.manager
    assert cards(manager.get("/pipeline").text, "proposed") == [pairing]
    answer = form(manager, "/pipeline", f"/pairings/{pairing}/steps", action="shortlist")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/pipeline#card-{pairing}")
    assert cards(manager.get("/pipeline").text, "shortlisted") == [pairing]
    for given in (
        {"action": "offer", "note": "both were called"},
        {"action": "interest", "side": "offer", "consent": "true", "note": "told us by telephone"},
        {"action": "interest", "side": "need", "consent": "true", "note": "told us by letter"},
        {"action": "hold", "note": "compliance asks"},
    ):
        assert taken(manager, pairing, **given).status_code == 303
    page = manager.get(f"/pairings/{pairing}").text
    assert "Not yet screened" in page
    assert form(manager, f"/pairings/{pairing}", f"/pairings/{pairing}/screening").status_code == 303
    decision = {"decision": "not_covered", "reason": "ordinary ceramics"}
    assert form(manager, f"/pairings/{pairing}", f"/pairings/{pairing}/decision", **decision).status_code == 303
    assert taken(manager, pairing, action="release").status_code == 303
    assert taken(manager, pairing, action="introduce").status_code == 303
    assert taken(manager, pairing, action="negotiate").status_code == 303
    contract = {"type": "licence", "value": "120000", "currency": "EUR", "signed_on": "2026-11-01", "then": "contract"}
    assert form(manager, f"/pairings/{pairing}", f"/pairings/{pairing}/contract", **contract).status_code == 303
    assert taken(manager, pairing, action="complete").status_code == 303
    assert cards(manager.get("/pipeline").text, "completed") == [pairing]
    page = manager.get(f"/pairings/{pairing}").text
    for text in (
        "ordinary ceramics",
        "told us by telephone",
        "120,000 EUR",
        "Technology licence",
    ):
        assert text in page


def test_the_gate_cannot_be_passed_by(world: World) -> None:
    pairing = pair(world)
    go(world, pairing, "mutual")
    path = f"/pairings/{pairing}"
    page = world.manager.get(f"{path}?do=introduce").text
    assert "The way is shut at the compliance gate" in page
    assert 'value="introduce"' not in page, "no button leads past the gate"
    refused = taken(world.manager, pairing, action="introduce")
    assert refused.status_code == 409
    assert "has not been screened" in refused.text
    assert form(world.manager, path, f"{path}/screening").status_code == 303
    assert "a named person has to decide first" in taken(world.manager, pairing, action="introduce").text
    without = form(world.manager, path, f"{path}/decision", decision="not_covered", reason=" ")
    assert (without.status_code, "Give a reason." in without.text) == (422, True)
    no = {"decision": "refused", "reason": "a control point covers it"}
    assert form(world.manager, path, f"{path}/decision", **no).status_code == 303
    assert "has been refused" in taken(world.manager, pairing, action="introduce").text
    yes = {"decision": "licensed", "reason": "letter of intent 12/2026"}
    assert form(world.manager, path, f"{path}/decision", **yes).status_code == 303
    page = world.manager.get(path).text
    assert page.index("letter of intent 12/2026") < page.index("a control point covers it"), (
        "the newest first, all kept"
    )
    assert taken(world.manager, pairing, action="introduce").status_code == 303


def test_who_may_not_decide_on_the_offer_sees_how_the_gate_stands_and_no_form(world: World) -> None:
    pairing = pair(world)
    go(world, pairing, "mutual")
    page = world.other_manager.get(f"/pairings/{pairing}").text
    assert "Not yet screened" in page
    assert f"/pairings/{pairing}/screening" not in page
    csrf = world.other_manager.headers["X-CSRF-Token"]
    path = f"/pairings/{pairing}/screening"
    assert world.other_manager.post(path, data={"csrf": csrf, "version": "1"}).status_code in (403, 404)


def test_two_managers_at_once_lose_nothing(world: World) -> None:
    pairing = pair(world)
    page = world.manager.get(f"/pairings/{pairing}").text
    version = re.search(r'name="version" value="(\d+)"', page)
    assert version is not None
    assert taken(world.other_manager, pairing, action="shortlist", note="I was here first").status_code == 303
    sent = {
        "csrf": world.manager.headers["X-CSRF-Token"],
        "version": version[1],
        "action": "decline",
        "reason": "terms",
    }
    late = world.manager.post(f"/pairings/{pairing}/steps", data=sent | {"note": "they want <too> much"})
    assert late.status_code == 412
    for text in ("Someone else was quicker", "other_manager", "I was here first", "they want &lt;too&gt; much"):
        assert text in late.text
    assert '<option value="terms" selected>' in late.text
    again = re.search(r'id="do-decline" open.*?name="version" value="(\d+)"', late.text, re.S)
    assert again is not None, "the form is open, at the new version"
    assert world.manager.post(f"/pairings/{pairing}/steps", data=sent | {"version": again[1]}).status_code == 200
    states = [one["state_after"] for one in world.manager.get(f"/api/v1/pairings/{pairing}/steps").json()["items"]]
    assert states == ["proposed", "shortlisted", "declined"]


def test_on_the_board_the_card_says_who_was_quicker(world: World) -> None:
    pairing = pair(world)
    step(world.other_manager, pairing, "shortlist")
    sent = {"csrf": world.manager.headers["X-CSRF-Token"], "version": "1", "action": "shortlist", "next": "/pipeline"}
    late = world.manager.post(f"/pairings/{pairing}/steps", data=sent, headers={"HX-Request": "true"})
    assert late.status_code == 412
    assert "<html" not in late.text
    assert "other_manager" in late.text
    assert 'value="offer"' in late.text, "the card offers what is possible now"


def test_two_who_write_down_a_contract_at_once(world: World) -> None:
    pairing = pair(world)
    go(world, pairing, "negotiating")
    path = f"/pairings/{pairing}"
    seen = {"csrf": world.manager.headers["X-CSRF-Token"], "version": "0", "seen": "", "type": "service"}
    seen |= {"signed_on": "2026-11-02", "registration_number": "R-2"}
    first = {"type": "licence", "signed_on": "2026-11-01", "registration_number": "R-1"}
    assert form(world.other_manager, path, f"{path}/contract", **first).status_code == 303
    late = world.manager.post(f"{path}/contract", data=seen)
    assert late.status_code == 412
    assert "R-1" in late.text
    assert 'value="R-2"' in late.text


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"value": "much", "currency": "EUR"}, "Give an amount without letters"),
        ({"value": "12"}, "Value and currency belong together"),
        ({"starts_on": "2027-01-01", "ends_on": "2026-01-01"}, "It cannot end before it starts."),
        ({"type": ""}, "Choose the type of contract."),
        ({"signed_on": "soon"}, "Give the day on which it was signed."),
    ],
)
def test_a_contract_that_cannot_be_is_said_at_its_field(world: World, wrong: dict[str, str], text: str) -> None:
    pairing = pair(world)
    go(world, pairing, "negotiating")
    given = {"type": "licence", "signed_on": "2026-11-01", "registration_number": "kept as it was"} | wrong
    refused = form(world.manager, f"/pairings/{pairing}", f"/pairings/{pairing}/contract", **given)
    assert refused.status_code == 422
    assert text in html.unescape(refused.text)
    assert 'value="kept as it was"' in refused.text
    assert 'aria-invalid="true"' in refused.text


def test_what_a_step_needs_is_asked_for(world: World) -> None:
    pairing = pair(world)
    for given, text in (
        ({"action": "decline", "note": "no"}, "Give a reason."),
        ({"action": "interest", "consent": "true", "note": "by letter"}, "Say for which side."),
        ({"action": "interest", "side": "need", "note": "by letter"}, "Without consent"),
        ({"action": "interest", "side": "need", "consent": "true"}, "Say how the organisation has told you"),
    ):
        refused = taken(world.manager, pairing, **given)
        assert (refused.status_code, text in refused.text) == (422, True), text
    assert world.manager.get(f"/api/v1/pairings/{pairing}").json()["state"] == "proposed"


def test_a_partner_answers_for_its_own_side_and_does_nothing_else(world: World) -> None:
    pairing = pair(world)
    page = world.partner.get(f"/pairings/{pairing}").text
    assert sorted(re.findall(r'name="action" value="(\w+)"', page)) == ["decline", "interest"]
    assert "compliance" not in page.replace('value="compliance"', "").lower().replace("compliance</option>", "")
    assert taken(world.partner, pairing, action="interest", consent="true", note="gladly").status_code == 303
    row = world.manager.get(f"/api/v1/pairings/{pairing}").json()
    assert (row["offer_interest_at"] is not None, row["need_interest_at"]) == (True, None)
    page = world.partner.get(f"/pairings/{pairing}").text
    assert re.findall(r'name="action" value="(\w+)"', page) == ["decline"], "it has said so"
    step(world.manager, pairing, "shortlist", note="for managers alone")
    page = world.partner.get(f"/pairings/{pairing}").text
    assert "gladly" in page
    assert "for managers alone" not in page
    assert ">manager<" not in page, "partners are not told the names of managers"
    sent = {"csrf": world.partner.headers["X-CSRF-Token"], "version": "3", "action": "offer"}
    assert world.partner.post(f"/pairings/{pairing}/steps", data=sent).status_code == 403


def test_what_is_anothers_is_not_there(world: World) -> None:
    hidden = world.post(world.waiting, OFFER | {"reference": "w1"})["id"]
    need = world.post(world.seeker, NEED)["id"]
    pairing = world.manager.post("/api/v1/pairings", json={"offer": hidden, "need": need}).json()["id"]
    assert world.partner.get(f"/pairings/{pairing}").status_code == 404
    assert world.partner.get(f"/pairings/{pairing}/contacts").status_code == 404
    assert pairing not in world.partner.get("/pipeline").text
    answer = world.public.get("/pipeline?q=x", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"].startswith("/sign-in")) == (303, True)


def test_contacts_are_shown_after_the_introduction_and_the_reading_is_written_down(world: World) -> None:
    pairing = pair(world)
    go(world, pairing, "mutual")
    assert world.partner.get(f"/pairings/{pairing}/contacts").status_code == 409
    assert "Show the contacts" not in world.partner.get(f"/pairings/{pairing}").text
    go(world, pairing, "introduced")
    assert "seeker@example.org" not in world.partner.get(f"/pairings/{pairing}").text
    assert "seeker@example.org" in world.partner.get(f"/pairings/{pairing}/contacts").text
    lines = world.administrator.get("/api/v1/audit").json()["items"]
    assert [(one["actor_id"], one["subject"]) for one in lines if one["action"] == "contact.read"] == [
        (world.ids["partner"], pairing)
    ]


def test_filters_narrow_the_board(world: World) -> None:
    first = pair(world)
    second = other(world, "n2", title="Насосы для шламов", country="UZ", fields=["clean_energy"])
    step(world.manager, second, "shortlist")
    with world.database.writing() as session:
        for one in session.get(PairingRow, first), session.get(PairingRow, second):
            assert one is not None
        line = session.get(StepRow, (first, 1))
        assert line is not None
        line.at -= timedelta(days=20)
        session.get_one(PairingRow, first).since = line.at
        session.add(line)

    def shown(query: str) -> list[str]:
        page = world.centre.get(f"/pipeline?{query}").text
        return re.findall(r'id="card-([^"]+)"', page)

    assert shown("") == [first, second]
    assert shown("country=UZ") == [second]
    assert shown("country=CN") == [first, second], "either side's"
    assert shown("field=clean_energy") == [second]
    assert shown("q=шламов") == [second]
    assert shown("q=100%25") == []
    assert shown("direction=go-out") == [first, second]
    assert shown("direction=bring-in") == []
    assert shown("days=15") == [first]
    assert shown(f"node={world.ids['Almaty']}") == [first, second]
    assert shown("node=none") == []
    assert "No pairing fits these filters" in world.centre.get("/pipeline?q=nothing").text
    page = world.centre.get("/pipeline").text
    assert "20 days here" in page
    assert page.count("waits too long") == 1
    step(world.manager, second, "decline", reason="other")
    assert shown("") == [first]
    assert cards(world.centre.get("/pipeline?closed=1").text, "declined") == [second]


def test_a_long_column_comes_in_pages_each_pairing_once(world: World) -> None:
    world.post(world.offerer, OFFER)
    ids = [world.post(world.seeker, NEED | {"reference": f"n{i}", "title": f"Need {i}"})["id"] for i in range(45)]
    found = [
        Pairing(world.ids["o1"], need, 1, 1, round(0.5 + i % 7 / 20, 6), {}, (), "go-out") for i, need in enumerate(ids)
    ]
    with world.database.writing() as session:
        proposals.record(session, found, "run", utc_now())
    for order in ("", "order=longest&"):
        seen, path = list[str](), f"/pipeline?{order}"
        while path:
            page = world.centre.get(path, headers={"HX-Request": "true"} if "after" in path else {}).text
            more = re.search(r'hx-get="([^"]+)"', page)
            own = re.findall(r'id="card-([^"]+)"', page)
            assert len(own) <= PAGE
            seen += own
            path = html.unescape(more[1]) if more is not None else ""
        assert len(seen) == len(set(seen)) == 45
    assert world.centre.get("/pipeline?state=proposed&after=nonsense").status_code == 422
    single = world.centre.get(html.unescape(re.findall(r'hx-get="([^"]+)"', world.centre.get("/pipeline").text)[0]))
    assert "<html" in single.text, "without scripts the link leads to a page of its own"


def test_ten_thousand_proposals_make_no_long_page(world: World) -> None:
    propose(world, 10_000)
    page = world.manager.get("/pipeline").text
    assert len(cards(page, "proposed")) == PAGE
    assert '<span class="number" id="count-proposed">10,000</span>' in page
    assert len(page) < 100_000


def test_every_move_that_a_card_offers_can_be_made_and_no_other(world: World) -> None:
    """The buttons of the board against the API's `possible`, in every state."""
    pairing = pair(world)
    for state in State:
        with world.database.writing() as session:
            row = session.get(PairingRow, pairing)
            assert row is not None
            row.state, row.held_from = state, State.OFFERED if state is State.HELD else None
            session.add(row)
        possible = set(world.manager.get(f"/api/v1/pairings/{pairing}").json()["possible"])
        page = world.manager.get("/pipeline?closed=1").text
        offered = set(re.findall(r'name="action" value="(\w+)"', page)) | set(re.findall(r"\?do=(\w+)#", page))
        assert offered == possible, state
        assert len(re.findall(r'<section class="column"', page)) == len(State)
        assert cards(page, state) == [pairing]
    assert len(re.findall(r'<section class="column"', world.manager.get("/pipeline").text)) in (0, len(BOARD))


def test_exchanges_are_listed_with_both_pairings(world: World) -> None:
    assert "No exchange is in sight" in world.manager.get("/pipeline?view=exchanges").text
    first = pair(world)
    back = world.post(world.seeker, OFFER | {"reference": "o9", "country": "KZ", "region": None})["id"]
    need = world.post(world.offerer, NEED | {"reference": "n9", "country": "CN", "region": "CN-50"})["id"]
    second = world.manager.post("/api/v1/pairings", json={"offer": back, "need": need}).json()["id"]
    page = world.manager.get("/pipeline?view=exchanges").text
    assert f"/pairings/{first}" in page
    assert f"/pairings/{second}" in page


def test_texts_of_others_are_text_wherever_they_stand(world: World) -> None:
    texts = {name: CROSS + name for name in ("title", "summary", "description", "advantages", "partner_role")}
    offer = world.post(world.offerer, OFFER | texts | {"keywords": [CROSS], "organisation": CROSS})
    need = world.post(world.seeker, NEED | texts | {"reference": CROSS, "keywords": [CROSS], "organisation": CROSS})
    with world.database.writing() as session:
        row = session.get(ListingRow, offer["id"])
        assert row is not None
        evidence = [{"offer": CROSS + "lost", "need": CROSS + "title", "similarity": 0.5}]
        one = Pairing(offer["id"], need["id"], 1, 1, 0.7, {"margin": 1.0}, (), "go-out")
        pairing = proposals.by_hand(session, SYSTEM, one, utc_now()).id
        found = session.get(PairingRow, pairing)
        assert found is not None
        found.evidence = evidence
        session.add(found)
    path = f"/pairings/{pairing}"
    for given in (
        {"action": "shortlist", "note": CROSS},
        {"action": "offer", "note": CROSS},
        {"action": "interest", "side": "offer", "consent": "true", "note": CROSS},
        {"action": "interest", "side": "need", "consent": "true", "note": CROSS},
    ):
        assert taken(world.manager, pairing, **given).status_code == 303
    assert form(world.manager, path, f"{path}/screening").status_code == 303
    decided = {"decision": "not_covered", "reason": CROSS}
    assert form(world.manager, path, f"{path}/decision", **decided).status_code == 303
    assert taken(world.manager, pairing, action="introduce").status_code == 303
    assert taken(world.manager, pairing, action="negotiate").status_code == 303
    contract = {"type": "licence", "signed_on": "2026-11-01", "registration_number": CROSS}
    assert form(world.manager, path, f"{path}/contract", **contract).status_code == 303
    refused = form(world.manager, path, f"{path}/contract", **contract | {"value": CROSS, "currency": CROSS})
    assert refused.status_code == 422
    pages = [world.manager.get(one).text for one in (path, f"{path}/contacts", "/pipeline", f"/pipeline?q={CROSS}")]
    for page in (*pages, refused.text):
        assert "<img" not in page
        assert "&lt;img" in page


def test_both_pages_speak_chinese(world: World) -> None:
    pairing = pair(world)
    go(world, pairing, "negotiating")
    for path in ("/pipeline?lang=zh", f"/pairings/{pairing}?lang=zh", "/pipeline?lang=zh&view=exchanges"):
        page = world.manager.get(path).text
        assert '<html lang="zh-CN">' in page
        main = html.unescape(re.sub(r"<[^>]*>", "", page[page.index("<main") : page.index("</main>")]))
        catalogue, reason = world.app.state.live.catalogue, "ordinary ceramics, no entry covers them"
        for text in (
            *OFFER.values(),
            *NEED.values(),
            catalogue.name,
            catalogue.version,
            reason,
            "manager",
            "seeker",
            "offerer",
        ):
            main = main.replace(str(text), "")
        assert "互换" in main or "合规关口" in main
        assert re.findall(r"[A-Za-z]{5,}", main) == [], "nothing is left in English"
