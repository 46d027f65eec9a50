"""The live search: the models and a market built from the database, which is the truth; everything here is a cache."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlmodel import Session

from app.clock import utc_now
from app.condition import IndexState
from app.db import Database
from app.errors import AppError, NotReady, StorageFull, Unusable
from app.fusions import with_learned
from app.likeness import Closely, read_closely
from app.listings import listing_of
from app.metrics import encoding, stage
from app.queries import listings as queries
from app.results import Results, Sight, ranked
from app.settings import Settings
from app.snapshot import Base, Holder, Snapshot, alone
from app.tables import ListingRow
from matching import (
    EVERY_DIRECTION,
    ArtefactError,
    Embedding,
    InvalidListing,
    LanguageSpace,
    Listing,
    Market,
    MatchingError,
    MatchOptions,
    Models,
    Pairing,
    PreparedCatalogue,
    Side,
    embed,
    embedding_from_bytes,
    embedding_key,
    embedding_to_bytes,
    hashing_models,
    load_catalogue,
    load_models,
    load_space,
    match_market,
    prepare_catalogue,
    prepare_languages,
    read_listing,
    save_space,
    scored_pair,
    screen,
    veto,
)

log = logging.getLogger(__name__)

TAIL_SHARE = 0.05  # of a base, that may have been written since it was built; then it is built anew
LONG_TAIL = 200  # and no more than so many, since a tail is made anew at each write
LONGEST_TAIL = 500  # of more, as after an import, searches wait for the next base with what they have
DECODED = 1_000  # stored embeddings read in one go: all at once would be in memory twice
WARMED = range(4, 500, 16)  # tokens of texts encoded before the first request: each new length costs an encoder time
CHUNK = 64  # texts encoded in one go; between them searches get their turn
QUICK = 2_000  # listings that a base is built of while a request waits; of more it is built aside
FEWEST = 100  # listings from which on a language space is worth keeping; below, it is fitted anew each time


def read_models(settings: Settings) -> Models:
    """The models that the settings name, with what was learned here. Raises ModelError and ArtefactError."""
    if settings.model == "hashing":
        return with_learned(hashing_models(), settings.home)
    return with_learned(load_models(settings.cache, settings.model, settings.model_prefix), settings.home)


class Live:
    """Search over what the database holds now. Safe to use from many threads; one of them encodes at a time.

    Raises InvalidCatalogue where the catalogue of controlled technologies cannot be read.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self.database = database
        self._lock = threading.RLock()
        self._encoding = threading.Lock()  # tokenizers cannot be shared by threads
        self._building: threading.Thread | None = None
        self.catalogue = load_catalogue(settings.catalogue)
        self._prepared: PreparedCatalogue | None = None
        self._models: Models | None = None
        self._snapshot: Snapshot | None = None
        self.failure = ""

    @property
    def home(self) -> Path:
        """Where what is learned here is kept."""
        return self._settings.home

    def start(self) -> threading.Thread:
        """Load in the background; until that is done `search` and `matches` raise NotReady."""
        thread = threading.Thread(target=self._load_quietly, name="loading", daemon=True)
        thread.start()
        return thread

    def load(self) -> None:
        """Load the models and build the market. Raises ModelError, ArtefactError, AppError."""
        models = read_models(self._settings)
        for tokens in WARMED:
            models.encoder.encode([" a" * tokens])
        with self._lock:
            self._models = models
            self._snapshot = alone(self._build(models))

    @property
    def is_ready(self) -> bool:
        return self._snapshot is not None

    @property
    def state(self) -> IndexState | None:
        """What it answers from now; None until it is ready."""
        models, snapshot = self._models, self._snapshot
        if models is None or snapshot is None:
            return None
        base = snapshot.base
        return IndexState(models.encoder.name, base.revision, len(base.listings), len(snapshot.written), base.built_at)

    def search(self, text: str, side: Side, limit: int, language: str | None = None, *, sight: Sight) -> Results:
        """Listings of `side` that answer a free text. Raises InvalidListing (fields text, language), NotReady."""
        query = _query(text, side, language)
        models, snapshot = self._current()
        with self._encoding, encoding(1):
            embedding = embed([query], models.encoder)[0]
        with stage("rank"):
            return ranked(models, snapshot, query, embedding, limit, sight)

    def matches(self, listing: Listing, limit: int, sight: Sight) -> Results:
        """What answers a stored listing, which need not be published. Raises NotReady."""
        models, snapshot = self._current()
        embedding = self._embeddings([listing], models)[listing.text_hash]
        with stage("rank"):
            return ranked(models, snapshot, listing, embedding, limit, sight)

    def closely(self, listing: Listing, limit: int, sight: Sight) -> Closely:
        """What says the same on a listing's own side, and which fields it speaks of. Keeps nothing. Raises NotReady."""
        models, snapshot = self._current()
        embedding = snapshot.embedding(listing.text_hash)
        if embedding is None:
            with self._encoding, encoding(1):
                embedding = embed([listing], models.encoder)[0]
        return read_closely(models, snapshot, listing, embedding, sight.shows, limit)

    def pair(self, offer: Listing, need: Listing) -> Pairing:
        """One offer and one need, scored. Raises Unusable where their terms forbid it, NotReady."""
        forbidden = veto(offer, need, EVERY_DIRECTION)
        if forbidden is not None:
            raise Unusable(f"these two cannot be paired: {forbidden}")
        models, snapshot = self._current()
        made = self._embeddings([offer, need], models)
        return scored_pair(snapshot.base.market, offer, made[offer.text_hash], need, made[need.text_hash])

    def screen(self, offer: Listing) -> list[dict[str, Any]]:
        """Entries of the catalogue that a person should look at before this offer goes out, ready to be stored."""
        models, _ = self._current()
        embedding = self._embeddings([offer], models)[offer.text_hash]
        with self._encoding:
            if self._prepared is None:
                self._prepared = prepare_catalogue(self.catalogue, models)
        return [
            {
                "code": one.entry.code,
                "kind": str(one.entry.kind),
                "title": dict(one.entry.title),
                "point": dict(one.point.text),
                "passage": one.passage,
                "score": one.score,
            }
            for one in screen(offer, embedding, self._prepared, models)
        ]

    def match_all(self, top: int) -> tuple[Pairing, ...]:
        """All published offers against all published needs: what is above the threshold. Raises NotReady."""
        models, _ = self._current()
        with self._lock:
            base = self._build(models)
        return match_market(base.market, MatchOptions(top)).pairings

    def market(self) -> tuple[Models, Market]:
        """The models, and all published listings as they are now in one market. Raises NotReady."""
        models, _ = self._current()
        with self._lock:
            return models, self._build(models).market

    def refit(self) -> LanguageSpace | None:
        """Fit the language space anew to all listings and keep it; None when there are no listings."""
        models, _ = self._current()
        with self._lock:
            self._snapshot = alone(self._build(models, refit=True))
            return self._snapshot.base.market.space if self._snapshot.base.listings else None

    def _load_quietly(self) -> None:
        """What stops this thread is kept and shown: nobody else would learn of it."""
        try:
            prepare_languages()
            self.load()
        except (MatchingError, AppError) as error:
            log.error("the search cannot start: %s", error)
            self.failure = str(error)
        except Exception:
            log.exception("the search cannot start")
            self.failure = "the search cannot start because of a defect; the log has it"
            raise

    def _current(self) -> tuple[Models, Snapshot]:
        """The models and the listings as they are now: what was written since the last base stands beside it."""
        if self._models is None or (self._snapshot is None and not self.failure):
            raise NotReady(self.failure or "the model is still loading; try again in a minute")
        with self._lock:
            snapshot = self._snapshot
            if snapshot is None or snapshot.base.space_age != self._space_age(self._models):
                snapshot = alone(self._build(self._models))
            else:
                snapshot = self._brought_up(snapshot, self._models)
            self._snapshot = snapshot
            return self._models, snapshot

    def _brought_up(self, snapshot: Snapshot, models: Models) -> Snapshot:
        """The snapshot with all that has been written since; with a new base when that is much."""
        with self.database.reading() as session:
            revision = queries.last_written(session)  # first: a write between the two is then seen again
            if revision == snapshot.revision:
                return snapshot
            rows = queries.listings_since(session, snapshot.base.revision)
            holders = _holders(session, rows)
        if len(rows) > min(LONG_TAIL, TAIL_SHARE * len(snapshot.base.listings)):
            if len(snapshot.base.listings) + len(rows) <= QUICK:
                return alone(self._build(models))
            self._build_aside(models)
            if len(rows) > LONGEST_TAIL:
                return snapshot
        listings = {row.id: listing_of(row) for row in rows if row.id in holders}
        embeddings = self._embeddings(list(listings.values()), models)
        own = [embeddings[listing.text_hash] for listing in listings.values()]
        tail = snapshot.base.market.tail(list(listings.values()), own)
        written = frozenset(row.id for row in rows)
        return Snapshot(snapshot.base, revision, tail, written, listings, holders, embeddings)

    def _build_aside(self, models: Models) -> None:
        """Build a base in a thread of its own, unless one is at it; searches go on with the old one and its tail."""
        if self._building is not None and self._building.is_alive():
            return

        def build() -> None:
            base = self._build(models)
            with self._lock:
                self._snapshot = alone(base)

        self._building = threading.Thread(target=build, name="building", daemon=True)
        self._building.start()

    def _space_age(self, models: Models) -> int:
        path = self._space_path(models)
        return path.stat().st_mtime_ns if path.exists() else 0

    def _build(self, models: Models, *, refit: bool = False) -> Base:
        with self.database.reading() as session:
            revision = queries.last_written(session)  # first: a write between the two is then seen again
            rows = queries.published(session)
            holders = _holders(session, rows)
        listings = {row.id: listing_of(row) for row in rows}
        embeddings = self._embeddings(list(listings.values()), models)
        own = [embeddings[listing.text_hash] for listing in listings.values()]
        space = None if refit else self._kept_space(models)
        market = Market.build(list(listings.values()), own, models, space=space)
        if listings and (refit or (space is None and len(listings) >= FEWEST)):
            self._keep(market.space, models)
        return Base(revision, self._space_age(models), market, listings, holders, embeddings, utc_now())

    def _embeddings(self, listings: Sequence[Listing], models: Models) -> dict[str, Embedding]:
        """Embeddings by text hash: from memory, from the database, and for new text from the encoder."""
        wanted = {listing.text_hash: listing for listing in listings}
        snapshot = self._snapshot
        known = {key: snapshot.embedding(key) if snapshot is not None else None for key in wanted}
        found = {key: embedding for key, embedding in known.items() if embedding is not None}
        name = embedding_key(models.encoder)
        unknown = sorted(wanted.keys() - found.keys())
        for start in range(0, len(unknown), DECODED):
            with self.database.reading() as session:
                found |= _decoded(queries.embeddings(session, name, unknown[start : start + DECODED]))
        missing = [key for key in wanted if key not in found]
        for start in range(0, len(missing), CHUNK):
            keys = missing[start : start + CHUNK]
            with self._encoding, encoding(len(keys)):
                made = embed([wanted[key] for key in keys], models.encoder, progress=True)
            found |= dict(zip(keys, made, strict=True))
            with self.database.writing() as session:
                bodies = {key: embedding_to_bytes(found[key]) for key in keys}
                queries.keep_embeddings(session, name, bodies)
        return found

    def _space_path(self, models: Models) -> Path:
        return self._settings.home / f"space-{hashlib.sha256(models.encoder.name.encode()).hexdigest()[:12]}.npz"

    def _kept_space(self, models: Models) -> LanguageSpace | None:
        path = self._space_path(models)
        if not path.exists():
            return None
        try:
            return load_space(path)
        except ArtefactError as error:
            log.warning("%s: it is fitted anew", error)
            return None

    def _keep(self, space: LanguageSpace, models: Models) -> None:
        path = self._space_path(models)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_space(space, path)
        except OSError as error:
            raise StorageFull(f"cannot write {path}: {error.strerror}") from error


def _query(text: str, side: Side, language: str | None) -> Listing:
    """A free text as a listing of the side opposite to the one looked for."""
    try:
        return read_listing({"id": "query", "side": side.opposite, "text": text, "language": language})
    except InvalidListing as error:
        if error.field == "description":
            raise InvalidListing("text", "holds no word; describe what you offer or need") from error
        raise


def _holders(session: Session, rows: Sequence[ListingRow]) -> dict[str, Holder]:
    """Whose the published ones among the listings are, by id."""
    nodes = queries.nodes_by_organisation(session)
    return {
        row.id: Holder(row.organisation_id, nodes[row.organisation_id], row.disclosure)
        for row in rows
        if row.status == "published"
    }


def _decoded(bodies: dict[str, bytes]) -> dict[str, Embedding]:
    """Stored embeddings; a damaged one is left out and so made again."""
    found = {}
    for key, body in bodies.items():
        try:
            found[key] = embedding_from_bytes(body)
        except ArtefactError as error:
            log.warning("the stored vectors of %s are damaged (%s) and made again", key[:12], error)
    return found
