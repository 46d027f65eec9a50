import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from jsonschema_rs import Draft202012Validator
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from app.api import routers
from app.main import create_app
from app.openapi import EXAMPLES, PROBLEMS
from app.settings import Settings
from tests.app.conftest import SECRET, World


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return create_app(Settings(model="hashing", secret=SECRET)).openapi()  # type: ignore[arg-type]


def operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in described["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def test_the_description_is_valid_openapi_3_1(described: dict[str, Any]) -> None:
    assert described["openapi"].startswith("3.1")
    assert [error.message for error in OPENAPI_31_VALIDATOR.iter_errors(described)] == []


def test_what_is_served_is_the_completed_description(world: World, described: dict[str, Any]) -> None:
    assert world.public.get("/openapi.json").json() == described


def test_operation_ids_are_the_names_of_the_routes_and_unique(described: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(described)]
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    names = [route.name for route in routes if route.include_in_schema]
    assert len(set(ids)) == len(ids)
    assert sorted(ids) == sorted(names)


def test_every_schema_has_one_name_and_says_what_is_in_it(described: dict[str, Any]) -> None:
    """Generators make a class of each title, and nothing of a schema that says nothing."""
    schemas = described["components"]["schemas"]
    titles = [schema["title"] for schema in schemas.values()]
    assert len(set(titles)) == len(titles)
    assert [name for name in schemas if "__" in name] == []
    used = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(described)))
    assert used <= set(schemas)
    for _, _, operation in operations(described):
        for status, answer in operation["responses"].items():
            if "application/json" in answer.get("content", {}):
                assert answer["content"]["application/json"]["schema"], (operation["operationId"], status)


def test_every_operation_has_a_described_tag_a_summary_and_a_description(described: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in described["tags"]}
    for _, _, operation in operations(described):
        assert set(operation["tags"]) <= tags, operation["operationId"]
        assert operation["summary"]
        assert operation["description"]
    assert {tag for *_, operation in operations(described) for tag in operation["tags"]} == tags


def test_every_error_is_documented_as_a_problem(described: dict[str, Any]) -> None:
    for _, _, operation in operations(described):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], (operation["operationId"], status)
                assert int(status) in PROBLEMS
    assert "HTTPValidationError" not in described["components"]["schemas"]


@pytest.mark.parametrize(
    ("path", "method", "expected"),
    [
        ("/api/v1/listings/{listing_id}", "put", {401, 403, 404, 409, 412, 413, 422, 428, 429, 503, 507}),
        ("/api/v1/listings", "get", {401, 404, 422, 429, 503}),
        ("/api/v1/search", "post", {401, 403, 413, 422, 429, 503}),
        ("/health/live", "get", set()),
    ],
)
def test_an_operation_documents_the_problems_that_can_come(
    described: dict[str, Any], path: str, method: str, expected: set[int]
) -> None:
    answers = described["paths"][path][method]["responses"]
    assert {int(status) for status in answers if int(status) >= 400} == expected


def test_only_what_the_public_may_do_is_open_without_a_key(described: dict[str, Any]) -> None:
    open_to_all = {
        operation["operationId"] for *_, operation in operations(described) if {} in operation.get("security", [])
    }
    assert {"list_listings", "search", "atom_feed", "harvest_listings"} <= open_to_all
    assert not {"post_listing", "list_pairings", "list_audit"} & open_to_all


def test_examples_fit_their_schemas(described: dict[str, Any]) -> None:
    shown = {}
    for _, _, operation in operations(described):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        if "example" in content:
            shown[operation["operationId"]] = content
    assert set(shown) == set(EXAMPLES)
    for content in shown.values():
        schema = {**content["schema"], "components": described["components"]}
        assert [error.message for error in Draft202012Validator(schema).iter_errors(content["example"])] == []
