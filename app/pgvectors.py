"""The vector store beyond one process: PostgreSQL with pgvector, `halfvec` under HNSW.

The same interface as the store within the process (`matching.store.VectorStore`), and filters on columns beside it.
pgvector's filters run over what the graph yields: without iterative scans an answer comes short (they are off unless
asked for), in relaxed order it comes nearly sorted, and after `MAX_SCAN` vectors it ends. So what comes is scored and
sorted here, by the vectors themselves, and an answer that came short is asked for again without the graph.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from pgvector import HalfVector
from psycopg import sql
from sqlalchemy import Engine

from app.errors import AppError
from app.vector_tables import COLUMNS, TABLE, Columns, Connection, Ids, copy_into, transaction
from matching.encoder import Vectors
from matching.exact import nobody, scored
from matching.nearest import Nearest, stacked
from matching.store import Mask, check_put, check_queries

MORE = 20  # candidates beyond those that are wanted: what ties with the last, and what halves put in another order
FEW, FEW_AT_LEAST = 0.01, 1_000  # ids that a filter may leave, as a share and a number, to be looked up one by one

Where = Mapping[str, Collection[str]]  # for a column of COLUMNS the values of which a vector must have one


class PgVectors:
    """One side's vectors in PostgreSQL (`make_tables` first). `reader`: the server to search, where it is a replica."""

    def __init__(self, engine: Engine, side: str, dimension: int, reader: Engine | None = None) -> None:
        self._engine = engine
        self._reader = reader or engine
        self._side = side
        self._dimension = dimension

    @property
    def dimension(self) -> int:
        return self._dimension

    def __len__(self) -> int:
        counting = sql.SQL("SELECT count(*) FROM {} WHERE side = {}")
        with transaction(self._reader) as connection:
            found = connection.execute(counting.format(sql.Identifier(TABLE), sql.Literal(self._side))).fetchone()
        assert found is not None
        return int(found[0])

    def put(self, ids: Ids, vectors: Vectors, columns: Columns | None = None) -> None:
        """Add or replace vectors; `columns` (of COLUMNS, a value for each) are what filters ask for.

        Raises as VectorStore says.
        """
        check_put(ids, vectors, self.dimension)
        with transaction(self._engine) as connection:
            self._delete(connection, ids)
            copy_into(connection, TABLE, self._side, ids, vectors, columns)

    def remove(self, ids: Ids) -> int:
        """Take vectors out; ids that are not there are passed over. Returns how many went."""
        with transaction(self._engine) as connection:
            return self._delete(connection, ids)

    def search(self, queries: Vectors, k: int, among: Mask | None = None, where: Where | None = None) -> Nearest:
        """The k best of each query, (queries, dimension), of those that fulfil both filters.

        Raises as VectorStore says, and AppError for a column that there is not.
        """
        check_queries(queries, self.dimension)
        if not len(queries) or k < 1 or (among is not None and not among.any()):
            return nobody(len(queries), k)
        few = among is not None and among.sum() <= max(FEW_AT_LEAST, FEW * len(among))
        tests = [sql.SQL("side = {}").format(sql.Literal(self._side)), *_in_mask(among, few)]
        condition = sql.SQL(" AND ").join([*tests, *(_in_column(*one) for one in (where or {}).items())])
        with transaction(self._reader) as connection:
            return stacked([self._nearest(connection, query, k, condition, few) for query in queries], k)

    def _nearest(self, connection: Connection, query: Vectors, k: int, condition: sql.Composed, few: bool) -> Nearest:
        rows = [] if few else _select(connection, query, k + MORE, condition)
        if len(rows) < k + MORE:
            rows = _select(connection, query, k + MORE, condition, all_compared=True)
        ids = np.array([row[0] for row in rows], np.int64)
        order = np.argsort(ids)
        kept = np.array([row[1].to_numpy() for row in rows], np.float16).reshape(len(rows), self.dimension)[order]
        found = scored(query, kept, np.arange(len(ids)), k)
        known = np.append(ids[order], -1)  # where there is nothing, the position is −1: the last
        return Nearest(known[found.positions], found.scores)

    def _delete(self, connection: Connection, ids: Ids) -> int:
        deleting = sql.SQL("DELETE FROM {} WHERE side = {} AND id = ANY(%s)")
        statement = deleting.format(sql.Identifier(TABLE), sql.Literal(self._side))
        return connection.execute(statement, [ids.tolist()]).rowcount


def _select(
    connection: Connection, query: Vectors, depth: int, condition: sql.Composed, *, all_compared: bool = False
) -> list[tuple[Any, ...]]:
    """Ids and vectors, nearly in order. With `all_compared` the order is put so that no graph can answer it."""
    statement = sql.SQL("SELECT id, vector FROM {} WHERE {} ORDER BY (vector <#> {}){} LIMIT {}").format(
        sql.Identifier(TABLE),
        condition,
        sql.Literal(HalfVector(query.astype(np.float16))),
        sql.SQL(" + 0" if all_compared else ""),
        sql.Literal(depth),
    )
    with connection.cursor(binary=True) as cursor:
        return cursor.execute(statement).fetchall()


def _in_mask(among: Mask | None, few: bool) -> list[sql.Composed]:
    if among is None:
        return []
    if few:
        return [sql.SQL("id = ANY({})").format(sql.Literal(np.flatnonzero(among).tolist()))]
    bits = sql.Literal(np.packbits(among, bitorder="little").tobytes())
    known = sql.SQL("CASE WHEN id < {} THEN get_bit({}, id) = 1 ELSE false END")
    return [known.format(sql.Literal(len(among)), bits)]


def _in_column(name: str, values: Collection[str]) -> sql.Composed:
    if name not in COLUMNS:
        raise AppError(f"{name} is no column of the vectors; there are {', '.join(COLUMNS)}")
    test = sql.SQL("{} && {}::text[]" if COLUMNS[name].endswith("[]") else "{} = ANY({}::text[])")
    return test.format(sql.Identifier(name), sql.Literal(sorted(values)))
