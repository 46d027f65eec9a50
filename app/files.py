"""Listing files: JSON Lines, UTF-8, one listing a line. Bad lines are reported, good ones go on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from app.errors import Unusable
from app.record import Record, read_record, unknown_keys
from matching import InvalidListing, Listing


@dataclass(frozen=True, slots=True)
class LineProblem:
    """What is wrong in line `line` (from 1), in which field, and how to mend it."""

    line: int
    field: str
    fix: str

    def __str__(self) -> str:
        return f"{self.line}: {self.field}: {self.fix}"


@dataclass(slots=True)
class ListingFile:
    """What a file holds: listings with the records they came from, lines that cannot be read, and warnings."""

    listings: list[Listing] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    problems: list[LineProblem] = field(default_factory=list)
    warnings: list[LineProblem] = field(default_factory=list)


def read_listing_file(path: Path, side: str | None = None) -> ListingFile:
    """Read a file; `side` is given to records that name none. Raises Unusable when it cannot be opened.

    Of two lines with one id the later is the bad one; empty lines are passed over.
    """
    found = ListingFile()
    first_line: dict[str, int] = {}
    for number, line in enumerate(read_bytes(path).removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            given = _record(line, side)
            record = {key: value for key, value in given.items() if key not in unknown_keys(given)}
            listing = read_record(_named(record))
            if listing.id in first_line:
                raise InvalidListing("id", f"{listing.id!r} already stands in line {first_line[listing.id]}")
        except InvalidListing as error:
            found.problems.append(LineProblem(number, error.field, error.fix))
            continue
        first_line[listing.id] = number
        found.listings.append(listing)
        found.records.append(record)
        found.warnings += [LineProblem(number, key, "no field of a listing, ignored") for key in unknown_keys(given)]
    return found


def read_bytes(path: Path) -> bytes:
    """A file's content. Raises Unusable when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unusable(f"cannot read {path}: {error.strerror}") from error


def _named(record: Record) -> Record:
    """In a file every listing has an id, which is its owner's reference."""
    if record.get("id", record.get("reference")) is None:
        raise InvalidListing("id", "every listing needs an id, a non-empty string")
    return record


def _record(line: bytes, side: str | None) -> Record:
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidListing("line", f"is not UTF-8 at byte {error.start + 1}; save the file as UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise InvalidListing("line", f"is not JSON: {error}") from error
    if not isinstance(record, dict):
        raise InvalidListing("line", "must be a JSON object in braces")
    return record if side is None or "side" in record else {**record, "side": side}
