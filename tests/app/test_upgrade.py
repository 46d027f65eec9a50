"""Databases of every earlier version of the tables, with a row in each table, brought up to the present one."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

import alembic.command
import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlmodel import SQLModel, select

from app import tables
from app.db import MIGRATIONS, Database, with_driver
from app.listings import describe
from app.main import create_app
from app.settings import Settings
from app.tables import ListingRow
from tests.app.conftest import OFFER, SECRET

NOW = datetime(2026, 3, 1, 12, 30, 15, 250_000)
REVISIONS = sorted(script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions())
ROWS = [
    row for row in vars(tables).values() if isinstance(row, type) and issubclass(row, SQLModel) and row is not SQLModel
]
# What a value must be, where not anything of its type will do.
MEANT: dict[tuple[str, str], Any] = {
    ("listing", "side"): "offer",
    ("listing", "status"): "published",
    ("listing", "disclosure"): "public",
    ("listing", "sample"): False,  # samples are not kept
    ("listing", "record"): {key: value for key, value in OFFER.items() if key != "reference"},
    ("listing", "corrected_fields"): None,
    ("listing", "expires_at"): datetime(2099, 1, 1),
    ("listing_version", "record"): OFFER,
    ("person", "role"): "manager",
    ("person", "organisation_id"): None,
    ("revision", "id"): 1,
    ("revision", "number"): 7,
    ("subscription", "active"): False,  # its address is nobody's
    ("pairing", "held_from"): None,
    ("pairing", "state"): "proposed",
    ("pairing", "direction"): "go-out",
    ("api_key", "scopes"): ["listings:read"],
    ("import", "state"): "done",
}


def upgrade(engine: sa.Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, revision)


def value(column: sa.Column[Any], made: dict[str, dict[str, Any]]) -> Any:
    """Something for a column: what is meant there, what it refers to, or anything of its type."""
    key = (column.table.name, column.name)
    if key in MEANT:
        return MEANT[key]
    for reference in column.foreign_keys:
        return made[reference.column.table.name][reference.column.name]
    if isinstance(column.type, sa.JSON):
        return {"text": f"泵 {key}"}
    anything: dict[type, Any] = {
        str: f"{key[0]} {key[1]}",
        int: 3,
        bool: True,
        float: 0.1 + 0.2,
        bytes: bytes(range(256)),
    }
    return (anything | {datetime: NOW, date: NOW.date()})[column.type.python_type]


def filled(engine: sa.Engine) -> dict[str, dict[str, Any]]:
    """Put a row into every table that there is; the rows."""
    metadata, made = sa.MetaData(), dict[str, dict[str, Any]]()
    metadata.reflect(engine)
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            if table.name == "alembic_version":
                continue
            made[table.name] = {column.name: value(column, made) for column in table.columns}
            connection.execute(sa.delete(table))  # the counter is there from the beginning
            connection.execute(sa.insert(table).values(made[table.name]))
    return made


def kept(engine: sa.Engine) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables."""
    metadata = sa.MetaData()
    metadata.reflect(engine)
    with engine.connect() as connection:
        return {
            table.name: [dict(row._mapping) for row in connection.execute(sa.select(table))]
            for table in metadata.sorted_tables
        }


@pytest.fixture(params=REVISIONS)
def old(request: pytest.FixtureRequest, empty_url: str) -> tuple[str, dict[str, dict[str, Any]]]:
    """A database of an earlier version, by its address and its rows."""
    engine = sa.create_engine(with_driver(empty_url))
    upgrade(engine, request.param)
    rows = filled(engine)
    engine.dispose()
    return empty_url, rows


def test_every_row_of_every_earlier_version_is_there_and_can_be_read(
    old: tuple[str, dict[str, dict[str, Any]]],
) -> None:
    url, before = old
    assert {"listing", "embedding"} <= set(before)
    database = Database(url)
    after = kept(database.engine)
    for table, row in before.items():
        assert row in [{name: one[name] for name in row} for one in after[table]], table
    with database.reading() as session:
        for row_class in ROWS:
            assert len(session.exec(select(row_class)).all()) == len(after[str(row_class.__tablename__)])
    database.close()


def test_a_service_over_an_earlier_database_shows_and_finds_what_was_in_it(
    old: tuple[str, dict[str, dict[str, Any]]], tmp_path: Path
) -> None:
    url, before = old
    settings = Settings(home=tmp_path / "home", database_url=url, model="hashing", secret=SecretStr(SECRET))
    app = create_app(settings)
    with TestClient(app) as client:
        app.state.loading.join()
        (shown,) = client.get("/api/v1/listings").json()["items"]
        found = client.post("/api/v1/search", json={"text": "ceramic elbows for slurry", "side": "offer"}).json()
    assert shown["id"] == before["listing"]["id"]
    assert [one["title"] for one in found["items"]] == [OFFER["title"]]


@pytest.mark.parametrize(
    ("record", "corrected"),
    [
        ({"title": "НАСОС", "description": "Pump.", "region": "kz-75", "fields": ["environment"]}, None),
        ({"description": "Pumps and more pumps. " * 9, "country": "kz"}, ["clean_energy", "aerospace"]),
        ({"title": "Pump", "fields": ["environment"]}, []),
    ],
)
def test_what_lists_are_narrowed_by_is_filled_as_the_service_fills_it(
    empty_url: str, record: dict[str, Any], corrected: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = sa.create_engine(with_driver(empty_url))
    upgrade(engine, "0007")
    monkeypatch.setitem(MEANT, ("listing", "record"), record | {"side": "offer"})
    monkeypatch.setitem(MEANT, ("listing", "corrected_fields"), corrected)
    filled(engine)
    engine.dispose()
    database = Database(empty_url)
    with database.reading() as session:
        row = session.exec(select(ListingRow)).one()
        found = (row.country, row.field_codes, row.title_folded)
        describe(row)
        assert found == (row.country, row.field_codes, row.title_folded)
        assert all(found) or corrected == []
    database.close()
