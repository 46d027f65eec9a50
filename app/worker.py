"""The worker: sends what is due, each delivery as a durable workflow of DBOS, and keeps house.

Several may run at once. DBOS gives a workflow back to the executor that had it, and to no other while that one is
dead; so every worker is an executor of its own, and a claim that runs out (app/deliveries.py) is what hands a dead
worker's workflow to a living one, which goes on behind the last step that was completed.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from app import deliveries, drafts
from app.clock import Clock, utc_now
from app.db import Database
from app.deliveries import Claim, Plan
from app.destinations import read_allowed
from app.errors import AppError, Unusable
from app.housekeeping import tidy
from app.nights import Nights
from app.queries import deliveries as queries
from app.sending import TOTAL, Outcome, Sender
from app.settings import Settings
from app.signing import Signing
from app.tables import new_id
from app.workflows import config_of

log = logging.getLogger(__name__)

QUEUE = "deliveries"
VERSION = "1"  # raised when the workflow's steps change; in the ids too, so that open attempts start anew
EACH = 8  # requests to one receiver at a time, by one worker
ALL = 64  # requests at a time, by one worker
EVERY = 0.5  # seconds between two looks for what is due
AFTER_FAILURE = 10.0
TIDY_EVERY = timedelta(hours=1)
WORKFLOWS_KEPT = timedelta(days=1)
BLOCK = 500
OVER = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]

_one_in_a_process = threading.Lock()  # DBOS has one instance


class Worker:
    """Threads that deliver and keep house from `start` to `stop`; one in a process."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        plan: Plan | None = None,
        sender: Sender | None = None,
        every: float = EVERY,
        clock: Clock = utc_now,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._settings, self._database = settings, database
        self._plan = plan if plan is not None else Plan()
        self._sender = sender if sender is not None else Sender(read_allowed(settings.webhook_allow))
        self._signing = Signing(settings.secret_bytes)
        self._every, self._clock, self._chance = every, clock, chance
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._workflow: Callable[..., None] | None = None
        self._tidy_at = clock()
        self._nights = Nights(database, settings.night_at, clock())

    def start(self) -> None:
        """Begin. Raises Unusable where the process has a worker already."""
        from dbos import DBOS

        if not _one_in_a_process.acquire(blocking=False):
            raise Unusable("this process has a worker already")
        try:
            DBOS(config=config_of(self._settings, f"worker-{new_id()}", VERSION))
            self._workflow = DBOS.workflow(name="deliver")(self._as_function())
            DBOS.launch()
            DBOS.register_queue(
                QUEUE, worker_concurrency=ALL, partition_worker_concurrency=EACH, polling_interval_sec=self._every
            )
        except BaseException:
            self._end(0)
            raise
        self._thread.start()

    def stop(self) -> None:
        """Take nothing more, and wait for what is being sent; what is left, any worker goes on with."""
        self._stop.set()
        self._thread.join()
        self._nights.stop()
        self._end(int(TOTAL) + 5)

    def _end(self, patience: int) -> None:
        from dbos import DBOS

        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=patience)
        _one_in_a_process.release()

    def _as_function(self) -> Callable[[str, str, int, int], None]:
        """The workflow: two steps, so that an answer that has come is not asked for again. Its arguments are stored."""
        from dbos import DBOS

        def deliver(subscription_id: str, event_id: str, replay: int, attempt: int) -> None:
            claim = Claim(subscription_id, event_id, replay, attempt)
            sent: dict[str, Any] | None = DBOS.run_step({"name": "send"}, self._send, claim)
            if sent is not None:
                DBOS.run_step({"name": "record"}, self._record, claim, sent)

        return deliver

    def _send(self, claim: Claim) -> dict[str, Any] | None:
        now = self._clock()
        with self._database.reading() as session:
            message = deliveries.message(session, claim, self._signing, now)
        if message is None:
            return None
        try:
            outcome = self._sender.send(message.url, message.body, message.headers, now)
        except Exception:  # of one delivery, which is counted as an attempt; the others go on
            log.exception("the delivery of %s could not be sent", claim.event_id)  # counted, or it would never end
            outcome = Outcome(None, "a defect of the service; its log says which")
        return asdict(outcome)

    def _record(self, claim: Claim, sent: dict[str, Any]) -> None:
        outcome = Outcome(**sent)
        with self._database.writing() as session:
            deliveries.record(session, claim, outcome, self._plan, self._chance(), self._clock())

    def _run(self) -> None:
        wait = self._every
        while not self._stop.wait(wait):
            wait = self._every
            try:
                self._dispatch()
                self._tidy()
                self._nights.look(self._clock())
            except AppError as error:
                log.warning("deliveries wait: %s", error)
                wait = AFTER_FAILURE
            except Exception:
                log.exception("deliveries could not be started; they are tried again")
                wait = AFTER_FAILURE

    def _dispatch(self) -> None:
        now = self._clock()
        with self._database.reading() as session:
            if not queries.with_room(session, now, deliveries.AT_ONCE):
                return
        with self._database.writing() as session:
            claims = deliveries.claim_due(session, self._plan, now)
        for claim in claims:
            self._begin(claim)

    def _begin(self, claim: Claim) -> None:
        """Start the workflow of a claim, or go on with the one that did not come to an end."""
        from dbos import DBOS, SetEnqueueOptions, SetWorkflowID

        assert self._workflow is not None
        name = f"{VERSION}/{claim.subscription_id}/{claim.event_id}/{claim.replay}/{claim.attempt}"
        present = DBOS.get_workflow_status(name) if claim.again else None
        if present is not None and present.status not in OVER:
            DBOS.resume_workflow(name, queue_name=QUEUE)
            return
        if present is not None:
            DBOS.delete_workflow(name)
        with SetWorkflowID(name), SetEnqueueOptions(queue_partition_key=claim.subscription_id):
            DBOS.enqueue_workflow(
                QUEUE, self._workflow, claim.subscription_id, claim.event_id, claim.replay, claim.attempt
            )

    def _tidy(self) -> None:
        now = self._clock()
        if now < self._tidy_at:
            return
        self._tidy_at = now + TIDY_EVERY
        tidy(self._database, now)
        drafts.under(self._settings.home).sweep(now)
        _forget_workflows(now - WORKFLOWS_KEPT)


def _forget_workflows(before: datetime) -> None:
    """Drop what DBOS keeps of workflows that began before then. One that is open is begun anew by the next claim."""
    from dbos import DBOS

    text = before.replace(tzinfo=UTC).isoformat()
    while found := DBOS.list_workflows(end_time=text, limit=BLOCK, load_input=False, load_output=False):
        DBOS.delete_workflows([one.workflow_id for one in found])
