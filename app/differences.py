"""What has changed between two texts or two records, word by word."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from app.record import KEYS

TEXTS = ("title", "summary", "description", "advantages", "requirement", "partner_role")
WORD = re.compile(r"[぀-ヿ㐀-鿿豈-﫿฀-๿]\s*|[^\W぀-ヿ㐀-鿿豈-﫿฀-๿]+\s*|[^\w]\s*")
SENTENCE = re.compile(r"[^.!?。！？\n]*[.!?。！？\n]+\s*|[^.!?。！？\n]+")
MOST_WORDS = 4_000  # of one text; longer ones are compared sentence by sentence


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text: same, gone or new."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """One key of a record whose value differs; of texts also the pieces. `language`: that of a translation."""

    name: str
    before: Any
    after: Any
    pieces: tuple[Piece, ...] = ()
    language: str = ""


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """What differs between two records, in the order of a record's keys."""
    old, new = _one_name(before), _one_name(after)
    found = []
    for name in KEYS:
        if name == "translations":
            found += _translated(old.get(name) or [], new.get(name) or [])
        elif old.get(name) != new.get(name):
            found.append(_change(name, old.get(name), new.get(name)))
    return found


def _change(name: str, before: Any, after: Any, language: str = "") -> Change:
    told = pieces(before or "", after or "") if name in TEXTS else ()
    return Change(name, before, after, told, language)


def _translated(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[Change]:
    """What differs in each language, in the order in which the languages came."""
    old, new = ({one["language"]: one for one in translations} for translations in (before, after))
    return [
        _change(name, was.get(name), now.get(name), language)
        for language in dict.fromkeys([*old, *new])
        for was, now in [(old.get(language, {}), new.get(language, {}))]
        for name in ("origin", "title", "summary", "description")
        if (was.get(name) or "") != (now.get(name) or "")
    ]


def pieces(before: str, after: str) -> tuple[Piece, ...]:
    """Both texts as one: what they share, and between it what is gone and what is new."""
    old, new = WORD.findall(before), WORD.findall(after)
    if max(len(old), len(new)) > MOST_WORDS:
        old, new = SENTENCE.findall(before), SENTENCE.findall(after)
    found = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new).get_opcodes():
        if kind == "equal":
            found.append(Piece("same", "".join(old[a:b])))
            continue
        found += [Piece(name, "".join(words)) for name, words in (("gone", old[a:b]), ("new", new[c:d])) if words]
    return tuple(found)


def _one_name(record: Mapping[str, Any]) -> dict[str, Any]:
    """`text` is another name for description."""
    return {"description" if name == "text" else name: value for name, value in record.items()}
