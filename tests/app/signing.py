"""What tests of signing in do again and again: passwords, forms, a browser that has cookies and no more."""

from __future__ import annotations

import html
import re
from typing import Any

from fastapi.testclient import TestClient

from tests.app.conftest import World

PASSWORD = "nine herons cross at dusk"


def invitation(world: World, name: str) -> str:
    """A fresh invitation for one of the people of the world."""
    response = world.administrator.post(f"/api/v1/people/{world.ids[name]}/invitation")
    token: str = response.json()["invitation"]
    return token


def with_password(world: World, name: str, password: str = PASSWORD) -> str:
    """Give one of the people a password; their address."""
    body = {"token": invitation(world, name), "password": password}
    assert browser(world).post("/api/v1/password", json=body).status_code == 204
    return f"{name}@example.org"


def browser(world: World, **headers: str) -> TestClient:
    """A browser that has not been here before."""
    return TestClient(world.app, headers=headers, raise_server_exceptions=False, follow_redirects=False)


def fields(page: str) -> dict[str, str]:
    """The hidden fields of a page's form."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    return {name: html.unescape(value) for name, value in found}


def send(client: TestClient, path: str, given: dict[str, str], **query: str) -> Any:
    """Open a page and send its form."""
    page = client.get(path, params=query)
    assert page.status_code == 200, page.text
    return client.post(path, data=fields(page.text) | given)


def sign_in(client: TestClient, email: str, password: str = PASSWORD, **query: str) -> Any:
    """Sign in on the page."""
    return send(client, "/sign-in", {"email": email, "password": password}, **query)


def signed_in(world: World, name: str) -> TestClient:
    """A browser in which one of the people has signed in."""
    client = browser(world)
    assert sign_in(client, with_password(world, name)).status_code == 303
    return client


def who(client: Any) -> str:
    """The name that the service knows a client by."""
    name: str = client.get("/api/v1/session").json()["name"]
    return name
