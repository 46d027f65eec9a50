"""The web application, put together."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import api, openid, web, widget
from app.asking import Limits
from app.audit import Audit
from app.db import Database
from app.destinations import read_allowed
from app.errors import AppError, FieldError, TooLarge, problem
from app.import_queue import Importer
from app.logs import REQUEST_ID, RequestLog
from app.openapi import describe
from app.overview import Overview
from app.proposing import Proposer
from app.search import Live
from app.settings import Settings
from app.shelf import Shelves
from app.signing import Signing
from app.tracing import Tracing
from app.web.forms import Forms
from app.web.rendering import STATIC, app_error_page, error_page
from app.worker import Worker
from matching import InvalidListing

log = logging.getLogger(__name__)

LIMIT = 1_000_000  # bytes of a request's body
LARGER = {("POST", path): 20_000_000 for path in ("/api/v1/imports", "/imports")}  # of routes that take files


def create_app(settings: Settings, *, with_worker: bool = False) -> FastAPI:
    """The service over one database. The model is loaded in the background once it starts. Raises Unusable.

    `with_worker`: deliveries and housekeeping in this process too.
    """
    audit, metrics_token = Audit(settings.secret_bytes), settings.metrics_token_bytes
    allowed, sites = read_allowed(settings.webhook_allow), widget.read_sites(settings.embedding_sites)
    tracing = Tracing(settings.otlp_endpoint)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = await run_in_threadpool(Database, settings.url)
        tracing.watch_database(database)
        app.state.database = database
        app.state.shelves = Shelves(database)
        app.state.shelves.start()
        app.state.live = Live(settings, database)
        app.state.overview = Overview(database)
        app.state.proposer = Proposer(app.state.live)
        app.state.proposer.start()
        app.state.importer = Importer(database)
        await run_in_threadpool(app.state.importer.start)
        worker = Worker(settings, database) if with_worker else None
        if worker is not None:
            await run_in_threadpool(worker.start)
        app.state.loading = app.state.live.start()  # last: it would keep the others waiting
        yield
        if worker is not None:
            await run_in_threadpool(worker.stop)
        await run_in_threadpool(app.state.importer.stop)
        await run_in_threadpool(app.state.proposer.stop)
        await run_in_threadpool(app.state.shelves.stop)
        database.close()
        await run_in_threadpool(tracing.stop)

    app = FastAPI(
        title="Dukou",
        version="0.1.0",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.audit = audit
    app.state.limits = Limits(settings.public_limit, settings.known_limit, settings.sign_in_limit)
    app.state.forms = Forms(settings.secret_bytes)
    app.state.openid = openid.provider(settings)
    app.state.signing = Signing(settings.secret_bytes)
    app.state.allowed = allowed
    app.state.sites = sites
    app.state.metrics_token = metrics_token
    app.add_middleware(BodyLimit)
    app.add_middleware(widget.Embedding, sites=sites)
    app.add_middleware(RequestLog)
    tracing.watch_application(app)
    for router in (*api.routers, *web.routers, *widget.routers):
        app.include_router(router)
    app.mount("/static", Static())
    describe(app)
    app.add_exception_handler(AppError, _on_app_error)
    app.add_exception_handler(InvalidListing, _on_invalid_listing)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_defect)
    return app


class Static:
    """The files of the pages, compressed, to be kept for good where the address carries their digest."""

    def __init__(self) -> None:
        self._files = GZipMiddleware(StaticFiles(directory=STATIC))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = "max-age=31536000, immutable" if b"v=" in scope["query_string"] else "max-age=300"
                headers = MutableHeaders(scope=message)
                headers["Cache-Control"], headers["X-Content-Type-Options"] = kept, "nosniff"
            await send(message)

        await self._files(scope, receive, dated)


class BodyLimit:
    """Reads a request's body before the application does and refuses one over the limit, announced or not."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body, limit = bytearray(), LARGER.get((scope["method"], scope["path"]), LIMIT)
        message: Message = {"more_body": True}
        while message.get("more_body", False):
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if len(body) > limit:
                await _too_large(limit, scope, receive, send)
                return
        pending: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def replay() -> Message:
            return pending.pop() if pending else await receive()

        await self.app(scope, replay, send)


async def _too_large(limit: int, scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope)
    response = _rendered(request, TooLarge.status, TooLarge.title, f"a body holds at most {limit:,} bytes", [])
    await response(scope, receive, send)


def _rendered(
    request: Request,
    status: int,
    title: str,
    detail: str,
    errors: list[FieldError],
    headers: Mapping[str, str] | None = None,
) -> Response:
    """problem+json for programs, a page for browsers."""
    if _is_program(request):
        return problem(status, title, detail, errors, headers)
    page = error_page(request, status, detail, title)
    page.headers.update(headers or {})
    return page


def _is_program(request: Request) -> bool:
    return request.url.path.startswith(("/api/", "/feeds/", "/health/", "/metrics", "/oembed"))


async def _on_app_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)
    if not _is_program(request):
        return app_error_page(request, error)
    return _rendered(request, error.status, error.title, error.detail, list(error.errors), error.headers)


async def _on_invalid_listing(request: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidListing)
    return _rendered(request, 422, "Invalid input", str(error), [FieldError(error.field, error.fix)])


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [_field_error(item["loc"], item["type"], item["msg"]) for item in error.errors()]
    return _rendered(request, 422, "Invalid input", f"{errors[0].field}: {errors[0].fix}", errors)


def _field_error(place: tuple[str | int, ...], kind: str, message: str) -> FieldError:
    """A validator's message for one place, such as ("body", "keywords", 0)."""
    if kind == "json_invalid":
        return FieldError("body", "is not JSON; send one JSON object")
    fix = "is no field here; see /openapi.json" if kind == "extra_forbidden" else message
    return FieldError(".".join(str(part) for part in place[1:]) or "body", fix)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, UnicodeDecodeError):
        fix = "is not UTF-8; send one JSON object in it"
        return _rendered(request, 422, "Invalid input", f"body: {fix}", [FieldError("body", fix)])
    if error.status_code == 400:  # the framework's word for a form that it cannot take apart
        fix = "is not what its Content-Type says; send a whole form"
        return _rendered(request, 422, "Invalid input", f"body: {fix}", [FieldError("body", fix)])
    titles = {404: "Not found", 405: "Method not allowed"}
    response = _rendered(request, error.status_code, titles.get(error.status_code, "Error"), str(error.detail), [])
    response.headers.update(error.headers or {})
    return response


async def _on_defect(request: Request, error: Exception) -> Response:
    """Says nothing of the inside; the log has it."""
    log.error("a request failed", exc_info=error)
    said = "this is a defect of the service; it has been logged"
    return _rendered(request, 500, "Internal error", said, [], {REQUEST_ID: request.state.request_id})
