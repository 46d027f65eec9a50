import io
import json
import logging
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from app import logs
from tests.app.conftest import OFFER, SECRET, World

PASSWORD = "an unusual sentence for signing in"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the service logs, as it does where no person looks on."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    logs.configure(stream, for_people=False)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in logs.OURS:
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.contextvars.clear_contextvars()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_request_is_one_line_with_its_route_who_asked_and_what_came_of_it(world: World, written: io.StringIO) -> None:
    posted = world.post(world.offerer, OFFER)
    response = world.public.get(f"/api/v1/listings/{posted['id']}?secret=1")
    first, second = (line for line in lines(written) if line["event"] == "request")
    assert (first["method"], first["route"], first["status"]) == ("POST", "/api/v1/listings", 201)
    assert re.fullmatch(r"key:\w+", first["who"])
    assert (second["route"], second["who"]) == ("/api/v1/listings/{listing_id}", "public:")
    assert second["request_id"] == response.headers["x-request-id"] != first["request_id"]
    assert 0 < second["ms"] < 60_000


def test_a_request_id_is_taken_over_where_it_is_harmless(world: World, written: io.StringIO) -> None:
    for sent, taken in (("trace-0123.4567", True), ("short", False), ("x" * 65, False), ('a"b\\c{}12345', False)):
        given = world.public.get("/health/live", headers={"X-Request-ID": sent}).headers["x-request-id"]
        assert (given == sent) is taken
        assert lines(written)[-1]["request_id"] == given


def test_a_defect_is_logged_under_the_id_that_the_answer_carries(
    world: World, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object, **_more: object) -> None:
        raise RuntimeError("a part is broken")

    monkeypatch.setattr(world.app.state.live, "search", broken)
    response = world.public.post("/api/v1/search", json={"text": "a text that is nobody's business"})
    assert response.status_code == 500
    defect = next(line for line in lines(written) if line["level"] == "error")
    assert defect["request_id"] == response.headers["x-request-id"]
    assert "a part is broken" in defect["exception"]
    assert next(line for line in lines(written) if line["event"] == "request")["status"] == 500
    assert "nobody's business" not in written.getvalue()


def test_no_secret_and_no_address_gets_into_the_log(world: World, written: io.StringIO) -> None:
    organisation, secrets = world.ids["offerer"], [PASSWORD, SECRET, "someone@example.org", "private words"]
    body = {"name": "Someone", "email": "someone@example.org", "role": "manager"}
    invitation = world.administrator.post("/api/v1/people", json=body).json()["invitation"]
    world.public.post("/api/v1/password", json={"token": invitation, "password": PASSWORD})
    world.public.post("/api/v1/session", json={"email": body["email"], "password": "wrong " + PASSWORD})
    signed = world.public.post("/api/v1/session", json={"email": body["email"], "password": PASSWORD})
    made = world.administrator.post(
        f"/api/v1/organisations/{organisation}/keys", json={"name": "k", "scopes": ["listings:read"]}
    )
    key = made.json()["secret"]
    secrets += [invitation, key, signed.cookies["dukou_session"], signed.json()["csrf"]]
    world.public.get("/api/v1/listings", headers={"Authorization": f"Bearer {key}"})
    world.public.get("/api/v1/listings", headers={"Authorization": f"Bearer {key}x"})
    world.public.get(f"/?q=private+words&token={invitation}")
    world.public.get(f"/{invitation}/someone@example.org")
    world.administrator.get("/api/v1/listings")
    secrets += [str(world.administrator.cookies["dukou_session"]), str(world.administrator.headers["x-csrf-token"])]
    assert len([line for line in lines(written) if line["event"] == "request"]) == 10
    for secret in secrets:
        assert secret not in written.getvalue()
    assert "private+words" not in written.getvalue()


def first_answer(address: str, headers: dict[str, str]) -> httpx.Response:
    """The answer of a server that may still be starting."""
    until = time.monotonic() + 60
    while True:
        try:
            return httpx.get(address, headers=headers, timeout=60)
        except httpx.ConnectError:
            assert time.monotonic() < until
            time.sleep(0.1)


def test_the_server_writes_json_and_no_queries_to_stderr(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"DUKOU_HOME": str(tmp_path), "DUKOU_MODEL": "hashing", "DUKOU_SECRET": SECRET}
    serve = [sys.executable, "-c", "from app.cli import main; main()", "serve", "--port", str(port)]
    process = subprocess.Popen(serve, env=os.environ | settings, stderr=subprocess.PIPE, text=True)
    try:
        answer = first_answer(f"http://127.0.0.1:{port}/health/live?secret=words", {"X-Request-ID": "from-the-test"})
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=30)
    assert answer.status_code == 200
    found = [json.loads(line) for line in errors.splitlines()]
    assert [one["route"] for one in found if one.get("request_id") == "from-the-test"] == ["/health/live"]
    assert "secret" not in errors


def test_a_library_that_asks_for_every_detail_gets_no_line(
    written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    chatty = logging.getLogger("bm25s")
    monkeypatch.setattr(chatty, "level", logging.DEBUG)
    chatty.debug("a detail")
    chatty.warning("a warning")
    assert "a detail" not in written.getvalue()
    assert "a warning" in written.getvalue()
