"""What the service writes about its own work: one event a line, and one line for each request.

A line of a request says who asked, for which route, and what came of it. It never holds a query, a body, a header, a
token, a key, a cookie or a person's address; the route stands there as its template.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import uuid
from typing import TextIO

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.metrics import request_answered
from app.spans import note_request

REQUEST_ID = "X-Request-ID"
ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{8,64}")
OURS = ("app", "dukou", "uvicorn")  # of others only warnings: HTTP libraries, for one, log whole addresses
FACTS: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

log = logging.getLogger("dukou.requests")


def configure(stream: TextIO | None = None, *, for_people: bool | None = None) -> None:
    """Send all log lines to a stream (stderr): as JSON, or in columns on a terminal. Call it once in a process."""
    stream = stream or sys.stderr
    for_people = stream.isatty() if for_people is None else for_people
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=FACTS,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(for_people)],
        )
    )
    handler.addFilter(_worth_a_line)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)


def _worth_a_line(record: logging.LogRecord) -> bool:
    """Of others only warnings, even of a library that asks for every detail by itself when it is imported."""
    return record.levelno >= logging.WARNING or record.name.split(".")[0] in OURS


def _rendering(for_people: bool) -> list[structlog.typing.Processor]:
    """Tracebacks are plain: values of variables may be secrets."""
    if for_people:
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]


class RequestLog:
    """Gives every request an id, which its log lines and its answer carry, and writes one line when it is answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id, status, start = _request_id(scope), 500, time.perf_counter()
        scope.setdefault("state", {})["request_id"] = request_id
        note_request(request_id)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)

        async def tagged(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        try:
            await self.app(scope, receive, tagged)
        finally:
            seconds, facts = time.perf_counter() - start, _facts(scope)
            request_answered(scope["method"], facts["route"], status, seconds)
            log.info("request", extra={**facts, "status": status, "ms": round(1000 * seconds, 1)})


def _request_id(scope: Scope) -> str:
    """The sender's id where it is harmless in a log, or a new one."""
    sent = Headers(scope=scope).get(REQUEST_ID, "")
    return sent if ACCEPTABLE.fullmatch(sent) else str(uuid.uuid4())


def _facts(scope: Scope) -> dict[str, str | None]:
    """Method, route and who asked; an address that no route knows may hold anything and is not written down."""
    template = getattr(scope.get("route"), "path", None)
    return {"method": scope["method"], "route": template, "who": scope.get("state", {}).get("who")}
