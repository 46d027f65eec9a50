"""Fixtures that tests of the library and of the service share."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from matching.bundled import NAME, ensure_model
from matching.encoder import SentenceEncoder

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def model_folder() -> Path:
    """The bundled model, built once for all test runs."""
    cache = Path(os.environ.get("DUKOU_TEST_CACHE") or Path.home() / ".cache" / "dukou-test")
    return ensure_model(cache)


@pytest.fixture(scope="session")
def encoder(model_folder: Path) -> SentenceEncoder:
    """The bundled model in float32, so that vectors do not depend on the processor."""
    return SentenceEncoder(model_folder, name=NAME, number_format="float32")


@pytest.fixture(scope="session")
def passages() -> list[dict[str, str]]:
    """Parallel passages: `group` names the meaning, `language` the tongue, `text` the words."""
    lines = (ROOT / "data" / "parallel" / "passages.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]
