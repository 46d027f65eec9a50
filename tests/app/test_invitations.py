"""Invitations and the passwords that are set with them."""

from __future__ import annotations

import unicodedata
from datetime import timedelta

import pytest

from app import accounts, asking
from app.clock import utc_now
from tests.app.conftest import World, problem
from tests.app.signing import PASSWORD, browser, invitation, send, sign_in, with_password


def test_an_invitation_is_used_once(world: World) -> None:
    token = invitation(world, "partner")
    given = {"token": f" {token} ", "password": PASSWORD}
    response = send(browser(world), "/invitation", given)
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in?lang=en&done=password")
    again = send(browser(world), "/invitation", given)
    assert again.status_code == 422
    assert 'id="token-hint" role="alert">The invitation is unknown, used or over' in again.text
    assert problem(world.public.post("/api/v1/password", json=given), 422)["errors"][0]["field"] == "token"


@pytest.mark.parametrize("case", ["over", "wrong", "empty", "replaced", "closed"])
def test_an_invitation_that_does_not_hold_sets_nothing(
    world: World, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = invitation(world, "partner")
    if case == "over":
        over = utc_now() + accounts.INVITED + timedelta(seconds=1)
        monkeypatch.setattr(asking, "utc_now", lambda: over)
    elif case == "replaced":
        invitation(world, "partner")
    elif case == "closed":
        world.administrator.post(f"/api/v1/people/{world.ids['partner']}/close")
    given = {"wrong": "x" * 43, "empty": ""}.get(case, token)
    assert send(browser(world), "/invitation", {"token": given, "password": PASSWORD}).status_code == 422
    assert sign_in(browser(world), "partner@example.org").status_code == 401


@pytest.mark.parametrize(
    "password", ["eleven char", "x" * 257, "", "nul \x00 in the middle", "a new\nline in it", "\x7f" * 12]
)
def test_a_password_that_will_not_do_is_refused_at_its_field_and_keeps_the_invitation(
    world: World, password: str
) -> None:
    token = invitation(world, "partner")
    response = send(browser(world), "/invitation", {"token": token, "password": password})
    assert response.status_code == 422
    assert 'id="password-hint" role="alert"' in response.text
    assert password == "" or password not in response.text
    body = problem(world.public.post("/api/v1/password", json={"token": token, "password": password}), 422)
    assert body["errors"][0]["field"] == "password"
    assert send(browser(world), "/invitation", {"token": token, "password": PASSWORD}).status_code == 303


def test_half_a_surrogate_pair_is_no_defect(world: World) -> None:
    headers = {"content-type": "application/json"}
    token = invitation(world, "partner").encode()
    for content in (
        b'{"token": "%s", "password": "\\ud800 twelve characters"}' % token,
        b'{"token": "\\ud800", "password": "twelve characters"}',
    ):
        problem(world.public.post("/api/v1/password", content=content, headers=headers), 422)
    for content in (b'{"email": "a", "password": "\\ud800"}', b'{"email": "\\ud800", "password": "a"}'):
        assert world.public.post("/api/v1/session", content=content, headers=headers).status_code in (401, 422)


@pytest.mark.parametrize(
    "password", ["四川重庆技术转移渡口过河石头", "Zürich façade née Ångström", "🔑 key emoji twelve 🔑", "x" * 256]
)
def test_a_password_in_any_script_holds_whatever_keyboard_composes_it(world: World, password: str) -> None:
    email = with_password(world, "partner", unicodedata.normalize("NFC", password))
    assert sign_in(browser(world), email, unicodedata.normalize("NFD", password)).status_code == 303
    assert sign_in(browser(world), email, password + "x").status_code == 401


def test_an_invitation_stays_out_of_addresses_and_pages_that_pass_it_on(world: World) -> None:
    page = browser(world).get("/invitation", params={"token": "secret-in-the-address"})
    assert "secret-in-the-address" not in page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "location.hash" in browser(world).get("/static/invitation.js").text
