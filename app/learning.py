"""People's decisions teach the scorer: read, learned from, tried on what was held back. `docs/learning.md` says why so.

What a decision says, as a grade: introduced, negotiated, contracted: 3; shortlisted, offered, an interest: 2; declined
because it is the wrong problem, too early, too vague or of unclear benefit: 0. All other reasons to decline (terms,
capacity, known already, compliance, route to market, other) say nothing of whether the offer answers the need: what was
said before them stands. A pairing's last telling step counts, while its listings still have the texts it was about.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlmodel import Session

from app import fusions
from app.access import SYSTEM
from app.errors import Unusable
from app.pairings import Action, Reason
from app.queries import pairings as queries
from app.search import Live
from matching import Fusion, Market, Side
from matching.learning import Features, Scores, measured, pair_features, refit

GRADES: dict[str, int] = {Action.SHORTLIST: 2, Action.OFFER: 2, Action.INTEREST: 2}
GRADES |= dict.fromkeys((Action.INTRODUCE, Action.NEGOTIATE, Action.CONTRACT, Action.COMPLETE), 3)
NOT_RELEVANT = frozenset({Reason.WRONG_PROBLEM, Reason.TOO_EARLY, Reason.TOO_VAGUE, Reason.BENEFIT_UNCLEAR})
FEWEST = 30  # judged pairs
HELD_BACK = 0.3  # of the needs
SEED = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """What people have decided of an offer and a need: a grade, and the action or reason that gave it."""

    offer: str
    need: str
    grade: int
    told_by: str


@dataclass(frozen=True, slots=True)
class Lesson:
    """What was learned. `scores` on the needs held back: of the present fusion, of the learned one, and of knowing only
    which share is relevant. `counts` of all pairs by what told them, `left_out` by why."""

    fusion: Fusion
    scores: dict[str, Scores]
    counts: Counter[str]
    left_out: Counter[str]

    @property
    def is_better(self) -> bool:
        """Whether it beats, on what it has not seen, the present fusion and mere knowledge of the share.

        Decisions that nothing in the listings explains teach at most their share: they are noise to the scorer.
        """
        learned = self.scores["learned"].log_loss
        return learned <= self.scores["present"].log_loss and learned < self.scores["share alone"].log_loss


def learn(live: Live, now: datetime) -> Lesson:
    """Learn from all decisions there are; nothing is kept. Raises Unusable where they are too few or of one kind."""
    left_out = Counter[str]()
    with live.database.reading() as session:
        judged = list(judgments(session, left_out))
    models, market = live.market()
    judged = _present(judged, market, left_out)
    if len(judged) < FEWEST:
        raise Unusable(f"{len(judged)} judged pairs: to learn from decisions takes at least {FEWEST} in all")
    _check(judged, "judged pairs")
    held = np.array([is_held_back(one.need, SEED) for one in judged])
    _check([one for one, out in zip(judged, held, strict=True) if not out], "judged pairs to learn from")
    _check([one for one, out in zip(judged, held, strict=True) if out], "judged pairs held back to try it on")
    features = pair_features(market, [(one.offer, one.need) for one in judged])
    relevant = np.array([one.grade > 0 for one in judged])
    counts = Counter(one.told_by for one in judged)
    about = {"encoder": models.encoder.name, "at": now.isoformat(timespec="seconds"), "decisions": dict(counts)}
    learned = refit(features[~held], relevant[~held], fusions.shipped(), about)
    share = float(relevant[~held].mean())
    guesses = {
        "present": models.fusion.probabilities(features[held]),
        "learned": learned.probabilities(features[held]),
        "share alone": np.full(int(held.sum()), share),
    }
    scores = {name: _scores(guess, judged, held) for name, guess in guesses.items()}
    return Lesson(_labelled(learned, about, scores, held), scores, counts, left_out)


def judgments(session: Session, left_out: Counter[str]) -> Iterable[Judged]:
    """What people's steps say of the pairs, as the listings are now; `left_out` counts those that say nothing."""
    for row, steps in queries.histories(session):
        sides = queries.sides(session, row)
        present = (sides.offer.version, sides.need.version)
        by_people = [step for step in steps if step.actor_kind != SYSTEM.kind]
        telling = [step for step in by_people if (step.offer_version, step.need_version) == present]
        found = [one for step in telling if (one := grade_of(step.action, step.reason)) is not None]
        if found:
            yield Judged(row.offer_id, row.need_id, *found[-1])
        elif by_people:
            left_out["texts changed since" if not telling else "says nothing of relevance"] += 1


def grade_of(action: str, reason: str | None) -> tuple[int, str] | None:
    """A grade and what gave it; None for a step that says nothing of whether the offer answers the need."""
    if action == Action.DECLINE:
        return (0, str(reason)) if reason in NOT_RELEVANT else None
    grade = GRADES.get(action)
    return None if grade is None else (grade, action)


def is_held_back(need: str, seed: int) -> bool:
    """Whether a need is among those to try on: always the same ones, so that what was learned has not seen them."""
    number = int.from_bytes(hashlib.sha256(f"{seed} {need}".encode()).digest()[:4], "big")
    return number < HELD_BACK * 2**32


def _present(judged: Sequence[Judged], market: Market, left_out: Counter[str]) -> list[Judged]:
    o = market.stands[Side.OFFER].find([one.offer for one in judged])
    n = market.stands[Side.NEED].find([one.need for one in judged])
    kept = [one for one, there in zip(judged, (o >= 0) & (n >= 0), strict=True) if there]
    if len(kept) < len(judged):
        left_out["no longer published"] += len(judged) - len(kept)
    return sorted(kept, key=lambda one: (one.need, one.offer))


def _check(judged: Sequence[Judged], what: str) -> None:
    relevant = sum(one.grade > 0 for one in judged)
    if not judged:
        raise Unusable(f"no {what}: decide on pairs of more needs")
    if relevant in (0, len(judged)):
        raise Unusable(
            f"all {len(judged)} {what} are {'relevant' if relevant else 'not relevant'}: it takes both kinds"
        )


def _scores(guess: Features, judged: Sequence[Judged], held: Any) -> Scores:
    chosen = [one for one, out in zip(judged, held, strict=True) if out]
    return measured(guess, [one.grade for one in chosen], [(one.offer, one.need) for one in chosen])


def _labelled(fusion: Fusion, about: dict[str, Any], scores: dict[str, Scores], held: Any) -> Fusion:
    """The fusion with what it was learned from and how it did."""
    numbers = {"learned_from": int((~held).sum()), "tried_on": int(held.sum())}
    did = {name: {key: round(value, 5) for key, value in asdict(one).items()} for name, one in scores.items()}
    return Fusion(fusion.weights, fusion.intercept, fusion.threshold, {**about, **numbers, "held_back": did})
