"""The shipped artefacts: readable, of the bundled model, and refused when they are not what they should be."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from matching import FIELDS, ArtefactError
from matching.background import FILL
from matching.background import load as load_background
from matching.bundled import NAME
from matching.fields import NEAREST, Examples, FieldClassifier, Terms
from matching.fields import load as load_fields
from matching.files import pack, read_packed
from matching.models import ARTEFACTS
from matching.scoring import FEATURES, load_fusion
from matching.space import load as load_space


def test_prior_and_fields_belong_to_the_bundled_model() -> None:
    prior, fields = load_space(ARTEFACTS / "language_prior.npz"), load_fields(ARTEFACTS / "fields.npz")
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
    head, arrays = read_packed(ARTEFACTS / "fields.npz", "field classifier")
    path = tmp_path / "fields.npz"
    path.write_bytes(pack({**head, "fields": head["fields"][::-1]}, arrays))
    with pytest.raises(ArtefactError, match="other fields"):
        load_fields(path)


@pytest.mark.parametrize("load", [load_fields, load_background, load_space])
@pytest.mark.parametrize("body", [b"", b"PK\x03\x04 not an archive", pack({"encoder": "x"}, {})])
def test_foreign_artefacts_are_refused_by_name(tmp_path: Path, load: Callable[[Path], object], body: bytes) -> None:
    path = tmp_path / "artefact.npz"
    path.write_bytes(body)
    with pytest.raises(ArtefactError, match=r"artefact\.npz: not a readable"):
        load(path)
    with pytest.raises(ArtefactError, match="No such file"):
        load(tmp_path / "missing.npz")


def test_the_background_fills_a_side_up_and_leaves_a_large_one_alone() -> None:
    background = load_background(ARTEFACTS / "background.npz")
    assert len(background.beside(10)) == FILL - 10
    assert len(background.beside(FILL)) == len(background.beside(10_000)) == 0
    assert np.linalg.norm(background.vectors, axis=1) == pytest.approx(1.0, abs=1e-3)
    assert all(len(own) >= 30 for own in background.words.values())


def test_words_decide_where_meaning_is_undecided() -> None:
    terms = Terms(np.array([5, 9], np.int32), np.array([1.0, 2.0], np.float32), unseen=3.0)
    classifier = FieldClassifier(
        "x",
        np.zeros((9, 2), np.float32),
        np.zeros(9, np.float32),
        terms,
        np.eye(9, 2, dtype=np.float32),
        Examples(np.ones((1, 2), np.float32), np.ones((1, 9), np.float32)),
        np.zeros((9, 9), np.float32),
    )
    both = np.hypot(1.0, 2.0)
    found = classifier.probabilities(np.zeros((3, 2), np.float32), [[5, 9], [5, 77], []])
    odds = np.log(found / (1 - found))
    assert odds[0, :3] == pytest.approx([1 / both, 2 / both, 0], abs=1e-5)
    assert odds[1, 0] == pytest.approx(
        1 / np.hypot(1.0, 3.0), abs=1e-5
    )  # a word never seen makes the others count less
    assert not odds[2].any()


def test_the_nearest_examples_count_and_the_nearer_the_more() -> None:
    angles = np.radians([0, 10, 80, 90])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    examples = Examples(vectors, np.eye(4, 9, dtype=np.float32))
    shares = examples.near(vectors[:1])
    assert shares.sum() == pytest.approx(1.0, abs=1e-5)
    assert shares[0, 0] > shares[0, 1] > 100 * shares[0, 2]
    barred = examples.near(vectors[:1], np.array([[True, False, False, False]]))
    assert barred[0, 1] > 0.99
    many = Examples(np.repeat(vectors, NEAREST, axis=0), np.repeat(np.eye(4, 9, dtype=np.float32), NEAREST, axis=0))
    assert many.near(vectors[:1])[0].tolist() == pytest.approx([1.0] + [0.0] * 8)
