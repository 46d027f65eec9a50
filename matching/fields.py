"""Which of the nine fields a listing speaks of: one logistic classifier a field, over meaning and over words.

Meaning is the language-free vector; words are TF-IDF (Spärck Jones, 1972; logarithmic term frequency, rows of length
1). Vectors carry the classifier to languages it has no words of; words tell disciplines apart whose texts are near in
meaning.
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


@dataclass(frozen=True, eq=False)
class Terms:
    """The words that were seen in training: `ids` ascending, int32, and their rarity, float32, both (terms,).

    Rarity 0 marks words too common to count; a word never seen has rarity `unseen`: it has no weight of its own but
    makes the others count less.
    """

    ids: NDArray[np.int32]
    rarity: Vectors
    unseen: float

    def weigh(self, words: Sequence[int]) -> tuple[NDArray[np.int64], Vectors]:
        """Positions in `ids` of one text's known words, and their TF-IDF; the whole text's vector has length 1."""
        found, counts = np.unique(np.array(words, np.int32), return_counts=True)
        places = np.minimum(np.searchsorted(self.ids, found), len(self.ids) - 1)
        known = self.ids[places] == found
        weights = (1.0 + np.log(counts)) * np.where(known, self.rarity[places], self.unseen)
        length = max(float(np.linalg.norm(weights)), 1e-9)
        return places[known], np.asarray(weights[known] / length, np.float32)


@dataclass(frozen=True, eq=False)
class FieldClassifier:
    """Weights of meaning (9, dimension) and of words (9, terms), biases (9,); float32, rows as in `FIELDS`."""

    encoder: str
    weights: Vectors
    biases: Vectors
    terms: Terms
    term_weights: Vectors

    def probabilities(self, vectors: Vectors, words: Sequence[Sequence[int]]) -> Vectors:
        """Probability of each field, shape (rows, 9). Multi-label: rows need not add up to 1."""
        if vectors.shape[1] != self.weights.shape[1]:
            raise DimensionMismatch(self.weights.shape[1], vectors.shape[1])
        logits = vectors @ self.weights.T + self.biases
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
    }
    write_atomically(path, pack(head, arrays))


def load(path: Path) -> FieldClassifier:
    """Read what `save` wrote. Raises ArtefactError for anything else."""
    head, arrays = read_packed(path, "field classifier")
    try:
        part = {name: arrays[name].astype(np.float32) for name in ("weights", "biases", "rarity", "term_weights")}
        terms = Terms(arrays["ids"], part["rarity"], float(head["unseen"]))
        encoder, fields = str(head["encoder"]), head["fields"]
    except (KeyError, ValueError, TypeError) as error:
        raise ArtefactError(f"{path}: not a readable field classifier: {error}") from error
    if fields != list(FIELDS) or len(part["weights"]) != len(FIELDS):
        raise ArtefactError(f"{path} speaks of other fields than these: {', '.join(FIELDS)}")
    if part["term_weights"].shape != (len(FIELDS), len(terms.ids)) or terms.rarity.shape != terms.ids.shape:
        raise ArtefactError(f"{path}: weights and terms disagree in number")
    return FieldClassifier(encoder, part["weights"], part["biases"], terms, part["term_weights"])
