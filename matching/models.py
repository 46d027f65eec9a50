"""Everything learned that matching needs: the encoder and the shipped artefacts that fit it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from matching import background as background_module
from matching.accelerated import AcceleratedEncoder, can_accelerate
from matching.background import Background
from matching.bundled import NAME, ensure_model
from matching.encoder import Encoder, HashingEncoder, SentenceEncoder
from matching.fields import FieldClassifier
from matching.fields import load as load_fields
from matching.scoring import Fusion, load_fusion
from matching.space import LanguageSpace
from matching.space import load as load_space

ARTEFACTS = Path(__file__).parent / "artefacts"
BUNDLED = "bundled"


@dataclass(frozen=True)
class Models:
    """An encoder with what was learned in its space, and the fusion.

    For an encoder that nothing was learned for, `prior` and `fields` are None and `background` is empty.
    """

    encoder: Encoder
    prior: LanguageSpace | None
    fusion: Fusion
    fields: FieldClassifier | None
    background: Background


def load_encoder(cache: Path, model: str = BUNDLED, prefix: str = "passage: ") -> Encoder:
    """The bundled model, built under `cache` on first use, or any sentence-transformers model by name or path.

    The bundled one runs through OpenVINO where that is installed and knows the processor.
    """
    if model == BUNDLED:
        encoder = AcceleratedEncoder if can_accelerate() else SentenceEncoder
        return encoder(ensure_model(cache), name=NAME, prefix=prefix)
    return SentenceEncoder(model, prefix=prefix)


@dataclass(frozen=True)
class EncoderLoader:
    """`load_encoder` with its arguments, for another process or machine."""

    cache: Path
    model: str = BUNDLED
    prefix: str = "passage: "

    def __call__(self) -> Encoder:
        return load_encoder(self.cache, self.model, self.prefix)


def load_models(cache: Path, model: str = BUNDLED, prefix: str = "passage: ") -> Models:
    """Load the encoder and what was trained for it. Raises ModelError or ArtefactError."""
    return with_artefacts(load_encoder(cache, model, prefix))


def hashing_models() -> Models:
    """No model at all, for tests and trials: hashed trigrams, no prior, no fields, the shipped fusion."""
    return with_artefacts(HashingEncoder())


def with_artefacts(encoder: Encoder) -> Models:
    """Give an encoder the shipped artefacts; those learned in one encoder's space serve only it."""
    prior = load_space(ARTEFACTS / "language_prior.npz")
    fields = load_fields(ARTEFACTS / "fields.npz")
    background = background_module.load(ARTEFACTS / "background.npz")
    if background.encoder != encoder.name:
        background = background_module.nothing(encoder.name, encoder.dimension)
    return Models(
        encoder=encoder,
        prior=prior if prior.encoder == encoder.name else None,
        fusion=load_fusion(ARTEFACTS / "fusion.json"),
        fields=fields if fields.encoder == encoder.name else None,
        background=background,
    )
