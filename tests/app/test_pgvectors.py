from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import psycopg
import pytest
from sqlalchemy import Engine

from app import vector_tables
from app.errors import AppError
from app.pgvectors import PgVectors
from app.vector_tables import fill, make_tables, transaction, vector_engine
from matching.encoder import Vectors
from matching.store import LocalStore, VectorStore
from scripts.postgres import Server, following, name_in, running
from tests.matching.vector_store_contract import MANY, SIZE, VectorStoreContract, asked, draw

SIDES = ["offer", "need"]
COUNTRIES = ["KZ" if i % 50 == 0 else "CN" for i in range(MANY)]
FIELDS = [["energy", "water"] if i % 2 else ["water"] for i in range(MANY)]
IDS = np.arange(MANY)


def many() -> Vectors:
    return draw(MANY).astype(np.float32)


@contextmanager
def opened(server: Server, url: str) -> Iterator[Engine]:
    """An engine that uses the graph, though so few vectors would sooner be read through."""
    server.execute(f"ALTER DATABASE {name_in(url)} SET enable_seqscan = off")
    engine = vector_engine(url)
    yield engine
    engine.dispose()
    server.drop(url)


@pytest.fixture
def engine(postgresql: Server) -> Iterator[Engine]:
    with opened(postgresql, postgresql.make()) as made:
        yield made


@pytest.fixture(scope="module")
def filled(postgresql: Server) -> str:
    """The name of a database with many vectors, to be copied."""
    url = postgresql.make()
    made = vector_engine(url)
    make_tables(made, SIZE, SIDES, {})
    fill(made, "offer", IDS, many(), {"country": COUNTRIES, "fields": FIELDS})
    made.dispose()
    return name_in(url)


@pytest.fixture
def full_engine(postgresql: Server, filled: str) -> Iterator[Engine]:
    with opened(postgresql, postgresql.make(filled)) as made:
        yield made


class TestPgVectors(VectorStoreContract):
    @pytest.fixture
    def store(self, engine: Engine) -> VectorStore:
        make_tables(engine, SIZE, SIDES, {})
        return PgVectors(engine, "offer", SIZE)

    @pytest.fixture
    def full(self, full_engine: Engine) -> VectorStore:
        return PgVectors(full_engine, "offer", SIZE)


@pytest.fixture(scope="module")
def second(postgresql: Server) -> Iterator[Server]:  # noqa: ARG001 — skips where there can be none
    """Another server, which keeps a partition."""
    with running() as server:
        yield server


class TestPartitionElsewhere(VectorStoreContract):
    """The offers are on another server."""

    @pytest.fixture
    def apart(self, postgresql: Server, second: Server) -> Iterator[tuple[Engine, Engine]]:
        with ExitStack() as stack:
            here = stack.enter_context(opened(postgresql, postgresql.make()))
            there = stack.enter_context(opened(second, second.make()))
            make_tables(here, SIZE, SIDES, {"offer": there})
            yield here, there

    @pytest.fixture
    def store(self, apart: tuple[Engine, Engine]) -> VectorStore:
        return PgVectors(apart[0], "offer", SIZE)

    @pytest.fixture
    def full(self, apart: tuple[Engine, Engine]) -> VectorStore:
        fill(apart[1], "offer", IDS, many())
        return PgVectors(apart[0], "offer", SIZE)

    def test_the_graph_over_there_is_asked(self, apart: tuple[Engine, Engine], full: VectorStore) -> None:
        full.search(asked(5), 10)
        assert uses_of_graph(*reversed(apart)) >= 5

    def test_each_side_is_kept_by_its_own_server(self, apart: tuple[Engine, Engine], store: VectorStore) -> None:
        other = PgVectors(apart[0], "need", SIZE)
        self.filled(store, [1, 2])
        self.filled(other, [7, 8, 9])
        assert (len(store), len(other)) == (2, 3)
        assert PgVectors(apart[0], "offer", SIZE).search(asked(1), 9).positions.max() == 2
        with transaction(apart[1]) as connection:
            assert connection.execute("SELECT array_agg(id ORDER BY id) FROM dukou_vectors_offer").fetchone() == (
                [1, 2],
            )


def uses_of_graph(engine: Engine, *others: Engine) -> int:
    """How often the offers' graph was asked; statistics are told when a connection ends."""
    for one in (engine, *others):
        one.dispose()
    deadline, uses = time.monotonic() + 10, 0
    while not uses and time.monotonic() < deadline:
        with transaction(engine) as connection:
            query = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'dukou_vectors_offer_graph'"
            row = connection.execute(query).fetchone()
        assert row is not None
        uses = int(row[0])
        time.sleep(0.05)
    return uses


def test_the_graph_is_asked_with_a_wide_filter_and_without(full_engine: Engine) -> None:
    store, half = PgVectors(full_engine, "offer", SIZE), IDS % 2 == 0
    store.search(asked(3), 10)
    store.search(asked(3), 10, half)
    assert uses_of_graph(full_engine) == 6


@pytest.mark.parametrize(
    ("where", "allowed"),
    [
        ({"country": ["KZ"]}, [one == "KZ" for one in COUNTRIES]),
        ({"country": ["CN", "RU"], "fields": ["energy", "steel"]}, [(i % 50 != 0) and i % 2 == 1 for i in range(MANY)]),
        ({"country": ["FR"]}, [False] * MANY),
        ({"status": ["published"]}, [False] * MANY),
        ({"country": []}, [False] * MANY),
    ],
)
def test_filters_on_columns_leave_no_answer_short(
    full_engine: Engine, where: dict[str, list[str]], allowed: list[bool]
) -> None:
    hits = PgVectors(full_engine, "offer", SIZE).search(asked(20), 10, where=where)
    truth = LocalStore(draw(MANY)).search(asked(20), 10, np.array(allowed))
    assert ((hits.positions >= 0) == (truth.positions >= 0)).all()
    assert (
        np.mean([len({*a} & {*b}) / 10 for a, b in zip(hits.positions, truth.positions, strict=True) if a[0] >= 0] or 1)
        > 0.95
    )


def test_both_filters_hold(full_engine: Engine) -> None:
    hits = PgVectors(full_engine, "offer", SIZE).search(asked(2), 30, IDS < 500, {"country": ["KZ"]})
    assert sorted(hits.positions[0][:10]) == list(range(0, 500, 50))
    assert (hits.positions[:, 10:] == -1).all()


def test_a_filter_on_what_is_no_column_is_refused(full_engine: Engine) -> None:
    with pytest.raises(AppError, match="price is no column of the vectors; there are country, node, status, fields"):
        PgVectors(full_engine, "offer", SIZE).search(asked(1), 1, where={"price": ["1"]})


def test_filling_replaces_all_and_can_be_done_again(full_engine: Engine) -> None:
    store = PgVectors(full_engine, "offer", SIZE)
    for count in (30, 20):
        fill(full_engine, "offer", IDS[:count], many()[:count])
        assert len(store) == count
    assert (store.search(many()[:20], 1).positions[:, 0] == np.arange(20)).all()
    store.put(np.array([5]), asked(1))
    assert store.search(asked(1), 1).positions.tolist() == [[5]]


def test_a_filling_that_fails_leaves_what_was_there(full_engine: Engine) -> None:
    with pytest.raises(ValueError, match="zip"):
        fill(full_engine, "offer", IDS[:30], many()[:30], {"country": ["CN"]})
    assert len(PgVectors(full_engine, "offer", SIZE)) == MANY


def test_tables_of_another_dimension_are_refused(engine: Engine) -> None:
    make_tables(engine, SIZE, SIDES, {})
    make_tables(engine, SIZE, SIDES, {})
    with pytest.raises(AppError, match=r"dukou_vectors_offer keeps halfvec\(64\), 32 dimensions are needed: drop it"):
        make_tables(engine, 32, SIDES, {})


def test_an_old_pgvector_is_refused(postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_tables, "LEAST_VERSION", (99, 0))
    url = postgresql.make()
    with opened(postgresql, url) as engine, pytest.raises(AppError, match=r"pgvector 99\.0 or later is needed, 0\.8"):
        engine.connect()


def test_a_replica_answers_what_the_primary_was_given(second: Server) -> None:
    url = second.make()
    with opened(second, url) as primary:
        make_tables(primary, SIZE, SIDES, {})
        fill(primary, "offer", IDS, many())
        with following(second) as replica:
            reader = vector_engine(replica.url(name_in(url)))
            store = PgVectors(primary, "offer", SIZE, reader=reader)
            direct = PgVectors(primary, "offer", SIZE)
            store.put(np.array([MANY + 3]), asked(1))
            store.remove(np.array([0]))
            deadline = time.monotonic() + 10
            while len(store) != len(direct) or store.search(asked(1), 1).positions[0, 0] != MANY + 3:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert len(store) == MANY
            for among in (None, IDS % 3 == 0):
                assert (
                    store.search(asked(9), 10, among).positions == direct.search(asked(9), 10, among).positions
                ).all()
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                PgVectors(reader, "offer", SIZE).remove(np.array([1]))
            reader.dispose()
