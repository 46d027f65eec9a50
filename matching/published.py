"""A market in a folder, published like a release: built aside, checked, opened by reading next to nothing.

The arrays are mapped into memory, so that a million listings open in a moment and what is not looked at costs nothing.
`manifest.json` names the encoder and the language space, and of every file its size and digest, by which a foreign,
truncated or altered folder is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from matching.errors import ArtefactError
from matching.files import Arrays
from matching.lexical import LexicalMarket
from matching.listing import Side
from matching.market import Market
from matching.models import Models
from matching.ragged import Ragged
from matching.space import load as load_space
from matching.space import save as save_space
from matching.stand import Stand, Texts
from matching.store import open_store, save_store
from matching.terms import Conditions

FORMAT = "dukou-market-1"
MANIFEST = "manifest.json"
COLUMNS = ("ids", "languages", "vectors", "titles", "has_title", "fields")
CONDITIONS = tuple(one.name for one in fields(Conditions))
PIECE = 1 << 22  # bytes read at a time


def save_market(market: Market, folder: Path, arrays: Arrays, about: Mapping[str, Any]) -> None:
    """Write the folder, whole or not at all; `arrays` and `about`, which is JSON, are kept beside the market.

    Raises OSError, as on a full disk, and FileExistsError where there is such a folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        heads = {side: _write_side(market, side, aside) for side in Side}
        _write(aside, "about", arrays)
        save_space(market.space, aside / "space.npz")
        manifest = {
            "format": FORMAT,
            "encoder": market.space.encoder,
            "space": market.space.version,
            "counts": {side: len(market.stands[side]) for side in Side},
            "sides": heads,
            "about": dict(about),
            "files": {path.name: [path.stat().st_size, _digest(path)] for path in sorted(aside.iterdir())},
        }
        (aside / MANIFEST).write_text(json.dumps(manifest, indent=1), "utf-8")
        _flush(aside)
        aside.chmod(0o755)
        if folder.exists():
            raise FileExistsError(f"{folder} is there already")
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def open_market(folder: Path, models: Models, texts: Texts) -> tuple[Market, Arrays, dict[str, Any]]:
    """What `save_market` wrote: the market, its arrays memory-mapped, and what was kept beside it.

    `texts` gives the passages of listings by id. Raises ArtefactError unless the folder is of this encoder and its
    files have their sizes; `verify` compares their digests too, which takes as long as reading all of it.
    """
    manifest = read_manifest(folder)
    if manifest["encoder"] != models.encoder.name:
        raise ArtefactError(f"{folder} was made with {manifest['encoder']}, not with {models.encoder.name}")
    for name, (size, _) in manifest["files"].items():
        if not (folder / name).is_file() or (folder / name).stat().st_size != size:
            raise ArtefactError(f"{folder / name} is missing or truncated; publish the index again")
    space = load_space(folder / "space.npz")
    sides = {side: _read_side(folder, side, manifest["sides"][side]) for side in Side}
    stands = {side: _stand(side, arrays, space, texts) for side, arrays in sides.items()}
    market = Market(
        models=models,
        space=space,
        stands=stands,
        stores={side: open_store(folder, f"{side}.store", stands[side].vectors) for side in Side},
        title_stores={side: open_store(folder, f"{side}.titles-store", stands[side].titles) for side in Side},
        lexical={
            side: LexicalMarket.from_arrays(
                manifest["sides"][side]["lexical"], {k[8:]: v for k, v in arrays.items() if k.startswith("lexical-")}
            )
            for side, arrays in sides.items()
        },
        around={side: arrays["around"] for side, arrays in sides.items()},
        title_around={side: arrays["title_around"] for side, arrays in sides.items()},
    )
    if any(len(stands[side]) != manifest["counts"][side] for side in Side):
        raise ArtefactError(f"{folder}: arrays and manifest disagree in number; publish the index again")
    return market, _read(folder, "about"), manifest["about"]


def verify(folder: Path) -> None:
    """Compare the digests of all files. Raises ArtefactError."""
    for name, (_, digest) in read_manifest(folder)["files"].items():
        if not (folder / name).is_file() or _digest(folder / name) != digest:
            raise ArtefactError(f"{folder / name} is missing, truncated or altered; publish the index again")


def read_manifest(folder: Path) -> dict[str, Any]:
    """A published folder's manifest. Raises ArtefactError where it is none of ours."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{folder} holds no readable {MANIFEST}: not a published index") from error
    keys = {"encoder", "space", "counts", "sides", "about", "files"}
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or not keys <= manifest.keys():
        raise ArtefactError(f"{folder / MANIFEST} is no manifest of {FORMAT}; publish the index again")
    return manifest


def _write_side(market: Market, side: Side, folder: Path) -> dict[str, Any]:
    stand, lexical = market.stands[side], market.lexical[side]
    assert isinstance(lexical, LexicalMarket), "a tail is not published"
    head, words = lexical.to_arrays()
    arrays: Arrays = {name: getattr(stand, name) for name in COLUMNS}
    arrays |= {name: getattr(stand.conditions, name) for name in CONDITIONS}
    arrays |= {"word_starts": stand.words.starts, "word_numbers": stand.words.numbers}
    arrays |= {f"lexical-{name}": array for name, array in words.items()}
    arrays |= {"around": market.around[side], "title_around": market.title_around[side]}
    _write(folder, side, arrays)
    save_store(market.stores[side], folder, f"{side}.store")
    save_store(market.title_stores[side], folder, f"{side}.titles-store")
    return {"lexical": head}


def _read_side(folder: Path, side: Side, head: Mapping[str, Any]) -> Arrays:
    arrays = _read(folder, side)
    wanted = {*COLUMNS, *CONDITIONS, "word_starts", "word_numbers", "around", "title_around"}
    if not wanted <= arrays.keys() or "lexical" not in head:
        raise ArtefactError(f"{folder} lacks {', '.join(sorted(wanted - arrays.keys()))}; publish the index again")
    return arrays


def _stand(side: Side, arrays: Arrays, space: Any, texts: Texts) -> Stand:
    return Stand(
        side=side,
        conditions=Conditions(**{name: arrays[name] for name in CONDITIONS}),
        words=Ragged(arrays["word_starts"], arrays["word_numbers"]),
        space=space,
        texts=texts,
        **{name: arrays[name] for name in COLUMNS},
    )


def _write(folder: Path, prefix: str, arrays: Arrays) -> None:
    for name, array in arrays.items():
        np.save(folder / f"{prefix}.{name}.npy", array, allow_pickle=False)


def _read(folder: Path, prefix: str) -> Arrays:
    try:
        return {path.name[len(prefix) + 1 : -4]: _mapped(path) for path in sorted(folder.glob(f"{prefix}.*.npy"))}
    except (OSError, ValueError, EOFError) as error:
        raise ArtefactError(f"{folder}: not a readable published index: {error}") from error


def _mapped(path: Path) -> Any:
    """The array of a file, mapped; an empty one is read, since nothing cannot be mapped."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    return array.view(np.ndarray)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _flush(folder: Path) -> None:
    """To the disk, before a pointer may say that it is there."""
    for path in [*folder.iterdir(), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
