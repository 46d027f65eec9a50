from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, ndcg_score

from matching import evaluation as ev

QRELS = {"q1": {"a": 2, "b": 1, "c": 0}, "q2": {"d": 1}, "unjudged": {"a": 0}}
RUN = {"q1": {"c": 0.9, "a": 0.8, "b": 0.1}, "q2": {"a": 0.5, "b": 0.4}, "unjudged": {"a": 1.0}}


def test_documents_are_ranked_by_score_and_ties_by_id() -> None:
    assert ev.ranked({"b": 1.0, "a": 1.0, "c": 2.0}) == ["c", "a", "b"]


def test_ndcg_is_what_the_hand_computes() -> None:
    gained = 2 / math.log2(3) + 1 / math.log2(4)
    ideal = 2 / math.log2(2) + 1 / math.log2(3)
    assert ev.ndcg(QRELS, RUN) == pytest.approx((gained / ideal + 0.0) / 2)
    assert ev.ndcg({"q1": QRELS["q1"]}, RUN, k=1) == 0.0
    assert ev.ndcg({"q1": QRELS["q1"]}, RUN, k=2) == pytest.approx(2 / math.log2(3) / ideal)


def test_ndcg_agrees_with_another_implementation() -> None:
    random = np.random.default_rng(7)
    for _ in range(10):
        grades, scores = random.integers(0, 4, 30), random.normal(size=30)
        grades[0] = 1
        qrels = {"q": {str(i): int(g) for i, g in enumerate(grades)}}
        run = {"q": {str(i): float(s) for i, s in enumerate(scores)}}
        assert ev.ndcg(qrels, run) == pytest.approx(ndcg_score([grades], [scores], k=10))


def test_a_perfect_run_scores_one() -> None:
    perfect = {query: {d: float(g) for d, g in grades.items()} for query, grades in QRELS.items()}
    assert ev.ndcg(QRELS, perfect) == pytest.approx(1.0)
    assert ev.recall(QRELS, perfect) == ev.reciprocal_rank(QRELS, perfect) == 1.0


def test_recall_is_the_share_of_relevant_documents_found() -> None:
    assert ev.recall(QRELS, RUN, k=2) == pytest.approx((1 / 2 + 0) / 2)
    assert ev.recall(QRELS, RUN, k=3) == pytest.approx((2 / 2 + 0) / 2)


def test_the_reciprocal_rank_looks_at_the_first_relevant_document() -> None:
    assert ev.reciprocal_rank(QRELS, RUN) == pytest.approx((1 / 2 + 0) / 2)


def test_a_query_absent_from_the_run_scores_nothing() -> None:
    assert ev.ndcg(QRELS, {}) == ev.recall(QRELS, {}) == ev.reciprocal_rank(QRELS, {}) == 0.0
    assert ev.ndcg({}, RUN) == 0.0


def test_the_brier_score_is_the_mean_squared_miss() -> None:
    probabilities = np.array([0.9, 0.2, 0.5], np.float32)
    outcomes = np.array([True, False, False])
    assert ev.brier(probabilities, outcomes) == pytest.approx((0.01 + 0.04 + 0.25) / 3)


def test_the_calibration_error_weighs_the_gap_of_each_bin() -> None:
    probabilities = np.array([0.85, 0.85, 0.15, 0.15, 1.0], np.float32)
    outcomes = np.array([True, False, False, False, True])
    assert ev.calibration_error(probabilities, outcomes) == pytest.approx(2 / 5 * 0.35 + 2 / 5 * 0.15 + 0.0, abs=1e-6)
    assert ev.calibration_error(np.zeros(0, np.float32), np.zeros(0, bool)) == 0.0


def test_the_largest_share_finds_the_hub() -> None:
    run = {"q1": {"hub": 1.0, "a": 0.5}, "q2": {"hub": 0.9, "b": 0.5}, "q3": {"c": 1.0, "hub": 0.1}}
    assert ev.largest_share(run, k=1) == pytest.approx(2 / 3)
    assert ev.largest_share(run, k=2) == 1.0
    assert ev.largest_share({}) == 0.0


def test_the_skew_of_occurrences_is_the_third_moment() -> None:
    run = {f"q{i}": {"hub": 1.0} for i in range(4)}
    assert ev.occurrence_skew(run, ["hub", "a", "b", "c"], k=1) == pytest.approx((27 - 3) / 4 / 3**1.5)
    assert ev.occurrence_skew(run, ["a", "b"], k=1) == 0.0


def test_without_documents_there_is_no_skew() -> None:
    assert ev.occurrence_skew({}, []) == 0.0


def test_macro_f1_agrees_with_another_implementation() -> None:
    random = np.random.default_rng(3)
    truth, predicted = (random.choice(["a", "b", "c"], 60).tolist() for _ in range(2))
    expected = f1_score(truth, predicted, average="macro")
    assert ev.macro_f1(truth, predicted, ["a", "b", "c"]) == pytest.approx(expected)
    assert ev.macro_f1(["a"], ["a"], ["a", "b"]) == 0.5


def test_kappa_is_one_for_agreement_and_zero_for_chance() -> None:
    assert ev.weighted_kappa([0, 1, 3, 3], [0, 1, 3, 3]) == 1.0
    assert ev.weighted_kappa([0, 0, 3, 3], [0, 3, 0, 3]) == pytest.approx(0.0)
    assert ev.weighted_kappa([0, 3], [3, 0]) == pytest.approx(-1.0)
    assert ev.weighted_kappa([2, 2], [2, 2]) == 1.0


def test_kappa_follows_its_definition_over_the_table_of_grades() -> None:
    from sklearn.metrics import cohen_kappa_score

    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 4, 200).tolist(), rng.integers(0, 4, 200).tolist()
    assert ev.weighted_kappa(one, other) == pytest.approx(cohen_kappa_score(one, other, weights="quadratic"))
