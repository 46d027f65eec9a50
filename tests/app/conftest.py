import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr

from app import accounts
from app.access import OPERATOR, PARTNER_SCOPES, Role
from app.asking import COOKIE
from app.clock import utc_now
from app.db import Database
from app.main import create_app
from app.queries import accounts as account_queries
from app.settings import Settings
from scripts.postgres import Server, name_in, running

OFFER = {
    "reference": "o1",
    "side": "offer",
    "title": "耐磨陶瓷弯头 wear resistant ceramic elbows for slurry pipelines",
    "description": "Alumina ceramic elbows, zirconia 20 %, last six times longer than cast iron in ore slurry.",
    "country": "CN",
    "region": "CN-51",
    "trl": 9,
}
NEED = {
    "reference": "n1",
    "side": "need",
    "title": "Wear resistant pipeline elbows for ore slurry",
    "description": "Our cast iron elbows in ore slurry pipelines wear out in five months; ceramic elbows are wanted.",
    "country": "KZ",
}
OTHERS = [
    {
        "reference": "o2",
        "side": "offer",
        "title": "Tea drying",
        "description": "Heat pump dryer for green tea leaves.",
        "country": "CN",
    },
    {
        "reference": "o3",
        "side": "offer",
        "title": "مضخات مياه شمسية",
        "description": "مضخات تعمل بالطاقة الشمسية لري الحقول.",
        "country": "CN",
    },
    {
        "reference": "n2",
        "side": "need",
        "title": "Solar pumps",
        "description": "Irrigation pumps without a grid.",
        "country": "EG",
    },
]


SECRET = "a secret of the tests, long enough to be one"


@dataclass(frozen=True)
class World:
    """A running service with accounts; each client asks as the one that it is named after.

    `offerer` and `seeker` are programs of two trusted organisations in two nodes, `waiting` of one that is moderated.
    """

    app: FastAPI
    public: TestClient
    offerer: TestClient
    seeker: TestClient
    waiting: TestClient
    partner: TestClient  # a person of the offering organisation
    manager: TestClient  # of the offerer's node
    other_manager: TestClient  # of the seeker's node
    centre: TestClient
    administrator: TestClient
    ids: dict[str, str]  # of nodes, organisations, people and listings, by name or reference

    @property
    def database(self) -> Database:
        found: Database = self.app.state.database
        return found

    def post(self, client: TestClient, record: dict[str, Any]) -> dict[str, Any]:
        """Post a listing; its id is then known under its reference."""
        response = client.post("/api/v1/listings", json=record)
        assert response.status_code in (200, 201), response.text
        body: dict[str, Any] = response.json()
        self.ids[record["reference"]] = body["id"]
        return body

    def reference(self, listing_id: str) -> str:
        """The reference of a listing."""
        return next(name for name, one in self.ids.items() if one == listing_id)

    def found(self, response: Any) -> list[str]:
        """The references of matches, in their order."""
        assert response.status_code == 200, response.text
        return [self.reference(item["id"]) for item in response.json()["items"]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path / "home",
        model="hashing",
        secret=SecretStr(SECRET),
        public_limit="10000/minute",
        known_limit="10000/minute",
    )


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """One server for all tests."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running())
        except (ImportError, OSError, subprocess.SubprocessError, psycopg.Error) as error:
            pytest.skip(f"PostgreSQL cannot be started here, nothing is tested with it: {error!r}")
        yield server


@pytest.fixture(scope="session")
def template(postgresql: Server) -> str:
    """The name of a database with the tables in it, to be copied."""
    url = postgresql.make()
    Database(url).close()
    return name_in(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def empty_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a database without tables."""
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path / 'dukou.db'}"
        return
    server: Server = request.getfixturevalue("postgresql")
    url = server.make()
    yield url
    server.drop(url)


@pytest.fixture
def database_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a database with its tables, which on PostgreSQL are a copy and there at once."""
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path / 'dukou.db'}"
        return
    server: Server = request.getfixturevalue("postgresql")
    url = server.make(request.getfixturevalue("template"))
    yield url
    server.drop(url)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An open database, of each kind in turn."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def world(settings: Settings) -> Iterator[World]:
    app = create_app(settings)
    with TestClient(app, raise_server_exceptions=False) as public:
        app.state.loading.join()
        yield populated(app, public)


def populated(app: FastAPI, public: TestClient) -> World:
    """Two nodes, three organisations, their people and keys."""
    now, ids, clients = utc_now(), dict[str, str](), dict[str, TestClient]()

    def client(headers: dict[str, str], cookies: dict[str, str] | None = None) -> TestClient:
        return TestClient(app, headers=headers, cookies=cookies, raise_server_exceptions=False)

    with app.state.database.writing() as session:
        for name, node, trusted in (
            ("offerer", "Chongqing", True),
            ("seeker", "Almaty", True),
            ("waiting", "Chongqing", False),
        ):
            place = account_queries.node_named(session, node) or accounts.add_node(session, node, None, None, now)
            facts = {"contact_name": f"Contact of {name}", "contact_email": f"{name}@example.org"}
            owner = accounts.add_organisation(session, OPERATOR, place.id, now, name=name, trusted=trusted, **facts)
            ids[node], ids[name] = place.id, owner.id
            _, text = accounts.make_key(session, OPERATOR, owner, name, sorted(PARTNER_SCOPES), now)
            clients[name] = client({"Authorization": f"Bearer {text}"})
        for name, role, organisation, nodes in (
            ("partner", Role.PARTNER, ids["offerer"], []),
            ("manager", Role.MANAGER, None, [ids["Chongqing"]]),
            ("other_manager", Role.MANAGER, None, [ids["Almaty"]]),
            ("centre", Role.MANAGER, None, []),
            ("administrator", Role.ADMINISTRATOR, None, []),
        ):
            person, _ = accounts.invite(session, f"{name}@example.org", name, role, organisation, nodes, now)
            signed = accounts.sign_in(session, person, now)
            ids[name] = person.id
            clients[name] = client({"X-CSRF-Token": signed.csrf}, {COOKIE: signed.token})
    return World(app=app, public=public, ids=ids, **clients)


@pytest.fixture
def filled(world: World) -> World:
    for record in (OFFER, NEED, *OTHERS):
        world.post(world.offerer if record["side"] == "offer" else world.seeker, record)
    return world


def problem(response: Any, status: int) -> dict[str, Any]:
    """The body of an error, after a look at its form."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert set(body) == {"type", "title", "status", "detail", "errors"}
    assert body["status"] == status
    return body
