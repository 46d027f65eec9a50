"""The shipped artefacts: readable, of the bundled model, and refused when they are not what they should be."""

import json
from pathlib import Path

import numpy as np
import pytest

from matching import FIELDS, ArtefactError
from matching.bundled import NAME
from matching.fields import load as load_fields
from matching.models import ARTEFACTS
from matching.scoring import FEATURES, load_fusion, standardised
from matching.space import load as load_space


def test_prior_and_fields_belong_to_the_bundled_model() -> None:
    prior, fields = load_space(ARTEFACTS / "language_prior.npz"), load_fields(ARTEFACTS / "fields.json")
    assert prior.encoder == fields.encoder == f"{NAME}|passage:"
    assert len(prior.means) == 32
    assert fields.weights.shape == (len(FIELDS), len(prior.centre))


def test_the_fusion_says_what_it_was_trained_on_and_rewards_likeness() -> None:
    fusion = load_fusion(ARTEFACTS / "fusion.json")
    assert set(fusion.weights) == set(FEATURES)
    assert fusion.weights["margin"] > 0
    assert fusion.trained_on["relevant"] > 100


@pytest.mark.parametrize(
    "body", ["", "{", "[]", '{"weights": {"margin": 1}, "intercept": 0, "threshold": 0.1, "trained_on": {}}']
)
def test_foreign_weights_are_refused(tmp_path: Path, body: str) -> None:
    path = tmp_path / "fusion.json"
    path.write_text(body)
    with pytest.raises(ArtefactError, match=r"fusion\.json"):
        load_fusion(path)


def test_a_field_classifier_of_other_fields_is_refused(tmp_path: Path) -> None:
    body = json.loads((ARTEFACTS / "fields.json").read_text("utf-8"))
    path = tmp_path / "fields.json"
    path.write_text(json.dumps({**body, "fields": body["fields"][::-1]}))
    with pytest.raises(ArtefactError, match="other fields"):
        load_fields(path)


def test_lexical_scores_count_among_documents_of_the_same_language_only() -> None:
    scores = np.array([1, 2, 3, 4, 5, 10, 10, 10, 10, 20, 7], np.float32)
    within, across = standardised(scores, np.array(["es"] * 5 + ["pt"] * 5 + ["ru"]), "es")
    assert within[:5] == pytest.approx((scores[:5] - 3) / np.std(scores[:5]), abs=1e-5)
    assert np.all(within[5:] == 0)
    assert np.all(across[:5] == 0)
    assert across[9] == pytest.approx(2.0)
    assert across[10] == 0.0  # a single document cannot tell
