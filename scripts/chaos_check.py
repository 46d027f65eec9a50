"""What scripts/chaos.py looks for at the end: the database against the ledgers of the clients."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from chaos_clients import Kept, Manager, Poster, Reader
from sqlmodel import Session, col, select

from app.audit import Audit
from app.events import EVENT_TYPES, Audience
from app.pairings import INTRODUCED, TOLD, Action
from app.queries import listings as queries
from app.queries import pairings as pairing_queries
from app.tables import AuditRow, EmbeddingRow, EventRow, ListingRow, ListingVersionRow, PairingRow, StepRow

Told = list[tuple[str, int]]


def violations(
    session: Session, posters: Sequence[Poster], managers: Sequence[Manager], readers: Sequence[Reader], secret: bytes
) -> Iterator[str]:
    """Every promise that does not hold, in words; none for a service that has kept them all."""
    yield from listing_violations(session, posters)
    yield from event_violations(session, [one for poster in posters for one in poster.kept])
    yield from step_violations(session, managers)
    yield from pairing_event_violations(session)
    yield from feed_violations(session, readers)
    verdict = Audit(secret).verify(session)
    if verdict.broken is not None:
        yield f"the audit chain breaks at line {verdict.broken}"
    yield from behind(session)


def listing_violations(session: Session, posters: Sequence[Poster]) -> Iterator[str]:
    """Each acknowledged listing once, with each acknowledged version once and no other."""
    rows = {row.id: row for row in session.exec(select(ListingRow))}
    versions = defaultdict[str, list[str]](list)
    ordered = select(ListingVersionRow).order_by(col(ListingVersionRow.listing_id), col(ListingVersionRow.version))
    for version in session.exec(ordered):
        versions[version.listing_id].append(str(version.record["title"]).rsplit(" ", 1)[-1])
    known = [one for poster in posters for one in poster.kept]
    yield from (f"listing {name} was never acknowledged" for name in sorted(rows.keys() - {one.id for one in known}))
    for one in known:
        row = rows.get(one.id)
        if row is None:
            yield f"listing {one.id} is lost"
        elif versions[one.id] != one.tokens:
            yield f"listing {one.id} has the versions {versions[one.id]}, acknowledged were {one.tokens}"
        elif (row.version, row.status, f'"{row.revision}"') != (len(one.tokens), one.status, one.etag):
            yield f"listing {one.id} is {row.status}, version {row.version}; it was {one.status}, {len(one.tokens)}"


def event_violations(session: Session, known: Sequence[Kept]) -> Iterator[str]:
    """What both feeds say of each listing: all that was done, in its order, once."""
    for audience in (Audience.ORGANISATION, Audience.INFORMATION):
        told = defaultdict[str, Told](list)
        for event in _events(session, audience, "listing."):
            told[event.subject].append((event.type.removeprefix("listing."), event.data["version"]))
        for one in known:
            if told[one.id] != one.events:
                yield f"the feed {audience} says of {one.id} {told[one.id]}, done was {one.events}"


def _events(session: Session, audience: Audience, kind: str) -> Iterable[EventRow]:
    chosen = select(EventRow).where(EventRow.audience == audience, col(EventRow.type).startswith(kind))
    return session.exec(chosen.order_by(col(EventRow.sequence)))


def step_violations(session: Session, managers: Sequence[Manager]) -> Iterator[str]:
    """Each acknowledged step once, each in its audit line; histories without gaps that lead to the present state."""
    acknowledged = {token: pairing for manager in managers for token, pairing in manager.steps.items()}
    by_people = list(
        session.exec(select(StepRow).where(StepRow.actor_kind == "person", StepRow.action != Action.PROPOSE))
    )
    stored = Counter((str(step.note), step.pairing_id) for step in by_people)
    lost, odd = Counter(acknowledged.items()) - stored, stored - Counter(acknowledged.items())
    if lost or odd:
        yield f"steps lost: {sorted(lost)}; not acknowledged or doubled: {sorted(odd)}"
    lines = Counter(
        (line.subject, line.detail["step"])
        for line in session.exec(select(AuditRow).where(col(AuditRow.action).startswith("pairing.")))
    )
    if lines != Counter((step.pairing_id, step.number) for step in by_people):
        yield "the audit lines of steps are not those of the steps"
    for pairing in session.exec(select(PairingRow)):
        steps, state = pairing_queries.steps(session, pairing.id), None
        for number, step in enumerate(steps, 1):
            if step.number != number or step.state_before != state:
                yield f"the history of pairing {pairing.id} breaks at step {number}"
            state = step.state_after
        if state != pairing.state:
            yield f"pairing {pairing.id} is {pairing.state}, its history ends with {state}"


def pairing_event_violations(session: Session) -> Iterator[str]:
    """Every change of a pairing's state that concerns a platform or an organisation was told once, in its order."""
    told = defaultdict[tuple[str, str], list[str]](list)
    for audience in (Audience.TRADING, Audience.ORGANISATION):
        for event in _events(session, audience, "pairing."):
            told[event.subject, event.organisation_id or audience].append(event.type)
    for pairing in session.exec(select(PairingRow)):
        sides = pairing_queries.sides(session, pairing)
        changes = [one for one in pairing_queries.steps(session, pairing.id) if one.state_before != one.state_after]
        for name, states in ((sides.offerer.id, TOLD), (sides.seeker.id, TOLD), ("trading", INTRODUCED)):
            kinds = [f"pairing.{one.state_after}" for one in changes if {one.state_before, one.state_after} & {*states}]
            due = [kind for kind in kinds if kind in EVENT_TYPES]
            if told[pairing.id, name] != due:
                yield f"{name} was told {told[pairing.id, name]} of pairing {pairing.id}, due was {due}"


def feed_violations(session: Session, readers: Sequence[Reader]) -> Iterator[str]:
    """Who followed a cursor has seen every event once, in the order of their numbers."""
    for reader in readers:
        wanted = dict(part.split("=") for part in reader.feed.split("&"))
        chosen = select(EventRow.id).where(EventRow.audience == wanted["audience"])
        if "organisation" in wanted:
            chosen = chosen.where(EventRow.organisation_id == wanted["organisation"])
        due = list(session.exec(chosen.order_by(col(EventRow.sequence))))
        if reader.seen != due:
            yield (
                f"{reader.name} has seen {len(reader.seen)} events of {len(due)}: "
                f"{len(set(due) - set(reader.seen))} missed, {len(reader.seen) - len(set(reader.seen))} doubled"
            )


def behind(session: Session) -> Iterator[str]:
    """What the proposing thread has not caught up with."""
    if queries.proposed_up_to(session) < queries.last_written(session):
        yield f"proposals are at {queries.proposed_up_to(session)} of {queries.last_written(session)}"
    made = set(session.exec(select(EmbeddingRow.text_hash)))
    missing = [row.id for row in queries.published_after(session, "", 100_000) if row.text_hash not in made]
    if missing:
        yield f"{len(missing)} published listings have no embedding"
