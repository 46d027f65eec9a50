"""How the pages show a pairing: both whole texts with the passages that speak to each other marked in them, what
speaks for and against it, and what is unknown."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from app.listings import listing_of
from app.queries.pairings import Sides
from app.tables import ListingRow, OrganisationRow, PairingRow
from matching import Listing, Side
from matching.language import detect

WORD = re.compile(r"\w")
NOTICEABLE = 0.1  # log-odds below which a part is not worth a word
USUAL_THRESHOLD = 0.5  # until the models are loaded
SECTIONS = ("summary", "description", "advantages", "requirement")  # in the order in which a text is read for matching
WANTED = ("country", "fields", "trl", "stage", "ipr", "modes", "partner_types", "budget")

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a text; `number`: the evidence that it belongs to, `first`: where that begins."""

    text: str
    number: int | None = None
    first: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """One side: its listing, whose it is, and its text in pieces; `unknown` names what it does not say.

    `later`: the text has been revised since the proposal was made. `withheld`: only the title is there to be shown.
    """

    listing: Listing
    row: ListingRow
    owner: OrganisationRow
    language: str
    title: list[Piece]
    sections: list[tuple[str, list[Piece]]]
    keywords: list[Piece]
    unknown: list[str]
    later: bool
    withheld: bool

    @property
    def record(self) -> Record:
        return self.row.record


@dataclass(frozen=True, slots=True)
class Shown:
    """A pairing. `raises` and `lowers` name its parts with their log-odds, the strongest first.

    `quoted`: number and text of the evidence that a text no longer holds, and on which sides it is lost.
    """

    row: PairingRow
    offer: Told
    need: Told
    verdict: str
    raises: list[tuple[str, float]]
    lowers: list[tuple[str, float]]
    quoted: list[tuple[int, Record, list[str]]]


def shown(row: PairingRow, sides: Sides, threshold: float | None, withheld: Side | None = None) -> Shown:
    """A pairing, ready for the macros of `pairing_parts.html`. `threshold`: from which a match is good, if known.

    `withheld`: the side whose text may not be read.
    """
    languages = _languages(sides)
    offer, lost = _told(sides.offer, sides.offerer, row, Side.OFFER, languages[0], withheld)
    need, also_lost = _told(sides.need, sides.seeker, row, Side.NEED, languages[1], withheld)
    parts = sorted(((name, value) for name, value in row.parts.items() if name != "base"), key=lambda one: -abs(one[1]))
    return Shown(
        row=row,
        offer=offer,
        need=need,
        verdict=verdict(row.probability, USUAL_THRESHOLD if threshold is None else threshold),
        raises=[(name, value) for name, value in parts if value >= NOTICEABLE],
        lowers=[(name, value) for name, value in parts if value <= -NOTICEABLE],
        quoted=[
            (number, one, gone)
            for number, one in enumerate(row.evidence, 1)
            if (gone := [side for side, numbers in (("offer", lost), ("need", also_lost)) if number in numbers])
        ],
    )


def verdict(probability: float, threshold: float) -> str:
    """Words for a probability; `app.web.labels` has them in both languages."""
    if probability < threshold:
        return "possible" if probability >= threshold / 2 else "unlikely"
    return "very_likely" if probability >= max(0.8, threshold) else "likely"


def marked(texts: Sequence[str], passages: Sequence[str]) -> tuple[list[list[Piece]], list[int]]:
    """The texts in pieces, those of each passage under its number from 1 on; the numbers of passages not found.

    A passage may run on from one text into the next. Passages were cut out of cleaned text and put together anew, so
    only letters and digits are compared.
    """
    places = [(i, found.start()) for i, text in enumerate(texts) for found in WORD.finditer(text)]
    letters = "".join(texts[i][at] for i, at in places)
    taken: list[tuple[int, int, int]] = []
    lost = []
    for number, passage in enumerate(passages, 1):
        span = _find(letters, "".join(WORD.findall(passage)), taken)
        if span is None:
            lost.append(number)
        else:
            taken.append((*span, number))
    return [_cut(text, _within(i, texts, places, taken)) for i, text in enumerate(texts)], lost


def _told(
    row: ListingRow, owner: OrganisationRow, pairing: PairingRow, side: Side, language: str, withheld: Side | None
) -> tuple[Told, list[int]]:
    listing, is_withheld = listing_of(row), side is withheld
    names = [name for name in SECTIONS if getattr(listing, name) and not is_withheld]
    keywords = "" if is_withheld else ", ".join(listing.keywords)
    texts = [listing.title, *(getattr(listing, name) for name in names), keywords]
    pieces, lost = marked(texts, [str(one[side]) for one in pairing.evidence])
    told = Told(
        listing=listing,
        row=row,
        owner=owner,
        language=language,
        title=pieces[0],
        sections=list(zip(names, pieces[1:-1], strict=True)),
        keywords=pieces[-1],
        unknown=[name for name in WANTED if not (listing.fields if name == "fields" else row.record.get(name))],
        withheld=is_withheld,
        later=row.version != getattr(pairing, f"{side}_version"),
    )
    return told, lost


def _languages(sides: Sides) -> list[str]:
    listings = [listing_of(row) for row in sides.both]
    return detect([one.text for one in listings], [one.language for one in listings])


def _find(letters: str, wanted: str, taken: list[tuple[int, int, int]]) -> tuple[int, int] | None:
    """Where the letters of a passage first stand outside of what is taken."""
    at = letters.find(wanted) if wanted else -1
    while at >= 0:
        end = at + len(wanted)
        if all(end <= start or at >= stop for start, stop, _ in taken):
            return at, end
        at = letters.find(wanted, at + 1)
    return None


def _within(
    i: int, texts: Sequence[str], places: list[tuple[int, int]], taken: list[tuple[int, int, int]]
) -> Iterator[tuple[int, int, int, bool]]:
    """Start, end and number of what is marked in text `i`, in its order, and whether the passage begins there."""
    for start, stop, number in sorted(taken):
        own = [at for text, at in places[start:stop] if text == i]
        if own:
            yield _opening(texts[i], own[0]), _closing(texts[i], own[-1] + 1), number, places[start] == (i, own[0])


def _opening(text: str, at: int) -> int:
    """Where the quotation marks and brackets before a word begin."""
    while at > 0 and _opens(text[at - 1]):
        at -= 1
    return at


def _closing(text: str, at: int) -> int:
    """Where the marks, of a sentence or of a script, after a word end."""
    while at < len(text) and not text[at].isspace() and not WORD.match(text[at]) and not _opens(text[at]):
        at += 1
    return at


def _opens(character: str) -> bool:
    return unicodedata.category(character) in ("Ps", "Pi")


def _cut(text: str, spans: Iterator[tuple[int, int, int, bool]]) -> list[Piece]:
    pieces, done = [], 0
    for start, end, number, first in spans:
        pieces += [Piece(text[done:start]), Piece(text[start:end], number, first)]
        done = end
    return [piece for piece in (*pieces, Piece(text[done:])) if piece.text]
