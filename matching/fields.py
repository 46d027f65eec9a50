"""Which of the nine fields a listing speaks of: one logistic classifier a field over language-free vectors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from matching.encoder import Vectors
from matching.errors import ArtefactError, DimensionMismatch
from matching.listing import FIELDS

ASSIGNED = 0.5  # a field is named on a listing from this probability on


@dataclass(frozen=True)
class FieldClassifier:
    """Weights (9, dimension) and biases (9,), float32, rows in the order of `FIELDS`."""

    encoder: str
    weights: Vectors
    biases: Vectors

    def probabilities(self, vectors: Vectors) -> Vectors:
        """Probability of each field, shape (rows, 9). Multi-label: rows need not add up to 1."""
        if vectors.shape[1] != self.weights.shape[1]:
            raise DimensionMismatch(self.weights.shape[1], vectors.shape[1])
        logits = vectors @ self.weights.T + self.biases
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
    """Write one small JSON file; weights as float32 rounded to six decimals."""
    body = {
        "encoder": classifier.encoder,
        "fields": list(FIELDS),
        "weights": np.round(classifier.weights.astype(float), 5).tolist(),
        "biases": np.round(classifier.biases.astype(float), 5).tolist(),
    }
    path.write_text(json.dumps(body) + "\n", "utf-8")


def load(path: Path) -> FieldClassifier:
    """Read what `save` wrote. Raises ArtefactError for anything else."""
    try:
        body = json.loads(path.read_text("utf-8"))
        weights = np.array(body["weights"], np.float32)
        biases = np.array(body["biases"], np.float32)
        encoder = str(body["encoder"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtefactError(f"{path} holds no readable field classifier: {error}") from error
    if body.get("fields") != list(FIELDS) or weights.ndim != 2 or len(weights) != len(FIELDS):
        raise ArtefactError(f"{path} speaks of other fields than these: {', '.join(FIELDS)}")
    return FieldClassifier(encoder, weights, biases)
