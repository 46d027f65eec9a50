"""What the pages of a pairing and of a listing keep from whom it is not for."""

from __future__ import annotations

from typing import Any

import pytest

from app.tables import ListingRow
from tests.app.conftest import OFFER, World
from tests.app.proposed import ASKED, propose
from tests.app.test_pairings import step


@pytest.fixture(autouse=True)
def still(world: World) -> None:
    """No thread proposes or screens beside these tests."""
    world.app.state.proposer.stop()


def test_a_text_disclosed_on_introduction_is_not_read_before(world: World) -> None:
    need = {"disclosure": "introduction", "organisation": "A hidden house", "advantages": "Nobody knows this."}
    (pairing,) = propose(world, 1, needs=[need])
    with world.database.writing() as session:
        session.get_one(ListingRow, "need-000000").disclosure = "introduction"
    for action in ("shortlist", "offer"):
        assert step(world.manager, pairing, action, note="called").status_code == 201
    assert ASKED in world.partner.get(f"/pairings/{pairing}").text  # the evidence, which speaks for the pairing
    for page in (f"/pairings/{pairing}", "/pipeline"):
        told = world.partner.get(page).text
        assert "Need number 0" in told
        assert "Nobody knows this." not in told, page
        assert "A hidden house" not in told, page
        assert "What it is. " + ASKED not in told, page


def test_whose_a_withheld_listing_is_cannot_be_asked_through_the_api(world: World) -> None:
    (pairing,) = propose(world, 1, needs=[{"disclosure": "introduction"}])
    with world.database.writing() as session:
        need = session.get_one(ListingRow, "need-000000")
        need.disclosure, need.reference = "introduction", "our-own-number"
        seeker = need.organisation_id
    for action in ("shortlist", "offer"):
        assert step(world.manager, pairing, action).status_code == 201

    def listed(client: Any, organisation: str) -> list[str]:
        found = client.get("/api/v1/pairings", params={"organisation": organisation}).json()["items"]
        return [one["id"] for one in found]

    told = world.partner.get(f"/api/v1/pairings/{pairing}").json()
    assert told["offer"]["organisation_id"] == world.ids["offerer"]
    assert told["need"]["organisation_id"] is None
    assert listed(world.partner, seeker) == []
    assert listed(world.partner, world.ids["offerer"]) == listed(world.manager, seeker) == [pairing]
    assert world.manager.get(f"/api/v1/pairings/{pairing}").json()["need"]["organisation_id"] == seeker
    assert "our-own-number" not in world.offerer.get("/api/v1/changes?audience=organisation").text
    assert "our-own-number" in world.seeker.get("/api/v1/changes?audience=organisation").text


def test_a_listing_is_shown_under_the_name_that_it_is_posted_with(world: World) -> None:
    listing = world.post(world.seeker, OFFER | {"reference": "alias", "organisation": "A house by the sea"})
    page = world.partner.get(f"/listings/{listing['id']}").text
    assert "A house by the sea" in page
    assert ">seeker<" not in page


def test_a_partner_reads_no_managers_name_among_the_versions(world: World) -> None:
    listing = world.post(world.offerer, OFFER)
    path = f"/api/v1/listings/{listing['id']}"
    etag = world.manager.get(path).headers["ETag"]
    body = OFFER | {"title": "Another title"}
    assert world.manager.put(path, json=body, headers={"If-Match": etag}).status_code == 200
    page = f"/listings/{listing['id']}/versions"
    assert '<td dir="auto">manager</td>' in world.centre.get(page).text
    assert '<td dir="auto">manager</td>' not in world.partner.get(page).text
