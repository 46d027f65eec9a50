"""Which entries of a controlled catalogue an offer may touch, found by meaning, for a person to decide on.

Every passage of the offer is compared with every control point in the language space. Each point is read together with
its entry's title: alone it is too terse to place. The score is CSLS (Conneau et al., 2018) against the shipped
background: how much nearer passage and point are than is usual around both. Entries above a low threshold are
candidates, because a missed entry costs more than one too many; `docs/screening.md` has what that gives and costs.

The screening finds; it never releases. An empty answer says that this screening found nothing, and nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matching.background import Background
from matching.catalogue import Catalogue, CatalogueEntry, ControlPoint
from matching.embedding import Embedding
from matching.encoder import Vectors, unit
from matching.errors import ArtefactError
from matching.listing import Listing
from matching.models import Models
from matching.neighbours import crowding
from matching.scoring import csls
from matching.space import LanguageSpace

NEIGHBOURHOOD = 10  # CSLS's k, as in the market
# Nearer than usual. On the invented cases 67 of 69 labelled entries lie above (docs/screening.md). One half of the
# first cases reaches a recall of 0.95 at 0.08 already, the other only here: a tighter one would fit the cases.
THRESHOLD = 0.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry that a person should look at, with what called it up: the control point, the offer's own words.

    `passage` stands verbatim in the listing's text. `score`: CSLS, about −1 to 1, higher is nearer.
    """

    entry: CatalogueEntry
    point: ControlPoint
    passage: str
    score: float


@dataclass(frozen=True, eq=False)
class PreparedCatalogue:
    """A catalogue made ready for one set of models: a row of `vectors` for each control point.

    `vectors`: language-free unit vectors, shape (points, dimension), float32, a point's languages averaged. `around`,
    shape (points,): how crowded the background is around each. `owners`, shape (points,): positions in the entries.
    """

    catalogue: Catalogue
    encoder: str
    points: tuple[ControlPoint, ...]
    owners: NDArray[np.int64]
    vectors: Vectors
    around: Vectors


def prepare_catalogue(catalogue: Catalogue, models: Models) -> PreparedCatalogue:
    """Embed all control points, once for a catalogue and its models."""
    rows = [(position, point) for position, entry in enumerate(catalogue.entries) for point in entry.points]
    vectors = np.zeros((len(rows), models.encoder.dimension), np.float32)
    for language in catalogue.languages:
        texts = [f"{catalogue.entries[i].title[language]}: {point.text[language]}" for i, point in rows]
        vectors += _language_free(models.encoder.encode(texts), language, models)
    vectors = unit(vectors)
    return PreparedCatalogue(
        catalogue=catalogue,
        encoder=models.encoder.name,
        points=tuple(point for _, point in rows),
        owners=np.array([position for position, _ in rows], np.int64),
        vectors=vectors,
        around=_around(vectors, models.background),
    )


def screen(
    listing: Listing,
    embedding: Embedding,
    prepared: PreparedCatalogue,
    models: Models,
    *,
    threshold: float = THRESHOLD,
) -> list[Candidate]:
    """The entries that an offer may touch, best first, each once with its best passage and control point.

    An empty list means that this screening found nothing: it is no finding that the offer is free of control. The
    result depends on the offer, the catalogue and the models alone; ties go by code. Raises ArtefactError when the
    catalogue was prepared for another encoder.
    """
    scores = point_scores(embedding, prepared, models)
    found = []
    for position, entry in enumerate(prepared.catalogue.entries):
        row, point = _best(scores, np.flatnonzero(prepared.owners == position))
        score = round(float(scores[row, point]), 4)
        if score >= threshold:
            passage = _quoted(embedding.passages[row], listing.text)
            found.append(Candidate(entry, prepared.points[point], passage, score))
    return sorted(found, key=lambda one: (-one.score, one.entry.code))


def point_scores(embedding: Embedding, prepared: PreparedCatalogue, models: Models) -> Vectors:
    """CSLS of each passage with each control point, float32, shape (passages, points)."""
    if prepared.encoder != models.encoder.name:
        raise ArtefactError(
            f"the catalogue was prepared for {prepared.encoder}, not for {models.encoder.name}; prepare it again"
        )
    passages = _language_free(embedding.passage_vectors.astype(np.float32), embedding.language, models)
    around = _around(passages, models.background)
    return csls(passages @ prepared.vectors.T, around[:, None], prepared.around[None, :])


def _best(scores: Vectors, own: NDArray[np.int64]) -> tuple[int, int]:
    """Row and column of the best cell among an entry's `own` columns; of equal ones the first passage and point."""
    row, column = divmod(int(scores[:, own].argmax()), len(own))
    return row, int(own[column])


def _quoted(passage: str, text: str) -> str:
    """The passage as it stands in the text: passages join sentences by a blank, which Chinese writes without."""
    found = re.search(r"\s*".join(map(re.escape, passage.split())), text)
    return found[0] if found else passage


def _language_free(vectors: Vectors, language: str, models: Models) -> Vectors:
    """In the shipped prior's space, not in a market's: what is shown must not hang on what else is on offer."""
    space = models.prior or _no_space(models)
    return space.apply(vectors, [language] * len(vectors))


def _no_space(models: Models) -> LanguageSpace:
    """Nothing is taken off the vectors of a model that has no prior."""
    return LanguageSpace(models.encoder.name, np.zeros(models.encoder.dimension, np.float32), {})


def _around(vectors: Vectors, background: Background) -> Vectors:
    return crowding(vectors @ background.vectors.T, NEIGHBOURHOOD)
