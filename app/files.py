"""Listing files, of any form that `app.sheets` reads. Bad lines are reported, good ones go on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from app.errors import Unusable
from app.record import Record, read_record, unknown_keys
from app.sheets import Format, LineProblem, Row, Rows, format_of, read_rows
from matching import InvalidListing, Listing

__all__ = ["LineProblem", "ListingFile", "listings_in", "read_bytes", "read_listing_file", "read_listings"]


@dataclass(slots=True)
class ListingFile:
    """What a file holds: listings with the records and lines they came from, lines that cannot be read, warnings."""

    listings: list[Listing] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    problems: list[LineProblem] = field(default_factory=list)
    warnings: list[LineProblem] = field(default_factory=list)
    rows: int = 0  # that hold anything, the bad ones included


def read_listing_file(path: Path, side: str | None = None) -> ListingFile:
    """Read a file; `side` is given to records that name none. Raises Unusable when it cannot be opened.

    Of two lines with one id the later is the bad one; empty lines are passed over.
    """
    return read_listings(read_bytes(path), format_of(path.name), side=side)


def read_listings(body: bytes, form: Format, *, side: str | None = None, named: bool = True) -> ListingFile:
    """The listings of a file's content. Not `named`: a listing without a reference is read too, with a warning.

    Raises Unusable where the file as a whole cannot be read.
    """
    return listings_in(read_rows(body, form), side=side, named=named)


def listings_in(sheet: Rows, *, side: str | None = None, named: bool = True) -> ListingFile:
    """The listings of rows that have been read."""
    found = ListingFile(warnings=list(sheet.notes), rows=len(sheet.rows))
    first_line: dict[str, int] = {}
    for row in sheet.rows:
        if row.problems:
            found.problems += row.problems
            continue
        try:
            record = _record(row.record, side, named=named)
            listing = read_record(record)
            _only_once(record, listing, first_line)
        except InvalidListing as error:
            found.problems.append(_problem(row, error))
            continue
        if _reference(record) is not None:
            first_line[listing.id] = row.line
        found.listings.append(listing)
        found.records.append(record)
        found.lines.append(row.line)
        found.warnings += _warnings(row, record)
    return found


def read_bytes(path: Path) -> bytes:
    """A file's content. Raises Unusable when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unusable(f"cannot read {path}: {error.strerror}") from error


def _record(given: Record, side: str | None, *, named: bool) -> Record:
    """Without what no listing has. In a file read by the operator every listing has an id, its owner's reference."""
    record = {key: value for key, value in given.items() if key not in unknown_keys(given)}
    if named and _reference(record) is None:
        raise InvalidListing("id", "every listing needs an id, a non-empty string")
    return record if side is None or "side" in record else {**record, "side": side}


def _reference(record: Record) -> object:
    return record.get("id") if record.get("reference") is None else record["reference"]


def _only_once(record: Record, listing: Listing, first_line: dict[str, int]) -> None:
    if _reference(record) is not None and listing.id in first_line:
        raise InvalidListing("id", f"{listing.id!r} already stands in line {first_line[listing.id]}")


def _problem(row: Row, error: InvalidListing) -> LineProblem:
    """With the column that the sheet has for the field: of `budget.currency` that of `budget_currency`."""
    key = "reference" if error.field == "id" else error.field.split("[")[0]
    column = row.columns.get(key.replace(".", "_")) or row.columns.get(key.split(".")[0])
    return LineProblem(row.line, error.field, error.fix, column)


def _warnings(row: Row, record: Record) -> list[LineProblem]:
    unknown = [LineProblem(row.line, key, "no field of a listing, ignored") for key in unknown_keys(row.record)]
    if _reference(record) is None:
        fix = "is missing: sent again, this row would make another listing; give it a reference"
        return [*unknown, LineProblem(row.line, "reference", fix, row.columns.get("reference"))]
    return unknown
