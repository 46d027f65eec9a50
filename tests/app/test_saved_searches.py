"""The search page for those who are signed in: narrowing it, keeping it, being told of new answers."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select

from app import accounts, embeddings, saved_searches
from app.access import SYSTEM
from app.clock import utc_now
from app.snapshot import Sight, Wanted
from app.tables import PersonRow, SavedSearchRow
from matching import Side
from tests.app.conftest import OFFER, World
from tests.app.signing import browser, fields, signed_in

QUERY = "ceramic elbows for ore slurry pipelines"
AGAIN = OFFER | {"reference": "again", "title": "Another wear resistant ceramic elbow for slurry pipelines"}


def kept(world: World) -> list[SavedSearchRow]:
    with world.database.reading() as session:
        return list(session.exec(select(SavedSearchRow)).all())


def posted(client: TestClient, path: str, given: dict[str, str]) -> Any:
    """Send a form to a path, as a page of ours would."""
    token = fields(client.get("/search").text).get("csrf") or fields(client.get("/sign-in").text)["csrf"]
    return client.post(path, data={"csrf": token} | given)


def test_the_answers_can_be_narrowed_by_what_they_hold(filled: World) -> None:
    page = filled.public.get("/", params={"q": QUERY}).text
    address = re.search(r'href="(/\?side=offer&amp;q=[^"]+&amp;country=CN)"', page)
    assert address is not None
    narrowed = filled.public.get(address[1].replace("&amp;", "&")).text
    assert "耐磨陶瓷弯头" in narrowed
    assert 'aria-current="true"' in narrowed
    elsewhere = filled.public.get("/", params={"q": QUERY, "country": "KZ"}).text
    assert "耐磨陶瓷弯头" not in elsewhere
    assert "Show all again" in elsewhere


def test_what_is_unknown_is_said(filled: World) -> None:
    page = filled.public.get("/", params={"q": "heat pump dryer for green tea"}).text
    assert re.search(r"<dt>Unknown</dt><dd>[^<]*Maturity \(TRL\)", page)


def test_strangers_keep_no_search(filled: World) -> None:
    assert "Keep this search" not in filled.public.get("/", params={"q": QUERY}).text
    response = posted(browser(filled), "/search/saved", {"q": QUERY})
    assert response.status_code in (401, 403)
    assert kept(filled) == []


def test_a_kept_search_tells_of_new_answers_once(filled: World) -> None:
    client = signed_in(filled, "manager")
    response = posted(client, "/search/saved", {"q": QUERY, "side": "offer"})
    address = str(response.headers["location"])
    assert " new</span>" not in client.get(address).text
    filled.post(filled.offerer, AGAIN)
    assert saved_searches.look_again(filled.app.state.live, utc_now()) == 0  # it was looked at a moment ago
    assert saved_searches.look_again(filled.app.state.live, utc_now() + timedelta(minutes=2)) == 1
    assert saved_searches.look_again(filled.app.state.live, utc_now() + timedelta(minutes=4)) == 0  # nothing written
    assert "1 new" in client.get("/search").text
    page = client.get(address).text
    assert page.count('<span class="badge accent">new</span>') == 1
    assert page.index("Another wear resistant") < page.index('<span class="badge accent">new</span>')
    after = client.get(address).text
    assert "1 new" not in after
    assert '<span class="badge accent">new</span>' not in after


def test_the_same_search_is_kept_once_and_can_be_removed(filled: World) -> None:
    client = signed_in(filled, "manager")
    for _ in range(2):
        posted(client, "/search/saved", {"q": QUERY, "field": "advanced_materials"})
    (row,) = kept(filled)
    assert row.wanted == {"country": None, "field": "advanced_materials", "node": None}
    other = signed_in(filled, "other_manager")
    assert other.get(f"/search?saved={row.id}").status_code == 404
    assert posted(other, f"/search/saved/{row.id}/remove", {}).status_code == 404
    assert posted(client, f"/search/saved/{row.id}/remove", {}).status_code == 303
    assert kept(filled) == []


@pytest.mark.parametrize("form", [{"q": "…"}, {"q": ""}])
def test_a_text_that_cannot_be_searched_is_not_kept(filled: World, form: dict[str, str]) -> None:
    client = signed_in(filled, "manager")
    assert posted(client, "/search/saved", form).status_code == 422
    assert kept(filled) == []


def test_a_kept_search_shows_only_what_its_person_may_see(filled: World) -> None:
    client = signed_in(filled, "other_manager")
    posted(client, "/search/saved", {"q": QUERY})
    filled.post(filled.offerer, AGAIN | {"disclosure": "introduction"})
    saved_searches.look_again(filled.app.state.live, utc_now() + timedelta(minutes=2))
    (row,) = kept(filled)
    assert row.fresh == []


def test_new_answers_are_shown_wherever_they_stand(filled: World) -> None:
    client = signed_in(filled, "manager")
    for number in range(12):
        filled.post(filled.offerer, AGAIN | {"reference": f"again{number}", "description": f"{QUERY} {number}"})
    address = str(posted(client, "/search/saved", {"q": QUERY, "side": "offer"}).headers["location"])
    last = client.get(address + "&more=1").text.count('<article class="card">')
    assert last > 10
    with filled.database.writing() as session:
        row = session.exec(select(SavedSearchRow)).one()
        row.fresh, row.fresh_count = [row.seen[-1]], 1
    assert client.get(address).text.count('<span class="badge accent">new</span>') == 1


def test_what_becomes_new_while_the_page_is_made_stays_new(filled: World) -> None:
    client = signed_in(filled, "manager")
    posted(client, "/search/saved", {"q": QUERY, "side": "offer"})
    (read,) = kept(filled)
    read.fresh = ["shown"]
    with filled.database.writing() as session:
        row = session.exec(select(SavedSearchRow)).one()
        row.fresh, row.fresh_count = ["later", "shown"], 2
    saved_searches.seen(filled.database, read)
    (row,) = kept(filled)
    assert (row.fresh, row.fresh_count, row.seen[0]) == (["later"], 1, "shown")


def test_the_same_text_is_encoded_once(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    filled.public.get("/", params={"q": "what is posted has its vectors after this"})
    calls: list[int] = []
    embed = embeddings.embed_query
    monkeypatch.setattr(embeddings, "embed_query", lambda text, encoder: calls.append(1) or embed(text, encoder))
    for params in ({"q": QUERY}, {"q": QUERY, "country": "CN"}, {"q": QUERY, "more": "1"}):
        assert filled.public.get("/", params=params).status_code == 200
    assert calls == [1]
    monkeypatch.setattr(embeddings, "ASKED", 1)
    for text in ("tea dryers", QUERY):
        filled.public.get("/", params={"q": text})
    assert calls == [1, 1, 1]


def test_an_answer_posted_while_the_search_was_read_is_found_without_another_write(filled: World) -> None:
    live = filled.app.state.live
    results = live.search(QUERY, Side.OFFER, 50, sight=Sight(SYSTEM))
    filled.post(filled.offerer, AGAIN)
    with filled.database.reading() as session:
        who = accounts.of_person(session, session.get_one(PersonRow, filled.ids["manager"]))
    saved_searches.keep(filled.database, who, QUERY, Side.OFFER, Wanted(), results, utc_now())
    saved_searches.look_again(live, utc_now() + timedelta(minutes=2))
    (row,) = kept(filled)
    assert row.fresh_count == 1


def test_a_persons_copy_holds_their_searches_and_erasing_them_drops_those(filled: World) -> None:
    client, path = signed_in(filled, "manager"), f"/api/v1/people/{filled.ids['manager']}"
    posted(client, "/search/saved", {"q": QUERY, "side": "offer"})
    copy = filled.administrator.get(f"{path}/data").json()
    assert [one["text"] for one in copy["saved_searches"]] == [QUERY]
    assert filled.administrator.delete(path).status_code == 200
    assert kept(filled) == []
