"""The pages around signing in. They work without scripts; one is offered, which reads an invitation off the address.

An invitation may stand behind the `#` of the address: browsers send that part to nobody, so that it is in no log.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from app import signing_in, web, words
from app.access import Permission, Principal, check
from app.api.asking import COOKIE, Data, Log, Now, address, allow, failures_noted, set_cookie
from app.errors import NotFound, SignInNeeded, Unusable
from app.forms import Sent, Visiting, Visitor, sent
from app.openid import ON_THE_WAY, Provider
from app.queries import accounts as queries
from app.tables import NodeRow, OrganisationRow

JOURNEY_COOKIE = "dukou_openid"
JOURNEY_PATH = "/sign-in/openid"
LONGEST_NEXT = 2_000

router = APIRouter(include_in_schema=False)

OpenForm = Annotated[Sent, sent(Permission.READ)]
OwnForm = Annotated[Sent, sent(Permission.SELF)]


@router.get("/sign-in")
def sign_in_page(request: Request, visitor: Visiting, lang: str = "", next: str = "", done: str = "") -> Response:
    """The form for address and password, and the way to the provider."""
    language = web.language_of(request, lang)
    notice = words.WORDS[language]["password_set"] if done == "password" else None
    return _sign_in_form(request, visitor, language, next=next, notice=notice)


@router.post("/sign-in")
def sign_in(request: Request, form: OpenForm, data: Data, log: Log, at: Now) -> Response:
    """Sign in by password, under a new session."""
    email = form.text("email").strip()
    request.app.state.limits.count_sign_in(address(request), email)
    language, onward = web.language_of(request, form.text("lang")), form.text("next")
    try:
        with failures_noted(request, data, log, at, "password", email):
            admitted = signing_in.by_password(data, log, email, form.text("password"), at, request.cookies.get(COOKIE))
    except SignInNeeded as error:
        page = _sign_in_form(request, form.visitor, language, next=onward, email=email, wrong=True, status=error.status)
        page.headers.update(error.headers)
        return page
    return _signed_in(request, admitted, own_path(onward) or f"/?lang={language}")


@router.get("/sign-in/openid", dependencies=[Depends(allow(Permission.READ))])
def leave_for_provider(request: Request, at: Now, lang: str = "", next: str = "") -> Response:
    """Send the browser to the provider."""
    onward = own_path(next) or f"/?lang={web.language_of(request, lang)}"
    url, cookie = _provider(request).leave(_redirect_uri(request), onward, at)
    response = RedirectResponse(url, 303, headers=web.HEADERS)
    response.set_cookie(
        JOURNEY_COOKIE,
        cookie,
        max_age=int(ON_THE_WAY.total_seconds()),
        path=JOURNEY_PATH,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return response


@router.get("/sign-in/openid/back", dependencies=[Depends(allow(Permission.READ))])
def back_from_provider(request: Request, data: Data, log: Log, at: Now) -> Response:
    """Sign in whom the provider names, under a new session."""
    request.app.state.limits.count_sign_in(address(request), "")
    cookie = request.cookies.get(JOURNEY_COOKIE, "")
    provider, answer = _provider(request), dict(request.query_params)
    with failures_noted(request, data, log, at, "openid", ""):
        identity, onward = provider.back(_redirect_uri(request), answer, cookie, at)
    with failures_noted(request, data, log, at, "openid", identity.email or f"{identity.issuer} {identity.subject}"):
        admitted = signing_in.by_identity(data, log, identity, at, request.cookies.get(COOKIE))
    response = _signed_in(request, admitted, onward)
    response.delete_cookie(JOURNEY_COOKIE, path=JOURNEY_PATH)
    return response


@router.post("/sign-out")
def sign_out(request: Request, form: OwnForm, data: Data) -> Response:
    """End the session."""
    signing_in.leave(data, request.cookies.get(COOKIE, ""))
    response = RedirectResponse(f"/?lang={web.language_of(request, form.text('lang'))}", 303, headers=web.HEADERS)
    response.delete_cookie(COOKIE)
    return response


@router.get("/invitation")
def invitation_page(request: Request, visitor: Visiting, lang: str = "") -> Response:
    """The form that exchanges an invitation for a password."""
    return _invitation_form(request, visitor, web.language_of(request, lang))


@router.post("/invitation")
def accept_invitation(request: Request, form: OpenForm, data: Data, log: Log, at: Now) -> Response:
    """Set the password by an invitation; what is wrong is said at its field."""
    request.app.state.limits.count_sign_in(address(request), "")
    language, token = web.language_of(request, form.text("lang")), form.text("token").strip()
    try:
        signing_in.set_password(data, log, token, form.text("password"), at)
    except Unusable as error:
        wrong = error.errors[0].field
        return _invitation_form(request, form.visitor, language, token=token, wrong=wrong, status=error.status)
    return RedirectResponse(f"/sign-in?lang={language}&done=password", 303, headers=web.HEADERS)


@router.get("/invitation.js")
def invitation_script() -> FileResponse:
    """Takes an invitation from behind the `#` into the form and off the address."""
    return FileResponse(
        web.PAGES / "invitation.js", media_type="text/javascript", headers={"Cache-Control": "max-age=3600"}
    )


@router.get("/account")
def account_page(request: Request, visitor: Visiting, data: Data, lang: str = "") -> Response:
    """Who you are here, and the way out."""
    check(visitor.who, Permission.SELF)
    view = {
        "here": "/account",
        "csrf": visitor.csrf,
        "who": visitor.who,
        "decides": Permission.DECIDE in visitor.who.permissions,
        **_place(data, visitor.who),
    }
    return _page(request, visitor, "account.html", web.language_of(request, lang), 200, view)


def own_path(text: str) -> str | None:
    """`text` if it is a path on this site and nothing that a browser could read as another's address, else None."""
    clean = all(" " < character != "\\" and character != "\x7f" for character in text)
    return text if text.startswith("/") and text[1:2] != "/" and clean and len(text) <= LONGEST_NEXT else None


def _sign_in_form(
    request: Request,
    visitor: Visitor,
    language: str,
    *,
    next: str,
    email: str = "",
    wrong: bool = False,
    notice: str | None = None,
    status: int = 200,
) -> HTMLResponse:
    view = {"here": "/sign-in", "next": own_path(next) or "", "email": email, "wrong": wrong, "notice": notice}
    provider: Provider | None = request.app.state.openid
    view |= {"csrf": visitor.csrf, "provider": provider.name if provider is not None else None}
    return _page(request, visitor, "sign_in.html", language, status, view)


def _invitation_form(
    request: Request, visitor: Visitor, language: str, *, token: str = "", wrong: str = "", status: int = 200
) -> HTMLResponse:
    view = {"here": "/invitation", "csrf": visitor.csrf, "token": token, "wrong": wrong}
    page = _page(request, visitor, "invitation.html", language, status, view)
    page.headers["Content-Security-Policy"] += "; script-src 'self'"
    return page


def _page(
    request: Request, visitor: Visitor, template: str, language: str, status: int, view: dict[str, Any]
) -> HTMLResponse:
    page = web.html(template, language, status, view | {"person": visitor.name})
    visitor.remember(request, page)
    return page


def _signed_in(request: Request, admitted: signing_in.Admitted, onward: str) -> RedirectResponse:
    response = RedirectResponse(onward, 303, headers=web.HEADERS)
    set_cookie(request, response, admitted.signed)
    return response


def _place(data: Data, who: Principal) -> dict[str, Any]:
    """The names of the organisation and the nodes that someone works for; None where they have none."""
    with data.reading() as session:
        organisation = session.get(OrganisationRow, who.organisation) if who.organisation is not None else None
        nodes: list[NodeRow] | None = (
            None if who.nodes is None else [node for node in queries.nodes(session) if node.id in who.nodes]
        )
    return {
        "organisation": organisation.name if organisation is not None else None,
        "nodes": None if nodes is None else [node.name for node in nodes],
    }


def _provider(request: Request) -> Provider:
    found: Provider | None = request.app.state.openid
    if found is None:
        raise NotFound("there is no sign-in provider")
    return found


def _redirect_uri(request: Request) -> str:
    return str(request.url_for("back_from_provider"))
