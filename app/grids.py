"""The cells of a file before they are read: for people who say which column is which, and who correct what is wrong.

A grid is of text and numbers alone, so that it can be kept as JSON. A cell without a value of its own, such as a
formula, keeps what is wrong with it until somebody writes over it.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from itertools import chain, islice
from typing import Any

from app.cells import Cell, Unreadable, neutral
from app.columns import Heading, read_heading
from app.errors import FieldError, Unusable
from app.record import Record
from app.sheets import (
    COLUMNS,
    ROWS,
    TOP,
    Format,
    LineProblem,
    Rows,
    add_row,
    cut,
    decoded,
    find_headings,
    holds_anything,
    letters,
    merged_note,
    read_rows,
    separator,
)
from app.workbook import Sheet, read_sheets

ALSO = {  # what people call columns that have other names with us; a row's mere number in its file is no reference
    "供需类型": "side",
    "type": "side",
    "名称": "title",
    "项目名称": "title",
    "技术名称": "title",
    "成果名称": "title",
    "需求名称": "title",
    "name": "title",
    "headline": "title",
    "简介": "summary",
    "abstract": "summary",
    "内容": "description",
    "描述": "description",
    "详细描述": "description",
    "需求描述": "description",
    "成果简介": "description",
    "details": "description",
    "国家": "country",
    "国别": "country",
    "省份": "region",
    "地区": "region",
    "province": "region",
    "领域": "fields",
    "field": "fields",
    "关键字": "keywords",
    "成熟度": "trl",
    "阶段": "stage",
    "合作方式": "modes",
    "单位": "organisation",
    "单位名称": "organisation",
    "company": "organisation",
}
NOT_READ = "line"  # the column of what a file of JSON Lines has in place of an object


@dataclass(slots=True)
class Line:
    """A row of a file: its number from 1 and its cells, as many as there are headings."""

    number: int
    cells: list[Cell]


@dataclass(slots=True)
class Grid:
    """A file as a table; `labels` say what each column is, in headings of ours, or "" for one that is not read."""

    headings: list[str]
    labels: list[str]
    lines: list[Line] = field(default_factory=list)
    notes: list[LineProblem] = field(default_factory=list)

    def put(self, place: int, label: str, text: str) -> None:
        """Write over a cell of the line at `place`; a column that the file lacks is made."""
        if label not in self.labels:
            self.headings.append(label)
            self.labels.append(label)
            for line in self.lines:
                line.cells.append(None)
        self.lines[place].cells[self.labels.index(label)] = text or None


def read_grid(body: bytes, form: Format) -> Grid:
    """The cells of a file. Raises Unusable where the file as a whole cannot be read."""
    if form is Format.JSONL:
        grid = _of_records(body)
    elif form is Format.CSV:
        text, notes = decoded(body)
        grid = _of_sheet(Sheet(cut(text, separator(text), strict=True)))
        grid.notes[:0] = notes
    else:
        grid = _of_workbook(body)
    if not grid.lines:
        raise Unusable("the file holds no rows under its headings")
    if len(grid.lines) > ROWS:
        raise Unusable(f"the file has more than {ROWS:,} rows; split it")
    return grid


def guess(headings: Sequence[str]) -> list[str]:
    """What the headings mean, each meaning once: the first column of two that mean the same has it."""
    found: list[str] = []
    for heading in headings:
        read = read_heading(heading)
        label = canonical(read) if read is not None else ALSO.get(heading.strip().casefold(), "")
        found.append("" if label in found else label)
    return found


def canonical(heading: Heading) -> str:
    """A heading by our own key."""
    language = f"@{heading.language}" if heading.language else ""
    origin = ":machine" if heading.origin == "machine" else ""
    return f"{heading.column.key}{language}{origin}" + (f" ({heading.part})" if heading.part > 1 else "")


def relabel(grid: Grid, labels: Sequence[str]) -> None:
    """Say anew what each column is. Raises Unusable for a label that is none, or that two columns have."""
    wrong = [place for place, one in enumerate(labels) if one and (read_heading(one) is None or one in labels[:place])]
    if len(labels) != len(grid.headings) or wrong:
        raise Unusable(
            "two columns have the same meaning; choose another for one of them, or leave it out",
            [FieldError(str(place), "is another column's too") for place in wrong],
        )
    grid.labels = list(labels)


def rows_of(grid: Grid) -> Rows:
    """The records of a grid, as those of a file."""
    headings = [read_heading(label) if label else None for label in grid.labels]
    found = Rows(notes=list(grid.notes))
    for line in grid.lines:
        add_row(found, headings, line.cells, line.number)
    return found


def kept(grid: Grid) -> Iterable[str]:
    """A grid as lines of JSON, the head first."""
    notes = [[one.line, one.field, one.fix, one.column] for one in grid.notes]
    yield _json({"headings": grid.headings, "labels": grid.labels, "notes": notes})
    for line in grid.lines:
        yield _json([line.number, [{"fix": one.fix} if isinstance(one, Unreadable) else one for one in line.cells]])


def read_kept(lines: Iterable[str]) -> Grid:
    """What `kept` gave."""
    rest = iter(lines)
    head = json.loads(next(rest))
    grid = Grid(head["headings"], head["labels"], notes=[LineProblem(*one) for one in head["notes"]])
    for number, cells in map(json.loads, rest):
        grid.lines.append(Line(number, [Unreadable(one["fix"]) if isinstance(one, dict) else one for one in cells]))
    return grid


def _of_sheet(sheet: Sheet) -> Grid:
    """From the row of the headings on: the one with ours in it, or the first that holds anything."""
    top = list(islice(sheet.rows, TOP))
    place = _headings_at(top)
    names = ["" if cell is None else str(cell).strip() for cell in top[place]] if top else []
    wide = max((place for place, name in enumerate(names, 1) if name), default=0)
    if wide > COLUMNS:
        raise Unusable(f"the sheet has more than {COLUMNS} columns")
    headings = [name[:100] or letters(place) for place, name in enumerate(names[:wide])]
    grid = Grid(headings, guess(headings))
    for number, row in enumerate(chain(top, sheet.rows), 1):
        if number > place + 1 and holds_anything(row[:wide]):
            cells = [_plain(cell) for cell in row[:wide]]
            grid.lines.append(Line(number, cells + [None] * (wide - len(cells))))
            grid.notes += merged_note(sheet, number)
            if len(grid.lines) > ROWS:
                break
    return grid


def _headings_at(top: Sequence[Sequence[Cell]]) -> int:
    try:
        return find_headings(top)
    except Unusable:
        return next((place for place, row in enumerate(top) if holds_anything(row)), 0)


def _of_workbook(body: bytes) -> Grid:
    """The first sheet that holds anything under its headings."""
    for sheet in read_sheets(body, COLUMNS + 1):
        grid = _of_sheet(sheet)
        if grid.lines:
            return grid
    raise Unusable("the workbook has no sheet with rows under headings")


def _of_records(body: bytes) -> Grid:
    """Keys are headings; what only JSON can say stays JSON."""
    rows = read_rows(body.removeprefix(codecs.BOM_UTF8), Format.JSONL).rows
    headings = list(dict.fromkeys(key[:100] for row in rows for key in row.record))[:COLUMNS] or [NOT_READ]
    grid = Grid(headings, guess(headings))
    for row in rows:
        cells: list[Cell] = [_of_value(row.record, key) for key in headings]
        if row.problems:
            cells[0] = Unreadable(row.problems[0].fix)
        grid.lines.append(Line(row.line, cells))
    return grid


def _of_value(record: Record, key: str) -> Cell:
    value: Any = record.get(key)
    if isinstance(value, str):
        return neutral(value)
    return value if value is None or isinstance(value, bool | int | float) else _json(value)


def _plain(cell: Cell) -> Cell:
    """Without types that JSON lacks: a date as it is written by hand."""
    if isinstance(cell, datetime) and cell.time() == time():
        cell = cell.date()
    return cell.isoformat() if isinstance(cell, date | time) else cell


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
