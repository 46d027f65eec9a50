"""Import: a file is sent, its columns are named, what is wrong is corrected in place, and it is brought in."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from app import accounts, drafts, grids, imports
from app.access import Permission, Principal, check
from app.asking import Data, Now
from app.drafts import Draft, Drafts
from app.errors import AppError, NotFound, StorageFull, TooMany, Unusable
from app.exports import MEDIA, template
from app.queries import imports as queries
from app.sheets import Format, format_of
from app.tables import OrganisationRow, new_id
from app.web import fixes
from app.web.choosing import chosen
from app.web.forms import Sent, Visiting, sent
from app.web.import_rows import correct, options, place, wrong_rows
from app.web.rendering import html, is_part, language_of, see

EARLIER = 20
SHOWN = 20  # listings that a finished import leads to
STEP = 10  # per cent between two words on the progress
HERE = {"here": "/imports"}  # what the pages stand under
CHOICES = {"csv": Format.CSV, "xlsx": Format.XLSX}

router = APIRouter(include_in_schema=False)

PostForm = Annotated[Sent, sent(Permission.POST)]


def kept_drafts(request: Request) -> Drafts:
    """The files that wait to be imported."""
    return drafts.under(request.app.state.live.home)


Kept = Annotated[Drafts, Depends(kept_drafts)]


@router.get("/imports")
def imports_page(
    request: Request,
    visitor: Visiting,
    data: Data,
    kept: Kept,
    at: Now,
    organisation: str = "",
    find: str = "",
    before: str = "",
) -> HTMLResponse:
    """Where a file is dropped; what waits, and what was imported before."""
    check(visitor.who, Permission.POST)
    view = _start(data, visitor.who, kept, at, organisation, find, before)
    return html(request, "imports.html", HERE | view)


@router.post("/imports")
def send_file(request: Request, form: PostForm, data: Data, kept: Kept, at: Now) -> Response:
    """Read a file and keep it; what cannot be read is said where it was sent."""
    organisation, part = form.text("organisation"), form.file("file")
    with data.reading() as session:
        owner = chosen(session, form.who, organisation, "").owner
    if owner is None:
        return see("/imports")
    if part is None:
        return _refused(request, form, data, kept, at, owner, "")
    try:
        kind = format_of(part.filename or "")
        grid = grids.read_grid(part.file.read(), kind)
        draft = kept.begin(form.who, owner.id, part.filename or "", kind, grid, at)
    except (Unusable, TooMany) as error:
        return _refused(request, form, data, kept, at, owner, error.detail, error.status)
    return see(f"/imports/drafts/{draft.id}")


@router.get("/imports/template.{form}")
def template_file(request: Request, visitor: Visiting, form: str) -> Response:
    """An empty file with all headings, in the language of the page."""
    check(visitor.who, Permission.POST)
    kind = CHOICES.get(form)
    if kind is None:
        raise NotFound("there is no such template")
    language = language_of(request).code
    name = f"dukou-template-{language}.{kind}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    return Response(template(kind, language), media_type=MEDIA[kind], headers=headers)


@router.get("/imports/drafts/{draft_id}")
def columns_page(request: Request, visitor: Visiting, data: Data, kept: Kept, at: Now, draft_id: str) -> HTMLResponse:
    """Which column of the file is which of ours."""
    check(visitor.who, Permission.POST)
    draft = kept.get(visitor.who, draft_id, at)
    grid = kept.grid(draft)
    return _columns(request, data, visitor.who, draft, grid, grid.labels)


@router.post("/imports/drafts/{draft_id}")
def name_columns(request: Request, form: PostForm, data: Data, kept: Kept, at: Now, draft_id: str) -> Response:
    """Say which column is which, and look the whole file over."""
    draft = kept.get(form.who, draft_id, at)
    grid = kept.grid(draft)
    labels = [form.text(f"column-{place}") for place in range(len(grid.headings))]
    try:
        grids.relabel(grid, labels)
    except Unusable as error:
        wrong = [int(one.field) for one in error.errors]
        return _columns(request, data, form.who, draft, grid, labels, wrong, error.status)
    _look_over(data, kept, form.who, draft, grid)
    return see(f"/imports/drafts/{draft.id}/rows")


@router.get("/imports/drafts/{draft_id}/rows")
def rows_page(
    request: Request, visitor: Visiting, data: Data, kept: Kept, at: Now, draft_id: str, after: int = 0
) -> Response:
    """What importing the file would come to, and the rows that are wrong, to be corrected."""
    check(visitor.who, Permission.POST)
    draft = kept.get(visitor.who, draft_id, at)
    if draft.checked is None:
        return see(f"/imports/drafts/{draft.id}")
    return _rows(request, data, visitor.who, kept, draft, after)


@router.post("/imports/drafts/{draft_id}/rows")
def correct_rows(form: PostForm, data: Data, kept: Kept, at: Now, draft_id: str) -> Response:
    """Write corrected cells over those of the file, and look it over again."""
    draft = kept.get(form.who, draft_id, at)
    grid = kept.grid(draft)
    correct(grid, {name: form.text(f"cell-{name}") for name in form.names("cell-")})
    _look_over(data, kept, form.who, draft, grid)
    return see(f"/imports/drafts/{draft.id}/rows")


@router.post("/imports/drafts/{draft_id}/discard")
def discard_draft(form: PostForm, kept: Kept, at: Now, draft_id: str) -> Response:
    """Forget a file that is not to be imported."""
    kept.drop(kept.get(form.who, draft_id, at))
    return see("/imports")


@router.post("/imports/drafts/{draft_id}/start")
def start_import(request: Request, form: PostForm, data: Data, kept: Kept, at: Now, draft_id: str) -> Response:
    """Bring the file in: the rows that are right, or all of them and nothing else."""
    draft = kept.get(form.who, draft_id, at)
    whole = form.text("whole") == "yes"
    try:
        with data.writing() as session:
            owner = accounts.organisation(session, form.who, draft.organisation_id)
            rows = grids.rows_of(kept.grid(draft))
            job = imports.Job(new_id(), owner.id, form.who, rows, draft.form, dry_run=False, all_or_nothing=whole)
            imports.begin(session, owner, job, at)
    except AppError as error:
        if isinstance(error, NotFound | StorageFull) or draft.checked is None:
            raise
        return _rows(request, data, form.who, kept, draft, 0, error)
    request.app.state.importer.submit(job)
    kept.keep(replace(draft, import_id=job.import_id))
    return see(f"/imports/{job.import_id}")


@router.get("/imports/{import_id}")
def import_page(
    request: Request, visitor: Visiting, data: Data, kept: Kept, at: Now, import_id: str, told: int = -1
) -> HTMLResponse:
    """How far an import is, and what has come of it. A script asks for the part of it again and again."""
    check(visitor.who, Permission.POST)
    with data.reading() as session:
        row = imports.visible(session, visitor.who, import_id)
        owner = session.get(OrganisationRow, row.organisation_id)
        running = row.state == imports.State.RUNNING
        listings = [] if running or row.report["dry_run"] else queries.written(session, row, SHOWN)
    share = row.done / row.rows if row.rows else 0.0
    step = int(100 * share) // STEP * STEP if running else 100
    view = {
        "row": row,
        "owner": owner,
        "running": running,
        "share": share,
        "told": step,
        "news": is_part(request) and (step != told or not running),
        "listings": listings,
        "draft": next((one for one in kept.of(visitor.who, at) if one.import_id == row.id), None),
        "said": partial(fixes.said, language_of(request)),
        "place": partial(place, language_of(request)),
    }
    return html(request, "import_progress.html" if is_part(request) else "import.html", HERE | view)


def _start(
    data: Data, who: Principal, kept: Drafts, at: Now, organisation: str, find: str, before: str
) -> dict[str, Any]:
    with data.reading() as session:
        choice = chosen(session, who, organisation, find)
        edge = imports.visible(session, who, before) if before else None
        earlier = queries.page(session, who, edge, EARLIER + 1)
    waiting = [one for one in kept.of(who, at) if one.import_id is None]
    older = earlier[EARLIER - 1][0].id if len(earlier) > EARLIER else None
    return {"choice": choice, "waiting": waiting, "earlier": earlier[:EARLIER], "older": older, "wrong": None}


def _refused(
    request: Request,
    form: Sent,
    data: Data,
    kept: Drafts,
    at: Now,
    owner: OrganisationRow,
    reason: str,
    status: int = Unusable.status,
) -> HTMLResponse:
    """The first page again, with what is wrong with the file; `reason` is empty where there is none."""
    view = _start(data, form.who, kept, at, owner.id, "", "")
    return html(request, "imports.html", HERE | view | {"wrong": fixes.said(language_of(request), reason)}, status)


def _columns(
    request: Request,
    data: Data,
    who: Principal,
    draft: Draft,
    grid: grids.Grid,
    labels: list[str],
    wrong: list[int] | None = None,
    status: int = 200,
) -> HTMLResponse:
    language = language_of(request)
    view = {
        "draft": draft,
        "owner": _owner(data, who, draft),
        "columns": [
            {"heading": heading, "label": label, "cells": [line.cells[place] for line in grid.lines[:3]]}
            for place, (heading, label) in enumerate(zip(grid.headings, labels, strict=True))
        ],
        "options": options(language, [*grid.labels, *labels]),
        "wrong": wrong or [],
    }
    return html(request, "import_columns.html", HERE | view, status)


def _rows(
    request: Request, data: Data, who: Principal, kept: Drafts, draft: Draft, after: int, error: AppError | None = None
) -> HTMLResponse:
    language = language_of(request)
    assert draft.checked is not None
    rows, more = wrong_rows(language, kept.grid(draft), draft.checked, after)
    view = {
        "draft": draft,
        "checked": draft.checked,
        "owner": _owner(data, who, draft),
        "rows": rows,
        "more": more,
        "onward": f"/imports/drafts/{draft.id}/rows",
        "refusal": fixes.said(language, error.detail) if error is not None else None,
        "said": partial(fixes.said, language),
        "place": partial(place, language),
    }
    return html(request, "import_rows.html", HERE | view, error.status if error is not None else 200)


def _look_over(data: Data, kept: Drafts, who: Principal, draft: Draft, grid: grids.Grid) -> None:
    with data.reading() as session:
        checked = drafts.check(session, who, draft, grid)
    kept.keep_grid(checked, grid)
    kept.keep(checked)


def _owner(data: Data, who: Principal, draft: Draft) -> OrganisationRow:
    with data.reading() as session:
        return accounts.organisation(session, who, draft.organisation_id)
