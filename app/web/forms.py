"""Who looks at a page, and whether a form comes from a page of ours.

A form carries a token in a hidden field. Who is signed in has one with the session. Before that it is a keyed digest
of a random cookie (double submit): another site can neither read the cookie nor make the digest. `Origin` would not
do, because pages that send no Referer send `Origin: null` with their forms; where the browser adds Sec-Fetch-Site,
which it does over TLS, it must say that the form is ours as well.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Response
from sqlmodel import Session
from starlette.datastructures import FormData, UploadFile

from app import accounts
from app.access import PUBLIC, Permission, Principal, check
from app.asking import COOKIE, Data, Now, address
from app.errors import FormTooOld
from app.queries.saved_searches import fresh_count
from app.tables import PersonRow

FORM_COOKIE = "dukou_form"
FIELD = "csrf"
DIGITS = 9
OURS = ("same-origin", "none")  # "none": the person themselves, by reloading what they sent


class Forms:
    """Makes and knows the tokens of forms that are sent before signing in."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"dukou forms", hashlib.sha256)

    def token(self, cookie: str) -> str:
        """The token that goes with a cookie."""
        return hmac.new(self._key, cookie.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page; `csrf` is for its forms, `fresh` a cookie that is to go with them (None: it is there).

    `language`: the one that the person keeps; empty for the public. `news`: new answers to their saved searches.
    """

    who: Principal
    csrf: str
    fresh: str | None = None
    language: str = ""
    news: int = 0

    @property
    def name(self) -> str | None:
        """As the head of every page has it; None for the public."""
        return None if self.who is PUBLIC else self.who.name

    def remember(self, request: Request, response: Response) -> None:
        """Give the browser the cookie that the page's form needs."""
        if self.fresh is not None:
            secure = request.url.scheme == "https"
            response.set_cookie(FORM_COOKIE, self.fresh, httponly=True, samesite="lax", secure=secure)


def visitor(request: Request, data: Data, at: Now) -> Visitor:
    """Who looks at a page, by the session's cookie alone. Counts the visit against the rate limit."""
    with data.reading() as session:
        found = accounts.of_token(session, request.cookies.get(COOKIE, ""), at)
        known = _known(session, *found) if found is not None else None
    one = known or _stranger(request)
    request.state.visitor, request.state.who = one, one.who.label
    request.app.state.limits.count(one.who, address(request))
    return one


Visiting = Annotated[Visitor, Depends(visitor)]


async def posted(request: Request) -> AsyncIterator[FormData]:
    """The fields and files of a form, which are there until the answer is sent."""
    async with request.form() as form:
        yield form


class Sent:
    """A form that came from a page of ours."""

    def __init__(self, visitor: Visitor, fields: FormData) -> None:
        self.visitor, self.who = visitor, visitor.who
        self._fields = fields

    def text(self, name: str) -> str:
        """One field; empty where it is missing or a file."""
        found = self._fields.get(name, "")
        return found if isinstance(found, str) else ""

    def names(self, prefix: str) -> list[str]:
        """The fields whose names begin so, without that beginning, in their order."""
        return [name.removeprefix(prefix) for name in self._fields if name.startswith(prefix)]

    def file(self, name: str) -> UploadFile | None:
        """A file; None where none was chosen."""
        found = self._fields.get(name)
        return found if isinstance(found, UploadFile) and found.filename else None

    def number(self, name: str) -> int:
        """One field that holds a number; -1 for what is none, or has more digits than any of ours."""
        text = self.text(name)
        return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS else -1

    def texts(self, name: str) -> list[str]:
        """All fields of that name, in their order."""
        return [one for one in self._fields.getlist(name) if isinstance(one, str)]


def sent(permission: Permission) -> object:
    """A dependency: a form and who sends it, if it is ours and they have the permission. Raises FormTooOld, and
    SignInNeeded for a stranger who may not send it: what the form says is then of no interest."""

    def checked(request: Request, visitor: Visiting, fields: Annotated[FormData, Depends(posted)]) -> Sent:
        if visitor.who is PUBLIC:
            check(PUBLIC, permission)
        form = Sent(visitor, fields)
        if request.headers.get("sec-fetch-site", "none") not in OURS or not _fits(visitor, form.text(FIELD)):
            raise FormTooOld("the form was not sent from a page of this service; reload the page and send it again")
        check(visitor.who, permission)
        return form

    checked.permission = permission  # type: ignore[attr-defined]
    return Depends(checked)


def _fits(visitor: Visitor, token: str) -> bool:
    return visitor.fresh is None and hmac.compare_digest(token.encode("utf-8", "replace"), visitor.csrf.encode())


def _known(session: Session, who: Principal, csrf: str) -> Visitor:
    person = session.get_one(PersonRow, who.id)
    return Visitor(who, csrf, language=person.language, news=fresh_count(session, who.id))


def _stranger(request: Request) -> Visitor:
    forms: Forms = request.app.state.forms
    cookie = request.cookies.get(FORM_COOKIE)
    if cookie:
        return Visitor(PUBLIC, forms.token(cookie))
    fresh = secrets.token_urlsafe(32)
    return Visitor(PUBLIC, forms.token(fresh), fresh)
