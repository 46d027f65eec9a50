from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matching.encoder import Vectors
from matching.errors import ArtefactError, DimensionMismatch
from matching.space import CENTRE_SHRINKAGE, LanguageSpace, fit, load, save

ENCODER = "model|passage:"


def vectors(rows: int, seed: int = 0) -> Vectors:
    return np.random.default_rng(seed).normal(size=(rows, 5)).astype(np.float32) * 3


def prior() -> LanguageSpace:
    means = vectors(3, seed=9)
    return LanguageSpace(ENCODER, means[0], {"en": means[1], "zh": means[2]})


def test_applying_takes_the_mean_off_and_scales_to_unit_length() -> None:
    space, some = prior(), vectors(3)
    centred = some - np.stack([space.means["zh"], space.means["en"], space.centre])
    expected = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(space.apply(some, ["zh", "en", "und"]), expected, rtol=1e-3)


def test_no_vectors_stay_no_vectors() -> None:
    assert prior().apply(vectors(0), []).shape == (0, 5)


def test_a_vector_equal_to_its_mean_becomes_zero_and_not_nan() -> None:
    space = prior()
    assert space.apply(space.means["en"][None], ["en"]).tolist() == [[0.0] * 5]


def test_vectors_of_another_size_are_refused() -> None:
    with pytest.raises(DimensionMismatch) as caught:
        prior().apply(np.zeros((1, 4), np.float32), ["en"])
    assert (caught.value.expected, caught.value.found) == (5, 4)


def test_without_a_prior_means_are_shrunk_towards_the_mean_of_all() -> None:
    some, languages = vectors(6), ["en"] * 4 + ["zh"] * 2
    space = fit(some, languages, ENCODER, strength=10.0)
    centre = some.mean(axis=0)
    np.testing.assert_allclose(space.centre, centre, rtol=1e-3)
    np.testing.assert_allclose(space.means["en"], (some[:4].sum(axis=0) + 10 * centre) / 14, rtol=1e-3)
    np.testing.assert_allclose(space.means["zh"], (some[4:].sum(axis=0) + 10 * centre) / 12, rtol=1e-3)


def test_with_a_prior_its_offsets_carry_over() -> None:
    some, languages, before = vectors(5), ["en"] * 3 + ["ru"] * 2, prior()
    offset = before.means["en"] - before.centre
    space = fit(some, languages, ENCODER, before, strength=4.0)
    weight = CENTRE_SHRINKAGE
    centre = (some.sum(axis=0) - 3 * offset + weight * before.centre) / (5 + weight)
    np.testing.assert_allclose(space.centre, centre, rtol=1e-3)
    np.testing.assert_allclose(space.means["en"], (some[:3].sum(axis=0) + 4 * (centre + offset)) / 7, rtol=1e-3)
    np.testing.assert_allclose(space.means["ru"], (some[3:].sum(axis=0) + 4 * centre) / 6, rtol=1e-3)
    np.testing.assert_allclose(space.means["zh"], centre + before.means["zh"] - before.centre, rtol=1e-3)


def test_with_much_text_the_mean_is_the_corpus_own() -> None:
    some = vectors(20_000) + 5
    space = fit(some, ["en"] * len(some), ENCODER, prior())
    np.testing.assert_allclose(space.means["en"], some.mean(axis=0, dtype=np.float64), atol=0.02)


def test_an_empty_corpus_keeps_the_prior() -> None:
    space = fit(vectors(0), [], ENCODER, prior())
    np.testing.assert_allclose(space.centre, prior().centre, rtol=1e-3)
    np.testing.assert_allclose(space.means["zh"], prior().means["zh"], rtol=1e-3)
    assert fit(vectors(0), [], ENCODER).centre.tolist() == [0.0] * 5


def test_a_prior_of_another_encoder_is_refused() -> None:
    with pytest.raises(ArtefactError, match="other"):
        fit(vectors(2), ["en", "en"], "other", prior())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.sampled_from(["en", "zh", "ru"]), min_size=1, max_size=12))
def test_the_order_of_texts_does_not_matter(seed: int, languages: list[str]) -> None:
    some = vectors(len(languages), seed)
    order = np.random.default_rng(seed).permutation(len(languages))
    one = fit(some, languages, ENCODER, prior())
    other = fit(some[order], [languages[i] for i in order], ENCODER, prior())
    assert list(one.means) == list(other.means) == sorted(one.means)
    for code, mean in one.means.items():
        np.testing.assert_allclose(mean, other.means[code], rtol=1e-3, atol=1e-4)


def test_other_means_other_version() -> None:
    space = prior()
    assert space.version == prior().version
    assert len(space.version) == 12
    assert space.version != replace(space, encoder="other").version
    assert space.version != replace(space, centre=space.centre + 1).version
    assert space.version != replace(space, means={"en": space.means["en"], "ru": space.means["zh"]}).version


def test_a_saved_space_comes_back_with_its_version(tmp_path: Path) -> None:
    space = prior()
    save(space, tmp_path / "space.npz")
    back = load(tmp_path / "space.npz")
    assert (back.encoder, list(back.means), back.version) == (ENCODER, ["en", "zh"], space.version)
    np.testing.assert_allclose(back.centre, space.centre, rtol=1e-3)
    np.testing.assert_allclose(back.means["zh"], space.means["zh"], rtol=1e-3)
    assert back.centre.dtype == np.float32


def test_a_truncated_space_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "space.npz"
    save(prior(), path)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 13):
        path.write_bytes(whole[:length])
        with pytest.raises(ArtefactError, match=r"space\.npz"):
            load(path)


def _archive(**arrays: object) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def _array() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"PK\x03\x04 not a zip",
        b"\x80\x04K\x01.",
        _array(),
        _archive(other=np.zeros(3)),
        _archive(head=np.frombuffer(b"{}", np.uint8), means=np.zeros((1, 5))),
        _archive(head=np.frombuffer(b"[1]", np.uint8), means=np.zeros((1, 5))),
        _archive(head=np.frombuffer(b"{nonsense", np.uint8), means=np.zeros((1, 5))),
        _archive(head=np.frombuffer(b'{"encoder": "e", "languages": ["en"]}', np.uint8), means=np.zeros((1, 5))),
        _archive(head=np.frombuffer(b'{"encoder": "e", "languages": []}', np.uint8), means=np.zeros(1)),
        _archive(head=np.frombuffer(b'{"encoder": "e", "languages": []}', np.uint8), means=np.array(["x"])),
    ],
)
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "space.npz"
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=r"space\.npz"):
        load(path)


def test_a_missing_space_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="absent"):
        load(tmp_path / "absent.npz")
    with pytest.raises(ArtefactError):
        load(tmp_path)
