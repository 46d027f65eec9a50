"""XLSX workbooks: what is sent is measured before it is parsed, and read without trusting its own word for anything.

No formula is computed or taken at its cached value, no link to another file is followed, macros are not looked at.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import ParseError

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from app.cells import Cell, Unreadable
from app.errors import Unusable

ENTRIES = 1_000  # parts of a workbook
UNPACKED = 200_000_000  # bytes of all parts together
RATIO = 300  # unpacked to packed, of parts that are not small
SMALL = 5_000_000
PIECE = 1 << 16
ROWS = 1_048_576  # that a sheet can have
MERGES = 500  # rows hidden by merged cells that are told of
OLD_EXCEL = b"\xd0\xcf\x11\xe0"
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
ESCAPED = re.compile(r"_x(00[01][0-9A-Fa-f]|[Ff]{3}[EeFf]|005[Ff])_")
MERGED = re.compile(rb"<mergeCell\s+ref=\"([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})\"")
BROKEN = (
    zipfile.BadZipFile,
    InvalidFileException,
    ParseError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
)
"""What openpyxl and zipfile raise on a damaged workbook."""


@dataclass(slots=True)
class Sheet:
    """A sheet's rows from 1, and the rows in which merged cells hide what their first cell says."""

    rows: Iterator[tuple[Cell, ...]]
    merged: dict[int, str] = field(default_factory=dict)


def check_workbook(body: bytes) -> dict[str, dict[int, str]]:
    """Unpack every part once, counting, before anything parses it; the merged rows of each sheet by its part's name.

    Raises Unusable for what is no workbook, would unpack to too much, or defines XML entities.
    """
    if body.startswith(OLD_EXCEL):
        raise Unusable("the file is locked with a password or has the old .xls form; save it as .xlsx without one")
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            return _check_parts(archive)
    except BROKEN as error:
        raise _unreadable(error) from error


def read_sheets(body: bytes, columns: int) -> Iterator[Sheet]:
    """The sheets of a workbook in their order, each at most `columns` wide. Raises Unusable."""
    merged = check_workbook(body)
    try:
        book = openpyxl.load_workbook(io.BytesIO(body), read_only=True, data_only=False, keep_links=False)
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # what a sheet says about its size need not be true
            cells = sheet.iter_rows(max_row=ROWS, max_col=columns)
            yield Sheet(_rows(cells), merged.get(getattr(sheet, "_worksheet_path", ""), {}))
    except BROKEN as error:
        raise _unreadable(error) from error


def escaped(text: str) -> str:
    """As a cell holds characters that XML has no place for (ECMA-376, ST_Xstring)."""
    return CONTROL.sub(lambda found: f"_x{ord(found[0]):04X}_", text)


def unescaped(text: str) -> str:
    """What `escaped` was given."""
    return ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def _check_parts(archive: zipfile.ZipFile) -> dict[str, dict[int, str]]:
    parts = archive.infolist()
    if len(parts) > ENTRIES:
        raise Unusable(f"the workbook has {len(parts):,} parts, at most {ENTRIES:,} are read; save it again as .xlsx")
    _check_size(sum(part.file_size for part in parts))
    if "[Content_Types].xml" not in archive.namelist():
        raise Unusable("the file is a ZIP archive but no XLSX workbook; save it as .xlsx")
    merged: dict[str, dict[int, str]] = {}
    unpacked = 0
    for part in parts:
        size, rows = _unpack(archive, part, UNPACKED - unpacked)
        unpacked += size
        merged[part.filename] = rows
    return merged


def _unpack(archive: zipfile.ZipFile, part: zipfile.ZipInfo, room: int) -> tuple[int, dict[int, str]]:
    """The real size of a part and its merged rows. What its directory says about it is not believed."""
    size, tail, merged = 0, b"", dict[int, str]()
    with archive.open(part) as stream:
        while piece := stream.read(PIECE):
            size += len(piece)
            _check_size(size + UNPACKED - room)
            if size > SMALL and size > RATIO * max(part.compress_size, 1):
                raise Unusable(f"the workbook's part {part.filename!r:.80} unpacks to far more than it should")
            seen = tail + piece.replace(b"\x00", b"")
            if b"<!DOCTYPE" in seen or b"<!ENTITY" in seen:
                raise Unusable(
                    f"the workbook's part {part.filename!r:.80} defines XML entities; save it again as .xlsx"
                )
            merged |= _merged_rows(seen) if len(merged) < MERGES else {}
            tail = seen[-200:]
    return size, merged


def _unreadable(error: Exception) -> Unusable:
    return Unusable(f"the file is no XLSX workbook that can be read ({error!s:.200}); save it again as .xlsx")


def _check_size(size: int) -> None:
    if size > UNPACKED:
        raise Unusable(f"the workbook unpacks to more than {UNPACKED:,} bytes; split it")


def _merged_rows(xml: bytes) -> dict[int, str]:
    """Rows under the first one of merged cells, with the cells' names."""
    found: dict[int, str] = {}
    for left, top, right, bottom in MERGED.findall(xml)[:MERGES]:
        first, last = int(top), min(int(bottom), int(top) + 50)
        name = f"{left.decode()}{first}:{right.decode()}{int(bottom)}"
        found |= dict.fromkeys(range(first + 1, last + 1), name)
    return found


def _rows(rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[Cell, ...]]:
    """The values, row by row; a part that breaks off in the middle is found here."""
    try:
        for row in rows:
            yield tuple(_value(cell) for cell in row)
    except BROKEN as error:
        raise _unreadable(error) from error


def _value(cell: Any) -> Cell:
    value = cell.value
    if value is None:
        return None
    if cell.data_type == "f":
        return Unreadable("holds a formula; put its value in its place (paste as values)")
    if cell.data_type == "e":
        return Unreadable(f"holds the error {value!s:.20}; correct or empty it")
    if isinstance(value, str):
        return unescaped(value)
    return value if isinstance(value, bool | int | float) or hasattr(value, "isoformat") else str(value)
