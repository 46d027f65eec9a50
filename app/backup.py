"""Backups: the database and what was learned and built beside it, in a folder with a manifest; and back again.

The database is copied by SQLite's own online backup, in one step, while the service writes. PostgreSQL has pg_dump
(docs/operations.md): then the folder holds the home's files alone. The model is built anew from its wheel, the state of
deliveries from the database; the secret is kept elsewhere (decision 0022).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Literal

from alembic.script import ScriptDirectory
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from sqlalchemy.engine import make_url

from app.db import MIGRATIONS
from app.errors import StorageFull, Unusable
from app.settings import Settings
from matching.files import write_atomically

MANIFEST = "manifest.json"
DATABASE = "dukou.db"
HOME = "home"  # the folder in a backup for the files of DUKOU_HOME
ARTEFACTS = ("space-*.npz", "fusion-*.json", "fusion-current", "index/**/*")  # in DUKOU_HOME
NOT_IN_THE_WAY = {"models", "secret"}  # in a home that is restored into
BESIDE = ("", "-wal", "-shm", "-journal")  # of an SQLite database, the files


class Part(BaseModel):
    """One file: its place in the backup, bytes, SHA-256."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    size: int = Field(ge=0)
    digest: str = Field(pattern="^[0-9a-f]{64}$")

    @field_validator("name")
    @classmethod
    def _is_inside(cls, name: str) -> str:
        path = PurePosixPath(name)
        if name != DATABASE and (path.parts[:1] != (HOME,) or ".." in path.parts):
            raise ValueError(f"must be {DATABASE} or lie in {HOME}/")
        return name


class Manifest(BaseModel):
    """What a backup holds. `schema_revision` is the migration that the database was at; None without a database."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Literal[1] = 1
    made_at: datetime
    database: Literal["sqlite", "postgresql"]
    schema_revision: str | None
    parts: tuple[Part, ...]


def back_up(settings: Settings, folder: Path, now: datetime) -> Manifest:
    """Make a backup; it stands under its name once it is whole. Raises Unusable, StorageFull.

    The index comes before the database, so that no restored index knows of later writes than its database.
    """
    _need_empty(folder)
    path = _sqlite_path(settings)
    with _written(f"the backup {folder}"):
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=folder.absolute().parent, prefix=f".{folder.name}-"))
        try:
            parts = list(_copied_artefacts(settings.home, aside))
            revision = None
            if path is not None:
                revision = _copy_database(path, aside / DATABASE)
                parts.append(_part(aside, DATABASE))
            kind: Literal["sqlite", "postgresql"] = "postgresql" if path is None else "sqlite"
            made = Manifest(made_at=now, database=kind, schema_revision=revision, parts=tuple(parts))
            write_atomically(aside / MANIFEST, made.model_dump_json(indent=1).encode() + b"\n")
            aside.replace(folder)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
    return made


def restore(settings: Settings, folder: Path) -> Manifest:
    """Bring a backup into an empty home, after all of it has been checked. Raises Unusable, StorageFull."""
    made = read_manifest(folder)
    path = _sqlite_path(settings)
    _check_fits(made, path)
    for part in made.parts:
        _check(folder, part)
    _need_empty(settings.home, but=NOT_IN_THE_WAY)
    targets = {part.name: _target(settings, path, part.name) for part in made.parts}
    with _written(f"what is restored into {settings.home}"):
        _place(folder, targets)
    return made


def read_manifest(folder: Path) -> Manifest:
    """What a backup says that it holds. Raises Unusable for a folder that is none, or not a whole one."""
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except OSError as error:
        raise Unusable(f"{folder} is no backup, or not a whole one: {MANIFEST}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise Unusable(f"{folder / MANIFEST} is damaged or of another form: {place}: {first['msg']}") from error


@contextmanager
def _written(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFull(f"{what} cannot be written: {error.strerror or error}") from error


def _need_empty(folder: Path, but: set[str] | frozenset[str] = frozenset()) -> None:
    try:
        present = sorted({one.name for one in folder.iterdir()} - but)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Unusable(f"{folder} cannot be used: {error.strerror}") from error
    if present:
        raise Unusable(f"{folder} is not empty ({present[0]} is there); name a new folder, or move that away first")


def _sqlite_path(settings: Settings) -> Path | None:
    """Where the SQLite database lies; None where the settings name another kind."""
    url = make_url(settings.url)
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def _copied_artefacts(home: Path, folder: Path) -> Iterator[Part]:
    """What was learned and built, copied. What is dropped meanwhile, such as an old index, is left out."""
    for path in sorted(one for pattern in ARTEFACTS for one in home.glob(pattern) if one.is_file()):
        name = f"{HOME}/{path.relative_to(home).as_posix()}"
        try:
            _copy(path, folder / name)
        except FileNotFoundError:
            continue
        yield _part(folder, name)


def _copy_database(path: Path, target: Path) -> str:
    """Copy an SQLite database as it is at one moment, into one file, and look whether it is sound; its migration."""
    if not path.is_file():
        raise Unusable(f"there is no database at {path}; see DUKOU_HOME and DUKOU_DATABASE_URL")
    try:
        with (
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE").close()
            ((found,),) = copy.execute("PRAGMA quick_check(1)").fetchall()
            if found != "ok":
                raise Unusable(f"the database {path} is damaged, no backup is made of it: {found}")
            ((revision,),) = copy.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.Error as error:
        raise Unusable(f"the database {path} cannot be copied: {error}") from error
    return str(revision)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as reading, target.open("xb") as writing:
        shutil.copyfileobj(reading, writing)
        writing.flush()
        os.fsync(writing.fileno())


def _part(folder: Path, name: str) -> Part:
    path = folder / name
    return Part(name=name, size=path.stat().st_size, digest=_digest(path))


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_fits(made: Manifest, path: Path | None) -> None:
    """Raises Unusable for a backup of another kind of database than the settings name, or of a newer schema."""
    if made.database == "sqlite" and path is None:
        raise Unusable("the backup holds an SQLite database, and DUKOU_DATABASE_URL names another; leave it empty")
    if made.database != "sqlite" and path is not None:
        raise Unusable(
            "the backup holds no database: restore PostgreSQL's dump with pg_restore, and name it in DUKOU_DATABASE_URL"
        )
    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    if made.schema_revision is not None and made.schema_revision not in known:
        raise Unusable(f"the backup was made by a newer Dukou (schema {made.schema_revision}); install that one first")


def _check(folder: Path, part: Part) -> None:
    path = folder / part.name
    try:
        size = path.stat().st_size
        if size == part.size and _digest(path) == part.digest:
            return
    except OSError as error:
        raise Unusable(f"the backup is not whole: {path}: {error.strerror}") from error
    raise Unusable(f"the backup is damaged: {path} is not what it was ({size:,} bytes, {part.size:,} were written)")


def _target(settings: Settings, path: Path | None, name: str) -> Path:
    """Where a part goes. Raises Unusable where there is a database already."""
    if name != DATABASE:
        return settings.home / PurePosixPath(name).relative_to(HOME)
    assert path is not None
    for end in BESIDE:
        if Path(f"{path}{end}").exists():
            raise Unusable(f"{path}{end} is there already; move it away first")
    return path


def _place(folder: Path, targets: dict[str, Path]) -> None:
    """Copy all parts to where they belong, the database last and under its name when it is whole; or nothing."""
    done = []
    try:
        for name, target in sorted(targets.items(), key=lambda one: one[0] == DATABASE):
            aside = target.with_name(f"{target.name}.restoring")
            done += [target, aside]
            _copy(folder / name, aside)
            aside.replace(target)
    except BaseException:
        for path in done:
            path.unlink(missing_ok=True)
        raise
