"""Keys of programs, and secrets of all kinds: what holds, and what is kept of them."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from sqlalchemy import text

from app import accounts, asking
from app.asking import COOKIE
from app.clock import utc_now
from app.tables import ApiKeyRow
from tests.app.conftest import World, problem
from tests.app.signing import PASSWORD, invitation, signed_in


@pytest.mark.parametrize(
    "case", ["revoked", "over", "wrong secret", "unknown", "malformed", "empty", "basic", "not ascii"]
)
def test_a_key_that_does_not_hold_is_401_and_says_how_to_ask(world: World, case: str) -> None:
    path = f"/api/v1/organisations/{world.ids['offerer']}/keys"
    made = world.administrator.post(path, json={"name": "k", "scopes": ["listings:read", "pairings:read"]}).json()
    secret, key = made["secret"], made["key"]["id"]
    assert world.public.get("/api/v1/listings", headers={"Authorization": f"bearer  {secret}"}).status_code == 200
    if case == "revoked":
        assert world.administrator.delete(f"{path}/{key}").json()["revoked_at"]
    elif case == "over":
        with world.database.writing() as session:
            row = session.get(ApiKeyRow, key)
            assert row is not None
            row.expires_at = utc_now() - timedelta(seconds=1)
            session.add(row)
    header = {
        "wrong secret": f"Bearer {secret[:-1]}{'a' if secret[-1] != 'a' else 'b'}",
        "unknown": "Bearer dk_000000000000_x",
        "malformed": "Bearer dk__",
        "empty": "Bearer",
        "basic": "Basic YTpi",
        "not ascii": "Bearer dk_é_ü".encode("latin-1"),
    }.get(case, f"Bearer {secret}")
    response = world.public.get("/api/v1/listings", headers={"Authorization": header})
    problem(response, 401)
    assert response.headers["www-authenticate"] == "Bearer"


def test_the_use_of_a_key_is_written_down_once_a_minute(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"/api/v1/organisations/{world.ids['offerer']}/keys"

    def last_used() -> str:
        items = world.administrator.get(path).json()["items"]
        found: str = next(item["last_used_at"] for item in items if item["name"] == "offerer")
        return found

    assert last_used() is None
    world.offerer.get("/api/v1/listings")
    first = last_used()
    assert first is not None
    world.offerer.get("/api/v1/listings")
    assert last_used() == first
    later = utc_now() + timedelta(seconds=61)
    monkeypatch.setattr(asking, "utc_now", lambda: later)
    world.offerer.get("/api/v1/listings")
    assert last_used() > first


def test_secrets_are_shown_once_and_kept_nowhere_in_clear(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    path = f"/api/v1/organisations/{world.ids['offerer']}/keys"
    made = world.administrator.post(path, json={"name": "k", "scopes": ["listings:read"]}).json()
    client = signed_in(world, "partner")
    token = invitation(world, "centre")
    secrets = [made["secret"].split("_")[2], client.cookies[COOKIE], token, PASSWORD]
    assert (
        world.public.get("/api/v1/listings", headers={"Authorization": f"Bearer {made['secret']}"}).status_code == 200
    )
    shown = [world.administrator.get(path).text, world.administrator.get("/api/v1/people").text, repr(made["key"])]
    shown.append(world.administrator.get(f"/api/v1/people/{world.ids['partner']}/data").text)
    kept = whole_database(world)
    for secret in secrets:
        assert not any(secret in one for one in [*shown, caplog.text, kept])
    assert accounts.digest(client.cookies[COOKIE]) in kept


def whole_database(world: World) -> str:
    """Every value of every table."""
    with world.database.reading() as session:
        names = session.connection().exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars()
        return repr([session.connection().execute(text(f'SELECT * FROM "{name}"')).all() for name in names.all()])
