"""Requests that another site makes a browser send, and where ours send it."""

from __future__ import annotations

import pytest

from app.asking import COOKIE
from app.web.accounts import own_path
from app.web.forms import FORM_COOKIE
from tests.app.conftest import OFFER, World, problem
from tests.app.signing import PASSWORD, browser, fields, invitation, send, sign_in, signed_in, who, with_password
from tests.app.test_pairings import pair

NINES = "9" * 5_000  # more digits than are read as a number


def test_the_interface_refuses_a_session_without_its_token(world: World) -> None:
    client = signed_in(world, "partner")
    for headers in ({}, {"X-CSRF-Token": "wrong"}, {"X-CSRF-Token": ""}, {"Origin": "https://evil.example"}):
        for path in ("/api/v1/listings", "/api/v1/session"):
            assert "X-CSRF-Token" in problem(client.post(path, json=OFFER, headers=headers), 403)["detail"]
        problem(client.delete("/api/v1/session", headers=headers), 403)
    assert who(client) == "partner"


def test_another_persons_token_does_not_fit(world: World) -> None:
    client = signed_in(world, "partner")
    other = world.manager.get("/api/v1/session").json()["csrf"]
    problem(client.delete("/api/v1/session", headers={"X-CSRF-Token": other}), 403)
    assert client.post("/sign-out", data={"csrf": other}).status_code == 403


@pytest.mark.parametrize("path", ["/sign-in", "/invitation"])
@pytest.mark.parametrize("case", ["no field", "wrong field", "no cookie", "planted cookie", "another site"])
def test_a_form_that_is_not_ours_is_refused(world: World, path: str, case: str) -> None:
    email, client = with_password(world, "partner"), browser(world)
    token = invitation(world, "centre")
    data = fields(client.get(path).text) | {"email": email, "password": PASSWORD, "token": token}
    headers = {}
    if case == "no field":
        del data["csrf"]
    elif case == "wrong field":
        data["csrf"] = "0" * 64
    elif case == "no cookie":
        client.cookies.clear()
    elif case == "planted cookie":
        client.cookies.clear()
        client.cookies.set(FORM_COOKIE, "planted")
    else:
        headers = {"Sec-Fetch-Site": "cross-site"}
    response = client.post(path, data=data, headers=headers)
    assert response.status_code == 403
    assert "reload the page" in response.text
    assert who(client) == "public"
    assert send(browser(world), "/invitation", {"token": token, "password": PASSWORD}).status_code == 303


@pytest.mark.parametrize("case", ["no field", "wrong field", "another site"])
def test_a_forged_signing_out_is_refused(world: World, case: str) -> None:
    client = signed_in(world, "partner")
    data = {"no field": {}, "wrong field": {"csrf": "x"}}.get(case, fields(client.get("/account").text))
    headers = {"Sec-Fetch-Site": "same-site"} if case == "another site" else {}
    assert client.post("/sign-out", data=data, headers=headers).status_code == 403
    assert who(client) == "partner"
    assert client.get("/sign-out").status_code == 405


def test_a_form_of_another_site_cannot_pass_for_a_program(world: World) -> None:
    """A form can send text/plain that reads as JSON; it is not read as such."""
    body = f'{{"email": "{with_password(world, "partner")}", "password": "{PASSWORD}"}}'
    client = browser(world)
    response = client.post("/api/v1/session", content=body, headers={"content-type": "text/plain"})
    problem(response, 422)
    assert COOKIE not in client.cookies


@pytest.mark.parametrize("onward", ["/account", "/?q=泵&side=need", "/a/b?c=%2F%2Fd"])
def test_after_signing_in_one_is_where_one_wanted_to_go(world: World, onward: str) -> None:
    response = sign_in(browser(world), with_password(world, "partner"), next=onward)
    location = response.headers["location"]
    assert location.isascii()
    assert location.startswith(onward.partition("泵")[0])


@pytest.mark.parametrize(
    "onward",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        " /account",
        "javascript:alert(1)",
        "account",
        "/account\r\nSet-Cookie: dukou_session=x",
        "/account\x00",
        "/" + "a" * 3_000,
    ],
)
def test_nobody_is_sent_elsewhere_after_signing_in(world: World, onward: str) -> None:
    assert own_path(onward) is None
    email, client = with_password(world, "partner"), browser(world)
    data = fields(client.get("/sign-in", params={"next": onward}).text)
    assert data["next"] == ""
    response = client.post("/sign-in", data=data | {"email": email, "password": PASSWORD, "next": onward})
    assert (response.status_code, response.headers["location"]) == (303, "/listings")
    assert response.headers.get_list("set-cookie")[0].startswith(f"{COOKIE}=")
    assert "dukou_session=x;" not in str(response.headers) + ";"


def test_a_page_that_needs_an_account_leads_to_the_form_and_back(world: World) -> None:
    email, client = with_password(world, "partner"), browser(world)
    client.follow_redirects = True
    page = client.get("/account", params={"lang": "zh"})
    assert "登录" in page.text
    page = client.post("/sign-in", data=fields(page.text) | {"email": email, "password": PASSWORD})
    assert page.url.path == "/account"
    assert "合作机构" in page.text


@pytest.mark.parametrize(
    "path", ["/pipeline?days=" + NINES, "/administration/audit?until=9999-12-31", f"/sitemaps/{NINES}.xml"]
)
def test_numbers_and_days_beyond_all_bounds_are_no_defect(world: World, path: str) -> None:
    assert world.administrator.get(path).status_code in (200, 404)


@pytest.mark.parametrize("number", [NINES, "²", "-1", ""])
def test_a_version_that_never_was_is_another_version(filled: World, number: str) -> None:
    filled.app.state.proposer.stop()
    pairing, token = pair(filled), fields(filled.manager.get("/account").text)["csrf"]
    sent = {"csrf": token, "version": number, "revision": number, "do": "post", "action": "shortlist"}
    assert filled.manager.post(f"/pairings/{pairing}/steps", data=sent).status_code == 412
    sent |= {"side": "offer", "title": "Another title"}
    assert filled.manager.post(f"/listings/{filled.ids['o1']}/revise", data=sent).status_code == 412
