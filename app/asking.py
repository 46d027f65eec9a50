"""Who asks and with what: what every route has in common.

What needs no waiting is `async`, so that it costs no change of threads.
"""

from __future__ import annotations

import hmac
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Header, Request, Response
from fastapi.security import APIKeyCookie, HTTPBearer
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from app import accounts, signing_in
from app.access import PUBLIC, Permission, Principal, check
from app.audit import Audit
from app.clock import utc_now
from app.db import Database
from app.errors import (
    AppError,
    FieldError,
    Forbidden,
    PersonUnknown,
    ProviderFailed,
    SignInLost,
    SignInNeeded,
    StorageBusy,
    StorageFull,
    TooMany,
    Unusable,
    VersionMismatch,
    VersionMissing,
)
from app.search import Live
from app.tables import ApiKeyRow

logger = logging.getLogger(__name__)

COOKIE = "dukou_session"
SET_BACK = 10.0  # seconds that a clock may be put right by without anybody's count being dropped
LAST_NUMBER = 2**31 - 1  # as far as the database counts
FAILURES = parse("60/minute")  # sign-ins that failed, from anywhere, in the audit log; it cannot be made to swell
SAFE = ("GET", "HEAD", "OPTIONS")

bearer = HTTPBearer(auto_error=False, scheme_name="key", description="An API key: `Authorization: Bearer dk_…`")
cookie = APIKeyCookie(
    name=COOKIE,
    auto_error=False,
    scheme_name="session",
    description="A person's session; whatever changes something also needs the header X-CSRF-Token",
)


class Limits:
    """How many requests an address without an account, a person or key, and a signing-in address may send."""

    def __init__(self, public: str, known: str, sign_in: str) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._public, self._known, self._sign_in = parse(public), parse(known), parse(sign_in)
        self._latest = 0.0

    def count(self, who: Principal, address: str) -> None:
        """Count a request. Raises TooMany."""
        if who is PUBLIC:
            self._hit(self._public, "address", address)
        else:
            self._hit(self._known, who.kind, who.id)

    def count_sign_in(self, address: str, email: str) -> None:
        """Count an attempt to sign in, by where it comes from and by whom it names, if anybody. Raises TooMany."""
        self._hit(self._sign_in, "sign-in-from", address)
        if email:
            self._hit(self._sign_in, "sign-in-as", email.lower())

    def failure_is_written(self) -> bool:
        """Count a sign-in that failed; whether it is one of so few that the audit log can hold them all."""
        return self._limiter.hit(FAILURES, "failed sign-ins")

    def _hit(self, limit: RateLimitItem, kind: str, name: str) -> None:
        self._follow_clock(time.time())
        if not self._limiter.hit(limit, kind, name):
            free_at, _ = self._limiter.get_window_stats(limit, kind, name)
            wait = max(1, math.ceil(free_at - time.time()))
            raise TooMany(f"more than {limit}; try again in {wait} s", wait)

    def _follow_clock(self, now: float) -> None:
        """Count anew when the clock has been set back: what was counted would lie ahead, and hold until then."""
        if now < self._latest - SET_BACK:
            self._limiter.storage.reset()
        self._latest = now


async def database(request: Request) -> Database:
    """The database of this application."""
    found: Database = request.app.state.database
    return found


async def live(request: Request) -> Live:
    """The search of this application."""
    found: Live = request.app.state.live
    return found


async def audit(request: Request) -> Audit:
    """The audit log of this application."""
    found: Audit = request.app.state.audit
    return found


async def now() -> datetime:
    """The time of the request."""
    return utc_now()


def address(request: Request) -> str:
    """Where the request comes from."""
    return request.client.host if request.client is not None else "unknown"


Data = Annotated[Database, Depends(database)]
Search = Annotated[Live, Depends(live)]
Log = Annotated[Audit, Depends(audit)]
Now = Annotated[datetime, Depends(now)]


def set_cookie(request: Request, response: Response, signed: accounts.SignedIn) -> None:
    """Give the browser its session: for this site alone, out of reach of scripts, over TLS where there is some."""
    response.set_cookie(
        COOKIE,
        signed.token,
        max_age=int(accounts.SIGNED_IN.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


@contextmanager
def failures_noted(request: Request, data: Database, log: Audit, at: datetime, by: str, name: str) -> Iterator[None]:
    """Write a sign-in that fails inside into the audit log. `name`: whom it names, "" for nobody."""
    try:
        yield
    except (SignInNeeded, SignInLost, PersonUnknown, ProviderFailed) as error:
        _note_failure(request, data, log, at, signing_in.Attempt(by, address(request), name), error)
        raise


def _note_failure(
    request: Request, data: Database, log: Audit, at: datetime, attempt: signing_in.Attempt, error: AppError
) -> None:
    """As far as it can be: who is refused is told so on a full disk too."""
    limits: Limits = request.app.state.limits
    if not limits.failure_is_written():
        logger.warning("a failed sign-in is not in the audit log: there are more than %s", FAILURES)
        return
    try:
        signing_in.note_failure(data, log, attempt, error, at)
    except (StorageBusy, StorageFull) as trouble:
        logger.warning("a failed sign-in is not in the audit log: %s", trouble)


def who_asks(
    request: Request,
    data: Data,
    at: Now,
    _bearer: Annotated[object, Depends(bearer)],
    token: Annotated[str | None, Depends(cookie)],
) -> Principal:
    """Who sends the request: a key, a person's session, or the public. Counts it against the rate limit."""
    header = request.headers.get("authorization")
    if header is not None:
        who = _by_key(data, header, at)
    elif token:
        who = _by_session(request, data, token, at)
    else:
        who = PUBLIC
    request.state.who = who.label
    request.app.state.limits.count(who, address(request))
    return who


def _by_key(data: Database, header: str, at: datetime) -> Principal:
    scheme, _, text = header.partition(" ")
    with data.reading() as session:
        who, row = accounts.of_key(session, text.strip() if scheme.lower() == "bearer" else "", at)
    if accounts.use_is_due(row, at):
        _write_down_use(data, row, at)
    return who


def _write_down_use(data: Database, row: ApiKeyRow, at: datetime) -> None:
    """For whoever looks after the keys; who only reads is served on a full disk too."""
    try:
        with data.writing() as session:
            used = session.merge(row)
            used.last_used_at = at
    except (StorageBusy, StorageFull) as error:
        logger.warning("the use of the key %s is not written down: %s", row.id, error)


def _by_session(request: Request, data: Database, token: str, at: datetime) -> Principal:
    """A session that is over is nobody; one that changes something must show that its own page sent the request."""
    with data.reading() as session:
        found = accounts.of_token(session, token, at)
    if found is None:
        return PUBLIC
    who, csrf = found
    sent = request.headers.get("x-csrf-token", "")
    if request.method not in SAFE and not hmac.compare_digest(sent.encode(), csrf.encode()):
        raise Forbidden("the header X-CSRF-Token must hold what GET /api/v1/session says")
    return who


def allow(permission: Permission) -> Callable[..., Awaitable[Principal]]:
    """A dependency: who asks, if they have the permission, which the test of all routes reads off it."""

    async def allowed(who: Annotated[Principal, Depends(who_asks)]) -> Principal:
        check(who, permission)
        return who

    allowed.permission = permission  # type: ignore[attr-defined]
    return allowed


async def expected(
    if_match: Annotated[str | None, Header(description='The ETag that was read, such as "12"')] = None,
) -> int:
    """The revision in If-Match. Raises VersionMissing without one, Unusable for one that is no ETag of ours."""
    if if_match is None:
        raise VersionMissing("send the ETag of what you read as If-Match, so that no other change is lost")
    text = if_match.strip().removeprefix("W/").strip('"')
    if not text.isascii() or not text.isdigit():
        raise VersionMismatch("If-Match is no ETag of this resource; read it again")
    return int(text)


Expected = Annotated[int, Depends(expected)]


def after_number(cursor: str, name: str = "after") -> int:
    """A cursor that is a number; empty is the beginning. Raises Unusable."""
    if cursor == "":
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        fix = "must be a cursor that an earlier answer gave, or empty"
        raise Unusable(f"{name}: {fix}", [FieldError(name, fix)])
    return min(int(cursor), LAST_NUMBER)
