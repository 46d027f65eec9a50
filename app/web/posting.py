"""The form that posts or revises a listing, with advice while one writes. Works without scripts, then without the live.

A form carries a key of its own, so that it posts once however often it is sent, and when it revises, the revision that
it was made from, so that nobody's change is lost.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlmodel import Session

from app import accounts, listings, posting
from app.access import Permission, Principal, Role, check
from app.asking import Data, Now, Search
from app.db import Database
from app.errors import Unusable, VersionMismatch
from app.queries import listings as queries
from app.queries import own_listings
from app.record import IprStatus, PartnerType, Record, Stage, read_record, stored
from app.search import Live
from app.tables import ListingRow, NodeRow, OrganisationRow, new_id
from app.web.forms import Sent, Visiting, sent
from app.web.labels import tongue
from app.web.listing import differences
from app.web.posting_advice import advice_view
from app.web.posting_form import Typed, countries, place_of, record_of, sent_in, stored_in, summary_of
from app.web.rendering import html, language_of, see
from app.web.words import N_, Language
from matching import FIELDS, MODES, InvalidListing
from matching.language import LANGUAGES

router = APIRouter(include_in_schema=False)

Poster = Annotated[Sent, sent(Permission.POST)]

ANOTHER = N_(
    "This form has posted a listing already, with another text. To change that one, open it and revise it; "
    "to post this text as a second listing, send the form again."
)


@router.get("/listings/new")
def new_listing_page(request: Request, visitor: Visiting, data: Data, side: str = "") -> HTMLResponse:
    """An empty form."""
    check(visitor.who, Permission.POST)
    typed = Typed({"side": side, "disclosure": "public"}, {"fields": [], "modes": [], "partner_types": []})
    return _form(request, visitor.who, data, typed, {"key": new_id()})


@router.post("/listings/new")
def post_listing(request: Request, form: Poster, data: Data, search: Search, at: Now) -> Response:
    """Post what was typed, or say at each field what is wrong."""
    typed, language, key = sent_in(form), language_of(request), form.text("key")[:100]
    view: dict[str, Any] = {"key": key or new_id()}
    if form.text("do") != "post":
        return _grown(request, form, data, search, typed, view)
    record = record_of(typed, language)
    with data.reading() as session:
        owner = _owner(session, form.who, typed, language)
        _check_reference(session, form.who, owner, typed, key, language)
    if owner is not None and not typed.wrong:
        try:
            with data.writing() as session:
                answer = posting.post(session, form.who, owner.id, record, f"form:{key}" if key else None, _body, at)
            return see(f"/listings/{answer.body['id']}?done=posted&draft=new")
        except InvalidListing as error:
            typed.wrong[place_of(error)] = error.fix
        except Unusable as error:
            if not error.errors or error.errors[0].field != "Idempotency-Key":
                raise
            typed.wrong["title"] = language.words.gettext(ANOTHER)
            view["key"] = new_id()
    return _form(request, form.who, data, typed, view, 422)


@router.get("/listings/{listing_id}/revise")
def revise_listing_page(request: Request, listing_id: str, visitor: Visiting, data: Data) -> HTMLResponse:
    """The form with a listing in it."""
    check(visitor.who, Permission.POST)
    with data.reading() as session:
        row = listings.owned(session, visitor.who, listing_id)
        owner = queries.owner(session, row)
    return _form(request, visitor.who, data, stored_in(row.record, language_of(request), owner.name), _of(row))


@router.post("/listings/{listing_id}/revise")
def revise_listing(request: Request, listing_id: str, form: Poster, data: Data, search: Search, at: Now) -> Response:
    """Give a listing the text that was typed; whoever has changed it meanwhile is not overwritten unseen."""
    typed, language = sent_in(form), language_of(request)
    with data.reading() as session:
        row = listings.owned(session, form.who, listing_id)
    typed.lines |= {"side": row.side, "reference": row.reference or ""}
    view = _of(row) | {"revision": form.text("revision"), "version": form.text("version")}
    if form.text("do") != "post":
        return _grown(request, form, data, search, typed, view)
    record = record_of(typed, language)
    if typed.wrong:
        return _form(request, form.who, data, typed, view, 422)
    try:
        posted = _revised(data, form, listing_id, record, at)
        return see(f"/listings/{listing_id}?done={'revised' if posted.changed else 'unchanged'}&draft=revise")
    except InvalidListing as error:
        typed.wrong[place_of(error)] = error.fix
        return _form(request, form.who, data, typed, view, 422)
    except VersionMismatch as error:
        view = _of(row) | {"conflict": _conflict(data, form.who, row, form.number("version"), language)}
        return _form(request, form.who, data, typed, view, error.status)


@router.post("/listings/preview")
def preview(request: Request, form: Poster, data: Data, search: Search) -> HTMLResponse:
    """What the text is worth so far: hints, fields, listings that say the same, and what would answer it."""
    view = _advice(request, form, data, search, sent_in(form))
    return html(request, "posting_advice.html", view)


def _revised(data: Database, form: Sent, listing_id: str, record: Record, at: datetime) -> listings.Posted:
    """Raises VersionMismatch, unless the listing stands as it was to become: the form was sent twice."""
    revision = form.number("revision")
    with data.writing() as session:
        row = listings.owned(session, form.who, listing_id)
        if row.revision != revision and row.record == _kept(session, row, record):
            return listings.Posted(row, created=False, changed=True)
        return listings.revise(session, form.who, row, record, revision, at)


def _kept(session: Session, row: ListingRow, record: Record) -> Record:
    """A record as it would be kept."""
    record = listings.completed(record, queries.owner(session, row))
    return stored(record, read_record(record))


def _conflict(data: Database, who: Principal, row: ListingRow, version: int, language: Language) -> dict[str, Any]:
    """What the other has changed since the version that the form was made from."""
    with data.reading() as session:
        versions = {one.version: one for one in queries.versions(session, row.id)}
        since = [one for one in versions.values() if 0 <= version < one.version]
        names = own_listings.names_of(session, who, [one.actor for one in since])
    known = version in versions and row.version in versions
    return {
        "by": sorted({names[one.actor] for one in since if one.actor in names}),
        "at": row.updated_at,
        "changes": differences(versions[version], versions[row.version], language) if known else [],
    }


def _grown(
    request: Request, form: Sent, data: Database, search: Live, typed: Typed, view: dict[str, Any]
) -> HTMLResponse:
    """The form again, without posting: with one more row, or with advice, as the button says."""
    if form.text("do") == "figure":
        typed.figures.append({"parameter": "", "operator": ">=", "value": "", "unit": "", "must": "yes"})
    elif form.text("do") == "translation":
        typed.translations.append(
            dict.fromkeys(("language", "title", "summary", "description"), "") | {"origin": "author"}
        )
    else:
        view |= {"advised": _advice(request, form, data, search, typed)}
    return _form(request, form.who, data, typed, view)


def _advice(request: Request, form: Sent, data: Database, search: Live, typed: Typed) -> dict[str, Any]:
    language = language_of(request)
    trial = Typed(typed.lines, typed.ticks, typed.figures, typed.translations)
    record = record_of(trial, language)
    with data.reading() as session:
        owner = _owner(session, form.who, trial, language)
    return advice_view(data, search, form.who, record, owner, form.text("replaces"), language)


def _form(
    request: Request, who: Principal, data: Database, typed: Typed, view: dict[str, Any], status: int = 200
) -> HTMLResponse:
    """The form as it stands; with what is wrong first, if anything is."""
    language = language_of(request)
    several = who.role is not Role.PARTNER and "row" not in view
    with data.reading() as session:
        names = own_listings.organisation_names(session, who) if several else []
    known = sorted(((one, tongue(language, one)) for one in LANGUAGES), key=lambda one: one[1])
    empty = {"row": None, "revision": "", "version": "", "conflict": None, "advised": None, "key": ""}
    shown = {
        "typed": typed,
        "wrong": typed.wrong,
        "summary": summary_of(typed, language),
        "several": several,
        "names": names,
        "tongues": known,
        "countries": countries(language),
        "fields": FIELDS,
        "modes": MODES,
        "stages": tuple(Stage),
        "protections": tuple(IprStatus),
        "partners": tuple(PartnerType),
        "path": f"/listings/{view['row'].id}/revise" if "row" in view else "/listings/new",
    }
    return html(request, "posting.html", empty | shown | view, status, language)


def _of(row: ListingRow) -> dict[str, Any]:
    return {"row": row, "revision": row.revision, "version": row.version}


def _owner(session: Session, who: Principal, typed: Typed, language: Language) -> OrganisationRow | None:
    """For whom it is posted: one's own organisation, or the one that a manager names (with its node, if need be)."""
    if who.organisation is not None:
        return accounts.organisation(session, who, who.organisation)
    name, _, node = typed.line("owner").partition(" · ")
    found = own_listings.organisations_named(session, who, name.strip()) if name.strip() else []
    if node:
        nodes = {one.id: session.get(NodeRow, one.node_id) for one in found}
        found = [one for one in found if (own := nodes[one.id]) is not None and own.name == node.strip()]
    if len(found) == 1:
        return found[0]
    said = N_("Several nodes have an organisation of that name; write “name · node”.")
    said = said if found else N_("Name the organisation that it is posted for: one of your nodes.")
    typed.wrong["owner"] = language.words.gettext(said)
    return None


def _check_reference(
    session: Session, who: Principal, owner: OrganisationRow | None, typed: Typed, key: str, language: Language
) -> None:
    """A new listing does not quietly take the place of another; the same form sent again does nothing new."""
    reference = typed.line("reference")
    if owner is None or not reference or queries.earlier_answer(session, who.label, f"form:{key}") is not None:
        return
    if queries.by_reference(session, owner.id, reference) is not None:
        said = N_("There is a listing with this reference already; revise that one, or take another reference.")
        typed.wrong.setdefault("reference", language.words.gettext(said))


def _body(row: ListingRow) -> dict[str, Any]:
    return {"id": row.id}
