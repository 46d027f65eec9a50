"""Listings → what is stored of them: passages, vectors, the language. Independent of any other listing.

A text is read at two resolutions: windows as long as the model reads, for context, and passages of a sentence or two,
for detail and for evidence. The raw vectors depend on the text and the encoder alone, so they are kept under the
text's hash and computed once; what depends on the rest of the corpus comes later, in `market.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from matching.encoder import Encoder, Vectors, unit
from matching.errors import ArtefactError
from matching.files import pack, unpack
from matching.language import detect
from matching.listing import Listing, windows
from matching.words import words

PASSAGE_TOKENS = 64
TEXT_VERSION = 2  # raise it when windows, passages or words are cut in another way: what is stored is then made anew


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """One listing's raw unit vectors, float32.

    `vector` (dimension,): the whole text, both resolutions in equal parts. `title_vector` (dimension,), zeros without
    a title. `passage_vectors` (passages, dimension), for evidence. `words`: the text's, as numbers (`words.py`).
    """

    language: str
    vector: Vectors
    title_vector: Vectors
    passages: tuple[str, ...]
    passage_vectors: Vectors
    words: tuple[int, ...]


def embedding_key(encoder: Encoder) -> str:
    """What stored embeddings are kept under, beside the text's hash: they hold for one encoder and one way to cut."""
    return f"{encoder.name}|{TEXT_VERSION}"


def embed(listings: Sequence[Listing], encoder: Encoder, *, progress: bool = False) -> list[Embedding]:
    """Embed listings in their order. Nothing of a long text is dropped: all windows are encoded and pooled."""

    def count(texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in encoder.tokenize(texts)]

    wholes = [windows(one.text, count, encoder.max_tokens) for one in listings]
    passages = [windows(one.text, count, min(PASSAGE_TOKENS, encoder.max_tokens)) for one in listings]
    titles = [one.title for one in listings if one.title]
    distinct = list(dict.fromkeys([text for cut in (*wholes, *passages, titles) for text in cut]))
    row = {text: number for number, text in enumerate(distinct)}
    vectors = encoder.encode(distinct, progress=progress)
    weights = np.maximum(1, np.array(count(distinct), np.float32))
    languages = detect([one.text for one in listings], [one.language for one in listings])
    counted = words([one.text for one in listings], encoder)

    def pooled(texts: Sequence[str]) -> Vectors:
        rows = [row[text] for text in texts]
        return unit(weights[rows] @ vectors[rows])

    return [
        Embedding(
            language=languages[i],
            vector=unit(pooled(wholes[i]) + pooled(passages[i])),
            title_vector=vectors[row[one.title]] if one.title else np.zeros(encoder.dimension, np.float32),
            passages=tuple(passages[i]),
            passage_vectors=vectors[[row[text] for text in passages[i]]],
            words=tuple(counted[i]),
        )
        for i, one in enumerate(listings)
    ]


def embedding_to_bytes(embedding: Embedding) -> bytes:
    """One embedding as the bytes that `embedding_from_bytes` reads."""
    vectors = np.stack([embedding.vector, embedding.title_vector, *embedding.passage_vectors])
    head = {"language": embedding.language, "passages": embedding.passages}
    return pack(head, {"vectors": vectors, "words": np.array(embedding.words, np.int32)})


def embedding_from_bytes(body: bytes) -> Embedding:
    """Read what `embedding_to_bytes` wrote. Raises ArtefactError for anything else."""
    head, arrays = unpack(body, "stored embedding")
    try:
        vectors, passages = arrays["vectors"], tuple(head["passages"])
        return Embedding(
            language=str(head["language"]),
            vector=vectors[0],
            title_vector=vectors[1],
            passages=passages,
            passage_vectors=vectors[2 : 2 + len(passages)],
            words=tuple(arrays["words"].tolist()),
        )
    except (KeyError, IndexError, TypeError) as error:
        raise ArtefactError(f"not a readable stored embedding: {error}") from error
