"""The language space: vectors with their language taken off, so that meaning is what is left.

A multilingual encoder places texts first by language: the nearest neighbour of a Russian need is a Russian text.
Subtracting each language's mean and scaling to unit length undoes most of that (Libovický et al., 2020, "On the
language neutrality of pre-trained multilingual representations"; Yang et al., 2021, on removing language
components). The mean of a language is an estimate; with few texts it is shrunk towards a shipped prior, whose
offsets come from parallel text, and a language never seen is centred on the global mean.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matching.encoder import Vectors, unit
from matching.errors import ArtefactError, DimensionMismatch
from matching.files import pack, read_packed, write_atomically
from matching.language import UNKNOWN

SHRINKAGE = 10.0  # a prior counts as so many texts of a language
CENTRE_SHRINKAGE = 100.0  # and the prior's centre as so many texts of a corpus: a few say more of topic than of place


@dataclass(frozen=True)
class LanguageSpace:
    """Means to take off: `centre` for all, shape (dimension,), and `means` by ISO 639-1 code, same shape; float32."""

    encoder: str
    centre: Vectors
    means: Mapping[str, Vectors]

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits over all that `save` keeps: other means, other version; saving changes it not."""
        codes = sorted(self.means)
        digest = hashlib.sha256(json.dumps([self.encoder, codes]).encode())
        for part in (self.centre, *(self.means[code] for code in codes)):
            digest.update(np.ascontiguousarray(part, np.float16).tobytes())
        return digest.hexdigest()[:12]

    def apply(self, vectors: Vectors, languages: Sequence[str]) -> Vectors:
        """Centred unit vectors, shape as given. Raises DimensionMismatch for vectors of another model."""
        if vectors.shape[1] != len(self.centre):
            raise DimensionMismatch(len(self.centre), vectors.shape[1])
        means = [self.means.get(language, self.centre) for language in languages]
        return unit(vectors - np.stack(means)) if means else vectors


def fit(
    vectors: Vectors,
    languages: Sequence[str],
    encoder: str,
    prior: LanguageSpace | None = None,
    *,
    strength: float = SHRINKAGE,
) -> LanguageSpace:
    """Estimate the means from a corpus, each shrunk by `strength` texts towards the prior, the centre by more.

    The prior contributes offsets (mean of a language minus centre), which carry over between corpora; its
    centre gives way to the corpus's own. Texts of unknown language have no mean of their own. Raises ArtefactError
    when the prior was made by another encoder.
    """
    if prior is not None and prior.encoder != encoder:
        raise ArtefactError(f"the language prior was made with {prior.encoder}, not with {encoder}")
    groups: dict[str, list[int]] = defaultdict(list)
    for row, language in enumerate(languages):
        if language != UNKNOWN:
            groups[language].append(row)
    offsets = {code: mean - prior.centre for code, mean in prior.means.items()} if prior is not None else {}
    centre = _centre(vectors, groups, offsets, prior)
    means = {code: centre + offset for code, offset in offsets.items()}
    for code, rows in groups.items():
        expected = means.get(code, centre)
        means[code] = _shrunk(vectors[rows].sum(axis=0), len(rows), expected, strength)
    return LanguageSpace(encoder, _kept(centre), {code: _kept(mean) for code, mean in sorted(means.items())})


def _centre(
    vectors: Vectors,
    groups: Mapping[str, list[int]],
    offsets: Mapping[str, Vectors],
    prior: LanguageSpace | None,
) -> Vectors:
    """Where language-free text of this corpus lies: its mean with the languages' known offsets taken off."""
    if not len(vectors):
        return prior.centre if prior is not None else np.zeros(vectors.shape[1], np.float32)
    total = vectors.sum(axis=0)
    for code, rows in groups.items():
        if code in offsets:
            total = total - len(rows) * offsets[code]
    return _shrunk(total, len(vectors), prior.centre, CENTRE_SHRINKAGE) if prior is not None else total / len(vectors)


def _shrunk(total: Vectors, count: int, expected: Vectors, strength: float) -> Vectors:
    return _float((total + strength * expected) / (count + strength))


def _kept(values: NDArray[Any]) -> Vectors:
    """In the precision of `save`, so that a space that was kept gives the very same vectors."""
    return _float(values.astype(np.float16))


def _float(values: NDArray[Any]) -> Vectors:
    return np.asarray(values, dtype=np.float32)


def save(space: LanguageSpace, path: Path) -> None:
    """Write one file, whole or not at all. Means are kept as float16: their error is far below the noise."""
    codes = sorted(space.means)
    stack = np.stack([space.centre, *(space.means[code] for code in codes)]).astype(np.float16)
    write_atomically(path, pack({"encoder": space.encoder, "languages": codes}, {"means": stack}))


def load(path: Path) -> LanguageSpace:
    """Read what `save` wrote. Raises ArtefactError when the file is missing, truncated or something else."""
    head, arrays = read_packed(path, "language space")
    try:
        means = arrays["means"].astype(np.float32)
        encoder, codes = str(head["encoder"]), list(head["languages"])
    except (KeyError, ValueError, TypeError) as error:
        raise ArtefactError(f"{path}: not a readable language space: {error}") from error
    if means.ndim != 2 or len(means) != len(codes) + 1:
        raise ArtefactError(f"{path} holds {len(means)} means for {len(codes)} languages")
    return LanguageSpace(encoder, means[0], dict(zip(codes, means[1:], strict=True)))
