"""What the pages of an import show of a file's columns and rows, and what corrections make of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from app.cells import Cell, Unreadable, as_it_was, neutral
from app.columns import BY_KEY, CODE_NAMES, COLUMNS, TRANSLATED, Kind, read_heading
from app.drafts import Checked
from app.grids import Grid, canonical
from app.sheets import LineProblem
from app.web import fixes, labels
from app.web.words import Language

AT_ONCE = 20  # wrong rows on a page
LONGEST = 60_000  # characters of a cell that can be corrected on a page
TOGETHER = 240_000  # characters of all cells of a page: a form must stay below what a request may hold
LANGUAGES = ("zh", "en", "ru", "ar", "fr", "es", "de", "pt", "ja", "ko", "kk", "uz", "vi", "th", "id", "fa")


@dataclass(frozen=True, slots=True)
class WrongCell:
    """A cell to be corrected; `choices` (code, name) where only codes will do, `text` None where it is too long."""

    label: str
    name: str
    about: str
    text: str | None
    long: bool
    choices: list[tuple[str, str]]
    fixes: list[str]


@dataclass(frozen=True, slots=True)
class WrongRow:
    """A row that would be left out: what it is about, the cells that are wrong, and what is wrong as a whole."""

    line: int
    title: str
    cells: list[WrongCell]
    fixes: list[str]


def options(language: Language, present: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """What a column can be, with its name: of the listing itself, and of its translations."""
    own = [(column.key, name(language, column.key)) for column in COLUMNS]
    translated = [f"{key}@{tag}" for key in TRANSLATED for tag in LANGUAGES]
    others = [one for one in dict.fromkeys(present) if one and one not in BY_KEY and one not in translated]
    return {"own": own, "translations": [(one, name(language, one)) for one in [*others, *translated]]}


def name(language: Language, label: str) -> str:
    """What a column of ours is called."""
    heading = read_heading(label)
    if heading is None:
        return label
    column = heading.column.chinese if language.code == "zh" else heading.column.english
    tongue = f" · {labels.tongue(language, heading.language)}" if heading.language else ""
    machine = " · " + language.words.gettext("by machine") if heading.origin == "machine" else ""
    return f"{column}{tongue}{machine}" + (f" ({heading.part})" if heading.part > 1 else "")


def place(language: Language, column: str | None, field: str) -> str:
    """Where something is wrong: the column's letter and name, or the field of a listing."""
    letter, _, label = (column or "").partition(", ")
    found = name(language, label or ("reference" if field == "id" else field))
    return f"{letter} · {found}" if letter else found


def wrong_rows(language: Language, grid: Grid, checked: Checked, after: int) -> tuple[list[WrongRow], int | None]:
    """The next rows that are wrong after a number, and the number of the last where there are more."""
    places = {line.number: place for place, line in enumerate(grid.lines)}
    problems: dict[int, list[LineProblem]] = {}
    for one in checked.problems:
        problems.setdefault(one.line, []).append(one)
    numbers = [number for number in checked.wrong if number > after and number in places]
    rows: list[WrongRow] = []
    size = 0
    for number in islice(numbers, AT_ONCE):
        row = _wrong_row(language, grid, places[number], problems[number])
        size += sum(len(cell.text or "") for cell in row.cells)
        if rows and size > TOGETHER:
            break
        rows.append(row)
    return rows, rows[-1].line if rows and rows[-1].line != numbers[-1] else None


def correct(grid: Grid, cells: Mapping[str, str]) -> None:
    """Write over the cells that somebody has changed, each named by its row's number and its column."""
    places = {str(line.number): place for place, line in enumerate(grid.lines)}
    for place_and_label, text in cells.items():
        number, _, label = place_and_label.partition("-")
        heading = read_heading(label)
        place = places.get(number)
        if heading is None or place is None:
            continue
        label, text = canonical(heading), _with_line_feeds(text)
        if label not in grid.labels and label not in BY_KEY:
            continue  # no page asks for such a column
        if text != _shown(_cell(grid, place, label)):
            grid.put(place, label, neutral(text))


def _wrong_row(language: Language, grid: Grid, place: int, problems: Sequence[LineProblem]) -> WrongRow:
    cells: dict[str, list[str]] = {}
    whole: list[str] = []
    for one in problems:
        fix = fixes.said(language, one.fix)
        found = _labels(grid, one)
        for label in found:
            cells.setdefault(label, []).append(fix)
        if not found:
            whole.append(f"{one.field}: {fix}")
    row = grid.lines[place]
    return WrongRow(
        row.number,
        _shown(_cell(grid, place, "title") or next((one for one in row.cells if isinstance(one, str)), None))[:200],
        [_wrong_cell(language, label, _cell(grid, place, label), told) for label, told in cells.items()],
        whole,
    )


def _labels(grid: Grid, problem: LineProblem) -> list[str]:
    """The columns in which a problem can be mended; one that the file lacks too."""
    if problem.column:
        return [problem.column.partition(", ")[2]]
    key = "reference" if problem.field == "id" else problem.field.split("[")[0].replace(".", "_")
    if key == "translations":
        return [one for one in grid.labels if "@" in one] or [key]
    return [key] if key in BY_KEY else []


def _wrong_cell(language: Language, label: str, cell: Cell, told: list[str]) -> WrongCell:
    heading = read_heading(label)
    assert heading is not None
    column, text = heading.column, _shown(cell)
    codes = column.codes if column.kind is Kind.CODE else ()
    chinese = language.code == "zh"
    return WrongCell(
        label=label,
        name=name(language, label),
        about=column.about_chinese if chinese else column.about,
        text=text if len(text) <= LONGEST else None,
        long=column.kind is Kind.TEXT and column.key != "organisation",
        choices=[(code, CODE_NAMES.get(code, code) if chinese else code.replace("_", " ")) for code in codes],
        fixes=told,
    )


def _cell(grid: Grid, place: int, label: str) -> Cell:
    return grid.lines[place].cells[grid.labels.index(label)] if label in grid.labels else None


def _shown(cell: Cell) -> str:
    """A cell as it stands in a field of a form."""
    if cell is None or isinstance(cell, Unreadable):
        return ""
    return _with_line_feeds(as_it_was(cell)) if isinstance(cell, str) else str(cell)


def _with_line_feeds(text: str) -> str:
    """Forms are sent with other ends of lines than they were given."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
