"""Listings out of files: JSON Lines, CSV and XLSX become records, each with the row that it stands in."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain, islice
from pathlib import PurePath

from app.cells import Cell, read_cells
from app.columns import Heading, read_heading
from app.errors import Unusable
from app.record import Record
from app.workbook import Sheet, read_sheets
from matching import InvalidListing

ROWS = 20_000  # listings in a file
COLUMNS = 200
TOP = 10  # rows among which the headings are looked for
EXAMPLE = "EXAMPLE-ROW"  # the reference of a template's example row, which is not read


class Format(StrEnum):
    """The forms of a file of listings."""

    JSONL = "jsonl"
    CSV = "csv"
    XLSX = "xlsx"


@dataclass(frozen=True, slots=True)
class LineProblem:
    """What is wrong in line `line` (from 1), in which field, and how to mend it; `column` as the sheet names it."""

    line: int
    field: str
    fix: str
    column: str | None = None

    def __str__(self) -> str:
        return f"{self.line}: {self.field}: {self.fix}" + (f" (column {self.column})" if self.column else "")


@dataclass(frozen=True, slots=True)
class Row:
    """One record, or why there is none; `columns` are the sheet's names of its fields."""

    line: int
    record: Record
    problems: tuple[LineProblem, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Rows:
    """What a file holds, and what is to be said about it as a whole."""

    rows: list[Row] = field(default_factory=list)
    notes: list[LineProblem] = field(default_factory=list)


def format_of(name: str) -> Format:
    """The form that a file's name shows; JSON Lines where it shows none."""
    suffix = PurePath(name).suffix.lower()
    return {".xlsx": Format.XLSX, ".csv": Format.CSV, ".tsv": Format.CSV, ".txt": Format.CSV}.get(suffix, Format.JSONL)


def read_rows(body: bytes, form: Format) -> Rows:
    """The rows of a file. Raises Unusable where the file as a whole cannot be read."""
    if form is Format.JSONL:
        return checked(Rows(list(islice(_json_rows(body), ROWS + 1))))
    if form is Format.CSV:
        text, notes = decoded(body)
        rows = cut(text, separator(text), strict=True)
        top = list(islice(rows, TOP))
        found = _from_table(Sheet(chain(top, rows)), find_headings(top))
        return checked(Rows(found.rows, [*notes, *found.notes]))
    return checked(_from_workbook(body))


def checked(found: Rows) -> Rows:
    """Raises Unusable for more rows than a file may have."""
    if len(found.rows) > ROWS:
        raise Unusable(f"the file has more than {ROWS:,} rows; split it")
    return found


def _json_rows(body: bytes) -> Iterator[Row]:
    for number, line in enumerate(io.BytesIO(body.removeprefix(codecs.BOM_UTF8)), 1):
        if not line.strip():
            continue
        try:
            yield Row(number, _json_record(line))
        except InvalidListing as error:
            yield Row(number, {}, (LineProblem(number, error.field, error.fix),))


def _json_record(line: bytes) -> Record:
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidListing("line", f"is not UTF-8 at byte {error.start + 1}; save the file as UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise InvalidListing("line", f"is not JSON: {error}") from error
    if not isinstance(record, dict):
        raise InvalidListing("line", "must be a JSON object in braces")
    return record


def decoded(body: bytes) -> tuple[str, list[LineProblem]]:
    """A CSV's text: by its byte order mark, as UTF-8, or as GB18030, and then that is said."""
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return body.decode("utf-16", "replace"), []
    try:
        return body.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        place = error.start + 1
    try:
        text = body.decode("gb18030")
    except UnicodeDecodeError as error:
        raise Unusable(f"the file is not UTF-8 at byte {place} and not GB18030 either; save it as UTF-8") from error
    fix = "was read as GB18030; if characters look wrong, save the file as UTF-8"
    return text, [LineProblem(1, "encoding", fix)]


def separator(text: str) -> str:
    """The one that makes the most of a CSV's headings known ones."""
    tops = {mark: list(islice(cut(text, mark), TOP)) for mark in ",;\t"}
    return max(tops, key=lambda mark: max((len(known_headings(row)) for row in tops[mark]), default=0))


def cut(text: str, mark: str, *, strict: bool = False) -> Iterator[tuple[Cell, ...]]:
    """The rows of a CSV; those up to the first that cannot be cut, or `strict`: Unusable is raised there."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=strict)
    try:
        for row in reader:
            yield tuple(row)
    except csv.Error as error:
        if strict:
            fix = "look for a quotation mark too many"
            raise Unusable(
                f"the CSV file cannot be cut into cells: {error} in line {reader.line_num}; {fix}"
            ) from error


def _from_workbook(body: bytes) -> Rows:
    """The first sheet that has headings of ours."""
    for sheet in read_sheets(body, COLUMNS + 1):
        top = list(islice(sheet.rows, TOP))
        try:
            place = find_headings(top)
        except Unusable:
            continue
        return _from_table(Sheet(chain(top, sheet.rows), sheet.merged), place)
    raise Unusable(_no_headings())


def find_headings(top: Sequence[Sequence[Cell]]) -> int:
    """Which of the first rows (from 0) has the headings: the one with the most of ours. Raises Unusable."""
    known = [len(known_headings(row)) for row in top[:TOP]]
    best = max(known, default=0)
    if best < 2:
        raise Unusable(_no_headings())
    return known.index(best)


def _no_headings() -> str:
    return (
        f"no headings such as side, title, description (类型, 标题, 详细说明) in the first {TOP} rows; "
        "the template has them all"
    )


def known_headings(row: Iterable[Cell]) -> list[Heading]:
    """The headings of ours in a row."""
    return [heading for heading in (read_heading(str(cell)) for cell in row if cell is not None) if heading]


def _from_table(sheet: Sheet, place: int) -> Rows:
    found = Rows()
    headings: list[Heading | None] = []
    for number, row in enumerate(sheet.rows, 1):
        if number <= place:
            continue
        if number == place + 1:
            headings = _headings(row)
            found.notes += _unknown_headings(row, headings, number)
        elif holds_anything(row):
            if add_row(found, headings, row, number):
                found.notes += merged_note(sheet, number)
            if len(found.rows) > ROWS:
                break
    return found


def holds_anything(row: Sequence[Cell]) -> bool:
    """Whether a row is more than blanks."""
    return any(cell is not None and str(cell).strip() for cell in row)


def add_row(found: Rows, headings: Sequence[Heading | None], row: Sequence[Cell], number: int) -> bool:
    """Make a record of a row, unless it is the template's example, which is noted; whether it was."""
    one = _row(headings, row, number)
    if one.record.get("reference") == EXAMPLE:
        found.notes.append(LineProblem(number, "reference", "is the example row of the template, left out"))
        return False
    found.rows.append(one)
    return True


def merged_note(sheet: Sheet, number: int) -> list[LineProblem]:
    """A word on a row that merged cells hide."""
    if number not in sheet.merged:
        return []
    fix = f"the cells {sheet.merged[number]} are merged: only the first row has their value; unmerge them"
    return [LineProblem(number, "row", fix)]


def _headings(row: Sequence[Cell]) -> list[Heading | None]:
    """Raises Unusable for too many columns and for two of the same meaning."""
    if len(row) > COLUMNS and any(cell is not None for cell in row[COLUMNS:]):
        raise Unusable(f"the sheet has more than {COLUMNS} columns")
    headings = [None if cell is None else read_heading(str(cell)) for cell in row]
    first: dict[tuple[str, str, str, int], str] = {}
    for heading in headings:
        if heading is None:
            continue
        meaning = (heading.column.key, heading.language, heading.origin, heading.part)
        if meaning in first:
            raise Unusable(f"the columns {first[meaning]!r:.60} and {heading.label!r:.60} mean the same; take one out")
        first[meaning] = heading.label
    return headings


def _unknown_headings(row: Sequence[Cell], headings: list[Heading | None], number: int) -> list[LineProblem]:
    unknown = [
        (place, str(cell).strip())
        for place, (cell, heading) in enumerate(zip(row, headings, strict=True))
        if heading is None and cell is not None and str(cell).strip()
    ]
    fix = "no column of a listing, ignored"
    return [LineProblem(number, name[:100], fix, letters(place)) for place, name in unknown]


def _row(headings: Sequence[Heading | None], row: Sequence[Cell], number: int) -> Row:
    placed = [(place, heading) for place, heading in enumerate(headings) if heading is not None]
    cells = [(heading, row[place]) for place, heading in placed if place < len(row)]
    named = {heading.label: f"{letters(place)}, {heading.label}" for place, heading in placed}
    record, wrong = read_cells(cells)
    problems = [LineProblem(number, error.field, error.fix, named[heading.label]) for heading, error in wrong]
    columns = {heading.column.key: named[heading.label] for _, heading in reversed(placed) if not heading.language}
    return Row(number, record, tuple(problems), columns)


def letters(place: int) -> str:
    """A column's name in a spreadsheet, from 0: A, B, … Z, AA."""
    name = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        name = chr(ord("A") + rest) + name
    return name
