"""Named features of a pairing → a probability whose parts add up in log-odds.

A logistic regression (Cox, 1958) with its weights in a small JSON file beside what they were trained on. Every feature
is 0 where nothing is known, so that an unknown neither helps nor hurts; `base` carries the intercept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matching.encoder import Vectors
from matching.errors import ArtefactError

FEATURES = (
    "margin",  # similarity of the texts, relative to how crowded it is around both (CSLS), in tenths of a cosine
    "title_margin",  # the same for the titles; 0 where one has none
    "shared_words",  # BM25 in standard deviations above what texts in the need's language share; 0 in another
    "same_language",  # 1 where both are written in one language: it is no merit in itself
    "field_agreement",  # cosine of the two field profiles, minus one half
    "maturity_gap",  # TRL steps by which the offer falls short of what the need accepts
)


@dataclass(frozen=True)
class Fusion:
    """Weights, one a feature of `FEATURES`, an intercept, and the probability below which nothing is proposed."""

    weights: Mapping[str, float]
    intercept: float
    threshold: float
    trained_on: Mapping[str, Any]

    def log_odds(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-odds of pairs from their features, shape (pairs, len(FEATURES))."""
        return np.asarray(features @ np.array([self.weights[name] for name in FEATURES]) + self.intercept)

    def probabilities(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated probabilities, shape (pairs,)."""
        return np.asarray(1.0 / (1.0 + np.exp(-self.log_odds(features))))

    def parts(self, features: NDArray[np.float64]) -> dict[str, float]:
        """What each feature of one pair, shape (len(FEATURES),), adds to the log-odds; with `base` they sum to them."""
        named = {name: round(self.weights[name] * float(x), 4) for name, x in zip(FEATURES, features, strict=True)}
        return {"base": round(self.intercept, 4), **{name: part + 0.0 for name, part in named.items()}}


def csls(similarities: Vectors, around_left: Vectors, around_right: Vectors) -> Vectors:
    """Cross-domain similarity local scaling (Conneau et al., 2018): 2s − r(left) − r(right), all of one shape."""
    return np.asarray(2.0 * similarities - around_left - around_right, dtype=np.float32)


def fusion_to_bytes(fusion: Fusion) -> bytes:
    """The weights as readable JSON, which `load_fusion` reads."""
    body = {
        "intercept": fusion.intercept,
        "weights": dict(fusion.weights),
        "threshold": fusion.threshold,
        "trained_on": dict(fusion.trained_on),
    }
    return (json.dumps(body, indent=1, ensure_ascii=False) + "\n").encode()


def save_fusion(fusion: Fusion, path: Path) -> None:
    """Write the weights into a file."""
    path.write_bytes(fusion_to_bytes(fusion))


def load_fusion(path: Path) -> Fusion:
    """Read what `save_fusion` wrote. Raises ArtefactError for anything else, or for other features than these."""
    try:
        body = json.loads(path.read_text("utf-8"))
        fusion = Fusion(body["weights"], float(body["intercept"]), float(body["threshold"]), body["trained_on"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtefactError(f"{path} holds no readable fusion weights: {error}") from error
    if set(fusion.weights) != set(FEATURES):
        raise ArtefactError(f"{path} holds weights for {sorted(fusion.weights)}, not for {sorted(FEATURES)}")
    return fusion
