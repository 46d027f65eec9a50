"""Whether a copy that somebody has of something public is still good (RFC 9110, 13): its ETag and its time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

FRESH = 300  # seconds for which a copy may be shown without asking again


def tag_of(body: bytes) -> str:
    """An ETag that says what the body says."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def last_modified(changed: datetime | None, at: datetime) -> dict[str, str]:
    """Left out within the second of a change: another one in it could not be told from it."""
    if changed is None or changed.replace(microsecond=0) >= at.replace(microsecond=0):
        return {}
    return {"Last-Modified": format_datetime(changed.replace(tzinfo=UTC), usegmt=True)}


def is_known(asked: Mapping[str, str], headers: Mapping[str, str]) -> bool:
    """Whether who asks has this already (RFC 9110, 13.2.2: the ETag goes before the time)."""
    known = asked.get("if-none-match")
    if known is not None:
        tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
        return "*" in tags or headers["ETag"] in tags
    since, changed = asked.get("if-modified-since"), headers.get("Last-Modified")
    if since is None or changed is None:
        return False
    try:
        return parsedate_to_datetime(changed) <= parsedate_to_datetime(since)
    except (ValueError, TypeError):
        return False
