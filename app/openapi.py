"""The API's description, completed from what the code says anyway: who may call, and which problems can come.

FastAPI describes parameters, bodies and answers. Problems, security and examples are added here once, read off each
route's permission and dependencies, so that no route repeats them and none forgets them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from app import asking
from app.access import Permission
from app.api import routers

TAGS = {
    "accounts": "Signing in, and the nodes, organisations, people and keys that an administrator keeps.",
    "listings": "Offers and needs: post, revise, withdraw, renew, moderate, read.",
    "search": "What answers a text or a listing, best first, with the reasons.",
    "imports": "Many listings at once, as JSON Lines, CSV or XLSX, and back again.",
    "profiles": "Listings as profiles of the form that partnering networks use.",
    "pairings": "An offer and a need brought together: the queue, the steps, the contacts, the contract.",
    "compliance": "The gate before technology goes out: what a screening shows, and what a named person decides.",
    "nights": "The overnight runs: what was matched, how fairly, in what time.",
    "webhooks": "Events sent to addresses of yours, signed; their deliveries.",
    "changes": "What has happened, for each audience: nothing left out, nothing twice.",
    "audit": "Who decided what, and who read contacts.",
    "feeds": "For harvesters: Atom, JSON Feed, schema.org and an export of what is public.",
    "health": "Whether the service lives and is ready.",
}
PROBLEMS = {
    401: "Nobody known asks, or the key or session does not hold",
    403: "Known, but not allowed",
    404: "No such thing, or none that you may know of",
    409: "The present state does not allow it, or another request was first",
    412: "Somebody has changed it since it was read",
    413: "The body is too large",
    422: "Something that was sent cannot be read; `errors` names the fields",
    428: "A change must say in If-Match which version it changes",
    429: "The rate limit is used up; Retry-After says for how long",
    503: "Not ready, or the database is busy; Retry-After says when to try again",
    507: "Nothing can be written",
}
PROBLEM_SCHEMA = {
    "type": "object",
    "title": "Problem",
    "description": "An error (RFC 9457); docs/problems.md lists the types.",
    "required": ["type", "title", "status", "detail", "errors"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "fix"],
                "properties": {"field": {"type": "string"}, "fix": {"type": "string"}},
            },
        },
    },
}
OFFER: dict[str, Any] = {
    "reference": "2026-017",
    "side": "offer",
    "title": "Wear-resistant ceramic elbows for slurry pipelines",
    "description": "Alumina elbows with zirconia last six times longer than cast iron in ore slurry.",
    "language": "en",
    "country": "CN",
    "region": "CN-51",
    "fields": ["advanced_materials"],
    "trl": 9,
    "modes": ["ordinary_licence", "joint_venture"],
    "sample": True,
}
EXAMPLES: dict[str, Any] = {
    "sign_in": {"email": "manager@example.org", "password": "a long sentence as a password"},
    "make_key": {"name": "our catalogue", "scopes": ["listings:read", "listings:write", "matches:read"]},
    "post_listing": OFFER,
    "revise_listing": OFFER | {"trl": 8},
    "search": {"text": "elbows that withstand ore slurry", "side": "offer", "limit": 5},
    "take_step": {"action": "interest", "side": "need", "consent": True},
    "record_contract": {"type": "licence", "value": 120000, "currency": "CNY", "signed_on": "2026-09-01"},
}
RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}}}
SCHEMAS = "#/components/schemas/"
NAMED_IN_BODY = ("take_up_pairing",)  # operations whose body names listings that may not be there


def describe(app: FastAPI) -> None:
    """Make the application give the completed description at /openapi.json."""
    plain = app.openapi
    done: list[dict[str, Any]] = []

    def openapi() -> dict[str, Any]:
        if not done:
            done.append(completed(plain()))
        return done[0]

    app.openapi = openapi  # type: ignore[method-assign]


def completed(described: dict[str, Any]) -> dict[str, Any]:
    """A description with problems, security, tags and examples."""
    described = _with_own_names(described)
    described["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    schemas = described["components"]["schemas"]
    schemas["Problem"] = PROBLEM_SCHEMA
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for route in _routes():
        for method in route.methods or ():
            operation = described["paths"][route.path_format].get(method.lower())
            if operation is not None:
                _complete(operation, route, method)
    return described


def _with_own_names(described: dict[str, Any]) -> dict[str, Any]:
    """Each schema under one name and title: `app__imports__State`, title State, becomes ImportsState.

    Two classes of one name get such names, and the same title, which generators of clients take for the class's name.
    """
    schemas = described["components"]["schemas"]
    names = {name: "".join(part.title() for part in name.split("__")[1:]) for name in schemas if "__" in name}
    for name, own in names.items():
        schemas[own] = schemas.pop(name) | {"title": own}
    described["components"]["schemas"] = dict(sorted(schemas.items()))
    renamed: dict[str, Any] = _renamed(described, {SCHEMAS + name: SCHEMAS + own for name, own in names.items()})
    return renamed


def _renamed(part: Any, names: dict[str, str]) -> Any:
    """The same with other references."""
    if isinstance(part, dict):
        return {
            key: names.get(value, value) if key == "$ref" else _renamed(value, names) for key, value in part.items()
        }
    return [_renamed(one, names) for one in part] if isinstance(part, list) else part


def _routes() -> Iterator[APIRoute]:
    for router in routers:
        yield from (route for route in router.routes if isinstance(route, APIRoute) and route.include_in_schema)


def _complete(operation: dict[str, Any], route: APIRoute, method: str) -> None:
    own = {one.call for one in route.dependant.dependencies}
    calls = set(_calls(route.dependant))
    permissions = {getattr(call, "permission", None) for call in calls} - {None}
    if asking.who_asks in calls:
        named: list[dict[str, list[str]]] = [{"key": []}, {"session": []}]
        operation["security"] = named if permissions != {Permission.READ} else [*named, {}]
    writes = asking.audit in own or (asking.database in own and method not in asking.SAFE)
    given = {
        401: asking.who_asks in calls,
        403: asking.who_asks in calls and (permissions != {Permission.READ} or method not in asking.SAFE),
        404: _looks_up(operation),
        409: writes,
        412: asking.expected in calls,
        413: "requestBody" in operation,
        422: bool(operation.get("parameters")) or "requestBody" in operation,
        428: asking.expected in calls,
        429: asking.who_asks in calls,
        503: bool({asking.database, asking.live} & calls),
        507: writes,
    }
    answers = operation["responses"]
    answers.update((str(status), _problem(status)) for status, comes in given.items() if comes)
    operation["responses"] = dict(sorted(answers.items()))
    if route.name in EXAMPLES:
        operation["requestBody"]["content"]["application/json"]["example"] = EXAMPLES[route.name]


def _looks_up(operation: dict[str, Any]) -> bool:
    """Whether a request names something that may not be there."""
    named = any(one["in"] == "path" or one["name"] == "organisation" for one in operation.get("parameters", []))
    return named or operation["operationId"] in NAMED_IN_BODY


def _problem(status: int) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": f"{SCHEMAS}Problem"}}}
    answer = {"description": PROBLEMS[status], "content": content}
    return answer | ({"headers": RETRY_AFTER} if status in (429, 503) else {})


def _calls(dependant: Dependant) -> Iterator[Any]:
    """All dependencies of a route, with those that they have themselves."""
    for one in dependant.dependencies:
        yield one.call
        yield from _calls(one)
