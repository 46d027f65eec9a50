"""A service on a real port, for tests that speak to it as its clients do."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from tests.app.conftest import World, populated

PATIENCE = 30  # seconds


@dataclass(frozen=True)
class Served:
    """A running service, by its address and from the inside."""

    address: str
    world: World


@contextmanager
def served(settings: Settings) -> Iterator[Served]:
    """A service on a free port of this machine with the accounts of `World`."""
    app = create_app(settings)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until = time.monotonic() + PATIENCE
        while not server.started:
            assert thread.is_alive()
            assert time.monotonic() < until
            time.sleep(0.02)
        app.state.loading.join()
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Served(f"http://127.0.0.1:{port}", populated(app, TestClient(app, raise_server_exceptions=False)))
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
