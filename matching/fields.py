"""Which of the nine fields a listing speaks of: one logistic classifier a field, over meaning, words and examples.

Meaning is the language-free vector; words are TF-IDF (Spärck Jones, 1972; logarithmic term frequency, rows of length
1); examples are the fields of the nearest training texts (k nearest neighbours, weighted). Vectors carry the classifier
to languages it has no words of; words tell disciplines apart whose texts are near in meaning; examples know the small
sub-areas that no straight line cuts off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matching.encoder import Vectors
from matching.errors import ArtefactError, DimensionMismatch
from matching.files import Arrays, pack, read_packed, write_atomically
from matching.listing import FIELDS
from matching.neighbours import BLOCK, best
from matching.ragged import Words

NEAREST = 20
SHARPNESS = 0.05  # of a cosine, by which an example counts e times less
FLOATS = (
    "weights",
    "biases",
    "rarity",
    "term_weights",
    "example_vectors",
    "example_fields",
    "example_weights",
)


@dataclass(frozen=True, eq=False)
class Terms:
    """The words that were seen in training: `ids` ascending, int32, and their rarity, float32, both (terms,).

    Rarity 0 marks words too common to count; a word never seen has rarity `unseen`: it has no weight of its own but
    makes the others count less.
    """

    ids: NDArray[np.int32]
    rarity: Vectors
    unseen: float

    def weigh(self, words: Words) -> tuple[NDArray[np.int64], Vectors]:
        """Positions in `ids` of one text's known words, and their TF-IDF; the whole text's vector has length 1."""
        found, counts = np.unique(np.array(words, np.int32), return_counts=True)
        places = np.minimum(np.searchsorted(self.ids, found), len(self.ids) - 1)
        known = self.ids[places] == found
        weights = (1.0 + np.log(counts)) * np.where(known, self.rarity[places], self.unseen)
        length = max(float(np.linalg.norm(weights)), 1e-9)
        return places[known], np.asarray(weights[known] / length, np.float32)


@dataclass(frozen=True, eq=False)
class Examples:
    """Training texts: language-free unit vectors (texts, dimension) and their fields (texts, 9), 0 or 1; float32."""

    vectors: Vectors
    fields: Vectors

    def near(self, vectors: Vectors, barred: NDArray[np.bool_] | None = None) -> Vectors:
        """Shares of the fields among the `NEAREST` examples of each vector, nearer ones counting more; shape (rows, 9).

        `barred`, shape (rows, texts), marks examples that must not count for a row, such as itself in training.
        """
        shares = np.zeros((len(vectors), self.fields.shape[1]), np.float32)
        for start in range(0, len(vectors), BLOCK):
            block = slice(start, start + BLOCK)
            scores = vectors[block] @ self.vectors.T
            if barred is not None:
                scores[barred[block]] = -1.0
            nearest = best(scores, NEAREST)
            weights = np.exp(nearest.scores / SHARPNESS)
            total = (weights[:, :, None] * self.fields[nearest.positions]).sum(axis=1)
            shares[block] = total / weights.sum(axis=1, keepdims=True)
        return shares


@dataclass(frozen=True, eq=False)
class FieldClassifier:
    """Weights of meaning (9, dimension), of words (9, terms) and of examples' fields (9, 9), biases (9,).

    All float32, rows as in `FIELDS`.
    """

    encoder: str
    weights: Vectors
    biases: Vectors
    terms: Terms
    term_weights: Vectors
    examples: Examples
    example_weights: Vectors

    def probabilities(self, vectors: Vectors, words: Sequence[Words]) -> Vectors:
        """Probability of each field, shape (rows, 9). Multi-label: rows need not add up to 1."""
        if vectors.shape[1] != self.weights.shape[1]:
            raise DimensionMismatch(self.weights.shape[1], vectors.shape[1])
        logits = vectors @ self.weights.T + self.biases + self.examples.near(vectors) @ self.example_weights.T
        for row, own in enumerate(words):
            places, values = self.terms.weigh(own)
            logits[row] += self.term_weights[:, places] @ values
        return np.asarray(1.0 / (1.0 + np.exp(-logits)), dtype=np.float32)


def with_stated(probabilities: Vectors, stated: list[tuple[str, ...]]) -> Vectors:
    """Where a listing states its fields they hold: 1 for those stated, 0 for the others."""
    result = probabilities.copy()
    for row, names in enumerate(stated):
        if names:
            result[row] = [float(name in names) for name in FIELDS]
    return result


def agreement(offer: Vectors, need: Vectors) -> NDArray[np.float64]:
    """Cosine of the two field profiles, rows paired; 0 where one of them is empty."""
    norms = np.linalg.norm(offer, axis=1) * np.linalg.norm(need, axis=1)
    return np.asarray((offer * need).sum(axis=1) / np.maximum(norms, 1e-9), dtype=np.float64)


def save(classifier: FieldClassifier, path: Path) -> None:
    """Write one file, whole or not at all. Weights are kept as float16."""
    head = {"encoder": classifier.encoder, "fields": list(FIELDS), "unseen": classifier.terms.unseen}
    arrays: Arrays = {
        "weights": classifier.weights.astype(np.float16),
        "biases": classifier.biases,
        "ids": classifier.terms.ids,
        "rarity": classifier.terms.rarity.astype(np.float16),
        "term_weights": classifier.term_weights.astype(np.float16),
        "example_vectors": classifier.examples.vectors.astype(np.float16),
        "example_fields": classifier.examples.fields.astype(np.bool_),
        "example_weights": classifier.example_weights.astype(np.float16),
    }
    write_atomically(path, pack(head, arrays))


def load(path: Path) -> FieldClassifier:
    """Read what `save` wrote. Raises ArtefactError for anything else."""
    head, arrays = read_packed(path, "field classifier")
    try:
        part = {name: arrays[name].astype(np.float32) for name in FLOATS}
        terms = Terms(arrays["ids"], part["rarity"], float(head["unseen"]))
        encoder, fields = str(head["encoder"]), head["fields"]
    except (KeyError, ValueError, TypeError) as error:
        raise ArtefactError(f"{path}: not a readable field classifier: {error}") from error
    if fields != list(FIELDS) or len(part["weights"]) != len(FIELDS):
        raise ArtefactError(f"{path} speaks of other fields than these: {', '.join(FIELDS)}")
    if part["term_weights"].shape != (len(FIELDS), len(terms.ids)) or terms.rarity.shape != terms.ids.shape:
        raise ArtefactError(f"{path}: weights and terms disagree in number")
    examples = Examples(part["example_vectors"], part["example_fields"])
    if part["example_weights"].shape != (len(FIELDS), len(FIELDS)) or len(examples.vectors) != len(examples.fields):
        raise ArtefactError(f"{path}: weights and examples disagree in number")
    return FieldClassifier(
        encoder, part["weights"], part["biases"], terms, part["term_weights"], examples, part["example_weights"]
    )
