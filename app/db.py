"""The database: engine, sessions that commit at the edge, migrations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import alembic.command
from alembic.config import Config
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError
from sqlmodel import Session, create_engine

from app.errors import AppError, Conflict, StorageBusy, StorageFull, Unusable

MIGRATIONS = Path(__file__).parent / "migrations"
PATIENCE = 10  # seconds to wait for a locked SQLite file
WRITING = "dukou_writing"  # the option of connections that write
MIGRATION_LOCK = 7_218_553  # an arbitrary number that all servers share
NO_TEXT = "the request holds characters that are no text (U+0000, half of a surrogate pair); leave them out"


class Database:
    """An engine and its sessions. The tables are brought up to date on opening."""

    def __init__(self, url: str) -> None:
        make_folder(url)
        self.engine = _engine(url)
        self._writer = self.engine.execution_options(**{WRITING: True})
        with translated():
            migrate(self._writer)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one state of the database and keeps nothing."""
        with translated(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session that commits when the block ends well and rolls back otherwise.

        One writer at a time, in every process: what a use case has read still holds when it writes, and numbers that
        it takes follow the order of the commits (decision 0015). Nothing slow belongs inside.
        """
        with translated(), Session(self._writer, expire_on_commit=False) as session:
            if session.get_bind().dialect.name != "sqlite":
                session.connection().exec_driver_sql("SELECT number FROM revision FOR UPDATE")
            yield session
            session.commit()

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def migrate(engine: Engine) -> None:
    """Bring the tables up to date."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        if connection.dialect.name != "sqlite":  # SQLite's writers wait for each other anyway
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "head")


def make_folder(url: str) -> None:
    """Make the folder of an SQLite file. Raises StorageFull when that is not possible, Unusable for a wrong address."""
    try:
        place = make_url(url)
    except ArgumentError as error:
        raise Unusable(f"DUKOU_DATABASE_URL: {error}") from error
    if place.get_backend_name() != "sqlite" or place.database in (None, "", ":memory:"):
        return
    folder = Path(str(place.database)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFull(f"cannot make the folder {folder}: {error.strerror}") from error


@contextmanager
def translated() -> Iterator[None]:
    """Tell a full disk, a locked database and text that cannot be stored from defects."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise Unusable(NO_TEXT) from error
    except IntegrityError as error:
        raise Conflict("another request wrote the same thing at the same time; send it again") from error
    except DatabaseError as error:
        raise _in_words(error) from error


def _in_words(error: DatabaseError) -> AppError | DatabaseError:
    reason = str(error.orig)
    if any(sign in reason for sign in ("locked", "timeout", "connection")):
        return StorageBusy(f"the database does not answer in time ({reason}); try again")
    if any(sign in reason for sign in ("full", "No space", "disk I/O", "readonly", "unable to open")):
        return StorageFull(f"the database cannot be written: {reason}")
    if "NUL" in reason:  # PostgreSQL's texts hold none
        return Unusable(NO_TEXT)
    if "not a database" in reason or "malformed" in reason:
        return AppError(f"the database file is damaged or something else: {reason}")
    return error


def _engine(url: str) -> Engine:
    """Raises Unusable for what is no database's address, and where its driver is not installed."""
    try:
        if make_url(url).get_backend_name() != "sqlite":
            return create_engine(url, pool_pre_ping=True, hide_parameters=True)
    except (ArgumentError, ImportError) as error:
        raise Unusable(f"DUKOU_DATABASE_URL: {error}") from error
    engine = create_engine(url, connect_args={"timeout": PATIENCE}, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """Readers do not wait for a writer (WAL); references hold; transactions begin where SQLAlchemy begins them."""
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL").close()
    connection.execute("PRAGMA foreign_keys=ON").close()


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes the lock at once: two that have read and then want to write would both fail."""
    writes = connection.get_execution_options().get(WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
