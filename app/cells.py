"""A listing's values in the cells of a sheet: readable where possible, and what is written comes back as it was.

What the readable form cannot express without loss (a keyword with a semicolon in it) is written as JSON instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from app.columns import BY_KEY, TRANSLATED, Column, Heading, Kind, code_named
from app.record import Record
from matching import InvalidListing

SEPARATORS = re.compile(r"[;；|]")
BUDGET = ("minimum", "maximum", "currency")
REQUIREMENT = re.compile(
    r"(?P<parameter>.+?)\s*(?P<operator><=|>=|==|[<>=≤≥＜＞＝])\s*(?P<value>[+-]?\d[^\s(（]*)"
    r"(?:\s+(?P<unit>.*?))?\s*(?:[(（](?P<must>nice|must|可选|必须)[)）])?",
    re.IGNORECASE | re.DOTALL,
)
OPERATORS = {"≤": "<=", "≥": ">=", "＜": "<", "＞": ">", "＝": "=", "==": "="}
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
TRUE, FALSE = ("true", "yes", "1", "是"), ("false", "no", "0", "否")
DANGEROUS = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")  # the wide ones begin formulas too, in Chinese Excel


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A cell that holds no value of its own, such as a formula."""

    fix: str


Cell = str | int | float | bool | datetime | date | time | Unreadable | None


def neutral(text: str) -> str:
    """A text that no spreadsheet takes for a formula: an apostrophe before what could begin one."""
    return f"'{text}" if DANGEROUS.match(text) else text


def as_it_was(text: str) -> str:
    """What `neutral` was given."""
    return text[1:] if text.startswith("'") and DANGEROUS.match(text) else text


def read_cells(cells: Iterable[tuple[Heading, Cell]]) -> tuple[Record, list[tuple[Heading, InvalidListing]]]:
    """The record of a row, and the cells that cannot be read."""
    record: Record = {}
    problems = []
    for heading, cell in _joined(cells):
        try:
            value = read_cell(heading.column, cell)
        except InvalidListing as error:
            problems.append((heading, error))
            continue
        if value is not None:
            _put(record, heading, value)
    return record, problems


def _joined(cells: Iterable[tuple[Heading, Cell]]) -> list[tuple[Heading, Cell]]:
    """Texts that go on in further columns in one piece again."""
    whole: dict[tuple[str, str, str], tuple[Heading, Cell]] = {}
    for heading, cell in sorted(cells, key=lambda one: one[0].part):
        meaning = (heading.column.key, heading.language, heading.origin)
        cell = as_it_was(cell) if isinstance(cell, str) else cell
        first, before = whole.get(meaning, (heading, None))
        whole[meaning] = (first, before + cell if isinstance(before, str) and isinstance(cell, str) else before or cell)
    return list(whole.values())


def read_cell(column: Column, cell: Cell) -> Any:
    """The value of a cell; None where it is empty. Raises InvalidListing."""
    if isinstance(cell, Unreadable):
        raise InvalidListing(column.key, cell.fix)
    if cell is None or cell == "" or (isinstance(cell, str) and column.kind is not Kind.TEXT and not cell.strip()):
        return None
    return _READERS[column.kind](column, cell)


def write_cells(record: Record) -> dict[str, str | int | float]:
    """A stored record as cells by heading; strings still to be made `neutral`."""
    cells: dict[str, str | int | float] = {}
    for key, value in record.items():
        if key == "budget":
            cells |= _budget_cells(value)
        elif key == "translations":
            cells |= _translation_cells(value)
        else:
            cells[key] = _faithful(BY_KEY[key], value)
    return cells


def _put(record: Record, heading: Heading, value: Any) -> None:
    """Into the record, or into the part of it that the heading names."""
    key = heading.column.key
    if heading.language:
        record = _translation(record.setdefault("translations", []), heading)
    elif key.startswith("budget_"):
        record, key = record.setdefault("budget", {}), key.removeprefix("budget_")
    record[key] = value


def _translation(translations: list[Record], heading: Heading) -> Record:
    name = {"language": heading.language, "origin": heading.origin}
    for one in translations:
        if name.items() <= one.items():
            return one
    translations.append(name)
    return name


def _string(cell: Cell) -> str:
    """A number or a date as it is written by hand: 2024 and not 2024.0."""
    if isinstance(cell, datetime) and cell.time() == time():
        cell = cell.date()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        cell = int(cell)
    return cell.isoformat() if isinstance(cell, date | time) else str(cell)


def _text(_column: Column, cell: Cell) -> str:
    return _string(cell)


def _name(column: Column, cell: Cell) -> str:
    """A reference stays as it is: it may end in a blank that somebody once wrote."""
    text = _string(cell)
    return text if column.key == "reference" else text.strip()


def _code(column: Column, cell: Cell) -> str:
    return code_named(column, _string(cell).strip())


def _list(column: Column, cell: Cell) -> list[Any]:
    text = _string(cell)
    listed = _json_list(text)
    if listed is not None:
        return listed
    parts = (part.strip() for part in SEPARATORS.split(text))
    return [code_named(column, part) if column.codes else part for part in parts if part]


def _json_list(text: str) -> list[Any] | None:
    if not text.lstrip().startswith("["):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _whole(column: Column, cell: Cell) -> int:
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    found = re.fullmatch(r"(?:TRL)?[\s-]*(\d{1,3})(\.0+)?", _string(cell).strip(), re.IGNORECASE)
    if isinstance(cell, bool) or found is None:
        raise InvalidListing(column.key, f"must be a whole number, not {_string(cell)!r:.40}")
    return int(found[1])


def _number(column: Column, cell: Cell) -> int | float:
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return cell
    return _figure(column.key, _string(cell).strip())


def _figure(key: str, text: str) -> int | float:
    if not NUMBER.fullmatch(text) or len(text) > 400:
        raise InvalidListing(key, f"must be a number such as 1500 or 4.2, not {text!r:.40}")
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def _truth(column: Column, cell: Cell) -> bool:
    text = _string(cell).strip().casefold()
    if text not in (*TRUE, *FALSE):
        raise InvalidListing(column.key, f"must be true or false, not {text!r:.40}")
    return text in TRUE


def _requirements(column: Column, cell: Cell) -> list[Any]:
    text = _string(cell)
    listed = _json_list(text)
    if listed is not None:
        return listed
    return [_requirement(column.key, part.strip()) for part in SEPARATORS.split(text) if part.strip()]


def _requirement(key: str, text: str) -> Record:
    found = REQUIREMENT.fullmatch(text) if len(text) < 1_000 else None
    if found is None:
        raise InvalidListing(key, f"{text!r:.60} is not like: density >= 4.2 g/cm³; price <= 3 EUR (nice)")
    operator, must = found["operator"], (found["must"] or "").casefold()
    requirement: Record = {
        "parameter": found["parameter"].strip(),
        "operator": OPERATORS.get(operator, operator),
        "value": _figure(key, found["value"]),
    }
    if found["unit"]:
        requirement["unit"] = found["unit"]
    return requirement | ({"must": must in ("must", "必须")} if must else {})


def _json(column: Column, cell: Cell) -> Any:
    try:
        return json.loads(_string(cell))
    except (ValueError, RecursionError) as error:
        raise InvalidListing(column.key, f"is not JSON: {error}") from error


_READERS: Mapping[Kind, Callable[[Column, Cell], Any]] = {
    Kind.TEXT: _text,
    Kind.NAME: _name,
    Kind.CODE: _code,
    Kind.LIST: _list,
    Kind.WHOLE: _whole,
    Kind.NUMBER: _number,
    Kind.TRUTH: _truth,
    Kind.REQUIREMENTS: _requirements,
    Kind.JSON: _json,
}


def _faithful(column: Column, value: Any) -> str | int | float:
    """The readable form where it comes back as it was, JSON where it would not."""
    readable = _readable(column, value)
    try:
        same = read_cell(column, readable) == value
    except InvalidListing:
        same = False
    return readable if same or not isinstance(value, list | dict) else _dumped(value)


def _readable(column: Column, value: Any) -> str | int | float:
    if isinstance(value, bool):
        return "true" if value else "false"
    if column.kind is Kind.REQUIREMENTS:
        return "; ".join(_requirement_text(one) for one in value)
    if isinstance(value, list):
        return "; ".join(value)
    return value if isinstance(value, int | float) else str(value)


def _requirement_text(requirement: Record) -> str:
    must = {True: "(must)", False: "(nice)"}.get(requirement.get("must", "unsaid"), "")
    parts = (
        requirement["parameter"],
        requirement["operator"],
        f"{requirement['value']!r}",
        requirement.get("unit"),
        must,
    )
    return " ".join(part for part in parts if part)


def _budget_cells(budget: Record) -> dict[str, str | int | float]:
    if any(budget.get(key, 0) is None for key in BUDGET):
        return {"budget": _dumped(budget)}
    return {f"budget_{key}": budget[key] for key in BUDGET if key in budget}


def _translation_cells(translations: list[Record]) -> dict[str, str | int | float]:
    """Columns for each language and origin; as JSON where they would not come back in this order."""
    names = [(one["language"], one["origin"]) for one in translations]
    texts = [[one[key] for key in TRANSLATED if key in one] for one in translations]
    if names != sorted(set(names)) or not all(all(own) and own for own in texts):
        return {"translations": _dumped(translations)}
    return {
        translated(key, one["language"], one["origin"]): one[key]
        for one in translations
        for key in TRANSLATED
        if key in one
    }


def translated(key: str, language: str, origin: str) -> str:
    """The heading of a translation's column."""
    return f"{key}@{language}" + (":machine" if origin == "machine" else "")


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
