"""Train what the library ships: the language prior, the field classifier and the fusion, from the project's own texts.

    python scripts/train.py [--cache var/models]

Reads data/parallel, data/fields, data/training, and the training half of data/benchmark; writes matching/artefacts/.
The held-back half of the benchmark and the sets under shared/ never enter.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from corpora import DATA, as_listing, benchmark, embed_cached, read_jsonl, read_qrels
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from matching import FIELDS, Encoder, LanguageSpace, Listing, Market, Models, Side, save_space
from matching import fields as field_module
from matching.candidates import candidates
from matching.fields import FieldClassifier
from matching.models import ARTEFACTS, load_encoder
from matching.pipeline import score
from matching.scoring import FEATURES, Fusion, save_fusion
from matching.space import fit

WORTH_A_LOOK = 0.15  # about the share of introductions that a good scouting campaign yields
SENSE: dict[str, tuple[float | None, float | None]] = {"same_language": (None, None), "maturity_gap": (None, 0.0)}
RELEVANT = 2  # a grade from which a manager would introduce the two


def train_prior(encoder: Encoder) -> LanguageSpace:
    """Means of parallel passages: as the content is the same in every language, what differs is the language."""
    records = read_jsonl(DATA / "parallel" / "passages.jsonl")
    listings = [as_listing({"id": f"{r['group']}-{r['language']}", "text": r["text"]}, Side.OFFER) for r in records]
    vectors = np.stack([one.vector for one in embed_cached(listings, encoder)])
    groups: dict[str, list[int]] = defaultdict(list)
    for row, record in enumerate(records):
        groups[record["language"]].append(row)
    means = {code: vectors[rows].mean(axis=0) for code, rows in sorted(groups.items())}
    return LanguageSpace(encoder.name, vectors.mean(axis=0), means)


def train_fields(encoder: Encoder, prior: LanguageSpace, *, with_listings: bool) -> FieldClassifier:
    """One logistic regression a field, multi-label, on the passages and, `with_listings`, on the training listings."""
    records = [
        {"id": f"passage-{number}", "text": r["text"], "fields": r["fields"]}
        for number, r in enumerate(read_jsonl(DATA / "fields" / "passages.jsonl"))
    ]
    if with_listings:
        records += read_jsonl(DATA / "training" / "listings.jsonl")
        for side in ("needs", "offers"):
            records += read_jsonl(DATA / "benchmark" / f"train-{side}.jsonl")
    embeddings = embed_cached([as_listing(record, Side.OFFER) for record in records], encoder)
    vectors = np.stack([one.vector for one in embeddings])
    languages = [one.language for one in embeddings]
    centred = fit(vectors, languages, encoder.name, prior).apply(vectors, languages)
    weights, biases = [], []
    for name in FIELDS:
        truth = np.array([name in record["fields"] for record in records])
        model = LogisticRegression(C=1.0, class_weight="balanced", max_iter=2000).fit(centred, truth)
        weights.append(model.coef_[0])
        biases.append(model.intercept_[0])
    return FieldClassifier(encoder.name, np.array(weights, np.float32), np.array(biases, np.float32))


def labelled_pairs(
    listings: list[Listing], qrels: dict[str, dict[str, int]], models: Models
) -> tuple[np.ndarray, np.ndarray]:
    """Features and outcomes of the candidates of one market."""
    market = Market.build(listings, embed_cached(listings, models.encoder), models)
    found = candidates(market, 50)
    offers, needs = market.stands[Side.OFFER].listings, market.stands[Side.NEED].listings
    pairs = zip(found.offers, found.needs, strict=True)
    outcomes = [qrels.get(needs[n].id, {}).get(offers[o].id, 0) >= RELEVANT for o, n in pairs]
    return score(market, found), np.array(outcomes)


def fit_signed(features: np.ndarray, outcomes: np.ndarray) -> np.ndarray:
    """Maximum likelihood weights and, last, intercept of a logistic regression whose weights keep their sense.

    Likeness never counts against a pair and a shortfall in maturity never for it, whatever chance says in few data.
    """
    design = np.column_stack([features, np.ones(len(features))])
    bounds = [SENSE.get(name, (0.0, None)) for name in FEATURES] + [(None, None)]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits = design @ weights
        errors = 1.0 / (1.0 + np.exp(-logits)) - outcomes
        return float(np.logaddexp(0.0, logits).sum() - logits[outcomes].sum()), design.T @ errors

    found = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds)
    if not found.success:
        raise RuntimeError(f"the fusion did not converge: {found.message}")
    return np.asarray(found.x)


def train_fusion(models: Models) -> Fusion:
    """Logistic regression on the candidates of several markets: mixed languages, English alone, Chinese alone."""
    own = read_jsonl(DATA / "training" / "listings.jsonl")
    own_qrels = read_qrels(DATA / "training" / "qrels.tsv")
    mixed, mixed_qrels = benchmark("train")
    markets = [
        (mixed, mixed_qrels),
        ([as_listing(r) for r in own if r["language"] == "en"], own_qrels),
        ([as_listing(r) for r in own if r["language"] == "zh"], own_qrels),
        (mixed + [as_listing(r) for r in own], mixed_qrels | own_qrels),
    ]
    parts = [labelled_pairs(listings, qrels, models) for listings, qrels in markets]
    features = np.concatenate([part[0] for part in parts])
    outcomes = np.concatenate([part[1] for part in parts])
    solution = fit_signed(features, outcomes)
    weights = {name: round(float(weight), 5) for name, weight in zip(FEATURES, solution, strict=False)}
    trained_on = {
        "encoder": models.encoder.name,
        "texts": "data/training and the training half of data/benchmark",
        "pairs": len(outcomes),
        "relevant": int(outcomes.sum()),
        "outcome": f"grade {RELEVANT} or more",
    }
    return Fusion(weights, round(float(solution[-1]), 5), WORTH_A_LOOK, trained_on)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path("var/models"))
    encoder = load_encoder(parser.parse_args().cache)
    ARTEFACTS.mkdir(exist_ok=True)
    prior = train_prior(encoder)
    save_space(prior, ARTEFACTS / "language_prior.npz")
    fields = train_fields(encoder, prior, with_listings=True)
    field_module.save(fields, ARTEFACTS / "fields.json")
    untrained = Fusion(dict.fromkeys(FEATURES, 0.0), 0.0, 0.0, {})
    # The fusion learns how far to trust guesses on listings that the classifier has not seen.
    blind = train_fields(encoder, prior, with_listings=False)
    fusion = train_fusion(Models(encoder, prior, untrained, blind))
    save_fusion(fusion, ARTEFACTS / "fusion.json")
    for name in FEATURES:
        print(f"{name:16} {fusion.weights[name]:8.3f}")
    print(f"{'intercept':16} {fusion.intercept:8.3f}  on {dict(fusion.trained_on)}")


if __name__ == "__main__":
    main()
