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
    """One key of a record whose value differs; of texts also the pieces."""

    name: str
    before: Any
    after: Any
    pieces: tuple[Piece, ...] = ()


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """What differs between two records, in the order of a record's keys."""
    old, new = _one_name(before), _one_name(after)
    return [
        Change(
            name,
            old.get(name),
            new.get(name),
            pieces(old.get(name) or "", new.get(name) or "") if name in TEXTS else (),
        )
        for name in KEYS
        if old.get(name) != new.get(name)
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
