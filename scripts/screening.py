"""Measure the screening against the labelled cases and write docs/screening.md.

python scripts/screening.py [--cache var/models]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from corpora import DATA, ROOT, as_listing, embed_cached, read_jsonl
from numpy.typing import NDArray

from matching import Candidate, Models, PreparedCatalogue, Side, load_catalogue, load_models, prepare_catalogue, screen
from matching.screening import THRESHOLD

THRESHOLDS = (0.10, 0.06, 0.04, 0.02, THRESHOLD, -0.02, -0.04, -0.08)
SETS = ("first", "later")
KINDS = ("software", "paraphrase", "buried", "hard_negative", "none")


def ranked_all(records: list[dict[str, Any]], prepared: PreparedCatalogue, models: Models) -> list[list[Candidate]]:
    """All entries for each record, best first."""
    offers = [as_listing(record, Side.OFFER) for record in records]
    embeddings = embed_cached(offers, models.encoder)
    return [screen(*pair, prepared, models, threshold=-9.0) for pair in zip(offers, embeddings, strict=True)]


def found(cases: list[dict[str, Any]], ranked: list[list[Candidate]], threshold: float) -> NDArray[np.int64]:
    """For each case: labelled entries, those of them shown, all shown; shape (cases, 3)."""
    rows = []
    for case, candidates in zip(cases, ranked, strict=True):
        shown = {one.entry.code for one in candidates if one.score >= threshold}
        rows.append((len(case["expected"]), len(shown & set(case["expected"])), len(shown)))
    return np.array(rows, np.int64)


def curve(cases: list[dict[str, Any]], ranked: list[list[Candidate]], ordinary: list[list[Candidate]]) -> Iterator[str]:
    """Table rows by threshold."""
    for threshold in THRESHOLDS:
        recalls = []
        for name in SETS:
            own = [i for i, case in enumerate(cases) if case["set"] == name]
            labelled, right, _ = found([cases[i] for i in own], [ranked[i] for i in own], threshold).sum(axis=0)
            recalls.append(f"{right}/{labelled} = {right / labelled:.3f}")
        counts = found(cases, ranked, threshold)
        concerned = counts[:, 0] > 0
        usual = np.mean([sum(one.score >= threshold for one in own) for own in ordinary])
        mark = "**" if threshold == THRESHOLD else ""
        yield (
            f"| {mark}{threshold:.2f}{mark} | {recalls[0]} | {recalls[1]} | {counts[concerned, 2].mean():.1f} "
            f"| {counts[~concerned, 2].mean():.1f} | {usual:.1f} |"
        )


def by_kind(cases: list[dict[str, Any]], ranked: list[list[Candidate]]) -> Iterator[str]:
    """Table rows at the product's threshold."""
    for kind in KINDS:
        own = [i for i, case in enumerate(cases) if case["kind"] == kind]
        labelled, right, shown = found([cases[i] for i in own], [ranked[i] for i in own], THRESHOLD).sum(axis=0)
        yield f"| {kind.replace('_', ' ')} | {len(own)} | {right}/{labelled} | {shown / len(own):.1f} |"


def missed(cases: list[dict[str, Any]], ranked: list[list[Candidate]]) -> Iterator[str]:
    """What the threshold lost, one phrase each."""
    for case, candidates in zip(cases, ranked, strict=True):
        for place, one in enumerate(candidates, 1):
            if one.entry.code in case["expected"] and one.score < THRESHOLD:
                yield f"{case['id']} ({case['language']}) {one.entry.code}, place {place} at {one.score:.3f}"


def page(models: Models) -> str:
    """The Markdown page."""
    prepared = prepare_catalogue(load_catalogue(), models)
    cases = read_jsonl(DATA / "catalogue" / "screening-cases.jsonl")
    ranked = ranked_all(cases, prepared, models)
    samples = [r for r in read_jsonl(DATA / "samples" / "listings.jsonl") if r["side"] == Side.OFFER]
    ordinary = ranked_all(samples, prepared, models)
    languages = len({case["language"] for case in cases})
    return f"""# Screening

Written by `python scripts/screening.py`. How well the screening of offers finds the entries of a controlled catalogue
that a careful reader would want to see: {len(cases)} invented offers in {languages} languages against the illustrative
catalogue of {len(prepared.catalogue.entries)} entries (`data/catalogue/README.md`).

**How far to trust it.** The catalogue, the offers and the labels are invented and small, and one author wrote all
three. Measure and threshold were chosen while looking at the *first* set; the *later* set was written afterwards and
changed nothing. A real catalogue has longer and drier control points:
measure anew before relying on it. What is not shown has not been released by anything; a person decides.

## Recall and what it costs

Shown: entries a person gets to read, of {len(prepared.catalogue.entries)}; for offers with a labelled entry, for those
without, and for the {len(samples)} offers of `data/samples`, which have no labels.

| threshold | recall, first set | recall, later set | shown, labelled | shown, without | shown, samples |
|---|---|---|---|---|---|
{chr(10).join(curve(cases, ranked, ordinary))}

Not shown at the threshold in bold: {"; ".join(missed(cases, ranked)) or "none"}.

## By kind of case

At the threshold in bold, both sets. Software: programs that control something, without the words of the entry. Buried:
one sentence in a text about something else. Hard negative: near in words or subject, not controlled.

| kind | offers | labelled entries shown | shown an offer |
|---|---|---|---|
{chr(10).join(by_kind(cases, ranked))}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path("var/models"))
    asked = parser.parse_args()
    (ROOT / "docs" / "screening.md").write_text(page(load_models(asked.cache)), "utf-8")


if __name__ == "__main__":
    main()
