"""Sign-ins that fail are in the audit log, and neither it nor the answer tells what an attacker would like to know."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from app import asking
from app.audit import Audit
from app.settings import Settings
from app.signing_in import FAILED
from tests.app.conftest import SECRET, World, problem
from tests.app.signing import PASSWORD, browser, sign_in, with_password

WRONG = "seven cranes wait at noon"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With a provider that is not there."""
    provider = {"oidc_issuer": "http://127.0.0.1:9", "oidc_client_id": "dukou", "oidc_client_secret": SecretStr("s")}
    return settings.model_copy(update=provider)


def failures(world: World) -> list[dict[str, Any]]:
    lines = world.administrator.get("/api/v1/audit", params={"limit": 1000}).json()["items"]
    return [line for line in lines if line["action"] == FAILED]


def test_a_failed_sign_in_is_written_down_the_same_for_everybody(world: World) -> None:
    """For a wrong password, an unknown address, an account without a password, and one that is closed."""
    with_password(world, "partner")
    world.administrator.post(f"/api/v1/people/{world.ids['other_manager']}/close")
    names = ["partner", "nobody", "centre", "other_manager"]
    for name in names:
        body = {"email": f"{name}@example.org", "password": WRONG}
        assert problem(browser(world).post("/api/v1/session", json=body), 401)["title"] == "Sign in"
        assert sign_in(browser(world), f" {name.upper()}@example.org", WRONG).status_code == 401
    lines = failures(world)
    assert len(lines) == 8
    told = [
        {key: value for key, value in line.items() if key not in ("number", "at", "subject", "digest")}
        for line in lines
    ]
    assert told == 8 * [told[0]]
    assert told[0]["detail"] == {"by": "password", "from": "testclient", "problem": "Sign in"}
    subjects = [line["subject"] for line in lines]
    assert subjects[::2] == subjects[1::2]  # of the interface and of the page
    assert len(set(subjects)) == len(names)
    assert sign_in(browser(world), "partner@example.org", PASSWORD).status_code == 303
    assert len(failures(world)) == 8


def test_neither_password_nor_address_can_be_read_off_the_log(world: World) -> None:
    sign_in(browser(world), "partner@example.org", WRONG)
    sign_in(browser(world), PASSWORD, WRONG)  # typed into the wrong field
    with world.database.reading() as session:
        stored = session.connection().execute(text("SELECT subject, detail, actor_id FROM audit")).all()
    kept = json.dumps([list(map(str, row)) for row in stored])
    assert len(failures(world)) == 2
    assert not [secret for secret in (WRONG, PASSWORD, "partner@example.org") if secret in kept]
    with world.database.reading() as session:
        assert Audit(SECRET.encode()).verify(session).broken is None


def test_a_persons_data_shows_who_tried_their_address(world: World) -> None:
    sign_in(browser(world), "partner@example.org", WRONG)
    sign_in(browser(world), "centre@example.org", WRONG)
    found = world.administrator.get(f"/api/v1/people/{world.ids['partner']}/data").json()["log"]
    assert [line["subject"] for line in found if line["action"] == FAILED] == [failures(world)[0]["subject"]]


def test_a_way_back_from_the_provider_that_leads_nowhere_is_written_down(world: World) -> None:
    answer = browser(world).get("/sign-in/openid/back", params={"code": "guessed", "state": "guessed"})
    assert answer.status_code == 400
    (line,) = failures(world)
    assert (line["subject"], line["actor_kind"]) == ("", "public")
    assert line["detail"] == {"by": "openid", "from": "testclient", "problem": "Sign-in lost"}


def test_attempts_over_the_limit_are_no_lines(world: World) -> None:
    statuses = [sign_in(browser(world), "partner@example.org", WRONG).status_code for _ in range(12)]
    assert statuses == [*10 * [401], 429, 429]
    assert len(failures(world)) == 10


def test_the_log_cannot_be_made_to_swell_from_many_places(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "FAILURES", asking.parse("3/minute"))
    for number in range(5):
        assert sign_in(browser(world), f"p{number}@example.org", WRONG).status_code == 401
    assert len(failures(world)) == 3
