"""Train what the library ships, from the project's own texts.

    python scripts/train.py [--cache var/models] [--model NAME_OR_FOLDER --prefix "passage: "]

That is: how large the numbers within the encoder get, language prior, background, field classifier and fusion. Reads
data/parallel, data/fields, data/training, and the training half of data/benchmark; writes matching/artefacts/. The
held-back half of the benchmark and the sets under shared/ never enter.
"""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from corpora import DATA, as_listing, benchmark, embed_cached, read_jsonl, read_qrels
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression

from matching import EVERY_DIRECTION, FIELDS, Embedding, Encoder, LanguageSpace, Listing, Market, Models, Side
from matching import background as background_module
from matching import fields as field_module
from matching.background import Background
from matching.bundled import ensure_model
from matching.encoder import Vectors
from matching.fields import Examples, FieldClassifier, Terms
from matching.learning import SENSE
from matching.models import ARTEFACTS, BUNDLED, load_encoder
from matching.network import ACTIVATIONS, save_activations
from matching.pipeline import scored
from matching.scoring import FEATURES, Fusion, save_fusion
from matching.space import fit, save

WORTH_A_LOOK = 0.1  # somewhat below the 15 % that a good scouting campaign yields: a look is cheap, a missed pair not
RELEVANT = 2  # a grade from which a manager would introduce the two
SET_TRAP = "g0"  # in the id of an offer written to mislead: it shares the need's words and not its problem
BACKGROUND_PASSAGES = 300
COMMON = 0.2  # share of the texts in which a word says nothing of their field
Bounds = list[tuple[float | None, float | None]]


def largest_activations(folder: Path) -> dict[str, Vectors]:
    """How large each input of each matrix product of the encoder gets, over texts in all languages, one by one."""
    import torch
    from sentence_transformers import SentenceTransformer

    records = read_jsonl(DATA / "parallel" / "passages.jsonl")
    for side in ("needs", "offers"):
        records += read_jsonl(DATA / "benchmark" / f"train-{side}.jsonl")
    model, found = SentenceTransformer(str(folder)), dict[str, torch.Tensor]()

    def look(product: torch.nn.Module, name: str) -> None:
        def met(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            sizes = inputs[0].abs().flatten(0, -2).amax(dim=0)
            found[name] = torch.maximum(found[name], sizes) if name in found else sizes

        product.register_forward_pre_hook(met)

    for path, module in model.named_modules():
        at = path.find("encoder.layer.")
        if isinstance(module, torch.nn.Linear) and at >= 0 and not path.endswith((".key", ".value")):  # as the query's
            look(module, path[at:])
    texts = [as_listing({**record, "id": f"text-{i}"}, Side.OFFER).text for i, record in enumerate(records)]
    bits = [text[:length] for text in texts[::10] for length in (1, 4, 12)]  # a single word, or the same over and over
    texts += bits + [f"{bit} " * 300 for bit in bits[::6]]
    model.encode(["passage: " + text for text in texts], batch_size=1)
    return {name: sizes.numpy() for name, sizes in found.items()}


def train_prior(encoder: Encoder) -> LanguageSpace:
    """Means of parallel passages: as the content is the same in every language, what differs is the language."""
    records = read_jsonl(DATA / "parallel" / "passages.jsonl")
    vectors = np.stack([one.vector for one in embed_texts(records, encoder)])
    groups: dict[str, list[int]] = defaultdict(list)
    for row, record in enumerate(records):
        groups[record["language"]].append(row)
    means = {code: vectors[rows].mean(axis=0) for code, rows in sorted(groups.items())}
    return LanguageSpace(encoder.name, vectors.mean(axis=0), means)


def make_background(encoder: Encoder, prior: LanguageSpace) -> Background:
    """Vectors of field passages, drawn at random; words of the parallel passages, in each language the same."""
    records = read_jsonl(DATA / "fields" / "passages.jsonl")
    embeddings = embed_texts(records, encoder)
    centred = language_free(embeddings, encoder, prior)
    drawn = np.random.default_rng(0).permutation(len(records))[:BACKGROUND_PASSAGES]
    words: dict[str, list[tuple[int, ...]]] = defaultdict(list)
    parallel = read_jsonl(DATA / "parallel" / "passages.jsonl")
    for record, embedding in zip(parallel, embed_texts(parallel, encoder), strict=True):
        words[record["language"]].append(embedding.words)
    return Background(encoder.name, centred[drawn], {code: tuple(own) for code, own in words.items()})


def train_fields(encoder: Encoder, prior: LanguageSpace, *, with_listings: bool) -> FieldClassifier:
    """One logistic regression a field, multi-label, on the passages and, `with_listings`, on the training listings."""
    records = read_jsonl(DATA / "fields" / "passages.jsonl")
    if with_listings:
        records += [r for r in read_jsonl(DATA / "training" / "listings.jsonl") if r.get("fields")]
        for side in ("needs", "offers"):
            records += read_jsonl(DATA / "benchmark" / f"train-{side}.jsonl")
    embeddings = embed_texts(records, encoder)
    terms = rarities([one.words for one in embeddings])
    vectors = language_free(embeddings, encoder, prior)
    truths = np.array([[name in record["fields"] for name in FIELDS] for record in records], np.float32)
    examples = Examples(vectors, truths)
    topics = np.array([record.get("topic", f"passage {i}") for i, record in enumerate(records)])
    # An example says nothing of itself, nor of the texts written with it for one topic.
    near = examples.near(vectors, topics[:, None] == topics[None, :])
    design = hstack([csr_matrix(vectors), tf_idf(terms, embeddings), csr_matrix(near)]).tocsr()
    weights, biases = [], []
    for truth in truths.T > 0:
        model = LogisticRegression(C=1.0, max_iter=3000).fit(design, truth)
        weights.append(model.coef_[0])
        biases.append(model.intercept_[0])
    stacked = np.array(weights, np.float32)
    meaning, words, neighbours = np.split(stacked, [encoder.dimension, encoder.dimension + len(terms.ids)], axis=1)
    return FieldClassifier(encoder.name, meaning, np.array(biases, np.float32), terms, words, examples, neighbours)


def rarities(documents: Sequence[Sequence[int]]) -> Terms:
    """Smoothed inverse document frequencies of the words that occur in two texts and more."""
    holding = Counter(word for words in documents for word in set(words))
    ids = np.array(sorted(word for word, count in holding.items() if count > 1), np.int32)
    counts = np.array([holding[word] for word in ids.tolist()])
    rarity = np.where(counts <= COMMON * len(documents), np.log((1 + len(documents)) / (1 + counts)) + 1, 0.0)
    return Terms(ids, rarity.astype(np.float32), float(np.log(1 + len(documents)) + 1))


def tf_idf(terms: Terms, embeddings: Sequence[Embedding]) -> csr_matrix:
    """The texts' words as a sparse matrix, shape (texts, terms)."""
    weighed = [terms.weigh(one.words) for one in embeddings]
    rows = np.repeat(np.arange(len(weighed)), [len(places) for places, _ in weighed])
    places, values = np.concatenate([w[0] for w in weighed]), np.concatenate([w[1] for w in weighed])
    return csr_matrix((values, (rows, places)), shape=(len(weighed), len(terms.ids)))


def embed_texts(records: Sequence[dict[str, str]], encoder: Encoder) -> list[Embedding]:
    """Embeddings of the records' words; ids are made up."""
    listings = [as_listing({**record, "id": f"text-{i}"}, Side.OFFER) for i, record in enumerate(records)]
    return embed_cached(listings, encoder)


def language_free(embeddings: Sequence[Embedding], encoder: Encoder, prior: LanguageSpace) -> Vectors:
    """Vectors in the language space of these very texts."""
    vectors = np.stack([one.vector for one in embeddings])
    languages = [one.language for one in embeddings]
    return fit(vectors, languages, encoder.name, prior).apply(vectors, languages)


@dataclass(frozen=True)
class Pairs:
    """Candidate pairs of markets: features (pairs, features), whether relevant, whether the offer was set as a trap."""

    features: np.ndarray
    relevant: np.ndarray
    trap: np.ndarray


def labelled_pairs(listings: list[Listing], qrels: dict[str, dict[str, int]], models: Models) -> Pairs:
    """All candidates of one market."""
    market = Market.build(listings, embed_cached(listings, models.encoder), models)
    found = scored(market, 50, EVERY_DIRECTION)
    offers, needs = market.stands[Side.OFFER], market.stands[Side.NEED]
    ids = [(offers.id(o), needs.id(n)) for o, n in zip(found.offers, found.needs, strict=True)]
    return Pairs(
        found.features,
        np.array([qrels.get(need, {}).get(offer, 0) >= RELEVANT for offer, need in ids]),
        np.array([is_trap(offer) for offer, _ in ids]),
    )


def is_trap(offer: str) -> bool:
    """Whether an offer was written to mislead."""
    return SET_TRAP in offer or offer.endswith("-x")


def bereft(listings: Sequence[Listing], half: int) -> list[Listing]:
    """A market in which half of the topics have lost their offers: their needs have no good match."""

    def kept(one: Listing) -> bool:
        topic = one.id.rsplit("-", 1)[0]
        return one.side is Side.NEED or hashlib.sha256(topic.encode()).digest()[0] % 2 != half

    return [one for one in listings if kept(one)]


def likeliest(
    features: np.ndarray, outcomes: np.ndarray, bounds: Bounds, weights: np.ndarray | None = None
) -> np.ndarray:
    """Maximum likelihood weights and, last, intercept of a logistic regression within `bounds`.

    `weights`, shape (pairs,), say how much each pair counts.
    """
    design = np.column_stack([features, np.ones(len(features))])
    count = np.ones(len(features)) if weights is None else weights

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        logits = design @ at
        errors = count * (1.0 / (1.0 + np.exp(-logits)) - outcomes)
        return float(count @ np.logaddexp(0.0, logits) - (count * logits)[outcomes].sum()), design.T @ errors

    found = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B", bounds=[*bounds, (None, None)])
    if not found.success:
        raise RuntimeError(f"the fusion did not converge: {found.message}")
    return np.asarray(found.x)


def train_fusion(models: Models) -> Fusion:
    """The weights from pairs as they come; then confidence, and what one language is worth, from all pairs.

    Likeness never counts against a pair and a shortfall in maturity never for it, whatever chance says in few data. An
    offer in four was written to share a need's words without answering it: learned from, they would teach that shared
    words mean little. So they only temper: three numbers, for which the three markets count the same.
    """
    parts = {name: labelled_pairs(listings, qrels, models) for name, (listings, qrels) in markets().items()}
    natural = learned_weights(list(parts.values()))
    whole = [parts[name] for name in ("mixed", "en", "zh")]
    features, relevant = joined(whole, "features"), joined(whole, "relevant")
    counts = np.concatenate([np.full(len(part.relevant), len(relevant) / len(part.relevant)) for part in whole])
    same = FEATURES.index("same_language")
    log_odds = features @ natural[:-1] + natural[-1]
    tempering = np.column_stack([log_odds, features[:, same]])
    factor, shift, intercept = likeliest(tempering, relevant, [(0.0, None), (None, None)], counts)
    weights = factor * natural[:-1]
    weights[same] += shift
    trained_on = {
        "encoder": models.encoder.name,
        "texts": "data/training and the training half of data/benchmark",
        "pairs": sum(len(part.relevant) for part in parts.values()),
        "relevant": sum(int(part.relevant.sum()) for part in parts.values()),
        "outcome": f"grade {RELEVANT} or more",
    }
    named = {name: round(float(weight), 5) for name, weight in zip(FEATURES, weights, strict=True)}
    return Fusion(named, round(float(factor * natural[-1] + intercept), 5), WORTH_A_LOOK, trained_on)


def learned_weights(parts: Sequence[Pairs]) -> np.ndarray:
    """Weights and, last, intercept from the pairs without traps."""
    kept = ~joined(parts, "trap")
    bounds = [SENSE.get(name, (0.0, None)) for name in FEATURES]
    return likeliest(joined(parts, "features")[kept], joined(parts, "relevant")[kept], bounds)


def joined(parts: Sequence[Pairs], name: str) -> np.ndarray:
    """One attribute of all pairs."""
    return np.concatenate([getattr(part, name) for part in parts])


def markets() -> dict[str, tuple[list[Listing], dict[str, dict[str, int]]]]:
    """Mixed languages, English alone, Chinese alone; the latter two also with half of the needs unanswerable."""
    own = read_jsonl(DATA / "training" / "listings.jsonl")
    qrels = read_qrels(DATA / "training" / "qrels.tsv")
    found = {"mixed": benchmark("train")}
    for language in ("en", "zh"):
        listings = [as_listing(r) for r in own if r["language"] == language]
        found[language] = (listings, qrels)
        for half in (0, 1):
            found[f"{language}, half {half} bereft"] = (bereft(listings, half), qrels)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path("var/models"))
    parser.add_argument("--model", default=BUNDLED, help="as DUKOU_MODEL")
    parser.add_argument("--prefix", default="passage: ", help="as DUKOU_MODEL_PREFIX")
    asked = parser.parse_args()
    ARTEFACTS.mkdir(exist_ok=True)
    if asked.model == BUNDLED:
        save_activations(largest_activations(ensure_model(asked.cache)), ACTIVATIONS)
    encoder = load_encoder(asked.cache, asked.model, asked.prefix)
    prior = train_prior(encoder)
    save(prior, ARTEFACTS / "language_prior.npz")
    background = make_background(encoder, prior)
    background_module.save(background, ARTEFACTS / "background.npz")
    fields = train_fields(encoder, prior, with_listings=True)
    field_module.save(fields, ARTEFACTS / "fields.npz")
    untrained = Fusion(dict.fromkeys(FEATURES, 0.0), 0.0, 0.0, {})
    # The fusion learns how far to trust guesses on listings that the classifier has not seen.
    blind = train_fields(encoder, prior, with_listings=False)
    fusion = train_fusion(Models(encoder, prior, untrained, blind, background))
    save_fusion(fusion, ARTEFACTS / "fusion.json")
    for name in FEATURES:
        print(f"{name:16} {fusion.weights[name]:8.3f}")
    print(f"{'intercept':16} {fusion.intercept:8.3f}  on {dict(fusion.trained_on)}")


if __name__ == "__main__":
    main()
