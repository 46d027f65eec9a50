"""The night: everything embedded, matched, assigned, published and recorded, as one durable workflow of DBOS.

Its stages are steps, so that a run that was killed goes on behind the last one that was done. Each stage may be begun
again: what it has written by then it finds, or writes anew. Until a stage after `match` has run nothing that anybody
sees has changed: a night that fails leaves yesterday's result.
"""

from __future__ import annotations

import hashlib
import io
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from app import proposals
from app.clock import Clock, utc_now
from app.db import Database
from app.durable import durable
from app.embeddings import Embed
from app.errors import AppError, Conflict, Unusable
from app.metrics import proposals_recorded
from app.metrics import stage as timed
from app.proposals import Counts
from app.publishing import Publisher
from app.queries import listings as listing_queries
from app.queries import nights as queries
from app.search import Live, Loaded, encoder_loader
from app.settings import Settings
from app.snapshot import Base
from app.tables import NightRow
from matching import MISSION, MatchingError, Side
from matching.assignment import Caps, Pairs, assign, exposure, plain_top
from matching.files import write_atomically
from matching.neighbours import BothWays, nearest_both_ways
from matching.pipeline import ScoredPairs, explained_pairs, ranks_of, scored, unasked
from matching.scoring import fusion_to_bytes

log = logging.getLogger(__name__)

DEPTH = 50  # how deep each listing's list of candidates goes
PLAIN = 10  # the top-k that is compared with
BLOCK = 500  # proposals kept in one transaction
LOCK = 7_218_554  # an arbitrary number that all servers share
VERSION = "2"  # raised when the stages change: what is open then begins anew
OLDEST = timedelta(days=1)  # of a night that was interrupted, to go on with; later it would publish an old index
STAGES = ("embed", "build", "match", "publish", "record", "settle")

Tell = Callable[[str, int], None]  # a stage, and by how much it has come on


def silent(_stage: str, _done: int) -> None:
    """For those who do not want to hear of progress."""


@dataclass
class Night:
    """One run over a database. `spread` and `compare` say where its great costs arise: as they are, on this machine."""

    live: Live
    caps: Caps
    run: str
    clock: Clock = utc_now
    tell: Tell = silent
    spread: Embed | None = None
    compare: BothWays = nearest_both_ways

    def __post_init__(self) -> None:
        self._loaded: Loaded | None = None
        self._base: Base | None = None

    @property
    def database(self) -> Database:
        return self.live.database

    def stage(self, name: str) -> dict[str, Any]:
        """Run one stage; what there is to report of it, with its seconds."""
        began = time.monotonic()
        self._note(name)
        log.info("night %s: %s", self.run, name)
        work: dict[str, Callable[[], dict[str, Any]]] = {
            "embed": self._embed,
            "build": self._build,
            "match": self._match,
            "publish": self._publish,
            "record": self._record,
            "settle": self._settle,
        }
        with timed(f"night {name}"):
            told = work[name]()
        return {**told, "seconds": round(time.monotonic() - began, 2)}

    def finish(self, report: dict[str, Any]) -> None:
        """Write the report of a night that is done."""
        with self.database.writing() as session:
            row = queries.night(session, self.run)
            assert row is not None
            row.state, row.report, row.finished_at = "done", report, self.clock()
            session.add(row)

    def _note(self, stage: str) -> None:
        with self.database.writing() as session:
            row = queries.night(session, self.run)
            assert row is not None
            row.stage = stage
            session.add(row)

    def _models(self) -> Loaded:
        if self._loaded is None:
            self._loaded = self.live.load_models()
        return self._loaded

    def _opened(self) -> Base:
        if self._base is None:
            self._base = self.live.open(self.run, self._models())
        return self._base

    def _embed(self) -> dict[str, Any]:
        return {"new texts": self._models().embeddings.complete(lambda done: self.tell("embed", done), self.spread)}

    def _build(self) -> dict[str, Any]:
        if not self.live.publisher.has(self.run):
            base = self.live.build(self._models(), progress=lambda done: self.tell("build", done))
            self.live.publisher.write(base, self.run, {"night": self.run})
        base = self._opened()
        sizes = {f"{side}s": len(base.market.stands[side]) for side in Side}
        return {**sizes, "revision": base.revision, "space": base.market.space.version}

    def _match(self) -> dict[str, Any]:
        market, threshold = self._opened().market, self._models().models.fusion.threshold
        found = scored(market, DEPTH, MISSION, threshold, lambda done: self.tell("match", done), self.compare)
        pairs = Pairs(
            found.offers,
            found.needs,
            market.models.fusion.log_odds(found.features),
            *(_owners(self._opened(), side) for side in Side),
        )
        chosen, plain = assign(pairs, self.caps, threshold), plain_top(pairs, threshold, PLAIN)
        self._keep(found, chosen)
        fair, top = exposure(pairs, chosen, threshold), exposure(pairs, plain, threshold)
        counted = {side: len(stand) for side, stand in market.stands.items()}
        return {
            "model": market.models.encoder.name,
            "weights": hashlib.sha256(fusion_to_bytes(market.models.fusion)).hexdigest()[:12],
            "threshold": threshold,
            "pairs": counted[Side.OFFER] * counted[Side.NEED],
            "in a direction not asked for": unasked(market, MISSION),
            "good pairs": len(found.offers),
            "assigned": int(chosen.sum()),
            "left out by the caps": int((~chosen).sum()),
            "exposure": {"assigned": _rounded(asdict(fair)), f"top {PLAIN}": _rounded(asdict(top))},
        }

    def _publish(self) -> dict[str, Any]:
        self.live.publisher.switch(self.run)
        return {"index": self.run}

    def _record(self) -> dict[str, Any]:
        counts, market = Counts(), self._opened().market
        found, for_need, for_offer = self._kept()
        for start in range(0, len(found.offers), BLOCK):
            own = np.arange(start, min(start + BLOCK, len(found.offers)))
            pairings = explained_pairs(market, found.taken(own), for_need[own], for_offer[own])
            with timed("record"), self.database.writing() as session:
                counts += proposals.record(session, pairings, self.run, self.clock())
            self.tell("record", len(own))
        proposals_recorded(counts)
        return dict(counts)

    def _settle(self) -> dict[str, Any]:
        up_to = self._opened().revision
        counts = Counts()
        after: str | None = ""
        while after is not None:
            with self.database.writing() as session:
                lapsed, after = proposals.lapse_unfound(session, self.run, up_to, after, BLOCK, self.clock())
            counts += lapsed
        with self.database.writing() as session:
            listing_queries.set_proposed_up_to(session, up_to)
        self._pairs_file.unlink(missing_ok=True)
        return {"lapsed": counts["lapsed"]}

    @property
    def _pairs_file(self) -> Path:
        return self.live.publisher.beside(self.run)

    def _keep(self, found: ScoredPairs, chosen: Any) -> None:
        """The chosen pairs, for the stages after this one, which may come in another process."""
        for_need, for_offer = ranks_of(found)
        columns = {"for_need": for_need, "for_offer": for_offer, **vars(found)}
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **{name: column[chosen] for name, column in columns.items()})
        write_atomically(self._pairs_file, buffer.getvalue())

    def _kept(self) -> tuple[ScoredPairs, Any, Any]:
        """By offer, so that the pairings of few offers are looked for at a time."""
        with np.load(self._pairs_file, allow_pickle=False) as kept:
            order = np.lexsort((kept["needs"], kept["offers"]))
            found = ScoredPairs(*(kept[name][order] for name in ("offers", "needs", "features", "probabilities")))
            return found, kept["for_need"][order], kept["for_offer"][order]


def run_night(
    settings: Settings, database: Database, clock: Clock = utc_now, tell: Tell = silent
) -> tuple[str, dict[str, Any]]:
    """Begin a night, or go on with the one that was interrupted; its name and report.

    Raises Conflict where one is running, Unusable and ClusterError where the cluster of the settings cannot be used,
    and what stopped the night where it fails.
    """
    live = Live(settings, database)
    with live.publisher.alone() as here, database.alone(LOCK) as anywhere:
        if not (here and anywhere):
            raise Conflict("a night is running, or an index is being built; try again when it is done")
        run = _begun(database, live.publisher, clock())
        night = Night(live, Caps(settings.cap, settings.cap, settings.cap_organisation), run, clock, tell)
        try:
            with _on_cluster(settings, night):
                return run, durable(settings, "night", VERSION, run, list(STAGES), night.stage, night.finish)
        except Exception as error:  # of any kind, and raised again: a night that nobody runs must not stand as running
            foreseen = isinstance(error, AppError | MatchingError | OSError)
            _failed(database, run, str(error) if foreseen else f"a defect: {type(error).__name__}", clock())
            live.publisher.discard(run)
            raise


@contextmanager
def _on_cluster(settings: Settings, night: Night) -> Iterator[None]:
    """Have a night spread over the cluster of the settings, if there is one. Raises Unusable, ClusterError."""
    if not settings.cluster:
        yield
        return
    try:
        from matching import cluster
    except ImportError as error:
        raise Unusable("DUKOU_CLUSTER needs the package ray: pip install 'dukou[cluster]'") from error
    with cluster.connected(settings.cluster):
        load = encoder_loader(settings)
        night.spread, night.compare = lambda texts: cluster.spread_embed(texts, load), cluster.nearest_both_ways
        yield


def _begun(database: Database, publisher: Publisher, now: datetime) -> str:
    """The run that was interrupted or, where there is none or it is too old, a new one."""
    with database.reading() as session:
        row = queries.unfinished(session)
    if row is not None and row.started_at < now - OLDEST:
        _failed(database, row.id, "given up: interrupted more than a day ago", now)
        publisher.discard(row.id)
    with database.writing() as session:
        row = queries.unfinished(session)
        if row is None:
            name = f"night-{now:%Y%m%dT%H%M%S}"
            row = NightRow(id=name, state="running", stage=STAGES[0], started_at=now, report={})
            session.add(row)
        return row.id


def _failed(database: Database, run: str, error: str, now: datetime) -> None:
    with database.writing() as session:
        row = queries.night(session, run)
        assert row is not None
        row.state, row.error, row.finished_at = "failed", error, now
        session.add(row)


def _owners(base: Base, side: Side) -> Any:
    """A number from 0 on for each listing's organisation."""
    return np.unique(base.holders[side].organisations, return_inverse=True)[1].astype(np.int64)


def _rounded(figures: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}
