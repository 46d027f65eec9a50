"""The door for OAI-PMH harvesters: one address, whose protocol has its own errors. Public listings, to anybody."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.access import Permission
from app.asking import Data, Now, allow
from app.oai import Archive, answer

router = APIRouter(include_in_schema=False)


async def arguments(request: Request) -> list[tuple[str, str]]:
    """The request's arguments, from its query or its form."""
    if request.method == "GET":
        return request.query_params.multi_items()
    async with request.form(max_files=0, max_fields=20) as form:
        return [(name, str(value)) for name, value in form.multi_items()]


@router.get("/oai", dependencies=[Depends(allow(Permission.READ))])
@router.post("/oai", dependencies=[Depends(allow(Permission.READ))])
def oai(request: Request, data: Data, at: Now, given: Annotated[list[tuple[str, str]], Depends(arguments)]) -> Response:
    """OAI-PMH 2.0."""
    home = str(request.base_url)
    email = f"postmaster@{request.url.hostname}"  # RFC 2142: every domain that has mail has this one
    archive = Archive(address=f"{home}oai", listings=f"{home}api/v1/listings/", email=email)
    with data.reading() as session:
        return Response(answer(session, archive, given, at), media_type="text/xml; charset=utf-8")
