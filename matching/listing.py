"""A listing, an offer or a need, as the library sees it; how its text is cleaned and cut.

Missing is unknown: an absent value is None or empty and never counts for or against a pairing.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from matching.errors import InvalidListing


class Side(StrEnum):
    """Which of the two a listing is."""

    OFFER = "offer"
    NEED = "need"

    @property
    def opposite(self) -> Side:
        return Side.NEED if self is Side.OFFER else Side.OFFER


FIELDS = (
    "digital_intelligence",
    "aerospace",
    "advanced_materials",
    "clean_energy",
    "modern_agriculture",
    "food_health",
    "public_health",
    "medicine_health",
    "environment",
)
MODES = (
    "assignment",
    "exclusive_licence",
    "sole_licence",
    "ordinary_licence",
    "joint_rnd",
    "joint_venture",
    "technical_service",
    "consulting",
    "turnkey",
    "training",
)
TEXT_LIMITS = {"title": 1_000, "summary": 2_000, "description": 50_000, "advantages": 10_000, "requirement": 10_000}
LIST_LIMIT = 100
INVISIBLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
SENTENCE_END = re.compile(r"(?<=[.!?؟۔।;])\s+|(?<=[。！？；])|\s*\n+\s*")
LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
COUNTRY = re.compile(r"[A-Z]{2}")
REGION = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class Listing:
    """One offer or need. Text as its author wrote it, cleaned of what nobody sees; codes as in `docs/formats.md`."""

    id: str
    side: Side
    title: str = ""
    description: str = ""
    summary: str = ""
    language: str | None = None
    country: str | None = None
    region: str | None = None
    fields: tuple[str, ...] = ()
    trl: int | None = None
    modes: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    organisation: str | None = None
    excluded_countries: tuple[str, ...] = ()
    target_countries: tuple[str, ...] = ()
    advantages: str = ""
    requirement: str = ""

    @property
    def body(self) -> str:
        """All text behind the title."""
        parts = (self.summary, self.description, self.advantages, self.requirement, ", ".join(self.keywords))
        return "\n".join(part for part in parts if part)

    @property
    def text(self) -> str:
        """Everything that is read when the listing is matched."""
        return "\n".join(part for part in (self.title, self.body) if part)

    @property
    def text_hash(self) -> str:
        """SHA-256 of what is embedded: unchanged text keeps its vectors."""
        return hashlib.sha256("\x1f".join((self.language or "", self.title, self.body)).encode()).hexdigest()


def read_listing(record: Mapping[str, Any]) -> Listing:
    """Check one record of a file or a request and make it a Listing.

    `text` is accepted for `description`; keys that are not a listing's are ignored.
    Raises InvalidListing with the first field that is wrong.
    """
    if record.get("text") not in (None, "") and record.get("description") not in (None, ""):
        raise InvalidListing("text", "give either text or description, not both")
    listing = Listing(
        id=_identifier(record.get("id")),
        side=_side(record.get("side")),
        title=_text(record, "title"),
        description=_text(record, "description") or _text(record, "text"),
        summary=_text(record, "summary"),
        language=_language(record.get("language")),
        country=_country(record),
        region=_code(record, "region", REGION, "an ISO 3166-2 code, such as CN-51"),
        fields=_choices(record, "fields", FIELDS),
        trl=_trl(record.get("trl")),
        modes=_choices(record, "modes", MODES),
        keywords=_strings(record, "keywords"),
        organisation=_text(record, "organisation") or None,
        excluded_countries=_countries(record, "excluded_countries"),
        target_countries=_countries(record, "target_countries"),
        advantages=_text(record, "advantages"),
        requirement=_text(record, "requirement"),
    )
    if not re.search(r"\w", listing.title + listing.description):
        raise InvalidListing("description", "title and description hold no word; write at least one of them")
    return listing


def clean(text: str) -> str:
    """NFC, without control, zero-width and direction-override characters; runs of blanks become one.

    The joiners U+200C and U+200D stay: Persian, Hindi and emoji need them.
    """
    text = text.encode("utf-8", "replace").decode("utf-8")
    text = unicodedata.normalize("NFC", INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))
    return re.sub(r"\n{2,}", "\n", re.sub(r"[^\S\n]+", " ", text)).strip()


def sentences(text: str) -> list[str]:
    """Cut at sentence marks of the scripts in use and at line ends."""
    return [part.strip() for part in SENTENCE_END.split(text) if part and re.search(r"\w", part)]


def windows(text: str, count: Callable[[Sequence[str]], Iterable[int]], limit: int) -> list[str]:
    """Cut `text` into consecutive windows of whole sentences, each of at most `limit` tokens.

    A sentence longer than that (a table, Thai prose, a text without marks) is halved until it fits.
    `count` gives the token counts of many strings at once. Nothing is dropped.
    """
    pieces = _fitting(sentences(text), count, limit)
    packed: list[str] = []
    room = 0
    for piece, tokens in pieces:
        if packed and tokens <= room:
            packed[-1] = f"{packed[-1]} {piece}"
            room -= tokens
        else:
            packed.append(piece)
            room = limit - tokens
    return packed


def _fitting(parts: list[str], count: Callable[[Sequence[str]], Iterable[int]], limit: int) -> list[tuple[str, int]]:
    fitting: list[tuple[str, int]] = []
    for part, tokens in zip(parts, count(parts), strict=True):
        if tokens <= limit or len(part) < 2:
            fitting.append((part, min(tokens, limit)))
        else:
            fitting.extend(_fitting(_halves(part), count, limit))
    return fitting


def _halves(text: str) -> list[str]:
    """Split near the middle, at a blank if one is near."""
    middle = len(text) // 2
    blank = max(text.rfind(" ", middle // 2, middle + 1), text.rfind("，", middle // 2, middle) + 1)
    cut = blank if blank > 0 else middle
    return [part for part in (text[:cut].strip(), text[cut:].strip()) if part]


def _identifier(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise InvalidListing("id", "every listing needs an id, a non-empty string")
    if len(value) > 200 or not value.isprintable():
        raise InvalidListing("id", "at most 200 printable characters")
    return value


def _side(value: Any) -> Side:
    if not isinstance(value, str) or value not in tuple(Side):
        raise InvalidListing("side", f"must be 'offer' or 'need', not {value!r:.40}")
    return Side(value)


def _text(record: Mapping[str, Any], field: str) -> str:
    value = record.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidListing(field, f"must be a string, not {type(value).__name__}")
    limit = TEXT_LIMITS.get("description" if field == "text" else field, 500)
    if len(value) > limit:
        raise InvalidListing(field, f"{len(value):,} characters, at most {limit:,} are read; shorten it")
    return clean(value)


def _language(value: Any) -> str | None:
    """The primary subtag of a BCP 47 tag, in lower case."""
    if value in (None, ""):
        return None
    if not isinstance(value, str) or not LANGUAGE_TAG.fullmatch(value):
        raise InvalidListing("language", f"must be a BCP 47 tag such as zh or pt-BR, not {value!r:.40}")
    return value.split("-")[0].lower()


def _code(record: Mapping[str, Any], field: str, form: re.Pattern[str], fix: str) -> str | None:
    value = record.get(field)
    if value in (None, ""):
        return None
    if not isinstance(value, str) or not form.fullmatch(value.upper()):
        raise InvalidListing(field, f"must be {fix}, not {value!r:.40}")
    return value.upper()


def _country(record: Mapping[str, Any]) -> str | None:
    """The country; a region tells it where it is not given, and must lie in it where it is."""
    country = _code(record, "country", COUNTRY, "an ISO 3166-1 code of two letters, such as KZ")
    region = _code(record, "region", REGION, "an ISO 3166-2 code, such as CN-51")
    if region is None:
        return country
    if country is not None and not region.startswith(f"{country}-"):
        raise InvalidListing("region", f"{region} does not lie in {country}; correct the one or the other")
    return region[:2]


def _countries(record: Mapping[str, Any], field: str) -> tuple[str, ...]:
    codes = tuple(code.upper() for code in _strings(record, field))
    wrong = next((code for code in codes if not COUNTRY.fullmatch(code)), None)
    if wrong is not None:
        raise InvalidListing(field, f"must hold ISO 3166-1 codes of two letters, not {wrong!r:.40}")
    return codes


def _strings(record: Mapping[str, Any], field: str) -> tuple[str, ...]:
    value = record.get(field)
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise InvalidListing(field, "must be a list of strings")
    if len(value) > LIST_LIMIT or any(len(item) > 500 for item in value):
        raise InvalidListing(field, f"at most {LIST_LIMIT} entries of at most 500 characters")
    return tuple(text for text in (clean(item) for item in value) if text)


def _choices(record: Mapping[str, Any], field: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    chosen = _strings(record, field)
    wrong = next((item for item in chosen if item not in allowed), None)
    if wrong is not None:
        raise InvalidListing(field, f"{wrong!r:.40} is not one of {', '.join(allowed)}")
    return tuple(dict.fromkeys(chosen))


def _trl(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 9:
        raise InvalidListing("trl", f"must be a whole number from 1 to 9, not {value!r:.40}")
    return value
