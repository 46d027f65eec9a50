"""The fusion learns from decisions: refitted with the shipped weights as a prior, measured on what it has not seen.

The penalised likelihood is that of a logistic regression whose weights have a Gaussian prior around the shipped ones
(maximum a posteriori; Bishop, 2006, 4.5): few decisions move it little, many move it as far as they agree. Weights keep
their sense (decision 0007).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from matching.evaluation import brier, calibration_error, ndcg
from matching.listing import Side
from matching.market import Market, features_of
from matching.scoring import FEATURES, Fusion

PULL = 100.0  # how strongly weights are held where they were shipped: twenty contrary decisions do not upset them
SENSE: dict[str, tuple[float | None, float | None]] = {"same_language": (None, None), "maturity_gap": (None, 0.0)}
CERTAIN = 1e-6  # no probability counts as nearer to 0 or 1 than that

Features = NDArray[np.float64]
Outcomes = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scores:
    """How good probabilities are on judged pairs. Less is better, but for nDCG of each need's judged offers."""

    log_loss: float
    brier: float
    ece: float
    ndcg_at_10: float


def pair_features(market: Market, pairs: Sequence[tuple[str, str]]) -> Features:
    """Features of (offer, need) pairs whose listings stand in the market, shape (pairs, features)."""
    offers, needs = market.stands[Side.OFFER], market.stands[Side.NEED]
    o, n = offers.find([offer for offer, _ in pairs]), needs.find([need for _, need in pairs])
    shared = np.zeros(len(pairs), np.float32)
    for one in np.unique(n):
        own = n == one
        shared[own] = market.lexical[Side.OFFER].shared(needs.words[one], str(needs.languages[one])).at(o[own])
    around, titled = market.around, market.title_around
    ours = (offers, o, around[Side.OFFER], titled[Side.OFFER])
    return features_of(ours, (needs, n, around[Side.NEED], titled[Side.NEED]), shared)


def refit(features: Features, outcomes: Outcomes, prior: Fusion, learned_from: Mapping[str, Any]) -> Fusion:
    """The fusion that decisions and the shipped weights together make likeliest; its threshold stays."""
    design = np.column_stack([features, np.ones(len(features))])
    start = np.array([*(prior.weights[name] for name in FEATURES), prior.intercept])

    def loss(at: Features) -> tuple[float, Features]:
        logits, moved = design @ at, at - start
        likelihood = np.logaddexp(0.0, logits).sum() - logits[outcomes].sum()
        errors = 1.0 / (1.0 + np.exp(-logits)) - outcomes
        return float(likelihood + PULL / 2 * moved @ moved), design.T @ errors + PULL * moved

    bounds = [*(SENSE.get(name, (0.0, None)) for name in FEATURES), (None, None)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    weights = {name: round(float(weight), 5) for name, weight in zip(FEATURES, found, strict=False)}
    return Fusion(weights, round(float(found[-1]), 5), prior.threshold, dict(learned_from))


def measured(probabilities: Features, grades: Sequence[int], pairs: Sequence[tuple[str, str]]) -> Scores:
    """How good probabilities of pairs are, judged by grades (0: not relevant)."""
    outcomes = np.array(grades) > 0
    qrels: dict[str, dict[str, int]] = {}
    run: dict[str, dict[str, float]] = {}
    for (offer, need), grade, probability in zip(pairs, grades, probabilities.tolist(), strict=True):
        qrels.setdefault(need, {})[offer] = grade
        run.setdefault(need, {})[offer] = probability
    kept = np.clip(probabilities, CERTAIN, 1 - CERTAIN)
    return Scores(
        log_loss=float(-np.mean(np.log(np.where(outcomes, kept, 1 - kept)))),
        brier=brier(probabilities.astype(np.float32), outcomes),
        ece=calibration_error(probabilities.astype(np.float32), outcomes),
        ndcg_at_10=ndcg(qrels, run),
    )
