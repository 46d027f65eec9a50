"""Where DBOS keeps its workflows."""

from __future__ import annotations

import sqlite3
from typing import Any

from app.db import make_folder
from app.settings import Settings


def config_of(settings: Settings, executor: str, version: str) -> Any:
    """DBOS's configuration: its tables are in the schema `dbos` of the PostgreSQL database, or in a file beside the
    SQLite one. `executor` is who goes on with what it left when it was killed; `version` that of the workflows."""
    url = settings.url
    if url.startswith("sqlite"):
        path = settings.home / "workflows.db"
        url = f"sqlite:///{path}"
        make_folder(url)
        with sqlite3.connect(path, timeout=30) as connection:
            connection.execute("PRAGMA journal_mode=WAL").close()
        connection.close()
    return {
        "name": "dukou",
        "system_database_url": url,
        "application_version": version,
        "executor_id": executor,
        "log_level": "WARNING",
    }
