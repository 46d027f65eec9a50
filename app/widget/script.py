"""The widget's script, and what the frames load: files that the build has made (web/build.mjs)."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response

STATIC = Path(__file__).parents[1] / "static"
TYPES = {".js": "text/javascript", ".css": "text/css"}
HEADERS = {
    "Cache-Control": "public, max-age=3600, stale-while-revalidate=86400",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is sent: whole, or packed; one tag names both."""

    body: bytes
    packed: bytes
    tag: str
    media_type: str


@router.get("/widget.js")
def widget(request: Request) -> Response:
    """The script that other sites load."""
    return sent("widget.js", request)


@router.get("/embed/frame.js")
def frame_script(request: Request) -> Response:
    """What a frame tells the page around it."""
    return sent("widget/frame.js", request)


@router.get("/embed/frame.css")
def frame_style(request: Request) -> Response:
    """How a frame looks without the script."""
    return sent("widget/frame.css", request)


def sent(name: str, request: Request) -> Response:
    """A file of `app/static`, or that it has not changed."""
    file = _read(name)
    headers = HEADERS | {"ETag": file.tag}
    if file.tag in (tag.strip() for tag in request.headers.get("if-none-match", "").split(",")):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.packed, headers=headers | {"Content-Encoding": "gzip"}, media_type=file.media_type)
    return Response(file.body, headers=headers, media_type=file.media_type)


@cache
def _read(name: str) -> File:
    path = STATIC / name
    body = path.read_bytes()
    tag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'  # weak: packed or not, it is the same
    return File(body, gzip.compress(body, mtime=0), tag, TYPES[path.suffix])
