import json
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import event

from app.db import Database
from app.errors import AppError, StorageFull, Unusable
from app.files import read_listing_file
from app.importing import import_file
from app.queries import listings as queries
from app.settings import Settings
from tests.app.conftest import NEED, OFFER, OTHERS

BAD = [
    (b'{"id": "b1", "side": "offer", "title": "\xff"}', "line"),
    (b'{"id": "b2", "side": "of', "line"),
    (b"[1, 2]", "line"),
    (b"[" * 100_000, "line"),
    (b'{"id": "b3", "side": "seller", "title": "pump"}', "side"),
    (b'{"id": "o1", "side": "offer", "title": "again"}', "id"),
    (b'{"id": "b4", "side": "offer", "title": "", "description": " "}', "description"),
    (b'{"side": "offer", "title": "pump"}', "id"),
    (b'{"id": "\\ud800", "side": "offer", "title": "pump"}', "id"),
]


def written(path: Path) -> Path:
    """A file with good lines, every kind of bad line, an empty line and a listing of one word."""
    good = [json.dumps(record, ensure_ascii=False).encode() for record in (OFFER, NEED, *OTHERS)]
    one_word = b'{"id": "w1", "side": "need", "title": "\xe6\xb0\xb4\xe6\xb3\xb5", "colour": "red"}'
    path.write_bytes(b"\n".join([*good, *(line for line, _ in BAD), b"", one_word]) + b"\n")
    return path


def test_bad_lines_are_named_and_good_ones_read(tmp_path: Path) -> None:
    file = read_listing_file(written(tmp_path / "in.jsonl"))
    assert [listing.id for listing in file.listings] == ["o1", "n1", "o2", "o3", "n2", "w1"]
    assert [(one.line, one.field) for one in file.problems] == [(6 + i, field) for i, (_, field) in enumerate(BAD)]
    assert [(one.line, one.field) for one in file.warnings] == [(16, "colour")]


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(json.dumps(one).encode() for one in (OFFER, NEED)) + b"\r\n")
    assert len(read_listing_file(path).listings) == 2


def test_a_file_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="cannot read"):
        read_listing_file(tmp_path / "none.jsonl")


def test_an_import_again_changes_nothing(settings: Settings, tmp_path: Path) -> None:
    database = Database(settings.url)
    path = written(tmp_path / "in.jsonl")
    first, second = import_file(database, path), import_file(database, path)
    database.close()
    assert (first.new, first.changed, first.unchanged, len(first.problems)) == (6, 0, 0, len(BAD))
    assert (second.new, second.changed, second.unchanged) == (0, 0, 6)


def test_a_home_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFull):
        Database(f"sqlite:///{tmp_path}/file/dukou.db")


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "dukou.db").write_text("no database " * 1000)
    with pytest.raises(AppError, match="damaged or something else"):
        Database(f"sqlite:///{tmp_path}/dukou.db")


def test_on_a_full_disk_an_import_leaves_nothing_half_done(settings: Settings, tmp_path: Path) -> None:
    """SQLite itself says that it is full: no page more than it has may be used."""
    database = Database(settings.url)

    @event.listens_for(database.engine, "connect")
    def limit(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA max_page_count=1")

    database.engine.dispose()
    path = tmp_path / "in.jsonl"
    records = [OFFER | {"reference": f"o{i}", "description": "slurry " * 1_000} for i in range(40)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    with pytest.raises(StorageFull, match="cannot be written: database or disk is full"):
        import_file(database, path)
    with database.reading() as session:
        assert queries.published_after(session, "", 1_000) == []
    database.close()
