"""Every error that the service raises on purpose, and their one rendering for programs (RFC 9457).

AppError
├── NotFound         404   no listing of that id, no such path
├── Conflict         409   another request wrote the same thing first
├── TooLarge         413   a body over the limit
├── Unusable         422   a file or a request that cannot be read
├── NotReady         503   the model is still loading, or could not be loaded
├── StorageBusy      503   the database is locked by another process
└── StorageFull      507   no room left, or a folder that cannot be written
"""

from __future__ import annotations

from collections.abc import Sequence
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

    def __init__(self, detail: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)


class NotFound(AppError):
    """Nothing is kept under that name."""

    status = 404
    title = "Not found"


class Conflict(AppError):
    """Two writers met; the later one may try again."""

    status = 409
    title = "Conflict"


class TooLarge(AppError):
    """The body is over the limit."""

    status = 413
    title = "Too large"


class Unusable(AppError):
    """What was sent cannot be read; `errors` names the fields."""

    status = 422
    title = "Invalid input"


class NotReady(AppError):
    """The service cannot search yet."""

    status = 503
    title = "Not ready"


class StorageBusy(AppError):
    """The database does not answer in time."""

    status = 503
    title = "Storage busy"


class StorageFull(AppError):
    """Nothing can be written."""

    status = 507
    title = "Storage full"


def problem(status: int, title: str, detail: str, errors: Sequence[FieldError] = ()) -> JSONResponse:
    """The one error body: application/problem+json."""
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "errors": [asdict(error) for error in errors],
    }
    headers = {"Retry-After": "10"} if status == NotReady.status else None
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")
