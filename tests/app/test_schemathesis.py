"""Every operation is sent what its description allows, and what it does not, and must answer as described."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from app.asking import COOKIE
from app.main import create_app
from app.settings import Settings
from tests.app.conftest import NEED, OFFER, SECRET
from tests.app.serving import Served, served

EXAMPLES = 10  # requests for each operation and mode
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
QUIET = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    verbosity=Verbosity.quiet,
)
CONFIG = schemathesis.Config.from_dict(
    {"checks": {"negative_data_rejection": {"expected-statuses": [401, 403, 404, 409, 412, 413, 422, 428]}}}
)
ITS_OWN = ("sign_out",)  # would end the session that all others use


def can_be_wrong(operation: dict[str, Any]) -> bool:
    """Whether there is anything to get wrong: any text can be the id in a path."""
    return "requestBody" in operation or any(one["in"] == "query" for one in operation.get("parameters", []))


def described() -> dict[str, Any]:
    return create_app(Settings(model="hashing", secret=SecretStr(SECRET))).openapi()


ALL = {one["operationId"]: one for item in described()["paths"].values() for one in item.values()}
CASES = [
    (name, mode)
    for name, operation in sorted(ALL.items())
    for mode in GenerationMode
    if name not in ITS_OWN and (mode is GenerationMode.POSITIVE or can_be_wrong(operation))
]


@dataclass(frozen=True)
class Target:
    """A service with something of everything in it, and the headers of an administrator's session."""

    service: Served
    schema: schemathesis.BaseSchema
    known: dict[str, str]  # ids that exist, by the names that parameters and bodies give them

    def operation(self, operation_id: str) -> schemathesis.APIOperation:
        found = [one.ok() for one in self.schema.get_all_operations()]
        return next(one for one in found if one.definition.raw["operationId"] == operation_id)

    @property
    def session(self) -> dict[str, Any]:
        client = self.service.world.administrator
        headers = {"X-CSRF-Token": client.headers["X-CSRF-Token"]}
        return {"headers": headers, "cookies": {COOKIE: client.cookies[COOKIE]}}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    many = "1000000/minute"
    chosen = Settings(
        home=tmp_path_factory.mktemp("home"),
        model="hashing",
        secret=SecretStr(SECRET),
        public_limit=many,
        known_limit=many,
        sign_in_limit=many,
    )
    with served(chosen) as service:
        world = service.world
        offer, need = world.post(world.offerer, OFFER), world.post(world.seeker, NEED)
        sent = world.centre.post("/api/v1/pairings", json={"offer": offer["id"], "need": need["id"]})
        made = world.administrator.post(
            f"/api/v1/organisations/{world.ids['waiting']}/keys", json={"name": "k", "scopes": ["listings:read"]}
        )
        known = {
            "listing_id": offer["id"],
            "offer": offer["id"],
            "need": need["id"],
            "pairing_id": sent.json()["id"],
            "organisation_id": world.ids["waiting"],
            "organisation": world.ids["offerer"],
            "node_id": world.ids["Almaty"],
            "person_id": world.ids["other_manager"],
            "key_id": made.json()["key"]["id"],
        }
        schema = schemathesis.openapi.from_url(f"{service.address}/openapi.json", config=CONFIG)
        yield Target(service, schema, known)


def fill_in(case: Case, target: Target) -> None:
    """Put ids that exist, and the present version, into a request that is well formed."""
    for name in case.path_parameters or {}:
        case.path_parameters[name] = target.known.get(name, case.path_parameters[name])
    for part in (case.query, case.body):
        if isinstance(part, dict):
            part.update({name: target.known[name] for name in part if name in target.known})
    if any(one.name == "if-match" for one in case.operation.headers):
        address = case.formatted_path.removesuffix("/steps")
        case.headers["if-match"] = target.service.world.administrator.get(address).headers["etag"]


@pytest.mark.parametrize(("operation_id", "mode"), CASES)
def test_an_operation_answers_as_it_is_described(target: Target, operation_id: str, mode: GenerationMode) -> None:
    operation = target.operation(operation_id)
    checks = (
        [*CHECKS, negative_data_rejection] if "requestBody" in ALL[operation_id] else CHECKS
    )  # in a query all is text

    @QUIET
    @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
    def attempt(case: Case, known: bool) -> None:
        (case.headers or {}).pop("Authorization", None)
        if known and mode is GenerationMode.POSITIVE:
            fill_in(case, target)
        case.call_and_validate(checks=checks, **target.session)

    attempt()
