"""Texts of no market, to fill a small market up: what is near, and which words are rare, cannot be told from three
listings.

How crowded it is around a listing is measured among at least `FILL` texts of the other side; where the market has
fewer, these passages stand in. So the margin of a pair means the same in a market of five listings as in one of
hundreds. The words of each language's passages say which of its words are common.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from matching.encoder import Vectors
from matching.errors import ArtefactError
from matching.files import Arrays, pack, read_packed, write_atomically

FILL = 300
FILL_WORDS = 30  # fewer: other subjects than the market's make all that it shares look uncommon


@dataclass(frozen=True)
class Background:
    """Language-free unit vectors, shape (passages, dimension), float32; word lists of passages by language."""

    encoder: str
    vectors: Vectors
    words: Mapping[str, tuple[tuple[int, ...], ...]]

    def beside(self, size: int) -> Vectors:
        """The vectors that fill a side of `size` listings up to `FILL`; none where it is large enough."""
        return self.vectors[: max(0, FILL - size)]

    def words_beside(self, language: str, size: int) -> Sequence[tuple[int, ...]]:
        """The passages that fill `size` listings in a language up to `FILL_WORDS`, as far as there are any."""
        return self.words.get(language, ())[: max(0, FILL_WORDS - size)]


def nothing(encoder: str, dimension: int) -> Background:
    """For an encoder without a shipped background: markets are taken as they are."""
    return Background(encoder, np.zeros((0, dimension), np.float32), {})


def save(background: Background, path: Path) -> None:
    """Write one file, whole or not at all. Vectors are kept as float16."""
    rows = [(code, words) for code, own in sorted(background.words.items()) for words in own]
    head = {"encoder": background.encoder, "languages": [code for code, _ in rows]}
    arrays: Arrays = {
        "vectors": background.vectors.astype(np.float16),
        "lengths": np.array([len(words) for _, words in rows], np.int32),
        "words": np.array([word for _, words in rows for word in words], np.int32),
    }
    write_atomically(path, pack(head, arrays))


def load(path: Path) -> Background:
    """Read what `save` wrote. Raises ArtefactError when the file is missing, truncated or something else."""
    head, arrays = read_packed(path, "background")
    grouped: dict[str, list[tuple[int, ...]]] = {}
    try:
        texts = np.split(arrays["words"], np.cumsum(arrays["lengths"])[:-1])
        for code, words in zip(head["languages"], texts, strict=True):
            grouped.setdefault(code, []).append(tuple(words.tolist()))
        vectors = arrays["vectors"].astype(np.float32)
        return Background(head["encoder"], vectors, {code: tuple(own) for code, own in grouped.items()})
    except (KeyError, ValueError, TypeError) as error:
        raise ArtefactError(f"{path}: not a readable background: {error}") from error
