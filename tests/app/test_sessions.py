"""Browser sessions, as somebody would try them who means no good."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app import accounts, asking
from app.asking import COOKIE
from app.clock import utc_now
from app.tables import PersonRow, SignInRow
from tests.app.conftest import World, problem
from tests.app.signing import PASSWORD, browser, fields, sign_in, signed_in, who, with_password


@pytest.mark.parametrize("page", [True, False])
def test_signing_in_always_makes_a_new_session_and_ends_the_one_that_was_there(world: World, page: bool) -> None:
    email, client = with_password(world, "partner"), browser(world)
    client.cookies.set(COOKIE, "a token that somebody planted", domain="testserver.local")
    assert sign_in(client, email).status_code == 303
    first = client.cookies[COOKIE]
    assert first != "a token that somebody planted"
    if page:
        assert sign_in(client, email).status_code == 303
    else:
        headers = {"X-CSRF-Token": client.get("/api/v1/session").json()["csrf"]}
        body = {"email": email, "password": PASSWORD}
        assert client.post("/api/v1/session", json=body, headers=headers).status_code == 200
    assert client.cookies[COOKIE] != first
    assert who(client) == "partner"
    former = browser(world)
    former.cookies.set(COOKIE, first)
    assert who(former) == "public"


@pytest.mark.parametrize(("scheme", "secure"), [("http", False), ("https", True)])
def test_the_session_is_out_of_reach_of_scripts_and_other_sites(world: World, scheme: str, secure: bool) -> None:
    email, client = with_password(world, "partner"), browser(world)
    client.base_url = f"{scheme}://testserver"
    response = sign_in(client, email)
    flags = {part.strip().lower() for part in response.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/", f"max-age={12 * 3600}"} <= flags
    assert ("secure" in flags) == secure
    assert response.headers["cache-control"] == "no-store"


def test_signing_out_ends_the_session_and_not_only_the_cookie(world: World) -> None:
    client = signed_in(world, "partner")
    token = client.cookies[COOKIE]
    response = client.post("/sign-out", data=fields(client.get("/account").text))
    assert (response.status_code, response.headers["location"]) == (303, "/?lang=en")
    assert COOKIE not in client.cookies
    client.cookies.set(COOKIE, token)
    assert who(client) == "public"


def test_signing_out_by_the_interface_ends_the_session(world: World) -> None:
    client = signed_in(world, "partner")
    token = client.cookies[COOKIE]
    headers = {"X-CSRF-Token": client.get("/api/v1/session").json()["csrf"]}
    assert client.delete("/api/v1/session", headers=headers).status_code == 204
    with world.database.reading() as session:
        assert session.get(SignInRow, accounts.digest(token)) is None


def test_a_session_that_is_over_is_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = signed_in(world, "partner")
    later = utc_now() + accounts.SIGNED_IN
    monkeypatch.setattr(asking, "utc_now", lambda: later - timedelta(minutes=1))
    assert who(client) == "partner"
    monkeypatch.setattr(asking, "utc_now", lambda: later + timedelta(seconds=1))
    assert who(client) == "public"
    assert client.get("/account").headers["location"].startswith("/sign-in?")


@pytest.mark.parametrize("end", ["close", "erase"])
def test_a_closed_persons_session_dies_at_once(world: World, end: str) -> None:
    client, path = signed_in(world, "partner"), f"/api/v1/people/{world.ids['partner']}"
    response = world.administrator.post(f"{path}/close") if end == "close" else world.administrator.delete(path)
    assert response.status_code == 200
    assert who(client) == "public"
    assert sign_in(browser(world), "partner@example.org").status_code == 401


def test_a_new_password_ends_all_sessions(world: World) -> None:
    client = signed_in(world, "partner")
    with_password(world, "partner", "another one, and longer")
    assert who(client) == "public"
    assert sign_in(browser(world), "partner@example.org").status_code == 401


@pytest.mark.parametrize(
    "email", ["partner@example.org", "nobody@example.org", "", "a\x00b@example.org", "centre@example.org"]
)
def test_the_answer_does_not_tell_whether_an_address_is_known(world: World, email: str) -> None:
    with_password(world, "partner")
    response = sign_in(browser(world), email, "not the password at all")
    assert response.status_code == 401
    assert "The address or the password is wrong." in response.text
    assert response.headers["www-authenticate"] == "Bearer"
    answer = browser(world).post("/api/v1/session", json={"email": email, "password": "wrong"})
    if "\x00" in email:  # no address has one: said before anybody is looked up
        problem(answer, 422)
    else:
        assert problem(answer, 401)["detail"] == accounts.WRONG


@pytest.mark.parametrize("email", ["partner@example.org", "nobody@example.org", "centre@example.org"])
def test_every_refusal_costs_one_look_at_a_hash(world: World, monkeypatch: pytest.MonkeyPatch, email: str) -> None:
    """`centre` has no password yet: what takes time is the same for all."""
    with_password(world, "partner")
    looks: list[str] = []

    class Counting:
        def verify(self, known: str, password: bytes) -> bool:
            looks.append(known)
            return real.verify(known, password)

    real = accounts._hasher
    monkeypatch.setattr(accounts, "_hasher", Counting())
    assert sign_in(browser(world), email, "not the password at all").status_code == 401
    assert len(looks) == 1


def test_attempts_are_limited_by_the_address_named_and_say_when_to_come_back(world: World) -> None:
    client = browser(world)
    for _ in range(10):
        assert sign_in(client, "partner@example.org", "guess").status_code == 401
    response = sign_in(client, "partner@example.org", "guess")
    assert response.status_code == 429
    assert 1 <= int(response.headers["retry-after"]) <= 60
    assert "Too many attempts" in response.text
    body = {"email": "partner@example.org", "password": "guess"}
    assert int(problem(client.post("/api/v1/session", json=body), 429)["detail"].split()[-2]) > 0


def test_attempts_on_one_account_are_limited_wherever_they_come_from() -> None:
    limits = asking.Limits("9/minute", "9/minute", "2/minute")
    for place in ("one", "two"):
        limits.count_sign_in(place, "a@example.org")
    with pytest.raises(asking.TooMany):
        limits.count_sign_in("three", "A@example.org")


def test_invitations_tried_elsewhere_do_not_use_up_the_limit_of_everybody() -> None:
    limits = asking.Limits("9/minute", "9/minute", "2/minute")
    for place in ("one", "two", "three"):
        limits.count_sign_in(place, "")


def test_an_older_hash_is_renewed_when_the_person_signs_in(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as past:
        past.setattr(accounts, "_hasher", accounts.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1))
        email = with_password(world, "partner")
    assert sign_in(browser(world), email).status_code == 303
    with world.database.reading() as session:
        person = session.get(PersonRow, world.ids["partner"])
        assert person is not None
        assert f"m={accounts._hasher.memory_cost}," in str(person.password_hash)
    assert sign_in(browser(world), email).status_code == 303
