"""The audit log: who did what and when, and whether nothing of it was changed."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlmodel import Session

from app.access import Permission, Principal, check
from app.asking import Data, Log, Now, after_number
from app.audit import Verdict
from app.queries import accounts as account_queries
from app.queries import events as queries
from app.tables import AuditRow
from app.web.administration.frame import PAGE, page
from app.web.administration.permitted import AuditForm
from app.web.forms import Visiting

MOST = 200  # people of one name, or part of it, that are looked for

router = APIRouter(include_in_schema=False, prefix="/administration")


@router.get("/audit")
def audit_page(
    request: Request,
    visitor: Visiting,
    data: Data,
    action: str = "",
    actor: str = "",
    subject: str = "",
    since: str = "",
    until: str = "",
    before: str = "",
) -> HTMLResponse:
    """The newest lines, or those that are asked for, a page at a time."""
    check(visitor.who, Permission.AUDIT)
    asked = {"action": action, "actor": actor.strip(), "subject": subject.strip(), "since": since, "until": until}
    return _audit(request, visitor.who, data, asked, before)


@router.post("/audit")
def verify_audit(request: Request, form: AuditForm, data: Data, log: Log, at: Now) -> HTMLResponse:
    """Go through the whole log and say whether its chain holds."""
    with data.reading() as session:
        verdict = log.verify(session)
    asked = dict.fromkeys(("action", "actor", "subject", "since", "until"), "")
    return _audit(request, form.who, data, asked, "", verdict, at)


def _audit(
    request: Request,
    who: Principal,
    data: Data,
    asked: dict[str, str],
    before: str,
    verdict: Verdict | None = None,
    at: datetime | None = None,
) -> HTMLResponse:
    with data.reading() as session:
        rows = queries.search_audit(
            session,
            action=asked["action"],
            actors=_actors(session, asked["actor"]),
            subject=asked["subject"],
            since=_day(asked["since"]),
            until=_day(asked["until"], 1),
            before=after_number(before, "before") or None,
            limit=PAGE + 1,
        )
        actions = queries.audit_actions(session)
        names = _names(session, rows)
    more = rows[PAGE - 1].number if len(rows) > PAGE else None
    kept = {name: text for name, text in asked.items() if text}
    view: dict[str, Any] = {"rows": rows[:PAGE], "more": more, "actions": actions, "names": names, "asked": asked}
    view |= {"keep": kept, "verdict": verdict, "verified_at": at}
    return page(request, who, "audit", "audit.html", view)


def _actors(session: Session, words: str) -> set[str] | None:
    """The ids of whom a name, a part of it, an address or an id means; None where nobody is asked for."""
    if not words:
        return None
    return {words, *(person.id for person, _ in account_queries.people_like(session, words, None, MOST))}


def _names(session: Session, rows: list[AuditRow]) -> dict[str, str]:
    """What the people and keys in these lines are called, as actors and as subjects."""
    return account_queries.names(session, {row.actor_id for row in rows} | {row.subject for row in rows})


def _day(text: str, later: int = 0) -> datetime | None:
    """The beginning of a day, or of one that many days later; None where there is none."""
    try:
        return datetime.combine(date.fromisoformat(text), time()) + timedelta(days=later) if text else None
    except (ValueError, OverflowError):
        return None
