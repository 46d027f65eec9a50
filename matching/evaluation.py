"""How good a ranking and its probabilities are. Qrels and runs as TREC has them: query → document → grade or score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from matching.encoder import Vectors

Qrels = Mapping[str, Mapping[str, int]]
Run = Mapping[str, Mapping[str, float]]


def ranked(scores: Mapping[str, float]) -> list[str]:
    """Documents by descending score, ties by id."""
    return sorted(scores, key=lambda document: (-scores[document], document))


def ndcg(qrels: Qrels, run: Run, k: int = 10) -> float:
    """Mean nDCG@k with linear gains (Järvelin and Kekäläinen, 2002); a query absent from the run scores 0."""
    return _mean([_ndcg(grades, ranked(run.get(query, {}))[:k], k) for query, grades in _judged(qrels).items()])


def recall(qrels: Qrels, run: Run, k: int = 10) -> float:
    """Mean share of a query's relevant documents (grade ≥ 1) in its top k."""
    shares = []
    for query, grades in _judged(qrels).items():
        relevant = {document for document, grade in grades.items() if grade > 0}
        shares.append(len(relevant.intersection(ranked(run.get(query, {}))[:k])) / len(relevant))
    return _mean(shares)


def reciprocal_rank(qrels: Qrels, run: Run) -> float:
    """Mean reciprocal rank of the first relevant document; 0 where none was returned."""
    values = []
    for query, grades in _judged(qrels).items():
        places = (place for place, document in enumerate(ranked(run.get(query, {})), 1) if grades.get(document, 0) > 0)
        first = next(places, None)
        values.append(1.0 / first if first else 0.0)
    return _mean(values)


def brier(probabilities: Vectors, outcomes: NDArray[np.bool_]) -> float:
    """Mean squared difference between probability and outcome (Brier, 1950)."""
    return float(np.mean((probabilities - outcomes) ** 2))


def calibration_error(probabilities: Vectors, outcomes: NDArray[np.bool_], bins: int = 10) -> float:
    """Expected calibration error over bins of equal width (Naeini et al., 2015): mean |confidence − frequency|."""
    which = np.minimum((probabilities * bins).astype(int), bins - 1)
    gaps = [abs(float(probabilities[which == b].sum() - outcomes[which == b].sum())) for b in range(bins)]
    return sum(gaps) / max(1, len(probabilities))


def largest_share(run: Run, k: int = 10) -> float:
    """Hubness: the largest share of queries that have one and the same document in their top k."""
    counts = _occurrences(run, k)
    return max(counts.values(), default=0) / max(1, len(run))


def occurrence_skew(run: Run, documents: Sequence[str], k: int = 10) -> float:
    """Skewness of the k-occurrence over all documents (Radovanović et al., 2010): 0 without hubs."""
    if not documents:
        return 0.0
    counts = _occurrences(run, k)
    values = np.array([counts[document] for document in documents], np.float64)
    spread = values.std()
    return float(((values - values.mean()) ** 3).mean() / spread**3) if spread > 0 else 0.0


def gini(exposure: NDArray[np.int64]) -> float:
    """Inequality of exposure (Gini, 1912): 0 where all listings are in equally many proposals, towards 1 for one alone.

    `exposure` counts the proposals of each listing of a side, zeros included; 0 where there are none.
    """
    size, total = len(exposure), int(exposure.sum())
    if not total:
        return 0.0
    weights = 2 * np.arange(1, size + 1) - size - 1
    return float(weights @ np.sort(exposure)) / (size * total)


def best_of_each(
    groups: NDArray[np.int64], others: NDArray[np.int64], scores: NDArray[np.float64], k: int
) -> NDArray[np.bool_]:
    """Which pairs are among the `k` of highest score in their group, ties by `others`; all of shape (pairs,)."""
    order = np.lexsort((others, -scores, groups))
    ordered = groups[order]
    chosen = np.zeros(len(groups), np.bool_)
    chosen[order[np.arange(len(groups)) - np.searchsorted(ordered, ordered) < k]] = True
    return chosen


def macro_f1(truth: Sequence[str], predicted: Sequence[str], classes: Sequence[str]) -> float:
    """Mean F1 of single-label predictions over `classes`."""
    values = []
    for name in classes:
        hits = sum(t == p == name for t, p in zip(truth, predicted, strict=True))
        total = sum(t == name for t in truth) + sum(p == name for p in predicted)
        values.append(2 * hits / total if total else 0.0)
    return _mean(values)


def weighted_kappa(first: Sequence[int], second: Sequence[int]) -> float:
    """Agreement of two judges beyond chance, quadratic weights (Cohen, 1968): 1 is agreement, 0 what chance gives.

    Grades of the same pairs in the same order; 1 too where both judges give all pairs one and the same grade.
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    by_chance = float(((one[:, None] - other[None, :]) ** 2).mean())
    return 1.0 - float(((one - other) ** 2).mean()) / by_chance if by_chance else 1.0


def _judged(qrels: Qrels) -> dict[str, Mapping[str, int]]:
    return {query: grades for query, grades in qrels.items() if any(grade > 0 for grade in grades.values())}


def _ndcg(grades: Mapping[str, int], top: Sequence[str], k: int) -> float:
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    gains = np.array([grades.get(document, 0) for document in top], np.float64)
    ideal = np.array(sorted(grades.values(), reverse=True)[:k], np.float64)
    return float((gains * discounts[: len(gains)]).sum() / (ideal * discounts[: len(ideal)]).sum())


def _occurrences(run: Run, k: int) -> Counter[str]:
    return Counter(document for scores in run.values() for document in ranked(scores)[:k])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
