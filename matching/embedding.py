"""Listings → what is stored of them: passages, vectors, the language. Independent of any other listing.

A text is read at two resolutions: windows as long as the model reads, for context, and passages of a sentence or two,
for detail and for evidence. The raw vectors depend on the text and the encoder alone, so they are kept under the
text's hash and computed once; what depends on the rest of the corpus comes later, in `market.py`.
"""

from __future__ import annotations

import json
import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matching.encoder import Encoder, Vectors, unit
from matching.errors import ArtefactError
from matching.language import detect
from matching.listing import Listing, windows
from matching.words import words

PASSAGE_TOKENS = 64
BRIEF = 600  # characters
TEXT_VERSION = 3  # raise it when windows, passages or words are cut in another way: what is stored is then made anew
FORMAT = b"DKE3"
LAYOUT = struct.Struct("<4sIIII")

Kept = NDArray[np.float16]  # half a vector's room; the cosine of two moves by less than 0.001


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """One listing's raw unit vectors, float16: it is what the service holds of each text in memory and on the disk.

    `vector` (dimension,): the whole text, both resolutions in equal parts. `title_vector` (dimension,), zeros without
    a title. `passage_vectors` (passages, dimension), for evidence. `words`: the text's, as numbers (`words.py`).
    """

    language: str
    vector: Kept
    title_vector: Kept
    passages: tuple[str, ...]
    passage_vectors: Kept
    words: Sequence[int]


def embedding_key(encoder: Encoder) -> str:
    """What stored embeddings are kept under, beside the text's hash: they hold for one encoder and one way to cut."""
    return f"{encoder.name}|{TEXT_VERSION}"


def embed_query(listing: Listing, encoder: Encoder) -> Embedding:
    """Embed what somebody searches with and waits for: a brief text in passages alone, which takes half the time.

    Such a vector does about as well beside those of listings as one of both resolutions (decision 0003).
    """
    return _embed([listing], encoder, in_passages=len(listing.text) <= BRIEF, progress=False)[0]


def embed(listings: Sequence[Listing], encoder: Encoder, *, progress: bool = False) -> list[Embedding]:
    """Embed listings in their order. Nothing of a long text is dropped: all windows are encoded and pooled."""
    return _embed(listings, encoder, in_passages=False, progress=progress)


def _embed(listings: Sequence[Listing], encoder: Encoder, *, in_passages: bool, progress: bool) -> list[Embedding]:

    counts: dict[str, int] = {}

    def count(texts: Sequence[str]) -> list[int]:
        new = list(dict.fromkeys(text for text in texts if text not in counts))
        counts.update(zip(new, map(len, encoder.tokenize(new)), strict=True))
        return [counts[text] for text in texts]

    passages = [windows(one.text, count, min(PASSAGE_TOKENS, encoder.max_tokens)) for one in listings]
    wholes = passages if in_passages else [windows(one.text, count, encoder.max_tokens) for one in listings]
    titles = [one.title for one in listings if one.title]
    distinct = list(dict.fromkeys([text for cut in (*wholes, *passages, titles) for text in cut]))
    row = {text: number for number, text in enumerate(distinct)}
    vectors = encoder.encode(distinct, progress=progress)
    kept = vectors.astype(np.float16)
    weights = np.maximum(1, np.array(count(distinct), np.float32))
    languages = detect([one.text for one in listings], [one.language for one in listings])
    counted = words([one.text for one in listings], encoder)

    def pooled(texts: Sequence[str]) -> Vectors:
        rows = [row[text] for text in texts]
        return unit(weights[rows] @ vectors[rows])

    return [
        Embedding(
            language=languages[i],
            vector=unit(pooled(wholes[i]) + pooled(passages[i])).astype(np.float16),
            title_vector=kept[row[one.title]] if one.title else np.zeros(encoder.dimension, np.float16),
            passages=tuple(passages[i]),
            passage_vectors=kept[[row[text] for text in passages[i]]],
            words=array("i", counted[i]),
        )
        for i, one in enumerate(listings)
    ]


def embedding_to_bytes(embedding: Embedding) -> bytes:
    """One embedding as the bytes that `embedding_from_bytes` reads.

    Little-endian: `FORMAT`, the lengths of the head and of the words, their number of vectors and the dimension; the
    head as JSON; the words as int32; the vectors as float16, the text's, the title's, the passages'.
    """
    vectors = np.stack([embedding.vector, embedding.title_vector, *embedding.passage_vectors]).astype("<f2")
    head = json.dumps([embedding.language, embedding.passages], ensure_ascii=False).encode()
    words = np.array(embedding.words, "<i4")
    return LAYOUT.pack(FORMAT, len(head), len(words), *vectors.shape) + head + words.tobytes() + vectors.tobytes()


def embedding_from_bytes(body: bytes) -> Embedding:
    """Read what `embedding_to_bytes` wrote. Raises ArtefactError for anything else."""
    try:
        kind, head_length, word_count, rows, dimension = LAYOUT.unpack_from(body)
        words_at = LAYOUT.size + head_length
        vectors_at = words_at + 4 * word_count
        if kind != FORMAT or len(body) != vectors_at + 2 * rows * dimension:
            raise ArtefactError("not a readable stored embedding: another form or truncated")
        language, passages = json.loads(body[LAYOUT.size : words_at])
        vectors = np.frombuffer(body, "<f2", rows * dimension, vectors_at).reshape(rows, dimension).copy()
        return Embedding(
            language=str(language),
            vector=vectors[0],
            title_vector=vectors[1],
            passages=tuple(passages),
            passage_vectors=vectors[2 : 2 + len(passages)],
            words=array("i", body[words_at:vectors_at]),
        )
    except (struct.error, ValueError, IndexError, TypeError) as error:
        raise ArtefactError(f"not a readable stored embedding: {error}") from error
