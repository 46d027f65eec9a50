"""Tables of vectors in PostgreSQL with pgvector: a partition for each side, here or on another server, and its graph.

They are an index: made here, filled anew when they are wanted anew, and dropped by whoever likes; no migration knows
them. A partition elsewhere is reached through `postgres_fdw`, and its server needs nothing but pgvector.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg import sql
from sqlalchemy import Engine, create_engine, event

from app.db import CONNECTIONS, PATIENCE, with_driver
from app.errors import AppError
from matching.encoder import Vectors
from matching.store import check_put

TABLE = "dukou_vectors"
LEAST_VERSION = (0, 8)  # of pgvector: iterative scans
EF_SEARCH = 200  # how many the graph keeps in sight
MAX_SCAN = 40_000  # vectors that a filtered search looks at in the graph
COLUMNS = {"country": "text", "node": "text", "status": "text", "fields": "text[]"}
SETTINGS = {"hnsw.ef_search": EF_SEARCH, "hnsw.iterative_scan": "relaxed_order", "hnsw.max_scan_tuples": MAX_SCAN}
MEMORY = "1GB"  # for building a graph: a million vectors of 384 dimensions need about as much
AT_ONCE = "1000"  # rows sent to another server together

Ids = NDArray[np.int64]
Columns = Mapping[str, Sequence[Any]]
Connection = psycopg.Connection[Any]


def vector_engine(url: str) -> Engine:
    """Connections to a server that keeps vectors, set up for searches. Raises AppError for a pgvector before 0.8."""
    engine = create_engine(with_driver(url), pool_pre_ping=True, pool_timeout=PATIENCE, max_overflow=CONNECTIONS - 5)
    event.listen(engine, "connect", _prepare)
    return engine


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """The driver's own connection, committed at the end."""
    borrowed = engine.raw_connection()
    try:
        connection = borrowed.driver_connection
        assert isinstance(connection, psycopg.Connection)
        with connection.transaction():
            yield connection
    finally:
        borrowed.close()


def make_tables(engine: Engine, dimension: int, sides: Collection[str], elsewhere: Mapping[str, Engine]) -> None:
    """The table that searches ask, and a partition for each side: here, or on the server that `elsewhere` names.

    What is there stays. Raises AppError where that is of another dimension.
    """
    for side in sides:
        with transaction(elsewhere.get(side, engine)) as connection:
            _one_at_a_time(connection)
            _make_partition(connection, side, dimension, _name(side))
            connection.execute(_graph(_name(side)))
    with transaction(engine) as connection:
        _one_at_a_time(connection)
        connection.execute(
            sql.SQL(
                "CREATE TABLE IF NOT EXISTS {} (side text NOT NULL, id bigint NOT NULL, vector halfvec({}) NOT NULL, "
                "{}) PARTITION BY LIST (side)"
            ).format(sql.Identifier(TABLE), sql.Literal(dimension), _columns())
        )
        for side in sides:
            if not _attached(connection, side):
                _attach(connection, side, elsewhere.get(side))


def fill(engine: Engine, side: str, ids: Ids, vectors: Vectors, columns: Columns | None = None) -> None:
    """Put vectors in the place of all that a side has, on the server that keeps them.

    Built aside with a graph made at once, which takes less time than row by row; then exchanged, so that a search
    finds the old ones or the new ones. Raises as `matching.store.VectorStore` says.
    """
    check_put(ids, vectors, vectors.shape[1])
    table, aside = sql.Identifier(_name(side)), _name(side, "next")
    with transaction(engine) as connection:
        _one_at_a_time(connection)
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(aside)))
        _make_partition(connection, side, vectors.shape[1], aside)
        copy_into(connection, aside, side, ids, vectors, columns)
        connection.execute(sql.SQL("SET LOCAL maintenance_work_mem = {}").format(sql.Literal(MEMORY)))
        connection.execute(_graph(aside))
        connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(aside)))
        part = _attached(connection, side)
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
        connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(sql.Identifier(aside), table))
        for kind in ("pkey", "graph"):
            old, new = sql.Identifier(f"{aside}_{kind}"), sql.Identifier(f"{_name(side)}_{kind}")
            connection.execute(sql.SQL("ALTER INDEX {} RENAME TO {}").format(old, new))
        if part:
            _attach(connection, side, None)


def copy_into(
    connection: Connection, table: str, side: str, ids: Ids, vectors: Vectors, columns: Columns | None
) -> None:
    """Add rows; vectors become float16. Raises ValueError where a column is of another length."""
    about = [(columns or {}).get(name, [None] * len(ids)) for name in COLUMNS]
    names = sql.SQL(", ").join(map(sql.Identifier, ("side", "id", "vector", *COLUMNS)))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(sql.Identifier(table), names)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(["text", "int8", "halfvec", *COLUMNS.values()])
        for row in zip(ids.tolist(), vectors.astype(np.float16), *about, strict=True):
            copy.write_row((side, row[0], HalfVector(row[1]), *row[2:]))


def _prepare(connection: Connection, _record: Any) -> None:
    if connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,):
        _one_at_a_time(connection)
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    row = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
    if row is None or tuple(map(int, str(row[0]).split(".")[:2])) < LEAST_VERSION:
        least, there = ".".join(map(str, LEAST_VERSION)), row[0] if row else "none"
        raise AppError(f"pgvector {least} or later is needed, {there} is installed: ALTER EXTENSION vector UPDATE")
    for name, value in SETTINGS.items():
        connection.execute("SELECT set_config(%s, %s, false)", [name, str(value)])
    register_vector(connection)
    connection.commit()


def _one_at_a_time(connection: Connection) -> None:
    """IF NOT EXISTS does not help two that begin together."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [TABLE])


def _make_partition(connection: Connection, side: str, dimension: int, table: str) -> None:
    connection.execute(
        sql.SQL(
            "CREATE TABLE IF NOT EXISTS {} (side text NOT NULL CHECK (side = {}), id bigint PRIMARY KEY, "
            "vector halfvec({}) NOT NULL, {})"
        ).format(sql.Identifier(table), sql.Literal(side), sql.Literal(dimension), _columns())
    )
    kind = (
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'vector'"
    )
    row = connection.execute(kind, [table]).fetchone()
    if row != (f"halfvec({dimension})",):
        raise AppError(f"{table} keeps {row and row[0]}, {dimension} dimensions are needed: drop it, it is made anew")


def _columns() -> sql.Composed:
    return sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(n), sql.SQL(t)) for n, t in COLUMNS.items())


def _attached(connection: Connection, side: str) -> bool:
    statement = "SELECT 1 FROM pg_inherits WHERE inhrelid = to_regclass(%s) AND inhparent = to_regclass(%s)"
    return connection.execute(statement, [_name(side), TABLE]).fetchone() is not None


def _attach(connection: Connection, side: str, elsewhere: Engine | None) -> None:
    parent, table, value = sql.Identifier(TABLE), sql.Identifier(_name(side)), sql.Literal(side)
    if elsewhere is None:
        attaching = sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES IN ({})")
        connection.execute(attaching.format(parent, table, value))
        return
    server = sql.Identifier(_name(side, "server"))
    _make_server(connection, server, elsewhere)
    foreign = sql.SQL("CREATE FOREIGN TABLE {} PARTITION OF {} FOR VALUES IN ({}) SERVER {} OPTIONS (batch_size {})")
    connection.execute(foreign.format(table, parent, value, server, sql.Literal(AT_ONCE)))


def _make_server(connection: Connection, name: sql.Identifier, elsewhere: Engine) -> None:
    """How this server reaches the other one; searches there are set up as they are here.

    With the other's own estimates the order is left to its graph; without them all its vectors would be fetched.
    """
    url = elsewhere.url
    settings = " ".join(f"-c {setting}={value}" for setting, value in SETTINGS.items())
    host = url.host or url.query.get("host")
    reached = {"host": host, "port": url.port, "dbname": url.database, "options": settings}
    reached |= {"extensions": "vector", "use_remote_estimate": "true"}
    who = _options({"user": url.username, "password": url.password})
    connection.execute("CREATE EXTENSION IF NOT EXISTS postgres_fdw")
    connection.execute(
        sql.SQL("CREATE SERVER {} FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({})").format(name, _options(reached))
    )
    connection.execute(sql.SQL("CREATE USER MAPPING FOR CURRENT_USER SERVER {} OPTIONS ({})").format(name, who))


def _options(values: Mapping[str, Any]) -> sql.Composed:
    given = [(name, str(value)) for name, value in values.items() if value is not None]
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.Literal(value)) for name, value in given
    )


def _name(side: str, suffix: str = "") -> str:
    return "_".join(filter(None, (TABLE, side, suffix)))


def _graph(table: str) -> sql.Composed:
    name = sql.Identifier(f"{table}_graph")
    statement = sql.SQL("CREATE INDEX IF NOT EXISTS {} ON {} USING hnsw (vector halfvec_ip_ops)")
    return statement.format(name, sql.Identifier(table))
