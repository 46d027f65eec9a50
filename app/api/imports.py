"""Files of listings: bring them in, watch how far that is, take them out, and the templates for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.datastructures import UploadFile

from app import accounts, imports
from app.access import Permission, Principal
from app.asking import Data, Now, allow
from app.errors import FieldError, Unusable
from app.exports import MEDIA, exported, template
from app.queries import imports as queries
from app.schemas.imports import ImportOut
from app.sheets import Format, format_of
from app.tables import new_id

router = APIRouter(prefix="/api/v1", tags=["imports"])

Poster = Annotated[Principal, Depends(allow(Permission.POST))]
Owner = Annotated[str | None, Query(description="The organisation; needed only by those who import for several")]
TYPES = {
    "text/csv": Format.CSV,
    "text/tab-separated-values": Format.CSV,
    "application/jsonl": Format.JSONL,
    "application/x-ndjson": Format.JSONL,
    MEDIA[Format.XLSX]: Format.XLSX,
}
ONE_FILE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
FILE = {
    "requestBody": {
        "required": True,
        "description": "The file, at most 20 MB and 20,000 rows; as the body or as the part `file` of a form.",
        "content": {
            **dict.fromkeys(("application/octet-stream", *TYPES), ONE_FILE),
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "string", "format": "binary"}},
                    "required": ["file"],
                }
            },
        },
    }
}


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file's content, and the form that its type or name shows."""

    body: bytes
    form: Format | None


async def sent_file(request: Request) -> SentFile:
    """A dependency: the file that a request carries. Raises Unusable where there is none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        return _present(SentFile(await request.body(), TYPES.get(kind)))
    async with request.form(max_files=1, max_fields=10) as form:
        part = form.get("file")
        if not isinstance(part, UploadFile):
            raise Unusable("file: the form has no such part", [FieldError("file", "must hold the file")])
        named = format_of(part.filename) if part.filename else None
        return _present(SentFile(await part.read(), named))


def _present(sent: SentFile) -> SentFile:
    if not sent.body:
        raise Unusable("the body is empty; send the file as it", [FieldError("body", "must be the file")])
    return sent


@router.post("/imports", status_code=202, openapi_extra=FILE)
def start_import(
    request: Request,
    response: Response,
    who: Poster,
    sent: Annotated[SentFile, Depends(sent_file)],
    data: Data,
    at: Now,
    format: Format | None = None,
    dry_run: bool = False,
    all_or_nothing: bool = False,
    organisation: Owner = None,
) -> ImportOut:
    """Bring in a file of listings. The answer says where to see how far it is; rows that are wrong are left out.

    With `all_or_nothing` one wrong row leaves everything out; with `dry_run` nothing is written but the report.
    Sending a file again is harmless where its rows have references.
    """
    form, owner_id = format or sent.form, organisation or who.organisation
    if form is None:
        raise Unusable("format: which form has the file?", [FieldError("format", "must be jsonl, csv or xlsx")])
    if owner_id is None:
        raise Unusable("organisation: for which one is this?", [FieldError("organisation", "must be given")])
    with data.writing() as session:
        owner = accounts.organisation(session, who, owner_id)
        job = imports.Job(new_id(), owner.id, who, sent.body, form, dry_run, all_or_nothing)
        row = imports.begin(session, owner, job, at)
    request.app.state.importer.submit(job)
    response.headers["Location"] = f"/api/v1/imports/{row.id}"
    return ImportOut.of(row)


@router.get("/imports/template.{form}", response_class=Response)
def get_template(form: Literal["csv", "xlsx"], _who: Poster, language: Literal["en", "zh"] = "en") -> Response:
    """An empty file with all headings and an example row; the workbook also explains each column in zh and en."""
    return _download(template(Format(form), language), Format(form), f"dukou-template-{language}")


@router.get("/imports/{import_id}")
def get_import(import_id: str, who: Poster, data: Data) -> ImportOut:
    """How far an import is, and what has come of it."""
    with data.reading() as session:
        return ImportOut.of(imports.visible(session, who, import_id))


@router.get("/listings/export", response_class=Response, tags=["listings"])
def export_listings(who: Poster, data: Data, format: Format = Format.JSONL, organisation: Owner = None) -> Response:
    """The listings that are yours to change, as a file that an import takes; withdrawn and expired ones are not in."""
    with data.reading() as session:
        if organisation is not None:
            accounts.organisation(session, who, organisation)
        records = list(queries.managed_records(session, who, organisation))
    return _download(exported(records, format), format, "dukou-listings")


def _download(body: bytes, form: Format, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"', "X-Content-Type-Options": "nosniff"}
    return Response(body, media_type=MEDIA[form], headers=headers)
