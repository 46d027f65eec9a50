"""Listings → what is stored of them: windows, their vectors, the language. Independent of any other listing.

These raw vectors depend on the text and the encoder alone, so they are kept under the text's hash and computed once;
everything that depends on the rest of the corpus (the language space, neighbourhoods) comes later, in `market.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from matching.encoder import Encoder, Vectors, unit
from matching.language import detect
from matching.listing import Listing, windows

WINDOW_TOKENS = 128


@dataclass(frozen=True, slots=True)
class Embedding:
    """One listing's raw vectors, float32: `window_vectors` (windows, dimension), `title_vector` (dimension,) or zeros.

    `weights` holds the windows' token counts, by which they are pooled.
    """

    language: str
    windows: tuple[str, ...]
    weights: tuple[int, ...]
    window_vectors: Vectors
    title_vector: Vectors

    @property
    def pooled(self) -> Vectors:
        """The whole text as one unit vector: the mean of its windows, weighted by their tokens."""
        return unit(np.asarray(self.weights, np.float32) @ self.window_vectors)


def embed(listings: Sequence[Listing], encoder: Encoder, *, progress: bool = False) -> list[Embedding]:
    """Embed listings in their order. Nothing of a long text is dropped: it is cut into windows, all of them encoded."""
    limit = min(WINDOW_TOKENS, encoder.max_tokens)

    def count(texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in encoder.tokenize(texts)]

    cut = [tuple(windows(listing.text, count, limit)) or (listing.text,) for listing in listings]
    titled = [listing for listing in listings if listing.title]
    texts = [window for one in cut for window in one] + [listing.title for listing in titled]
    vectors = encoder.encode(texts, progress=progress)
    weights = count(texts)
    languages = detect([listing.text for listing in listings], [listing.language for listing in listings])
    titles = iter(vectors[len(vectors) - len(titled) :])
    embeddings = []
    start = 0
    for listing, own, language in zip(listings, cut, languages, strict=True):
        part = slice(start, start + len(own))
        title = next(titles) if listing.title else np.zeros(encoder.dimension, np.float32)
        embeddings.append(Embedding(language, own, tuple(weights[part]), vectors[part], title))
        start = part.stop
    return embeddings
