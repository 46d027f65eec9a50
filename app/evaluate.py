"""How well the ranking agrees with judgments, beside what everyone builds first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.errors import Unusable
from app.files import LineProblem, read_bytes, read_listing_file
from matching import MatchOptions, Models, Side, match, plain_run, run_of
from matching.evaluation import Qrels, Run, largest_share, ndcg, occurrence_skew, recall, reciprocal_rank

HEADER = "query-id\tcorpus-id\tscore"


@dataclass(frozen=True, slots=True)
class Measures:
    """The measures of one ranking; `hub_share` and `occurrence_skew` are better when small."""

    ndcg_at_10: float
    recall_at_10: float
    recall_at_50: float
    reciprocal_rank: float
    hub_share: float
    occurrence_skew: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Measures by ranking, and the lines that could not be read."""

    rankings: dict[str, Measures]
    need_problems: tuple[LineProblem, ...]
    offer_problems: tuple[LineProblem, ...]


def evaluate_files(needs: Path, offers: Path, qrels: Path, models: Models) -> Evaluation:
    """Rank all offers for all needs and measure. Raises Unusable, and InvalidListing for an id on both sides."""
    judged = read_qrels(qrels)
    left, right = read_listing_file(needs, Side.NEED), read_listing_file(offers, Side.OFFER)
    listings = [one for one in left.listings if one.side is Side.NEED]
    listings += [one for one in right.listings if one.side is Side.OFFER]
    documents = sorted(one.id for one in listings if one.side is Side.OFFER)
    if not documents or len(documents) == len(listings):
        raise Unusable("at least one need and one offer that can be read are wanted")
    runs = {
        "dukou": run_of(match(listings, models, MatchOptions(top=50, rank_all=True), progress=True)),
        "plain cosine": plain_run(listings, models),
    }
    rankings = {name: _measured(judged, run, documents) for name, run in runs.items()}
    return Evaluation(rankings, tuple(left.problems), tuple(right.problems))


def read_qrels(path: Path) -> Qrels:
    """Judgments, query → document → grade, from a TSV with a header. Raises Unusable, naming the line."""
    qrels: dict[str, dict[str, int]] = {}
    text = read_bytes(path).decode("utf-8-sig", "replace")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or (number == 1 and line.strip() == HEADER):
            continue
        parts = line.split("\t")
        if len(parts) != 3 or not parts[2].strip().removeprefix("-").isdecimal():
            raise Unusable(f"{path}:{number}: must be query-id, corpus-id and a whole number, separated by tabs")
        qrels.setdefault(parts[0], {})[parts[1]] = int(parts[2])
    return qrels


def _measured(judged: Qrels, run: Run, documents: list[str]) -> Measures:
    return Measures(
        ndcg_at_10=ndcg(judged, run),
        recall_at_10=recall(judged, run, 10),
        recall_at_50=recall(judged, run, 50),
        reciprocal_rank=reciprocal_rank(judged, run),
        hub_share=largest_share(run),
        occurrence_skew=occurrence_skew(run, documents),
    )
