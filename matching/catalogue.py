"""A catalogue of technologies whose export is prohibited or restricted: one JSON file, checked when it is read.

`data/catalogue/README.md` describes the form. The library ships an invented catalogue for trials; a centre keeps its
own file. A catalogue is known by the digest of its bytes, so that a decision can name what it was made against.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

from matching.errors import InvalidCatalogue

FORMAT = "dukou-catalogue-1"
ILLUSTRATIVE_CATALOGUE = Path(__file__).parent / "artefacts" / "catalogue-illustrative-1.json"
HEAD = "the head"  # what an error is about when it is about no entry
CODE = re.compile(r"[0-9]{6}[XJ]")
LANGUAGE = re.compile(r"[a-z]{2,3}")
LONGEST = 2_000  # characters of one text

Texts = Mapping[str, str]  # by ISO 639-1 code


class ControlKind(StrEnum):
    """How far an export is barred."""

    RESTRICTED = "restricted"
    PROHIBITED = "prohibited"


LETTERS = {"X": ControlKind.RESTRICTED, "J": ControlKind.PROHIBITED}


@dataclass(frozen=True, slots=True)
class ControlPoint:
    """One of an entry's control points, under its own number."""

    number: int
    text: Texts


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A technology of the catalogue; `industry_code` is a division of GB/T 4754, two digits."""

    code: str
    kind: ControlKind
    industry_code: str
    industry: Texts
    title: Texts
    points: tuple[ControlPoint, ...]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Entries in the file's order. `digest`: SHA-256 of the file, hexadecimal; `illustrative`: invented, no law."""

    name: str
    version: str
    date: date
    illustrative: bool
    languages: tuple[str, ...]
    note: str
    entries: tuple[CatalogueEntry, ...]
    digest: str


def load_catalogue(path: Path = ILLUSTRATIVE_CATALOGUE) -> Catalogue:
    """Read a catalogue's file. Raises InvalidCatalogue, naming the file, the entry and the fix."""
    try:
        body = path.read_bytes()
    except OSError as error:
        raise InvalidCatalogue(str(path), f"cannot be read: {error.strerror}") from error
    try:
        return read_catalogue(body)
    except InvalidCatalogue as error:
        raise InvalidCatalogue(f"{path}: {error.entry}", error.fix) from error


def read_catalogue(body: bytes) -> Catalogue:
    """A catalogue from its file's bytes. Raises InvalidCatalogue with the first thing that is wrong."""
    try:
        record = json.loads(body)
    except ValueError as error:  # UnicodeDecodeError is one
        raise InvalidCatalogue(HEAD, f"the file is not JSON in UTF-8 ({error}); save it anew as such") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise InvalidCatalogue(HEAD, f'the file must be an object with "format": "{FORMAT}"')
    languages = _languages(record.get("languages"))
    return Catalogue(
        name=_line(record, "name", HEAD),
        version=_line(record, "version", HEAD),
        date=_date(record.get("date")),
        illustrative=_flag(record.get("illustrative")),
        languages=languages,
        note=_line(record, "note", HEAD),
        entries=_entries(record.get("entries"), languages),
        digest=hashlib.sha256(body).hexdigest(),
    )


def _languages(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(v, str) and LANGUAGE.fullmatch(v) for v in value):
        raise InvalidCatalogue(HEAD, 'languages must list the codes of the texts\' languages, such as ["zh", "en"]')
    return tuple(dict.fromkeys(value))


def _date(value: Any) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise InvalidCatalogue(HEAD, f"date must be a day such as 2026-01-31, not {value!r:.40}") from error


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidCatalogue(HEAD, "illustrative must be true (invented, for trials) or false (in force)")
    return value


def _entries(value: Any, languages: tuple[str, ...]) -> tuple[CatalogueEntry, ...]:
    if not isinstance(value, list) or not value:
        raise InvalidCatalogue(HEAD, "entries must be a list of at least one entry")
    entries = tuple(_entry(record, position, languages) for position, record in enumerate(value, 1))
    seen: set[str] = set()
    for one in entries:
        if one.code in seen:
            raise InvalidCatalogue(f"entry {one.code}", "the code comes twice; every entry needs its own")
        seen.add(one.code)
    return entries


def _entry(record: Any, position: int, languages: tuple[str, ...]) -> CatalogueEntry:
    code = record.get("code") if isinstance(record, dict) else None
    if not isinstance(code, str) or not CODE.fullmatch(code):
        fix = "code must be six digits and X (restricted) or J (prohibited), such as 990101X"
        raise InvalidCatalogue(f"entry number {position}", f"{fix}, not {code!r:.40}")
    where, kind = f"entry {code}", LETTERS[code[-1]]
    if record.get("kind") != kind:
        raise InvalidCatalogue(where, f"its code ends in {code[-1]}, so kind must be {str(kind)!r}; mend one of them")
    industry = record.get("industry")
    if not isinstance(industry, dict) or not re.fullmatch("[0-9]{2}", str(industry.get("code"))):
        raise InvalidCatalogue(where, "industry needs a code, the two digits of a division of GB/T 4754, and names")
    return CatalogueEntry(
        code=code,
        kind=kind,
        industry_code=str(industry["code"]),
        industry=_texts(industry, languages, where, "industry"),
        title=_texts(record.get("title"), languages, where, "title"),
        points=_points(record.get("points"), languages, where),
    )


def _points(value: Any, languages: tuple[str, ...], where: str) -> tuple[ControlPoint, ...]:
    if not isinstance(value, list) or not value:
        raise InvalidCatalogue(where, "points must be a list of at least one control point")
    points: list[ControlPoint] = []
    for record in value:
        number = record.get("number") if isinstance(record, dict) else None
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise InvalidCatalogue(where, f"every control point needs a number from 1 on, not {number!r:.40}")
        if number in [one.number for one in points]:
            raise InvalidCatalogue(where, f"control point {number} comes twice; number them anew")
        points.append(ControlPoint(number, _texts(record, languages, where, f"control point {number}")))
    return tuple(points)


def _texts(value: Any, languages: tuple[str, ...], where: str, what: str) -> Texts:
    """One text in each of the catalogue's languages."""
    if not isinstance(value, dict):
        raise InvalidCatalogue(where, f"{what} must be an object with a text by language: {', '.join(languages)}")
    return {code: _line(value, code, where, f"{what}, {code}") for code in languages}


def _line(record: Mapping[str, Any], key: str, where: str, what: str | None = None) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not re.search(r"\w", value) or len(value) > LONGEST:
        raise InvalidCatalogue(where, f"{what or key} must be a text of one word to {LONGEST:,} characters")
    return value.strip()
