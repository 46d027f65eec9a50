"""The page of the overnight runs, for those who decide on their proposals: one run, and how the runs have been."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from sqlmodel import Session

from app import judging
from app.access import Permission, check
from app.asking import Data, Now
from app.errors import NotFound
from app.overview import Count
from app.queries import nights as queries
from app.tables import NightRow
from app.web import night_pictures as pictures
from app.web.forms import Visiting
from app.web.pictures import Picture, csv_of
from app.web.rendering import html, language_of
from app.web.words import Language

SHOWN = 30
MONTHS = 24
CHANGES = ("new", "updated", "reopened", "kept", "gone")

router = APIRouter(include_in_schema=False)


@router.get("/nights")
def nights_page(request: Request, visitor: Visiting, data: Data, at: Now, run: str = "") -> HTMLResponse:
    """The newest run, or the one of that name: what ran, what changed, how proposals are spread; and the last ones."""
    check(visitor.who, Permission.DECIDE)
    language = language_of(request)
    with data.reading() as session:
        rows, night = _nights(session, run)
    found = _pictures(rows, night, request.app.state.overview.count(at), language)
    publisher = request.app.state.live.publisher
    report: dict[str, Any] = night.report if night is not None else {}
    changes = {name: report.get("record", {}).get(name, 0) for name in CHANGES} if "record" in report else {}
    view = {
        "nights": [(row, _seconds(row)) for row in rows],
        "night": night,
        "took": _seconds(night),
        "report": report,
        "changes": changes | ({"lapsed": report["settle"]["lapsed"]} if "settle" in report else {}),
        "parts": _parts(found["stages"]),
        "pictures": found,
        "index": publisher.current(),
        "kept": publisher.names(),
        "keep": {"run": run} if run else {},
    }
    return html(request, "nights.html", view, language=language)


@router.get("/nights/{name}.csv")
def nights_table(request: Request, visitor: Visiting, data: Data, at: Now, name: str, run: str = "") -> Response:
    """One of its pictures as a file."""
    check(visitor.who, Permission.DECIDE)
    with data.reading() as session:
        rows, night = _nights(session, run)
    return csv_of(_pictures(rows, night, request.app.state.overview.count(at), language_of(request)), name)


def _nights(session: Session, run: str) -> tuple[list[NightRow], NightRow | None]:
    """The last runs, and the one asked for. Raises NotFound."""
    rows = queries.latest(session, SHOWN)
    if not run:
        return rows, rows[0] if rows else None
    night = queries.night(session, run)
    if night is None:
        raise NotFound(f"there is no night {run!r:.220}")
    return rows, night


def _pictures(rows: list[NightRow], night: NightRow | None, count: Count, language: Language) -> dict[str, Picture]:
    report: dict[str, Any] = night.report if night is not None else {}
    found = (
        pictures.stages(report, language),
        pictures.drops(report, language),
        pictures.exposure(report, language),
        pictures.quality(rows, language),
        pictures.decisions(judging.months(count.decided)[-MONTHS:], language),
        pictures.calibration(judging.bands(count.decided), language),
    )
    return {one.name: one for one in found}


def _parts(stages: Picture) -> list[tuple[float, float]]:
    """Where each stage begins in the bar and how wide it is, in percent."""
    found, start = [], 0.0
    for row in stages.rows:
        width = 100 * float(row[2] or 0)
        found.append((round(start, 3), round(width, 3)))
        start += width
    return found


def _seconds(row: NightRow | None) -> float | None:
    """How long a run took from its beginning to its end, interruptions included."""
    if row is None or row.finished_at is None:
        return None
    return (row.finished_at - row.started_at).total_seconds()
