"""Measure from which cosine on two listings say the same, and from which probability on a field is worth suggesting.

    python scripts/measure_advice.py [--cache var/models]

Same: a listing lightly edited, and a passage or listing in two languages. Different: any two listings of one side in
data/samples or in one half of data/benchmark, the four offers that each of its topics has included. The tables stand in
docs/decisions/0017.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
from corpora import DATA, as_listing, benchmark, embed_cached, read_jsonl

from matching import FIELDS, Listing, Market, Models, Side, load_models
from matching.likeness import likeness
from matching.listing import sentences
from matching.stand import Stand

THRESHOLDS = (0.35, 0.40, 0.42, 0.45, 0.50, 0.60, 0.70, 0.80)


def without_last(one: Listing) -> Listing:
    """The last sentence is gone."""
    return replace(one, description=" ".join(sentences(one.description)[:-1]))


def other_order(one: Listing) -> Listing:
    """The second half of the sentences comes first."""
    parts = sentences(one.description)
    middle = len(parts) // 2
    return replace(one, description=" ".join(parts[middle:] + parts[:middle]))


def other_figures(one: Listing) -> Listing:
    """Every digit is another one."""
    return replace(one, description=one.description.translate(str.maketrans("0123456789", "1234567899")))


def untitled(one: Listing) -> Listing:
    """Only the description, as copied from elsewhere."""
    return replace(one, title="", summary="")


EDITS: tuple[Callable[[Listing], Listing], ...] = (without_last, other_order, other_figures, untitled)


def edited(listings: list[Listing], edit: Callable[[Listing], Listing]) -> Iterator[tuple[Listing, Listing]]:
    """Each listing that the edit changes, and what it makes of it."""
    for one in listings:
        changed = edit(one)
        if changed.text != one.text and changed.description:
            yield one, replace(changed, id=f"{edit.__name__} {one.id}")


def report(name: str, cosines: Sequence[float]) -> None:
    """A row: how many pairs, the least and the greatest likeness, and which share is at each threshold or above."""
    values = np.array(cosines)
    shares = " | ".join(f"{float(np.mean(values >= least)):.3f}" for least in THRESHOLDS)
    print(f"| {name} | {len(values)} | {values.min():.2f} | {values.max():.2f} | {shares} |", flush=True)


def market_of(listings: list[Listing], models: Models) -> Market:
    return Market.build(listings, embed_cached(listings, models.encoder), models)


def measure_half(name: str, listings: list[Listing], models: Models) -> None:
    """Different listings and lightly edited ones, in one market's space."""
    market = market_of(listings, models)
    one, two = [], []
    for stand in market.stands.values():
        for i, j in combinations(range(len(stand)), 2):
            (one if stand.languages[i] == stand.languages[j] else two).append(likeness(stand, i, stand, j))
    report(f"{name}: different, one language", one)
    report(f"{name}: different, two languages", two)
    for edit in EDITS:
        pairs = list(edited(listings, edit))
        changed = [e for _, e in pairs]
        made = Stand.of(Side.OFFER, changed, embed_cached(changed, models.encoder), market.space, models)
        found = []
        for row, (original, _) in enumerate(pairs):
            own = market.stands[original.side]
            found.append(likeness(own, int(own.find([original.id])[0]), made, row))
        report(f"{name}: {edit.__name__.replace('_', ' ')}", found)


def measure_translations(samples: list[Listing], models: Models) -> None:
    """Translated listings of data/duplicates, and passages of data/parallel in two languages, in the samples' space."""
    market = market_of(samples, models)
    records = read_jsonl(DATA / "duplicates" / "listings.jsonl")
    texts = [as_listing(record) for record in records]
    made = Stand.of(Side.OFFER, texts, embed_cached(texts, models.encoder), market.space, models)
    found = []
    for row, record in enumerate(records):
        own = market.stands[texts[row].side]
        found.append(likeness(own, int(own.find([record["of"]])[0]), made, row))
    report("translated listings", found)
    passages = read_jsonl(DATA / "parallel" / "passages.jsonl")
    texts = [as_listing({**record, "id": f"text {i}"}, Side.OFFER) for i, record in enumerate(passages)]
    made = Stand.of(Side.OFFER, texts, embed_cached(texts, models.encoder), market.space, models)
    scores = made.vectors.astype(np.float32) @ made.vectors.astype(np.float32).T
    groups = np.array([record["group"] for record in passages])
    same = groups[:, None] == groups[None, :]
    report("one sentence in two languages", scores[np.triu(same, 1)].tolist())
    report("two sentences in two languages", scores[np.triu(~same, 1)].tolist())


def measure_fields(listings: list[Listing], records: list[dict[str, object]], models: Models) -> None:
    """Suggested fields against those that the writers stated, over all listings and fields."""
    market = market_of(listings, models)
    truth = {str(record["id"]): record["fields"] for record in records}
    guessed, stated = [], []
    for stand in market.stands.values():
        guessed.append(
            models.fields.probabilities(stand.vectors.astype(np.float32), [stand.words[i] for i in range(len(stand))])
        )
        stated.append([[name in truth[stand.id(i)] for name in FIELDS] for i in range(len(stand))])
    probabilities, true = np.concatenate(guessed), np.concatenate([np.array(part) for part in stated])
    for least in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
        chosen = probabilities >= least
        precision, recall = (chosen & true).sum() / chosen.sum(), (chosen & true).sum() / true.sum()
        print(f"| {least} | {precision:.3f} | {recall:.3f} | {2 * precision * recall / (precision + recall):.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path("var/models"))
    models = load_models(parser.parse_args().cache)
    samples = [as_listing(record) for record in read_jsonl(DATA / "samples" / "listings.jsonl")]
    print("| pairs | number | least | greatest | " + " | ".join(f"≥ {least:.2f}" for least in THRESHOLDS) + " |")
    print("|---" * (len(THRESHOLDS) + 4) + "|")
    measure_translations(samples, models)
    measure_half("samples", samples, models)
    measure_half("training half", benchmark("train")[0], models)
    measure_half("held-back half", benchmark("test")[0], models)
    print("| suggested from | precision | recall | F1 |")
    print("|---|---|---|---|")
    records = read_jsonl(DATA / "samples" / "listings.jsonl")
    for side in ("needs", "offers"):
        records += read_jsonl(DATA / "benchmark" / f"test-{side}.jsonl")
    measure_fields([as_listing(record) for record in records], records, models)


if __name__ == "__main__":
    main()
