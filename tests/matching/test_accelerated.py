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

from matching.accelerated import BATCH_TOKENS, AcceleratedEncoder, batches, ensure_network, filled
from matching.bundled import NAME
from matching.encoder import SentenceEncoder
from matching.network import rounded

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
    together, alone = accelerated.encode(texts)[[3]], accelerated.encode([texts[3]])
    assert float((together * alone).sum()) > 0.9999
    assert accelerated.encode([]).shape == (0, accelerated.dimension)


def test_a_damaged_network_is_built_again(source: Path) -> None:
    folder = ensure_network(source)
    (folder / "model.bin").write_bytes(b"no network")
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
    assert sorted(i for batch in found for i in batch) == list(range(len(lengths)))
    for batch in found:
        longest = max(filled(lengths[i]) for i in batch)
        assert len(batch) * longest <= BATCH_TOKENS
        assert min(filled(lengths[i]) for i in batch) >= 0.75 * longest


def test_rounded_weights_are_within_half_a_step_and_rows_of_zeros_stay() -> None:
    weight = np.random.default_rng(0).normal(size=(5, 32)).astype(np.float32)
    weight[2] = 0
    whole, scale = rounded(weight)
    assert np.abs(whole * scale - weight).max() <= scale.max() * 0.5001
    assert not whole[2].any()
