"""What the pages show of who is signed in."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from app import accounts
from app.main import create_app
from app.settings import Settings
from tests.app.conftest import OFFER, World
from tests.app.signing import PASSWORD, browser, send, sign_in, signed_in


def test_the_search_page_shows_who_is_signed_in_and_what_they_may_see(filled: World) -> None:
    hidden = OFFER | {"reference": "r", "title": "Registered elbows for slurry pipelines", "disclosure": "registered"}
    filled.post(filled.offerer, hidden)
    query = {"q": "registered ceramic elbows for ore slurry pipelines"}
    stranger, client = browser(filled), signed_in(filled, "other_manager")
    assert hidden["title"] not in stranger.get("/", params=query).text
    assert 'href="/sign-in?lang=en">Sign in</a>' in stranger.get("/").text
    page = client.get("/", params=query)
    assert str(hidden["title"]) in page.text
    assert 'href="/account">other_manager</a>' in page.text
    assert "Cookie" in page.headers["vary"]


@pytest.mark.parametrize(
    ("name", "said"), [("partner", "offerer"), ("manager", "Chongqing"), ("centre", "all (the centre)")]
)
def test_the_account_page_says_what_one_is_here(world: World, name: str, said: str) -> None:
    page = signed_in(world, name).get("/account").text
    assert f'<dd dir="auto">{name}</dd>' in page
    assert f">{said}</dd>" in page


def test_a_key_opens_no_page(world: World) -> None:
    assert world.offerer.get("/account", follow_redirects=False).status_code == 303


def test_a_name_is_shown_as_text(world: World) -> None:
    body = {"email": "x@example.org", "name": '<script>"&', "role": "administrator"}
    made = world.administrator.post("/api/v1/people", json=body).json()
    client = browser(world)
    send(client, "/invitation", {"token": made["invitation"], "password": PASSWORD})
    sign_in(client, "x@example.org")
    assert "<script>" not in client.get("/account").text


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"oidc_issuer": "http://id.example.org"}, "DUKOU_OIDC_ISSUER"),
        ({"oidc_issuer": "https://id.example.org"}, "DUKOU_OIDC_CLIENT_ID"),
        ({"oidc_issuer": "https://id.example.org", "oidc_client_id": "x"}, "DUKOU_OIDC_CLIENT_SECRET"),
        ({"secret": SecretStr("short")}, "DUKOU_SECRET"),
    ],
)
def test_settings_that_will_not_do_are_said_before_the_service_starts(
    settings: Settings, change: dict[str, Any], named: str
) -> None:
    with pytest.raises(accounts.Unusable, match=named):
        create_app(settings.model_copy(update=change))
