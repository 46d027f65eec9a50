import json
from typing import Any

import pytest
from sqlalchemy.exc import DataError

from app.db import translated
from app.errors import Unusable
from tests.app.conftest import World, problem
from tests.app.signing import fields

HALF = "\ud800"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("organisations", {"name": "x", "node_id": HALF}),
        ("people", {"name": "x", "email": "x@example.org", "role": "manager", "nodes": [HALF]}),
        ("pairings", {"offer": HALF, "need": HALF}),
    ],
)
def test_half_of_a_surrogate_pair_is_refused_not_a_defect(world: World, path: str, body: dict[str, Any]) -> None:
    sent = world.administrator.post(
        f"/api/v1/{path}", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert "no text" in problem(sent, 422)["detail"]


def test_a_nul_that_postgresql_refuses_is_the_senders_mistake() -> None:
    refused = ValueError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    with pytest.raises(Unusable, match="no text"), translated():
        raise DataError("SELECT", {}, refused)


def test_a_body_that_is_not_utf_8_is_refused_by_name(world: World) -> None:
    sent = world.public.post("/api/v1/search", content=b"\xff\xfe{", headers={"Content-Type": "application/json"})
    assert problem(sent, 422)["errors"][0]["field"] == "body"


def test_pages_say_so_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise DataError("SELECT", {}, ValueError("PostgreSQL text fields cannot contain NUL (0x00) bytes"))

    monkeypatch.setattr("app.listings.readable", refuse)
    monkeypatch.setattr("app.posting.post", refuse)
    assert world.public.get("/embed/listing", params={"listing": "\0"}).status_code == 422
    token = fields(world.partner.get("/account").text)["csrf"]
    typed = {"csrf": token, "do": "post", "side": "offer", "title": "Two\0words"}
    assert world.partner.post("/listings/new", data=typed).status_code == 422
