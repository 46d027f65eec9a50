"""Dukou's matching library: offers and needs in any language → explained pairings. Values in, values out."""

from matching.assignment import Caps, Exposure, Pairs, assign, exposure, plain_top
from matching.candidates import Dropped
from matching.catalogue import (
    ILLUSTRATIVE_CATALOGUE,
    Catalogue,
    CatalogueEntry,
    ControlKind,
    ControlPoint,
    load_catalogue,
    read_catalogue,
)
from matching.embedding import (
    Embedding,
    embed,
    embed_query,
    embedding_from_bytes,
    embedding_key,
    embedding_to_bytes,
)
from matching.encoder import Encoder, HashingEncoder, SentenceEncoder
from matching.errors import (
    ArtefactError,
    ClusterError,
    DimensionMismatch,
    InvalidCatalogue,
    InvalidListing,
    MatchingError,
    ModelError,
)
from matching.evidence import Evidence
from matching.exact import prepare_search
from matching.language import prepare_languages
from matching.listing import FIELDS, MODES, Listing, Side, read_listing
from matching.market import Market
from matching.models import Models, hashing_models, load_models
from matching.pairing import Pairing
from matching.pipeline import Matching, MatchOptions, match, match_embedded, match_market, plain_run, run_of
from matching.ranking import Refused, answers, refused, scored_pair
from matching.scoring import Fusion
from matching.screening import Candidate, PreparedCatalogue, prepare_catalogue, screen
from matching.space import LanguageSpace
from matching.space import load as load_space
from matching.space import save as save_space
from matching.terms import EVERY_DIRECTION, MISSION, Direction, Objection, veto

__all__ = [
    "EVERY_DIRECTION",
    "FIELDS",
    "ILLUSTRATIVE_CATALOGUE",
    "MISSION",
    "MODES",
    "ArtefactError",
    "Candidate",
    "Caps",
    "Catalogue",
    "CatalogueEntry",
    "ClusterError",
    "ControlKind",
    "ControlPoint",
    "DimensionMismatch",
    "Direction",
    "Dropped",
    "Embedding",
    "Encoder",
    "Evidence",
    "Exposure",
    "Fusion",
    "HashingEncoder",
    "InvalidCatalogue",
    "InvalidListing",
    "LanguageSpace",
    "Listing",
    "Market",
    "MatchOptions",
    "Matching",
    "MatchingError",
    "ModelError",
    "Models",
    "Objection",
    "Pairing",
    "Pairs",
    "PreparedCatalogue",
    "Refused",
    "SentenceEncoder",
    "Side",
    "answers",
    "assign",
    "embed",
    "embed_query",
    "embedding_from_bytes",
    "embedding_key",
    "embedding_to_bytes",
    "exposure",
    "hashing_models",
    "load_catalogue",
    "load_models",
    "load_space",
    "match",
    "match_embedded",
    "match_market",
    "plain_run",
    "plain_top",
    "prepare_catalogue",
    "prepare_languages",
    "prepare_search",
    "read_catalogue",
    "read_listing",
    "refused",
    "run_of",
    "save_space",
    "scored_pair",
    "screen",
    "veto",
]
