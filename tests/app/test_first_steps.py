"""From an empty database to a partner's first listing, as docs/first-steps.md describes it."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from app.access import PARTNER_SCOPES
from app.asking import COOKIE
from app.cli import main
from app.main import create_app
from app.settings import Settings
from tests.app.conftest import OFFER, SECRET
from tests.app.signing import PASSWORD, send, sign_in


@pytest.fixture
def first_invitation(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `dukou invite` prints."""
    monkeypatch.setenv("DUKOU_HOME", str(settings.home))
    monkeypatch.setenv("DUKOU_SECRET", SECRET)
    result = CliRunner().invoke(main, ["invite", "first@example.org", "First Administrator"])
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def test_the_first_administrator_comes_in_and_a_partner_posts(settings: Settings, first_invitation: str) -> None:
    app = create_app(settings)
    with TestClient(app) as browser:
        app.state.loading.join()
        assert "Sign in with it" in send(browser, "/invitation", {"token": first_invitation, "password": PASSWORD}).text
        page = sign_in(browser, "first@example.org", next="/account")
        assert page.url.path == "/account"
        assert "First Administrator" in page.text

        browser.headers["X-CSRF-Token"] = browser.get("/api/v1/session").json()["csrf"]
        node = browser.post("/api/v1/nodes", json={"name": "Sample node", "place": "chongqing"}).json()
        owner = {"node_id": node["id"], "name": "Sample workshop", "country": "CN", "trusted": True}
        organisation = browser.post("/api/v1/organisations", json=owner).json()
        wanted = {"name": "nightly upload", "scopes": sorted(PARTNER_SCOPES)}
        key = browser.post(f"/api/v1/organisations/{organisation['id']}/keys", json=wanted).json()["secret"]

        partner = TestClient(app, headers={"Authorization": f"Bearer {key}"})
        posted = partner.post("/api/v1/listings", json=OFFER)
        assert posted.status_code == 201
        assert partner.get(f"/api/v1/listings/{posted.json()['id']}").json()["organisation"] == "Sample workshop"
        found = browser.get("/", params={"q": "ceramic elbows for ore slurry pipelines"}).text
        assert "耐磨陶瓷弯头" in found
        assert COOKIE in browser.cookies


def test_the_first_invitation_is_the_only_one_for_an_address(settings: Settings, first_invitation: str) -> None:
    again = CliRunner().invoke(main, ["invite", "First@example.org", "Another"])
    assert again.exit_code == 2
    assert "already" in again.output
    assert first_invitation not in again.output
    assert settings.home.exists()
