"""The audit log: decisions and reads of contacts, in lines that a digest chains, so that a changed one shows.

Each digest is HMAC-SHA-256, keyed with the service's secret, of the digest before it and the line's contents: whoever
can write to the database but does not have the secret cannot make a chain that holds.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from app.access import Principal
from app.queries import events as queries
from app.tables import AuditRow

START = "0" * 64


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many lines hold, and the number of the first that does not (None: all hold)."""

    lines: int
    broken: int | None
    last: str


class Audit:
    """Writes and verifies the log; `secret` keys its digests."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"dukou audit", hashlib.sha256)

    def record(
        self, session: Session, who: Principal, action: str, subject: str, now: datetime, **detail: Any
    ) -> AuditRow:
        """Add a line; `session` must be one that writes."""
        last = queries.last_audit(session)
        number, before = (last.number + 1, last.digest) if last is not None else (1, START)
        row = AuditRow(
            number=number,
            at=now,
            actor_kind=who.kind,
            actor_id=who.id,
            action=action,
            subject=subject,
            detail=detail,
            digest="",
        )
        row.digest = self._digest(before, row)
        session.add(row)
        session.flush()
        return row

    def pseudonym(self, name: str) -> str:
        """What stands in the log for a name that somebody typed: the same each time, and not to be read back.

        It may be anything, a password in the wrong field too, and the log forgets nothing.
        """
        plain = name.strip().casefold().encode("utf-8", "replace")
        return hmac.new(self._key, b"name " + plain, hashlib.sha256).hexdigest()[:32]

    def verify(self, session: Session) -> Verdict:
        """Go through the whole log. Lines cut off at its end show only against a count or digest noted elsewhere."""
        before, lines = START, 0
        for row in queries.whole_audit(session):
            if row.number != lines + 1 or not hmac.compare_digest(row.digest, self._digest(before, row)):
                return Verdict(lines, lines + 1, before)
            before, lines = row.digest, lines + 1
        return Verdict(lines, None, before)

    def _digest(self, before: str, row: AuditRow) -> str:
        line = [row.number, row.at.isoformat(), row.actor_kind, row.actor_id, row.action, row.subject, row.detail]
        text = json.dumps([before, *line], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()
