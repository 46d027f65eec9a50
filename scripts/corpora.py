"""The project's own texts and the real sets it is measured on, as listings; embeddings kept between runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matching import (
    Embedding,
    Encoder,
    Listing,
    Side,
    embed,
    embedding_from_bytes,
    embedding_key,
    embedding_to_bytes,
    read_listing,
)

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
CACHE = ROOT / "var" / "embeddings"
TEXT = ("id", "side", "title", "description", "text")


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Records of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Grades by need and offer from a TREC-style tsv with a header."""
    qrels: dict[str, dict[str, int]] = {}
    for line in path.read_text("utf-8").splitlines()[1:]:
        need, offer, grade = line.split("\t")
        qrels.setdefault(need, {})[offer] = int(grade)
    return qrels


def as_listing(record: dict[str, Any], side: Side | None = None, *, terms: bool = False) -> Listing:
    """A listing from a record: its words alone (nothing declared), or with its `terms` (TRL) too."""
    kept = {key: record[key] for key in TEXT if record.get(key)}
    if terms and record.get("trl"):
        kept["trl"] = record["trl"]
    return read_listing({**kept, "side": str(side or record["side"])})


def benchmark(half: str) -> tuple[list[Listing], dict[str, dict[str, int]]]:
    """One half of our benchmark, "train" or "test": listings and grades."""
    folder = DATA / "benchmark"
    records = read_jsonl(folder / f"{half}-needs.jsonl") + read_jsonl(folder / f"{half}-offers.jsonl")
    return [as_listing(record, terms=True) for record in records], read_qrels(folder / f"{half}-qrels.tsv")


def embed_cached(listings: Sequence[Listing], encoder: Encoder) -> list[Embedding]:
    """`embed`, reading from and adding to a folder of embeddings by encoder and text."""
    folder = CACHE / hashlib.sha256(embedding_key(encoder).encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    missing = [one for one in listings if not (folder / one.text_hash).exists()]
    for one, embedding in zip(missing, embed(missing, encoder, progress=True), strict=True):
        (folder / one.text_hash).write_bytes(embedding_to_bytes(embedding))
    return [embedding_from_bytes((folder / one.text_hash).read_bytes()) for one in listings]
