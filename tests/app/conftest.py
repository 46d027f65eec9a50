from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings

OFFER = {
    "id": "o1",
    "side": "offer",
    "title": "耐磨陶瓷弯头 wear resistant ceramic elbows for slurry pipelines",
    "description": "Alumina ceramic elbows, zirconia 20 %, last six times longer than cast iron in ore slurry.",
    "country": "CN",
    "region": "CN-51",
    "trl": 9,
}
NEED = {
    "id": "n1",
    "side": "need",
    "title": "Wear resistant pipeline elbows for ore slurry",
    "description": "Our cast iron elbows in ore slurry pipelines wear out in five months; ceramic elbows are wanted.",
    "country": "KZ",
}
OTHERS = [
    {
        "id": "o2",
        "side": "offer",
        "title": "Tea drying",
        "description": "Heat pump dryer for green tea leaves.",
        "country": "CN",
    },
    {
        "id": "o3",
        "side": "offer",
        "title": "مضخات مياه شمسية",
        "description": "مضخات تعمل بالطاقة الشمسية لري الحقول.",
        "country": "CN",
    },
    {
        "id": "n2",
        "side": "need",
        "title": "Solar pumps",
        "description": "Irrigation pumps without a grid.",
        "country": "EG",
    },
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", model="hashing")


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    app = create_app(settings)
    with TestClient(app, raise_server_exceptions=False) as client:
        app.state.loading.join()
        yield client


@pytest.fixture
def filled(client: TestClient) -> TestClient:
    for record in (OFFER, NEED, *OTHERS):
        assert client.post("/api/v1/listings", json=record).status_code == 201
    return client


def problem(response: Any, status: int) -> dict[str, Any]:
    """The body of an error, after a look at its form."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert set(body) == {"type", "title", "status", "detail", "errors"}
    assert body["status"] == status
    return body
