"""The pages around signing in. They work without scripts; one is offered, which reads an invitation off the address.

An invitation may stand behind the `#` of the address: browsers send that part to nobody, so that it is in no log.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app import signing_in
from app.access import Permission, Principal, check
from app.asking import COOKIE, Data, Log, Now, address, allow, failures_noted, set_cookie
from app.errors import NotFound, SignInNeeded, Unusable
from app.openid import ON_THE_WAY, Provider
from app.queries import accounts as queries
from app.tables import NodeRow, OrganisationRow
from app.web.forms import Sent, Visiting, sent, visitor
from app.web.rendering import html, language_of, see
from app.web.words import LANGUAGES, Language

JOURNEY_COOKIE = "dukou_openid"
JOURNEY_PATH = "/sign-in/openid"
LONGEST_NEXT = 2_000

router = APIRouter(include_in_schema=False, dependencies=[Depends(visitor)])

OpenForm = Annotated[Sent, sent(Permission.READ)]
OwnForm = Annotated[Sent, sent(Permission.SELF)]


@router.get("/sign-in")
def sign_in_page(request: Request, next: str = "", done: str = "") -> Response:
    """The form for address and password, and the way to the provider."""
    return _sign_in_form(request, next=next, password_set=done == "password")


@router.post("/sign-in")
def sign_in(request: Request, form: OpenForm, data: Data, log: Log, at: Now) -> Response:
    """Sign in by password, under a new session."""
    email = form.text("email").strip()
    request.app.state.limits.count_sign_in(address(request), email)
    onward = form.text("next")
    try:
        with failures_noted(request, data, log, at, "password", email):
            admitted = signing_in.by_password(data, log, email, form.text("password"), at, request.cookies.get(COOKIE))
    except SignInNeeded as error:
        page = _sign_in_form(request, next=onward, email=email, wrong=True, status=error.status, lang=form.text("lang"))
        page.headers.update(error.headers)
        return page
    return _signed_in(request, admitted, own_path(onward))


@router.get("/sign-in/openid")
def leave_for_provider(request: Request, at: Now, next: str = "") -> Response:
    """Send the browser to the provider."""
    onward = own_path(next) or ""
    url, cookie = _provider(request).leave(_redirect_uri(request), onward, at)
    response = see(url)
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
    response = see(f"/?lang={language_of(request, form.text('lang')).code}")
    response.delete_cookie(COOKIE)
    return response


@router.get("/invitation")
def invitation_page(request: Request) -> Response:
    """The form that exchanges an invitation for a password."""
    return _invitation_form(request)


@router.post("/invitation")
def accept_invitation(request: Request, form: OpenForm, data: Data, log: Log, at: Now) -> Response:
    """Set the password by an invitation; what is wrong is said at its field."""
    request.app.state.limits.count_sign_in(address(request), "")
    language, token = language_of(request, form.text("lang")), form.text("token").strip()
    try:
        signing_in.set_password(data, log, token, form.text("password"), at, language.code)
    except Unusable as error:
        wrong = error.errors[0].field
        return _invitation_form(request, language, token=token, wrong=wrong, status=error.status)
    return see(f"/sign-in?lang={language.code}&done=password")


@router.get("/account")
def account_page(request: Request, visitor: Visiting, data: Data) -> Response:
    """Who you are here, and the way out."""
    check(visitor.who, Permission.SELF)
    return html(
        request, "account.html", {"who": visitor.who, "languages": LANGUAGES.values(), **_place(data, visitor.who)}
    )


@router.post("/language")
def keep_language(request: Request, form: OwnForm, data: Data) -> Response:
    """Keep the language of the pages for this person, and go back to where they were."""
    language = language_of(request, form.text("lang"))
    signing_in.keep_language(data, form.who.id, language.code)
    return see(own_path(form.text("next")) or "/account")


def own_path(text: str) -> str | None:
    """`text` if it is a path on this site and nothing that a browser could read as another's address, else None."""
    clean = all(" " < character != "\\" and character != "\x7f" for character in text)
    return text if text.startswith("/") and text[1:2] != "/" and clean and len(text) <= LONGEST_NEXT else None


def _sign_in_form(
    request: Request,
    *,
    next: str,
    email: str = "",
    wrong: bool = False,
    password_set: bool = False,
    status: int = 200,
    lang: str = "",
) -> HTMLResponse:
    provider: Provider | None = request.app.state.openid
    onward = own_path(next) or ""
    view = {"next": onward, "email": email, "wrong": wrong, "password_set": password_set, "keep": {"next": onward}}
    view |= {"provider": provider.name if provider is not None else None}
    return html(request, "sign_in.html", view, status, language_of(request, lang))


def _invitation_form(
    request: Request, language: Language | None = None, *, token: str = "", wrong: str = "", status: int = 200
) -> HTMLResponse:
    return html(request, "invitation.html", {"token": token, "wrong": wrong}, status, language)


def _signed_in(request: Request, admitted: signing_in.Admitted, onward: str | None) -> RedirectResponse:
    """On to where they wanted to go, else to where their work waits."""
    waits = "/queue" if Permission.DECIDE in admitted.who.permissions else "/listings"
    response = see(onward or waits)
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
