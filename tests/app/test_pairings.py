"""Pairings: every step in every state, the gate, the contacts, and what a run may not undo."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app import listings, pairings, proposals, screening
from app.access import SYSTEM
from app.clock import utc_now
from app.pairings import BY_PEOPLE, CLOSED, MOVES, OPEN, Action, State
from app.queries import pairings as queries
from app.screening import screen_due
from app.tables import PairingRow
from matching import Evidence, Pairing
from tests.app.conftest import NEED, OFFER, World, problem

WAY = ("shortlist", "offer", "interest-offer", "interest-need", "introduce", "negotiate", "contract", "complete")
STATES = (
    "proposed",
    "shortlisted",
    "offered",
    "offered",
    "mutual",
    "introduced",
    "negotiating",
    "contracted",
    "completed",
)
CONTRACT = {"type": "licence", "value": 120000, "currency": "EUR", "signed_on": "2026-11-01", "ends_on": "2031-10-31"}
NOW = datetime(2026, 11, 24)


@pytest.fixture(autouse=True)
def still(world: World) -> None:
    """No thread proposes or screens beside these tests."""
    world.app.state.proposer.stop()


def pair(world: World) -> str:
    """A go-out pairing of the offerer and the seeker."""
    offer, need = world.post(world.offerer, OFFER), world.post(world.seeker, NEED)
    response = world.manager.post("/api/v1/pairings", json={"offer": offer["id"], "need": need["id"]})
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def step(client: TestClient, pairing: str, action: str, **more: Any) -> Any:
    """Take a step at the present version."""
    tag = client.get(f"/api/v1/pairings/{pairing}").headers.get("etag", '"0"')
    body = {"action": action, **more}
    return client.post(f"/api/v1/pairings/{pairing}/steps", json=body, headers={"If-Match": tag})


def clear_gate(world: World) -> None:
    """A named person's decision on the offer."""
    path = f"/api/v1/listings/{world.ids['o1']}/screenings"
    assert world.manager.post(path).status_code == 201
    body = {"decision": "not_covered", "reason": "ordinary ceramics, no entry covers them"}
    assert world.manager.post(f"{path}/decision", json=body).status_code == 201


def go(world: World, pairing: str, until: str) -> None:
    """Bring a pairing to a state along the ordinary way."""
    now = world.manager.get(f"/api/v1/pairings/{pairing}").json()["state"]
    start = STATES.index(now)
    for action, state in list(zip(WAY, STATES[1:], strict=True))[start:]:
        if world.manager.get(f"/api/v1/pairings/{pairing}").json()["state"] == until:
            return
        if action == "introduce":
            clear_gate(world)
        if action == "contract":
            assert world.manager.put(f"/api/v1/pairings/{pairing}/contract", json=CONTRACT).status_code == 200
        client, name = world.manager, action
        if action.startswith("interest"):
            name = "interest"
            client = world.offerer if action.endswith("offer") else world.seeker
        response = step(client, pairing, name, consent=name == "interest")
        assert (response.status_code, response.json().get("state")) == (201, state), response.text


def test_the_whole_way_with_every_step_kept(world: World) -> None:
    pairing = pair(world)
    go(world, pairing, "completed")
    steps = world.manager.get(f"/api/v1/pairings/{pairing}/steps").json()["items"]
    assert [one["action"] for one in steps] == ["propose", *(name.split("-")[0] for name in WAY)]
    assert [one["state_after"] for one in steps] == list(STATES)
    assert [one["number"] for one in steps] == list(range(1, len(steps) + 1))
    assert [one["consent"] for one in steps if one["action"] == "interest"] == [True, True]
    assert steps[1]["actor_id"] == world.ids["manager"]


def test_the_trading_platform_is_told_from_the_introduction_on_with_the_contract(world: World) -> None:
    go(world, pair(world), "completed")
    feed = world.administrator.get("/api/v1/changes", params={"audience": "trading"}).json()["items"]
    assert [one["type"] for one in feed] == [
        f"dukou.pairing.{state}" for state in ("introduced", "negotiating", "contracted", "completed")
    ]
    assert feed[2]["data"]["contract"]["type"] == "licence"
    assert "contact" not in str(feed).lower()


@pytest.mark.parametrize("state", [*State])
def test_only_the_steps_that_a_state_allows_are_possible(world: World, state: State) -> None:
    """Every action in every state, tried through the API; what is refused changes nothing."""
    pairing = pair(world)
    with world.database.writing() as session:
        row = session.get(PairingRow, pairing)
        assert row is not None
        row.state, row.held_from = state, State.OFFERED if state is State.HELD else None
        row.offer_interest_at = row.need_interest_at = None
        session.add(row)
    possible = world.manager.get(f"/api/v1/pairings/{pairing}").json()["possible"]
    assert possible == [action for action in BY_PEOPLE if state in MOVES[action].sources]
    for action in Action:
        if action in possible:
            continue
        more = {"reason": "other", "side": "need", "consent": True, "note": "by telephone"}
        refused = step(world.manager, pairing, action, **more)
        assert state in problem(refused, 409)["detail"] if action in BY_PEOPLE else problem(refused, 403)
    assert world.manager.get(f"/api/v1/pairings/{pairing}").json()["state"] == state


def test_the_machine_reaches_every_state_and_leaves_none_by_accident() -> None:
    targets = {move.target for move in MOVES.values()} | {State.HELD, State.OFFERED, State.MUTUAL}
    assert set(State) <= targets | {State.PROPOSED}
    left = {source for move in MOVES.values() for source in move.sources}
    assert set(State) - left == {State.COMPLETED}
    assert set(OPEN).isdisjoint(CLOSED)


def test_contacts_are_shown_to_both_sides_once_they_are_introduced_and_the_reading_is_logged(world: World) -> None:
    pairing = pair(world)
    path = f"/api/v1/pairings/{pairing}/contacts"
    go(world, pairing, "mutual")
    for client in (world.offerer, world.seeker, world.manager):
        problem(client.get(path), 409)
    go(world, pairing, "introduced")
    for client in (world.offerer, world.seeker):
        shown = client.get(path).json()
        assert (shown["offer"]["email"], shown["need"]["email"]) == ("offerer@example.org", "seeker@example.org")
    problem(world.waiting.get(path), 404)
    lines = world.administrator.get("/api/v1/audit").json()["items"]
    assert [one["subject"] for one in lines if one["action"] == "contact.read"] == [pairing, pairing]


def test_interest_needs_consent_and_of_a_manager_how_it_was_told(world: World) -> None:
    pairing = pair(world)
    go(world, pairing, "offered")
    assert problem(step(world.offerer, pairing, "interest"), 422)["errors"][0]["field"] == "consent"
    assert problem(step(world.manager, pairing, "interest", consent=True), 422)["errors"][0]["field"] == "side"
    told = {"consent": True, "side": "offer"}
    assert problem(step(world.manager, pairing, "interest", **told), 422)["errors"][0]["field"] == "note"
    assert step(world.manager, pairing, "interest", note="by telephone, 24 November", **told).status_code == 201
    problem(step(world.offerer, pairing, "interest", consent=True, side="need"), 403)


def test_interest_told_before_the_offer_counts_when_it_is_made(world: World) -> None:
    pairing = pair(world)
    assert step(world.offerer, pairing, "interest", consent=True).json()["state"] == "proposed"
    step(world.manager, pairing, "shortlist")
    assert step(world.manager, pairing, "offer").json()["state"] == "offered"
    assert step(world.seeker, pairing, "interest", consent=True).json()["state"] == "mutual"


def test_a_partner_takes_no_step_of_a_manager(world: World) -> None:
    pairing = pair(world)
    for action in BY_PEOPLE:
        if action not in (Action.INTEREST, Action.DECLINE):
            problem(step(world.offerer, pairing, action), 403)


def test_a_decline_needs_a_reason_and_names_the_side(world: World) -> None:
    pairing = pair(world)
    assert problem(step(world.seeker, pairing, "decline"), 422)["errors"][0]["field"] == "reason"
    assert step(world.seeker, pairing, "decline", reason="too_early").json()["state"] == "declined"
    last = world.manager.get(f"/api/v1/pairings/{pairing}/steps").json()["items"][-1]
    assert (last["side"], last["reason"]) == ("need", "too_early")


def test_two_managers_decide_at_once_and_the_later_is_told(world: World) -> None:
    pairing = pair(world)
    tag = world.manager.get(f"/api/v1/pairings/{pairing}").headers["etag"]
    path, headers = f"/api/v1/pairings/{pairing}/steps", {"If-Match": tag}
    assert world.manager.post(path, json={"action": "shortlist"}, headers=headers).status_code == 201
    body = {"action": "decline", "reason": "other"}
    assert "shortlisted now" in problem(world.other_manager.post(path, json=body, headers=headers), 412)["detail"]
    problem(world.manager.post(path, json=body), 428)
    problem(world.manager.post(path, json=body, headers={"If-Match": "anything"}), 412)


def test_a_hold_goes_back_to_where_it_came_from(world: World) -> None:
    for state in ("shortlisted", "offered", "mutual"):
        pairing = pair(world)
        go(world, pairing, state)
        assert step(world.manager, pairing, "hold").json()["state"] == "held"
        assert step(world.manager, pairing, "release").json()["state"] == state
        step(world.manager, pairing, "decline", reason="other")
        world.post(world.offerer, OFFER | {"title": f"Ceramic elbows, revised for {state}"})
        with world.database.writing() as session:
            proposals.record(session, [found(world)], "again", utc_now())
        world.post(world.offerer, OFFER)


def test_the_gate_opens_by_a_decision_on_the_present_text_alone(world: World) -> None:
    pairing = pair(world)
    go(world, pairing, "mutual")
    path = f"/api/v1/listings/{world.ids['o1']}/screenings"
    assert "compliance" in problem(step(world.manager, pairing, "introduce"), 409)["detail"]
    screened = world.manager.post(path).json()
    assert (screened["decision"], screened["present"]) == (None, True)
    assert all(one["passage"] in OFFER["title"] + "\n" + OFFER["description"] for one in screened["candidates"])
    assert "decide" in problem(step(world.manager, pairing, "introduce"), 409)["detail"]
    body = {"decision": "refused", "reason": "an entry covers it"}
    assert world.manager.post(f"{path}/decision", json=body).status_code == 201
    assert "refused" in problem(step(world.manager, pairing, "introduce"), 409)["detail"]
    body = {"decision": "licensed", "reason": "letter of intent 2026-17"}
    assert world.manager.post(f"{path}/decision", json=body).json()["number"] == 2
    world.post(world.offerer, OFFER | {"title": "Ceramic elbows with a new control unit"})
    assert "screened" in problem(step(world.manager, pairing, "introduce"), 409)["detail"]
    history = world.manager.get(path).json()["items"]
    assert [(one["decision"], one["present"]) for one in history] == [("licensed", False), ("refused", False)]


def test_no_key_no_partner_and_no_empty_reason_decides_on_a_screening(world: World) -> None:
    pair(world)
    path = f"/api/v1/listings/{world.ids['o1']}/screenings"
    world.manager.post(path)
    body = {"decision": "not_covered", "reason": "because"}
    problem(world.offerer.post(f"{path}/decision", json=body), 403)
    problem(world.partner.post(f"{path}/decision", json=body), 403)
    problem(world.other_manager.post(f"{path}/decision", json=body), 403)
    problem(world.manager.post(f"{path}/decision", json=body | {"reason": " "}), 422)
    problem(world.manager.post(f"{path}/decision", json={"decision": "cleared", "reason": "x"}), 422)


def test_what_is_taken_up_is_screened_by_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pairing = pair(world)
    step(world.manager, pairing, "shortlist")
    monkeypatch.setattr(screening, "BLOCK", 0)
    assert screen_due(world.app.state.live, NOW) == 0  # a block at a time, so that a stop waits for no more than that
    monkeypatch.undo()
    assert screen_due(world.app.state.live, NOW) == 1
    assert screen_due(world.app.state.live, NOW) == 0
    due = world.manager.get("/api/v1/screenings/due").json()["items"]
    assert [one["listing_id"] for one in due] == [world.ids["o1"]]
    assert world.other_manager.get("/api/v1/screenings/due").json()["items"] == []


def test_a_contract_is_recorded_under_negotiation_and_checked(world: World) -> None:
    pairing = pair(world)
    path = f"/api/v1/pairings/{pairing}/contract"
    problem(world.manager.put(path, json=CONTRACT), 409)
    go(world, pairing, "negotiating")
    assert "record the contract" in problem(step(world.manager, pairing, "contract"), 409)["detail"]
    problem(world.manager.put(path, json=CONTRACT | {"currency": None}), 422)
    problem(world.manager.put(path, json=CONTRACT | {"ends_on": "2026-01-01", "starts_on": "2026-02-01"}), 422)
    problem(world.manager.put(path, json=CONTRACT | {"type": "gift"}), 422)
    assert world.manager.put(path, json=CONTRACT | {"registration_number": "2026-500-1"}).status_code == 200
    assert step(world.manager, pairing, "contract").json()["state"] == "contracted"


def found(world: World, probability: float = 0.4) -> Pairing:
    """What a run finds: the same two again."""
    evidence = (Evidence("elbows", "elbows", 0.9),)
    return Pairing(world.ids["o1"], world.ids["n1"], 1, 1, probability, {"base": -0.4}, evidence, None)


def state_of(world: World) -> str:
    with world.database.reading() as session:
        row = queries.of_listings(session, world.ids["o1"], world.ids["n1"])
        assert row is not None
        return row.state


def test_a_run_never_reopens_what_a_person_has_answered_until_a_listing_changes(world: World) -> None:
    pairing = pair(world)
    step(world.seeker, pairing, "decline", reason="wrong_problem")
    for run in ("one", "two"):
        with world.database.writing() as session:
            assert dict(proposals.record(session, [found(world)], run, NOW)) == {"kept": 1}
            proposals.lapse_unfound(session, run, 1_000_000, "", 1_000, NOW)[0]
    assert state_of(world) == "declined"
    world.post(world.seeker, NEED | {"description": "Now with ore of 40 mm; ceramic elbows wanted in every case."})
    with world.database.writing() as session:
        assert dict(proposals.record(session, [found(world)], "three", NOW)) == {"reopened": 1}
    actions = [one["action"] for one in world.manager.get(f"/api/v1/pairings/{pairing}/steps").json()["items"]]
    assert actions == ["propose", "decline", "propose"]


def test_a_run_brings_open_proposals_up_to_date_and_lets_the_others_lapse(world: World) -> None:
    world.post(world.offerer, OFFER)
    world.post(world.seeker, NEED)
    with world.database.writing() as session:
        assert dict(proposals.record(session, [found(world)], "zero", NOW)) == {"new": 1}
        assert dict(proposals.record(session, [found(world, 0.77)], "one", NOW)) == {"updated": 1}
    (one,) = world.manager.get("/api/v1/pairings").json()["items"]
    assert (one["probability"], one["run"]) == (0.77, "one")
    with world.database.writing() as session:
        assert dict(proposals.lapse_unfound(session, "two", 1_000_000, "", 1_000, NOW)[0]) == {"lapsed": 1}
        assert dict(proposals.record(session, [found(world)], "three", NOW)) == {"reopened": 1}


def test_a_run_leaves_alone_what_people_are_at(world: World) -> None:
    pairing = pair(world)
    step(world.manager, pairing, "shortlist")
    before = world.manager.get(f"/api/v1/pairings/{pairing}").json()
    with world.database.writing() as session:
        assert dict(proposals.record(session, [found(world, 0.99)], "one", NOW)) == {"kept": 1}
        assert dict(proposals.lapse_unfound(session, "two", 1_000_000, "", 1_000, NOW)[0]) == {}
    assert world.manager.get(f"/api/v1/pairings/{pairing}").json() == before


def test_what_somebody_has_taken_up_no_run_takes_away(world: World) -> None:
    pair(world)
    with world.database.writing() as session:
        assert dict(proposals.record(session, [found(world)], "one", NOW)) == {"updated": 1}
        assert dict(proposals.lapse_unfound(session, "two", 1_000_000, "", 1_000, NOW)[0]) == {}
    assert state_of(world) == "proposed"


def test_interest_keeps_a_proposal_from_lapsing(world: World) -> None:
    pairing = pair(world)
    step(world.seeker, pairing, "interest", consent=True)
    with world.database.writing() as session:
        assert dict(proposals.lapse_unfound(session, "one", 1_000_000, "", 1_000, NOW)[0]) == {}


def test_withdrawing_a_listing_ends_what_is_not_yet_introduced(world: World) -> None:
    pairing = pair(world)
    go(world, pairing, "offered")
    world.offerer.post(f"/api/v1/listings/{world.ids['o1']}/withdraw")
    assert state_of(world) == "withdrawn"
    with world.database.writing() as session:
        assert dict(proposals.record(session, [found(world)], "one", NOW)) == {"gone": 1}


def test_withdrawing_a_listing_leaves_an_introduction_as_it_is(world: World) -> None:
    pairing = pair(world)
    go(world, pairing, "introduced")
    world.offerer.post(f"/api/v1/listings/{world.ids['o1']}/withdraw")
    assert state_of(world) == "introduced"


def test_an_expired_listing_lets_its_pairings_lapse(world: World) -> None:
    pair(world)
    with world.database.writing() as session:
        assert listings.expire(session, utc_now() + timedelta(days=366)) == 2
    assert state_of(world) == "lapsed"


def test_the_queue_shows_each_pairing_once_best_first_and_only_to_whom_it_concerns(world: World) -> None:
    offer = world.post(world.offerer, OFFER)["id"]
    with world.database.writing() as session:
        for i in range(7):
            record = NEED | {"reference": f"q{i}"}
            owner = session.get(listings.OrganisationRow, world.ids["seeker"])
            assert owner is not None
            need = listings.post_listing(session, SYSTEM, owner, record, NOW).row.id
            one = Pairing(offer, need, 1, 1, round(0.3 + 0.1 * (i % 3), 2), {}, (), None)
            proposals.record(session, [one], "run", NOW)
    for name in ("manager", "other_manager", "centre", "administrator", "offerer", "seeker"):
        seen, cursor = list[tuple[float, str]](), ""
        while cursor is not None:
            query = {"limit": 2, "cursor": cursor, "state": "proposed"}
            page = getattr(world, name).get("/api/v1/pairings", params=query).json()
            seen += [(-one["probability"], one["id"]) for one in page["items"]]
            cursor = page["next_cursor"]
        assert len(set(seen)) >= 7, name
        assert seen == sorted(seen), name
    assert world.waiting.get("/api/v1/pairings").json()["items"] == []


def test_an_exchange_is_found_between_two_organisations(world: World) -> None:
    ids = {}
    for name, client in (("offerer", world.offerer), ("seeker", world.seeker)):
        ids[name] = [
            world.post(client, record | {"reference": f"{name}-{record['side']}"})["id"] for record in (OFFER, NEED)
        ]
    ways = (Pairing(ids["offerer"][0], ids["seeker"][1], 1, 1, 0.6, {}, (), None),)
    back = (Pairing(ids["seeker"][0], ids["offerer"][1], 1, 1, 0.5, {}, (), None),)
    with world.database.writing() as session:
        proposals.record(session, ways, "run", NOW)
    assert world.manager.get("/api/v1/exchanges").json()["items"] == []
    with world.database.writing() as session:
        proposals.record(session, back, "run", NOW)
    (one,) = world.manager.get("/api/v1/exchanges").json()["items"]
    assert sorted(one["organisations"]) == sorted([world.ids["offerer"], world.ids["seeker"]])
    assert one["probability"] == pytest.approx(0.3)
    assert world.waiting.get("/api/v1/exchanges").json()["items"] == []


def test_no_two_states_are_one_word() -> None:
    assert all(a not in b for a, b in itertools.permutations(State, 2))


def test_moves_name_a_permission_that_someone_has() -> None:
    assert {move.permission for move in MOVES.values()} == {pairings.Permission.DECIDE, pairings.Permission.ANSWER}
