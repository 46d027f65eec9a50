from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matching.bundled import NAME
from matching.encoder import TOKENS_PER_BATCH, HashingEncoder, SentenceEncoder, _batches, unit
from matching.errors import ModelError

LONG = "The membrane takes salt out of seawater at low pressure. "
TEXTS = [
    "水",
    "Photovoltaik",
    LONG * 3,
    "סינון מים",
    LONG * 10,
    "🚀",
    "采用 SiC MOSFET 的车载充电机",
    "",
    LONG,
    "می\u200cخواهم",
    "sal gema",
    "мембрана для очистки воды",
]


def test_batch_and_order_do_not_change_a_vector(encoder: SentenceEncoder) -> None:
    together = encoder.encode(TEXTS)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    backwards = encoder.encode(TEXTS[::-1])[::-1]
    assert together.shape == (len(TEXTS), encoder.dimension)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(together, backwards, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)


def test_no_texts_give_no_vectors(encoder: SentenceEncoder) -> None:
    assert encoder.encode([]).shape == (0, 384)
    assert encoder.tokenize([]) == []


def test_what_counts_as_fitting_is_read_to_its_end(encoder: SentenceEncoder) -> None:
    fitting, ending = (" ".join(["salt"] * (encoder.max_tokens - 1) + [last]) for last in ("salt", "dog"))
    assert [len(ids) for ids in encoder.tokenize([fitting, ending])] == [encoder.max_tokens] * 2
    one, other = encoder.encode([fitting, ending])
    assert np.abs(one - other).max() > 1e-3


def test_tokens_carry_neither_prefix_nor_marks_and_are_not_cut(encoder: SentenceEncoder) -> None:
    one, many = encoder.tokenize(["salt", "salt " * 2000])
    assert len(one) == 1
    assert len(many) >= 2000
    assert one[0] == many[0]


def test_the_name_tells_model_and_prefix(encoder: SentenceEncoder) -> None:
    assert encoder.name == f"{NAME}|passage:"


def test_a_translation_is_nearer_than_another_text(encoder: SentenceEncoder) -> None:
    need, same, other = encoder.encode(["seawater desalination membrane", "海水淡化膜", "牛奶加工厂的乳清"])
    assert need @ same > need @ other


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=str(tmp_path)):
        SentenceEncoder(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json", "modules.json"])
def test_a_truncated_model_is_refused(model_folder: Path, name: str) -> None:
    with tempfile.TemporaryDirectory(dir=model_folder.parent, prefix=".test-") as copy:
        for path in model_folder.rglob("*"):
            target = Path(copy) / path.relative_to(model_folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file() and path.name != name:
                os.link(path, target)
        (Path(copy) / name).write_bytes((model_folder / name).read_bytes()[:100])
        with pytest.raises(ModelError, match="cannot load the model"):
            SentenceEncoder(copy)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 512), max_size=200))
def test_batches_hold_every_text_once_within_the_budget(lengths: list[int]) -> None:
    batches = list(_batches(lengths))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert all(len(batch) * max(lengths[i] for i in batch) <= TOKENS_PER_BATCH for batch in batches)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(), max_size=6))
def test_hashed_vectors_are_of_unit_length_and_repeatable(texts: list[str]) -> None:
    vectors = HashingEncoder().encode(texts)
    assert vectors.shape == (len(texts), HashingEncoder.dimension)
    assert np.array_equal(vectors, HashingEncoder().encode(texts))
    lengths = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(lengths, [1.0 if text else 0.0 for text in texts], atol=1e-5)


def test_hashed_texts_that_share_words_are_near() -> None:
    one, near, far = HashingEncoder().encode(["salt water filter", "filter for salt water", "牛奶加工厂"])
    assert one @ near > 0.6 > one @ far
    assert [len(ids) for ids in HashingEncoder().tokenize(["salt water", ""])] == [2, 0]


def test_unit_scales_rows_and_leaves_zero_rows() -> None:
    scaled = unit(np.array([[3, 4], [0, 0]], np.float32))
    np.testing.assert_allclose(scaled, [[0.6, 0.8], [0.0, 0.0]], rtol=1e-6)
