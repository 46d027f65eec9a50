"""Every error that the service raises on purpose, and their one rendering for programs (RFC 9457).

AppError
├── SignInNeeded       401   nobody known asks
├── SignInLost         400   what a sign-in provider answers does not fit what was asked
├── Forbidden          403   someone known asks for what is not theirs to do
│   ├── FormTooOld     403   a form that this service's own page has not sent just now
│   └── PersonUnknown  403   a sign-in provider names someone who has no account here
├── NotFound           404   no such thing, or none that one may know of
├── Conflict           409   another request was first, or the state does not allow it
├── VersionMismatch    412   If-Match names a version that is not the present one
├── TooLarge           413   a body over the limit
├── Unusable           422   a file or a request that cannot be read
├── VersionMissing     428   a change without If-Match
├── TooMany            429   the rate limit is used up
├── ProviderFailed     502   the sign-in provider is down, or sends what cannot be believed
├── NotReady           503   the model is still loading, or could not be loaded
├── StorageBusy        503   the database is locked by another process
└── StorageFull        507   no room left, or a folder that cannot be written
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from starlette.responses import JSONResponse


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is wrong, and how to mend it."""

    field: str
    fix: str


class AppError(Exception):
    """Root of the service's own errors; the HTTP status lives here."""

    status = 500
    title = "Internal error"
    headers: Mapping[str, str] = {}

    def __init__(self, detail: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)


class SignInNeeded(AppError):
    """Only known ones may."""

    status = 401
    title = "Sign in"
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}


class Forbidden(AppError):
    """Known, but not allowed."""

    status = 403
    title = "Forbidden"


class FormTooOld(Forbidden):
    """A form that was not sent from a page which this browser has got lately."""

    title = "Form too old"


class PersonUnknown(Forbidden):
    """A sign-in provider vouches for someone who has no account here."""

    title = "Person unknown"


class SignInLost(AppError):
    """A sign-in at a provider that cannot be brought to its end; it is begun again."""

    status = 400
    title = "Sign-in lost"


class NotFound(AppError):
    """Nothing is kept under that name."""

    status = 404
    title = "Not found"


class Conflict(AppError):
    """Another request was first, or what is asked for does not fit the present state."""

    status = 409
    title = "Conflict"


class VersionMismatch(AppError):
    """Someone has changed it since it was read."""

    status = 412
    title = "Version mismatch"


class TooLarge(AppError):
    """The body is over the limit."""

    status = 413
    title = "Too large"


class Unusable(AppError):
    """What was sent cannot be read; `errors` names the fields."""

    status = 422
    title = "Invalid input"


class VersionMissing(AppError):
    """A change must say which version it changes."""

    status = 428
    title = "If-Match needed"


class TooMany(AppError):
    """The rate limit is used up for `wait` seconds."""

    status = 429
    title = "Too many requests"

    def __init__(self, detail: str, wait: int) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(wait)}


class ProviderFailed(AppError):
    """The sign-in provider does not answer, or not as it must."""

    status = 502
    title = "Provider failed"


class NotReady(AppError):
    """The service cannot search yet."""

    status = 503
    title = "Not ready"
    headers: Mapping[str, str] = {"Retry-After": "10"}


class StorageBusy(AppError):
    """The database does not answer in time."""

    status = 503
    title = "Storage busy"
    headers: Mapping[str, str] = {"Retry-After": "10"}


class StorageFull(AppError):
    """Nothing can be written."""

    status = 507
    title = "Storage full"


def problem(
    status: int, title: str, detail: str, errors: Sequence[FieldError] = (), headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The one error body: application/problem+json. `docs/problems.md` lists the types."""
    body = {
        "type": f"urn:dukou:problem:{title.lower().replace(' ', '-')}",
        "title": title,
        "status": status,
        "detail": detail,
        "errors": [asdict(error) for error in errors],
    }
    return JSONResponse(body, status, headers=dict(headers or {}), media_type="application/problem+json")
