import re
from collections.abc import Iterator
from pathlib import Path

from app.errors import AppError, problem
from tests.app.conftest import World

PAGE = Path(__file__).resolve().parents[2] / "docs" / "problems.md"
LINE = re.compile(r"^\| `(urn:dukou:problem:[a-z-]+)` \| (\d{3}|other) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
OF_HTTP = {("urn:dukou:problem:method-not-allowed", "405"), ("urn:dukou:problem:error", "other")}


def tree(error: type[AppError] = AppError) -> Iterator[type[AppError]]:
    yield error
    for child in error.__subclasses__():
        if child.__module__.startswith("app."):
            yield from tree(child)


def type_of(error: type[AppError]) -> str:
    body = problem(error.status, error.title, "").body
    return re.findall(r"urn:dukou:problem:[a-z-]+", bytes(body).decode())[0]


def test_the_page_lists_exactly_the_types_that_there_are() -> None:
    listed = [(name, status) for name, status, _, _ in LINE.findall(PAGE.read_text("utf-8"))]
    assert len(set(listed)) == len(listed)
    assert set(listed) == {(type_of(error), str(error.status)) for error in tree()} | OF_HTTP


def test_an_error_of_http_itself_has_its_type(world: World) -> None:
    response = world.public.patch("/api/v1/search")
    assert response.json()["type"] == "urn:dukou:problem:method-not-allowed"
    assert "POST" in response.headers["allow"]
