"""A published market: opened it answers as the one that was saved; a foreign or damaged folder is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from matching import ArtefactError, Market, Models, Side, answers, embed, hashing_models, read_listing
from matching.published import MANIFEST, open_market, save_market, verify
from matching.stand import Texts
from matching.store import RECALL, store_of

SUBJECTS = ("tea withering", "ore slurry elbows", "solar pumps", "leaf rust in wheat", "sea water desalination")
LISTINGS = [
    read_listing(
        {
            "id": f"{side[0]}{i}",
            "side": side,
            "title": f"{subject} {side}",
            "description": f"{subject}, tried twice, at {i} bar.",
            "country": "CN" if side == "offer" else "KZ",
            "excluded_countries": ["KZ"] if i == 4 else [],
            "trl": i + 3,
        }
    )
    for side in ("offer", "need")
    for i, subject in enumerate(SUBJECTS)
]


@pytest.fixture(scope="module")
def models() -> Models:
    return hashing_models()


@pytest.fixture(scope="module")
def market(models: Models) -> Market:
    return Market.build(LISTINGS, embed(LISTINGS, models.encoder), models)


@pytest.fixture(scope="module")
def texts(models: Models) -> Texts:
    held = dict(zip([one.id for one in LISTINGS], embed(LISTINGS, models.encoder), strict=True))
    return lambda ids: [held[one] for one in ids]


@pytest.fixture
def folder(market: Market, tmp_path: Path) -> Path:
    save_market(market, tmp_path / "one", {"owners": np.arange(5)}, {"revision": 7})
    return tmp_path / "one"


def test_an_opened_market_answers_as_the_one_that_was_saved(
    market: Market, folder: Path, models: Models, texts: Texts
) -> None:
    verify(folder)
    opened, arrays, about = open_market(folder, models, texts)
    assert arrays["owners"].tolist() == [0, 1, 2, 3, 4]
    assert about == {"revision": 7}
    for asked in LISTINGS:
        embedding = embed([asked], models.encoder)[0]
        assert answers(opened, asked, embedding, 5) == answers(market, asked, embedding, 5)
    assert not opened.stands[Side.OFFER].vectors.flags.writeable, "what is mapped cannot be written by mistake"


def test_an_empty_market_is_published_too(models: Models, tmp_path: Path, texts: Texts) -> None:
    save_market(Market.build([], [], models), tmp_path / "none", {}, {})
    opened, _, _ = open_market(tmp_path / "none", models, texts)
    assert answers(opened, LISTINGS[0], embed(LISTINGS[:1], models.encoder)[0]) == []


def test_a_large_market_keeps_its_sketches(
    models: Models, tmp_path: Path, texts: Texts, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [replace(LISTINGS[i % 5], id=f"x{i:04}", title=f"{LISTINGS[i % 5].title} {i * 7919}") for i in range(1_500)]
    monkeypatch.setattr("matching.market.store_of", lambda vectors: store_of(vectors, approximate_from=1_000))
    market = Market.build([*many, *LISTINGS[5:]], embed([*many, *LISTINGS[5:]], models.encoder), models)
    save_market(market, tmp_path / "large", {}, {})
    opened, _, _ = open_market(tmp_path / "large", models, texts)
    manifest = opened.stores[Side.OFFER].manifest
    assert manifest["kind"] == "sketch"
    assert manifest["recall_at_10"] >= RECALL
    assert opened.stores[Side.NEED].manifest["kind"] == "exact"
    query = market.stands[Side.NEED].vectors[:1].astype(np.float32)
    one, other = market.stores[Side.OFFER].search(query, 10), opened.stores[Side.OFFER].search(query, 10)
    assert one.positions.tolist() == other.positions.tolist()


def test_a_name_that_is_taken_is_not_overwritten_and_nothing_is_left_behind(market: Market, folder: Path) -> None:
    with pytest.raises(FileExistsError):
        save_market(market, folder, {}, {})
    assert [path.name for path in folder.parent.iterdir()] == ["one"]


def truncated(folder: Path) -> None:
    path = folder / "offer.vectors.npy"
    path.write_bytes(path.read_bytes()[:-8])


def missing(folder: Path) -> None:
    (folder / "need.around.npy").unlink()


def foreign(folder: Path) -> None:
    (folder / MANIFEST).write_text('{"format": "something else"}')


def unreadable(folder: Path) -> None:
    (folder / MANIFEST).write_bytes(b"\x00")


def of_another_model(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"encoder": "another"}))


@pytest.mark.parametrize("harm", [truncated, missing, foreign, unreadable, of_another_model])
def test_a_folder_that_is_not_whole_or_not_ours_is_refused(
    folder: Path, models: Models, texts: Texts, harm: Callable[[Path], None]
) -> None:
    harm(folder)
    with pytest.raises(ArtefactError):
        open_market(folder, models, texts)


def test_an_altered_byte_is_found_when_it_is_verified(folder: Path) -> None:
    path = folder / "offer.titles.npy"
    body = bytearray(path.read_bytes())
    body[-1] ^= 1
    path.write_bytes(bytes(body))
    with pytest.raises(ArtefactError, match=r"offer\.titles\.npy"):
        verify(folder)
