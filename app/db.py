"""The database: engine, sessions that commit at the edge, migrations."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import alembic.command
from alembic.config import Config
from sqlalchemy import Connection, Engine, event, insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session, SQLModel, create_engine

from app.errors import AppError, Conflict, StorageBusy, StorageFull, Unusable

MIGRATIONS = Path(__file__).parent / "migrations"
PATIENCE = 10  # seconds to wait for the writer before, or for a server to answer
CONNECTIONS = 64  # at most, of one process: more than the threads of a server that answer requests
WRITING = "dukou_writing"  # the option of connections that write
FOLLOWING = "dukou_following"  # what a session keeps rows under that refer to others not stored yet
MIGRATION_LOCK = 7_218_553  # an arbitrary number that all servers share
NO_TEXT = "the request holds characters that are no text (U+0000, half of a surrogate pair); leave them out"
BUSY = ("locked", "timeout", "connection")  # in the words of SQLite and of a driver without a server
FULL = ("full", "No space", "disk I/O", "readonly", "unable to open")
BUSY_STATES = ("08", "40", "53300", "55P03", "57")  # SQLSTATE: connection, rollback, too many, locked, shutting down
FULL_STATES = ("25006", "53100")  # read-only, disk full


class Database:
    """An engine and its sessions. The tables are brought up to date on opening."""

    def __init__(self, url: str) -> None:
        make_folder(url)
        self.engine = _engine(url)
        self._server = self.engine.dialect.name != "sqlite"
        self._reader, self._writer = _roles(self.engine)
        self._turn = threading.Lock()
        with translated():
            migrate(self._writer)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one state of the database and keeps nothing."""
        with translated(), Session(self._reader, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session that commits when the block ends well and rolls back otherwise.

        One writer at a time, in every process: what a use case has read still holds when it writes, and numbers that
        it takes follow the order of the commits (decision 0015). Nothing slow belongs inside.
        """
        with self._in_turn(), translated(), Session(self._writer, expire_on_commit=False) as session:
            if self._server:
                session.connection().exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}s'")
                session.connection().exec_driver_sql("SELECT number FROM revision FOR UPDATE")
            event.listen(session, "after_flush", _store_following)
            yield session
            session.flush()
            _store_following(session)
            session.commit()

    @contextmanager
    def alone(self, number: int) -> Iterator[bool]:
        """Whether nobody else, on any machine, holds this number on the same database server now; held until the end.

        An SQLite file serves one machine, where a lock on a file does it: there it is always so.
        """
        if not self._server:
            yield True
            return
        with translated(), self.engine.connect() as connection:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            mine = bool(connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({number:d})").scalar())
            try:
                yield mine
            finally:
                if mine:
                    connection.exec_driver_sql(f"SELECT pg_advisory_unlock({number:d})")

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Threads queue here for an SQLite file: its own way of waiting is to try again, which starves some."""
        if self._server:
            yield
            return
        if not self._turn.acquire(timeout=PATIENCE):
            raise StorageBusy("too many requests wait to write; try again")
        try:
            yield
        finally:
            self._turn.release()

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def add_after(session: Session, table: type[SQLModel], **values: Any) -> None:
    """Have a new row, all of its columns, stored with the next flush, after the session's own objects.

    Many are stored in one statement for each table, and after those that they refer to; there is no object for each,
    which is what takes time. Whoever needs one reads it.
    """
    session.info.setdefault(FOLLOWING, {}).setdefault(table, []).append(values)


def _store_following(session: Any, _context: object = None) -> None:
    rows: dict[type[SQLModel], list[dict[str, Any]]] = session.info.pop(FOLLOWING, {})
    for table in sorted(rows, key=_place):
        session.connection().execute(insert(table), rows[table])


@cache
def _place(table: type[SQLModel]) -> int:
    """Where a table stands when each comes after those that it refers to."""
    return [one.name for one in SQLModel.metadata.sorted_tables].index(str(table.__tablename__))


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
    """Tell a full disk, a locked or absent database and text that is none from defects."""
    try:
        yield
    except IntegrityError as error:
        raise Conflict("another request wrote the same thing at the same time; send it again") from error
    except (UnicodeEncodeError, DataError) as error:
        raise Unusable(NO_TEXT) from error
    except PoolTimeout as error:
        raise StorageBusy("too many requests wait for the database; try again") from error
    except DBAPIError as error:
        raise _in_words(error) from error


def _in_words(error: DBAPIError) -> AppError | DBAPIError:
    reason, state = str(error.orig).strip(), getattr(error.orig, "sqlstate", None) or ""
    if error.connection_invalidated or state.startswith(BUSY_STATES) or any(sign in reason for sign in BUSY):
        return StorageBusy(f"the database does not answer in time ({reason}); try again")
    if state.startswith(FULL_STATES) or any(sign in reason for sign in FULL):
        return StorageFull(f"the database cannot be written: {reason}")
    if "NUL" in reason:  # PostgreSQL's texts hold none
        return Unusable(NO_TEXT)
    if "not a database" in reason or "malformed" in reason:
        return AppError(f"the database file is damaged or something else: {reason}")
    return error


def with_driver(url: str) -> str:
    """A PostgreSQL address as it is commonly written, with the driver that Dukou brings."""
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)


def _engine(url: str) -> Engine:
    """Raises Unusable for what is no database's address, and where its driver is not installed."""
    pool = {"pool_pre_ping": True, "pool_timeout": PATIENCE, "max_overflow": CONNECTIONS - 5}
    try:
        if make_url(url).get_backend_name() != "sqlite":
            return create_engine(
                with_driver(url), connect_args={"connect_timeout": PATIENCE}, hide_parameters=True, **pool
            )
    except (ArgumentError, ImportError) as error:
        raise Unusable(f"DUKOU_DATABASE_URL: {error}") from error
    if make_url(url).database in (None, "", ":memory:"):
        pool = {}
    engine = create_engine(url, connect_args={"timeout": PATIENCE}, hide_parameters=True, **pool)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _roles(engine: Engine) -> tuple[Engine, Engine]:
    """The engine for who reads and for who writes: a reader sees one state, a writer what was committed before it."""
    if engine.dialect.name == "sqlite":
        return engine, engine.execution_options(**{WRITING: True})
    reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return reader, engine.execution_options(isolation_level="READ COMMITTED")


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """Readers do not wait for a writer (WAL); references hold; transactions begin where SQLAlchemy begins them."""
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL").close()
    connection.execute("PRAGMA foreign_keys=ON").close()


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes the lock at once: two that have read and then want to write would both fail."""
    writes = connection.get_execution_options().get(WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
