"""Every route × every role, from the route table: a new route without a rule, or with a wrong one, fails here."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from app import proposals
from app.access import ALLOWED, PARTNER_SCOPES, PLATFORM_SCOPES, SYSTEM, Permission, Role
from app.api import routers
from app.main import create_app
from app.settings import Settings
from matching import Pairing
from tests.app.conftest import NEED, OFFER, World

OPEN_TO_ALL = {"live", "ready"}  # health, which names no permission
ROLES = {
    "public": ALLOWED[Role.PUBLIC],
    "offerer": PARTNER_SCOPES,
    "partner": ALLOWED[Role.PARTNER],
    "manager": ALLOWED[Role.MANAGER],
    "centre": ALLOWED[Role.MANAGER],
    "administrator": ALLOWED[Role.ADMINISTRATOR],
}
BY_AUDIENCE = {"information": Permission.INFORMATION, "trading": Permission.TRADING, "organisation": Permission.CHANGES}


def permissions(dependant: Dependant) -> set[Any]:
    """The permissions that a route's dependencies name."""
    own = {getattr(dependant.call, "permission", None)} - {None}
    return own.union(*(permissions(one) for one in dependant.dependencies)) if dependant.dependencies else own


def api_routes(settings: Settings) -> list[APIRoute]:
    """All routes of the API, checked against what the application itself says it has."""
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    described = {
        (method.upper(), path) for path, item in create_app(settings).openapi()["paths"].items() for method in item
    }
    shown = {(method, route.path) for route in routes if route.include_in_schema for method in route.methods}
    assert shown == described
    return routes


def asked(world: World, route: APIRoute, ids: dict[str, str]) -> tuple[str, str]:
    """Method and path of a request for what is there."""
    path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda name: ids.get(name[1], "nothing"), route.path)
    if path.endswith("/changes"):
        path += "?audience=organisation&organisation=" + world.ids["offerer"]
    return next(iter(route.methods)), path


@pytest.fixture
def ids(world: World) -> dict[str, str]:
    """One thing of each kind, all of the offerer and its node."""
    offer = world.post(world.offerer, OFFER)
    need = world.post(world.seeker, NEED)
    pairing = world.offerer.post("/api/v1/pairings", json={"offer": offer["id"], "need": need["id"]}).json()["id"]
    return {
        "listing_id": offer["id"],
        "pairing_id": pairing,
        "organisation_id": world.ids["offerer"],
        "person_id": world.ids["partner"],
        "key_id": "none",
    }


def test_every_route_names_one_permission_and_has_a_name_of_its_own(settings: Settings) -> None:
    routes = api_routes(settings)
    assert len(routes) > 30
    for route in routes:
        expected = 0 if route.name in OPEN_TO_ALL else 1
        assert len(permissions(route.dependant)) == expected, f"{route.path} names {permissions(route.dependant)}"
    names = [route.name for route in routes if route.include_in_schema]
    assert sorted(names) == sorted(set(names))


def test_each_role_may_do_what_it_may_and_nothing_else(world: World, ids: dict[str, str], settings: Settings) -> None:
    """Those without the permission get 401 or 403 before anything is read; the others get past it."""
    for route in api_routes(settings):
        named = permissions(route.dependant)
        if not named or named == {"by audience"}:
            continue
        (permission,) = named
        for name, allowed in ROLES.items():
            if route.name in ("sign_out", "erase_person", "close_person") and permission in allowed:
                continue  # it would end the account that asks
            method, path = asked(world, route, ids)
            status = getattr(world, name).request(method, path).status_code
            refused = status in (401, 403)
            if permission not in allowed:
                assert status == (401 if name == "public" else 403), f"{name}: {method} {path} gave {status}"
            else:
                assert not refused, f"{name}: {method} {path} gave {status}"


def test_each_audience_has_its_permission(world: World) -> None:
    for audience, permission in BY_AUDIENCE.items():
        for name, allowed in ROLES.items():
            query = {"audience": audience, "organisation": world.ids["offerer"]}
            status = getattr(world, name).get("/api/v1/changes", params=query).status_code
            expected = 200 if permission in allowed else 401 if name == "public" else 403
            assert status == expected, f"{name}: {audience} gave {status}"


OTHERS_THINGS = ("seeker", "waiting", "other_manager")


def test_what_is_anothers_is_not_there_for_those_it_does_not_concern(
    world: World, ids: dict[str, str], settings: Settings
) -> None:
    """An id of another organisation or node is answered as an unknown one is, or refused; never with contents."""
    hidden = world.post(world.offerer, OFFER | {"reference": "hidden", "disclosure": "introduction"})
    need = world.post(world.seeker, NEED | {"reference": "other"})
    with world.database.writing() as session:
        one = Pairing(hidden["id"], need["id"], 1, 1, 0.5, {}, (), None)
        pairing = proposals.by_hand(session, SYSTEM, one, datetime(2026, 1, 1)).id
    theirs = ids | {"listing_id": hidden["id"], "pairing_id": pairing}
    for route in api_routes(settings):
        if not set(re.findall(r"\{(\w+)", route.path)) & set(theirs):
            continue  # it names nothing of anybody's
        for name in ("waiting", "public") if "pairing_id" in route.path else OTHERS_THINGS:
            method, path = asked(world, route, theirs)
            body = _body(route.name)
            response = getattr(world, name).request(method, path, json=body, headers={"If-Match": '"1"'})
            assert response.status_code in (401, 403, 404), f"{name}: {method} {path} gave {response.status_code}"


def _body(name: str) -> Any:
    """A body that is right, so that the refusal is for what is named and not for what is sent."""
    return {
        "revise_listing": {"side": "offer", "title": "taken over"},
        "return_listing": {"reason": "no"},
        "correct_fields": {"fields": None},
        "take_step": {"action": "decline", "reason": "other"},
        "record_contract": {"type": "licence", "signed_on": "2026-01-01"},
        "decide_screening": {"decision": "not_covered", "reason": "no"},
        "make_key": {"name": "x", "scopes": ["listings:read"]},
        "change_organisation": {"name": "taken over"},
    }.get(name)


def test_a_key_can_do_only_what_it_is_for(world: World) -> None:
    body = {"name": "reader", "scopes": ["listings:read"]}
    made = world.partner.post(f"/api/v1/organisations/{world.ids['offerer']}/keys", json=body)
    reader = TestClient(world.app, headers={"Authorization": f"Bearer {made.json()['secret']}"})
    assert reader.get("/api/v1/listings").status_code == 200
    assert reader.post("/api/v1/listings", json=OFFER).status_code == 403
    assert reader.get("/api/v1/pairings").status_code == 403


def test_the_feeds_of_platforms_are_opened_by_an_administrator_alone(world: World) -> None:
    path = f"/api/v1/organisations/{world.ids['offerer']}/keys"
    for scope in PLATFORM_SCOPES:
        body = {"name": "platform", "scopes": [scope]}
        assert world.partner.post(path, json=body).status_code == 403
        assert world.administrator.post(path, json=body).status_code == 201
