"""The live search: the models and a market built from the database, which is the truth; everything here is a cache."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlmodel import Session
from threadpoolctl import threadpool_limits

from app.building import Progress, built, fitted, nothing_said
from app.clock import utc_now
from app.condition import IndexState
from app.db import Database
from app.embeddings import Embeddings
from app.errors import AppError, NotReady, Unusable
from app.fusions import with_learned
from app.likeness import Closely, read_closely
from app.listings import listing_of
from app.metrics import stage
from app.publishing import Publisher
from app.queries import listings as queries
from app.results import Missed, Results, missed, ranked
from app.settings import Settings
from app.snapshot import Base, Holder, Sight, Snapshot, alone, holding
from app.spaces import KeptSpace
from app.tables import ListingRow, new_id
from matching import (
    EVERY_DIRECTION,
    ArtefactError,
    Encoder,
    InvalidListing,
    LanguageSpace,
    Listing,
    Market,
    MatchingError,
    Models,
    Pairing,
    PreparedCatalogue,
    Side,
    hashing_models,
    load_catalogue,
    load_models,
    prepare_catalogue,
    prepare_languages,
    prepare_search,
    read_listing,
    scored_pair,
    screen,
    veto,
)
from matching.encoder import HashingEncoder
from matching.market import stands_of
from matching.models import EncoderLoader

log = logging.getLogger(__name__)

TAIL_SHARE = 0.05  # of a base, that may have been written since it was built; then it is built anew
LONG_TAIL = 2_000  # and no more than so many
LONGEST_TAIL = 500  # of more at once, as after an import, searches wait for the next base with what they have
WARMED = range(4, 508, 16)  # tokens of texts that are encoded before the first request: each new shape costs time
QUICK = 2_000  # listings that a base is built of while a request waits; of more it is built aside and published
AFTER_FAILURE = 60.0  # seconds until an index is built again that could not be written
FEWEST = 100  # listings from which on a language space is worth keeping; below, it is fitted anew each time


def read_models(settings: Settings) -> Models:
    """The models that the settings name, with what was learned here. Raises ModelError and ArtefactError."""
    if settings.model == "hashing":
        return with_learned(hashing_models(), settings.home)
    return with_learned(load_models(settings.cache, settings.model, settings.model_prefix), settings.home)


def encoder_loader(settings: Settings) -> Callable[[], Encoder]:
    """What makes the encoder of the settings in another process."""
    if settings.model == "hashing":
        return HashingEncoder
    return EncoderLoader(settings.cache.resolve(), settings.model, settings.model_prefix)


@dataclass(frozen=True)
class Loaded:
    """The models, the embeddings that they make and the language space kept for them: there once loading is done."""

    models: Models
    embeddings: Embeddings
    space: KeptSpace


class Live:
    """Search over what the database holds now. Safe to use from many threads.

    Raises InvalidCatalogue where the catalogue of controlled technologies cannot be read.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self.database = database
        self.publisher = Publisher(settings.home)
        self._lock = threading.RLock()
        # More at once than there are cores would only take the interpreter from one another.
        self._ranking = threading.Semaphore(len(os.sched_getaffinity(0)))
        self._building: threading.Thread | None = None
        self._languages: threading.Thread | None = None
        self.catalogue = load_catalogue(settings.catalogue)
        self._prepared: PreparedCatalogue | None = None
        self._loaded: Loaded | None = None
        self._snapshot: Snapshot | None = None
        self._not_before = 0.0  # by the clock of `time.monotonic`: when an index may be built again after a failure
        self._pointer = ""  # the published index that was looked at last
        self.failure = ""

    @property
    def home(self) -> Path:
        """Where what is learned here is kept."""
        return self._settings.home

    @property
    def catalogue_file(self) -> Path:
        """Where the catalogue of controlled technologies was read from."""
        return self._settings.catalogue

    def start(self) -> threading.Thread:
        """Load in the background; until that is done `search` and `matches` raise NotReady.

        From then on small products are multiplied in one thread: while others wait for the next one they keep a core
        from the encoder, and a search takes half as long again.
        """
        self._languages = threading.Thread(target=prepare_languages, name="languages", daemon=True)
        self._languages.start()
        thread = threading.Thread(target=self._load_quietly, name="loading", daemon=True)
        thread.start()
        return thread

    def load(self) -> None:
        """Load the models; open the published index or build the market. Raises ModelError, ArtefactError, AppError."""
        loaded = self.load_models()
        with self._lock:
            base = self._published(loaded) or self._first(loaded)
            if self._languages is not None:
                self._languages.join()  # or short texts would wait for them in a service that says it is ready
            threadpool_limits(1, user_api="blas")  # of the libraries that are loaded by now
            self._snapshot = alone(base)

    def load_models(self) -> Loaded:
        """Load the models alone. Raises ModelError, ArtefactError."""
        models = read_models(self._settings)
        for tokens in WARMED:
            models.encoder.encode([" a" * tokens])
        prepare_search()
        self._loaded = Loaded(models, Embeddings(self.database, models), KeptSpace(self.home, models.encoder.name))
        return self._loaded

    @property
    def is_ready(self) -> bool:
        return self._snapshot is not None

    @property
    def threshold(self) -> float | None:
        """The probability from which a match is good; None until the models are there."""
        return None if self._loaded is None else self._loaded.models.fusion.threshold

    @property
    def state(self) -> IndexState | None:
        """What it answers from now; None until it is ready."""
        loaded, snapshot = self._loaded, self._snapshot
        if loaded is None or snapshot is None:
            return None
        base = snapshot.base
        return IndexState(loaded.models.encoder.name, base.revision, base.size, len(snapshot.written), base.built_at)

    def search(self, text: str, side: Side, limit: int, language: str | None = None, *, sight: Sight) -> Results:
        """Listings of `side` that answer a free text. Raises InvalidListing (fields text, language), NotReady."""
        query = query_of(text, side, language)
        loaded, snapshot = self._current()
        embedding = loaded.embeddings.of_query(query)
        with self._ranking, stage("rank"):
            return ranked(loaded.models, self.database, snapshot, query, embedding, limit, sight)

    def matches(self, listing: Listing, limit: int, sight: Sight) -> Results:
        """What answers a stored listing, which need not be published. Raises NotReady."""
        loaded, snapshot = self._current()
        embedding = loaded.embeddings.of([listing])[listing.text_hash]
        with self._ranking, stage("rank"):
            return ranked(loaded.models, self.database, snapshot, listing, embedding, limit, sight)

    def closely(self, listing: Listing, limit: int, sight: Sight) -> Closely:
        """What says the same on a listing's own side, and which fields it speaks of. Keeps nothing. Raises NotReady."""
        loaded, snapshot = self._current()
        embedding = loaded.embeddings.of_draft(listing)
        return read_closely(loaded.models, self.database, snapshot, listing, embedding, sight, limit)

    def tried(self, listing: Listing, alike: int, sight: Sight, limit: int, others: Sight) -> tuple[Closely, Results]:
        """`closely`, and what would answer a listing that is still being written. Keeps nothing. Raises NotReady."""
        loaded, snapshot = self._current()
        embedding = loaded.embeddings.of_draft(listing)
        closely = read_closely(loaded.models, self.database, snapshot, listing, embedding, sight, alike)
        with self._ranking, stage("rank"):
            return closely, ranked(loaded.models, self.database, snapshot, listing, embedding, limit, others)

    def missed(self, listing: Listing, limit: int, sight: Sight) -> list[Missed]:
        """What is near a stored listing and does not answer it, and why. Raises NotReady."""
        loaded, snapshot = self._current()
        embedding = loaded.embeddings.of([listing])[listing.text_hash]
        return missed(self.database, snapshot, listing, embedding, limit, sight)

    def pair(self, offer: Listing, need: Listing) -> Pairing:
        """One offer and one need, scored. Raises Unusable where their terms forbid it, NotReady."""
        forbidden = veto(offer, need, EVERY_DIRECTION)
        if forbidden is not None:
            raise Unusable(f"these two cannot be paired: {forbidden}")
        loaded, snapshot = self._current()
        made = loaded.embeddings.of([offer, need])
        return scored_pair(snapshot.base.market, offer, made[offer.text_hash], need, made[need.text_hash])

    def screen(self, offer: Listing) -> list[dict[str, Any]]:
        """Entries of the catalogue that a person should look at before this offer goes out, ready to be stored."""
        loaded, _ = self._current()
        embedding = loaded.embeddings.of([offer])[offer.text_hash]
        with loaded.embeddings.encoding:
            if self._prepared is None:
                self._prepared = prepare_catalogue(self.catalogue, loaded.models)
        return [
            {
                "code": one.entry.code,
                "kind": str(one.entry.kind),
                "title": dict(one.entry.title),
                "point": dict(one.point.text),
                "passage": one.passage,
                "score": one.score,
            }
            for one in screen(offer, embedding, self._prepared, loaded.models)
        ]

    def market(self) -> tuple[Models, Market]:
        """The models, and all published listings as they are now in one market. Raises NotReady."""
        loaded, _ = self._current()
        return loaded.models, self.build(loaded).market

    def refit(self) -> LanguageSpace | None:
        """Fit the language space anew to all listings and keep it; None when there are no listings."""
        loaded, _ = self._current()
        with self._lock:
            self._snapshot = alone(self.build(loaded, refit=True))
            return self._snapshot.base.market.space if self._snapshot.base.size else None

    def build(self, loaded: Loaded, *, refit: bool = False, progress: Progress = nothing_said) -> Base:
        """All published listings as they are now, in memory, in the kept language space, which is made if need be."""
        space = None if refit else loaded.space.read()
        kept = space is not None
        if space is None:
            space = fitted(self.database, loaded.embeddings, loaded.models, progress)
        age = loaded.space.age
        base = built(self.database, loaded.embeddings, loaded.models, space, age, utc_now(), progress)
        if base.size and not kept and (refit or base.size >= FEWEST):
            loaded.space.keep(space)
            return replace(base, space_age=loaded.space.age)
        return base

    def open(self, name: str, loaded: Loaded) -> Base:
        """A published index. Raises ArtefactError where it does not fit the models and the kept language space."""
        base = self.publisher.open(name, loaded.models, loaded.embeddings, loaded.space.age)
        kept = loaded.space.read()
        if kept is not None and kept.version != base.market.space.version:
            raise ArtefactError(f"the index {name} was made in another language space")
        return base

    def _first(self, loaded: Loaded) -> Base:
        """An index where none is published: a large one is published, so that the next start finds it."""
        base = self.build(loaded)
        if base.size > QUICK:
            self._publish(base, loaded)
        return self._published(loaded) or base

    def _load_quietly(self) -> None:
        """What stops this thread is kept and shown: nobody else would learn of it."""
        try:
            self.load()
        except (MatchingError, AppError) as error:
            log.error("the search cannot start: %s", error)
            self.failure = str(error)
        except Exception:  # shown to those who ask, and raised again
            log.exception("the search cannot start")
            self.failure = "the search cannot start because of a defect; the log has it"
            raise

    def _current(self) -> tuple[Loaded, Snapshot]:
        """The models and the listings as they are now: what was written since the last base stands beside it."""
        loaded = self._loaded
        if loaded is None or (self._snapshot is None and not self.failure):
            raise NotReady(self.failure or "the model is still loading; try again in a minute")
        with self._lock:
            published = self._published(loaded)
            snapshot = alone(published) if published is not None else self._snapshot
            if snapshot is None or snapshot.base.space_age != loaded.space.age:
                snapshot = alone(self.build(loaded))
            self._snapshot = self._brought_up(snapshot, loaded)
            return loaded, self._snapshot

    def _published(self, loaded: Loaded) -> Base | None:
        """The published index, if the pointer names another than before and it can be used."""
        name = self.publisher.current()
        if name in ("", self._pointer):
            return None
        self._pointer = name
        try:
            return self.open(name, loaded)
        except ArtefactError as error:
            log.warning("the published index is not used: %s", error)
            return None

    def _brought_up(self, snapshot: Snapshot, loaded: Loaded) -> Snapshot:
        """The snapshot with all that has been written since; with a new base when that is much."""
        with self.database.reading() as session:
            revision = queries.last_written(session)  # first: a write between the two is then seen again
            if revision == snapshot.revision:
                return snapshot
            rows = queries.listings_since(session, snapshot.revision)
            holders = _holders(session, rows)
        written = snapshot.written | {row.id for row in rows}
        if len(written) > min(LONG_TAIL, TAIL_SHARE * snapshot.base.size):
            if snapshot.base.size + len(rows) <= QUICK:
                return alone(self.build(loaded))
            self._build_aside(loaded)
            if len(rows) > LONGEST_TAIL:
                return snapshot
        listings = sorted((listing_of(row) for row in rows if row.id in holders), key=lambda one: one.id.encode())
        made = loaded.embeddings.of(listings)
        base = snapshot.base.market
        stands = stands_of(listings, [made[one.text_hash] for one in listings], base.space, loaded.models)
        tail = base.grown(snapshot.tail, [row.id for row in rows], stands, loaded.embeddings.of_ids)
        stays = {name: one for name, one in snapshot.held.items() if name not in {row.id for row in rows}}
        return Snapshot(snapshot.base, revision, tail, stays | holders, written, holding(base, written))

    def _build_aside(self, loaded: Loaded) -> None:
        """Publish an index in a thread, unless one is at it; searches go on with the old one and its tail."""
        at_it = self._building is not None and self._building.is_alive()
        if not at_it and time.monotonic() >= self._not_before:
            self._building = threading.Thread(target=self._publish, args=(None, loaded), name="building", daemon=True)
            self._building.start()

    def _publish(self, base: Base | None, loaded: Loaded) -> None:
        """Publish an index, built now if need be, unless another process builds one; the log tells of a failure."""
        try:
            with self.publisher.alone() as alone_at_it:
                if alone_at_it:
                    new = base or self.build(loaded)
                    name = f"{new.revision}-{new_id()[:8]}"
                    self.publisher.write(new, name, {})
                    self.publisher.switch(name)
        except AppError as error:
            log.warning("no new index: %s; it is tried again in %d s", error, AFTER_FAILURE)
            self._not_before = time.monotonic() + AFTER_FAILURE


def query_of(text: str, side: Side, language: str | None = None) -> Listing:
    """A free text as a listing of the side opposite to the one looked for. Raises InvalidListing."""
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
