from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.accelerated import (
    BATCH_TOKENS,
    FEW,
    LONGEST_ROW,
    AcceleratedEncoder,
    batches,
    ensure_network,
    filled,
    multiplies_bytes,
)
from matching.bundled import NAME
from matching.encoder import SentenceEncoder
from matching.errors import ArtefactError, ModelError
from matching.network import evened, load_activations, rounded, write_network

pytestmark = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")


@pytest.fixture(scope="module")
def accelerated(model_folder: Path) -> AcceleratedEncoder:
    return AcceleratedEncoder(model_folder, name=NAME)


@pytest.fixture
def source(model_folder: Path) -> Iterator[Path]:
    """The model folder again, by hard links, so that a network beside it is this test's own."""
    with tempfile.TemporaryDirectory(dir=model_folder.parent, prefix=".test-") as cache:
        folder = Path(cache) / "model"
        for path in model_folder.rglob("*"):
            if path.is_file():
                target = folder / path.relative_to(model_folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(path, target)
        yield folder


def test_its_vectors_can_stand_beside_those_of_float32(
    accelerated: AcceleratedEncoder, encoder: SentenceEncoder, passages: list[dict[str, str]]
) -> None:
    texts = [passage["text"] for passage in passages[::7]] + ["x", "泵 " * 2_000]
    ours, theirs = accelerated.encode(texts), encoder.encode(texts)
    assert (ours * theirs).sum(axis=1).min() > 0.998
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1.0, atol=1e-5)


def test_both_ways_read_tokens_prefixes_and_names_alike(
    accelerated: AcceleratedEncoder, encoder: SentenceEncoder, passages: list[dict[str, str]]
) -> None:
    texts = [passage["text"] for passage in passages[::5]] + ["", " two  blanks\n", "Dr. X's 5 µm </s> <s>"]
    assert accelerated.tokenize(texts) == encoder.tokenize(texts)
    assert accelerated.name == encoder.name
    assert accelerated.dimension == encoder.dimension
    assert accelerated.max_tokens == encoder.max_tokens
    assert accelerated.query_prefix == encoder.query_prefix


def test_company_and_order_hardly_change_a_vector(
    accelerated: AcceleratedEncoder, passages: list[dict[str, str]]
) -> None:
    texts = [passage["text"] for passage in passages[:40]]
    alone = np.concatenate([accelerated.encode([text]) for text in texts])
    in_rows = np.concatenate([accelerated.encode(texts[at : at + FEW]) for at in range(0, len(texts), FEW)])
    for together in (accelerated.encode(texts), in_rows, accelerated.encode(texts[::-1])[::-1]):
        assert (together * alone).sum(axis=1).min() > 0.9999
    assert accelerated.encode([]).shape == (0, accelerated.dimension)


def test_many_texts_are_encoded_side_by_side_to_the_same_vectors(
    accelerated: AcceleratedEncoder, passages: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [passage["text"] for passage in passages[:60]]
    one_by_one = accelerated.encode(texts)
    monkeypatch.setattr("matching.accelerated.MANY", len(texts))
    np.testing.assert_array_equal(accelerated.encode(texts), one_by_one)
    np.testing.assert_array_equal(accelerated.encode(texts[:20]), one_by_one[:20])


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("flags\t\t: fpu sse2 avx2 avx_vnni", True),
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_vnni\n\nprocessor\t: 1\n", True),
        ("flags\t\t: fpu amx_int8 amx_tile", True),
        ("flags\t\t: fpu sse2 avx2 avx512f", False),
        ("Features\t: fp asimd asimddp", False),
        (None, False),
    ],
)
def test_only_processors_that_multiply_bytes_are_taken(tmp_path: Path, flags: str | None, expected: bool) -> None:
    described = tmp_path / "cpuinfo"
    if flags is not None:
        described.write_text(flags, "utf-8")
    assert multiplies_bytes(described) is expected


def test_activations_of_another_model_are_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"do not know encoder\.layer\.0\.attention\.self\.query"):
        write_network(source, {"encoder.layer.0.other": np.ones(384, np.float32)}, tmp_path)
    foreign = tmp_path / "activations.npz"
    foreign.write_bytes(b"something else")
    with pytest.raises(ArtefactError, match="list of activations"):
        load_activations(foreign)


def test_evened_channels_leave_the_product_as_it_was() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(40, 16)).astype(np.float32) * np.geomspace(0.01, 30, 16, dtype=np.float32)
    weights = [rng.normal(size=(8, 16)).astype(np.float32) for _ in range(3)]
    largest = np.abs(inputs).max(axis=0)
    size, most = evened(largest, weights)
    for weight in weights:
        np.testing.assert_allclose((inputs / size) @ (weight * size).T, inputs @ weight.T, rtol=1e-3, atol=1e-3)
    assert np.abs(inputs / size).max() == pytest.approx(most, rel=1e-5)
    spread = largest / size
    assert spread.max() / spread.min() < 0.2 * largest.max() / largest.min()


def test_a_damaged_network_is_built_again(source: Path) -> None:
    folder = ensure_network(source)
    for name in ("model.bin", "words.npy"):
        (folder / name).write_bytes(b"no network")
        assert ensure_network(source) == folder
    assert AcceleratedEncoder(source, name=NAME).encode(["a pump"]).shape == (1, 384)


def test_nothing_is_reported_of_its_use(model_folder: Path, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from matching.accelerated import AcceleratedEncoder; "
        f"AcceleratedEncoder(Path({str(model_folder)!r}), name='x').encode(['a pump']); "
        "loaded = [m for m in sys.modules if m.startswith('openvino_telemetry') and sys.modules[m]]; "
        "sys.exit(f'{loaded}' if loaded or 'torch' in sys.modules else 0)"
    )
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "intel").exists()


@given(st.lists(st.integers(2, 512)))
def test_batches_hold_each_text_once_and_keep_to_their_budget(lengths: list[int]) -> None:
    found = list(batches(lengths))
    assert sorted(i for batch in found for row in batch for i in row) == list(range(len(lengths)))
    for batch in found:
        if len(lengths) <= FEW:
            (row,) = batch
            assert sum(lengths[i] for i in row) <= LONGEST_ROW
        else:
            sizes = [filled(lengths[i]) for row in batch for i in row]
            assert all(len(row) == 1 for row in batch)
            assert len(sizes) * max(sizes) <= BATCH_TOKENS
            assert min(sizes) >= 0.75 * max(sizes)


def test_rounded_weights_are_within_half_a_step_and_rows_of_zeros_stay() -> None:
    weight = np.random.default_rng(0).normal(size=(5, 32)).astype(np.float32)
    weight[2] = 0
    whole, scale = rounded(weight)
    assert np.abs(whole * scale - weight).max() <= scale.max() * 0.5001
    assert not whole[2].any()
