"""Listings as files, and the templates for files: what `app.sheets` reads, so that it comes back as it was.

No cell begins with what a spreadsheet could take for a formula (see `app.cells.neutral`).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

import openpyxl
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation

from app.cells import neutral, write_cells
from app.columns import CODE_NAMES, COLUMNS, Column, Kind, read_heading
from app.record import Record
from app.sheets import EXAMPLE, Format
from app.workbook import escaped

CELL = 32_767  # characters that a cell of Excel holds
PIECE = 30_000  # so many of them are used: an escaped character takes seven
CHOICES = 2_000  # rows of the template that offer the codes of a column
MEDIA = {
    Format.JSONL: "application/jsonl",
    Format.CSV: "text/csv; charset=utf-8",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
SHEETS = {"en": ("listings", "columns"), "zh": ("供需信息", "填写说明")}
NOT_IN_TEMPLATE = ("text", "budget", "translations")
EXAMPLE_ROW: dict[str, str | int | float] = {
    "reference": EXAMPLE,
    "side": "offer",
    "title": "Sample: ceramic elbows for slurry pipelines",
    "description": "Illustrative row, not read. Alumina ceramic elbows that last six times longer than cast iron.",
    "title@zh": "示例：矿浆管道陶瓷弯头",
    "fields": "advanced_materials; environment",
    "trl": 8,
    "keywords": "ceramic; slurry; wear",
    "modes": "ordinary_licence; technical_service",
    "requirements": "density >= 3.6 g/cm³; price <= 30 EUR (nice)",
    "budget_minimum": 50000,
    "budget_maximum": 200000,
    "budget_currency": "CNY",
    "country": "CN",
    "region": "CN-51",
    "disclosure": "public",
    "sample": "true",
}

Line = Sequence[str | int | float | None]


def exported(records: Iterable[Record], form: Format) -> bytes:
    """Stored records as a file."""
    if form is Format.JSONL:
        return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()
    rows = [write_cells(record) for record in records]
    if form is Format.XLSX:
        rows = [_split(row) for row in rows]
    headings = _ordered({heading for row in rows for heading in row})
    table: list[Line] = [headings]
    table += [[row.get(heading) for heading in headings] for row in rows]
    return as_csv(table) if form is Format.CSV else _xlsx(table)


def template(form: Format, language: str) -> bytes:
    """An empty file with the headings, one example row, and as a workbook with what each column takes."""
    columns = [column for column in COLUMNS if column.key not in NOT_IN_TEMPLATE]
    keys = [column.key for column in columns]
    names = [column.chinese if language == "zh" else column.english for column in columns]
    place = keys.index("title") + 1
    keys.insert(place, "title@zh")
    names.insert(place, f"{names[place - 1]}@zh")
    example: list[str | int | float | None] = [EXAMPLE_ROW.get(key) for key in keys]
    table: list[Line] = [names, example]
    return as_csv(table) if form is Format.CSV else _template_book(table, keys, language)


def _ordered(headings: set[str]) -> list[str]:
    """In the order of the columns; translations last, by language. Without any row: all columns."""
    order = {column.key: place for place, column in enumerate(COLUMNS)}

    def rank(name: str) -> tuple[str, str, int, int]:
        heading = read_heading(name)
        assert heading is not None
        return heading.language, heading.origin, order[heading.column.key], heading.part

    return sorted(headings or {column.key for column in COLUMNS}, key=rank)


def _split(row: dict[str, str | int | float]) -> dict[str, str | int | float]:
    """Texts longer than a cell go on in further columns."""
    cells: dict[str, str | int | float] = {}
    for name, value in row.items():
        if not isinstance(value, str) or len(escaped(value)) < PIECE:
            cells[name] = value
            continue
        step = PIECE if len(escaped(value)) - len(value) < CELL - PIECE - 1 else PIECE // 8
        pieces = [value[start : start + step] for start in range(0, len(value), step)]
        cells |= {name if part == 1 else f"{name} ({part})": piece for part, piece in enumerate(pieces, 1)}
    return cells


def as_csv(table: Iterable[Line]) -> bytes:
    """With a byte order mark, by which Excel knows UTF-8."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerows([neutral(cell) if isinstance(cell, str) else cell for cell in row] for row in table)
    return out.getvalue().encode("utf-8-sig", "replace")


def _xlsx(table: Iterable[Line]) -> bytes:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("listings")
    sheet.freeze_panes = "A2"
    for row in table:
        sheet.append([_cell(sheet, value) for value in row])
    return _saved(book)


def _cell(sheet: Any, value: str | int | float | None) -> Any:
    """A number as one where a spreadsheet keeps it exactly; everything else as text, never as a formula."""
    if value is None:
        return None
    if isinstance(value, int | float) and float(f"{value:.15g}") == value:
        return value
    cell = WriteOnlyCell(sheet)
    cell.value = escaped(neutral(str(value)))
    cell.data_type = "s"
    return cell


def _saved(book: Any) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _template_book(table: Sequence[Line], keys: Sequence[str], language: str) -> bytes:
    book = openpyxl.Workbook()
    sheet, about = book.active, book.create_sheet(SHEETS[language][1])
    sheet.title = SHEETS[language][0]
    for row in table:
        sheet.append([neutral(cell) if isinstance(cell, str) else cell for cell in row])
    for place, key in enumerate(keys, 1):
        sheet.cell(1, place).font = Font(bold=True)
        sheet.column_dimensions[get_column_letter(place)].width = 20
        _offer_codes(sheet, place, next((one for one in COLUMNS if one.key == key), None))
    sheet.freeze_panes = "A2"
    _explain(about)
    return _saved(book)


def _offer_codes(sheet: Any, place: int, column: Column | None) -> None:
    """A list to choose from; Excel takes one of at most 255 characters."""
    if column is None or not column.codes:
        return
    allowed = DataValidation(type="list", formula1=f'"{",".join(column.codes)}"', allow_blank=True)
    allowed.showErrorMessage = column.kind is not Kind.LIST  # several may be written by hand
    sheet.add_data_validation(allowed)
    letter = get_column_letter(place)
    allowed.add(f"{letter}2:{letter}{CHOICES}")


def _explain(sheet: Any) -> None:
    """Each column in both languages, with its codes."""
    sheet.append(["key", "English", "中文", "What it takes", "填写说明", "codes", "代码含义"])
    for column in COLUMNS:
        codes = ["; ".join(column.codes), "；".join(f"{code} {CODE_NAMES.get(code, '')}" for code in column.codes)]
        row = [column.key, column.english, column.chinese, column.about, column.about_chinese, *codes]
        sheet.append([neutral(text) for text in row])
    for letter in "ABCDEFG":
        sheet.column_dimensions[letter].width = 22 if letter in "ABC" else 60
        sheet[f"{letter}1"].font = Font(bold=True)
        for cell in sheet[letter]:
            cell.alignment = Alignment(wrap_text=True, vertical="top")
