"""The pipeline: a board of pairings from proposed to completed, and the exchanges between organisations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from sqlmodel import Session

from app import pairings, pipeline
from app.access import Permission, Principal, Role, check
from app.asking import Data, Now
from app.pairings import CLOSED, TOLD, State
from app.pipeline import BOARD
from app.queries import accounts as account_queries
from app.queries import pipeline as queries
from app.queries.pipeline import Wanted
from app.tables import NodeRow
from app.web.cards import WHY_NOT, card
from app.web.forms import DIGITS, Visiting
from app.web.labels import countries
from app.web.rendering import html, is_part, language_of
from matching import FIELDS, Direction

EXCHANGES = 50
LONGEST_TEXT = 200
MOST_DAYS = 10_000

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Filter:
    """What the address asks for; what is no value that there is narrows nothing."""

    direction: str = ""
    field: str = ""
    country: str = ""
    node: str = ""
    days: str = ""
    q: str = ""
    order: str = ""
    closed: str = ""

    @classmethod
    def of(cls, address: str) -> Filter:
        """The filter that stands in an address."""
        given = dict(parse_qsl(urlsplit(address).query))
        return cls(**{name: given[name] for name in cls.__slots__ if name in given})

    @property
    def wait(self) -> int | None:
        """Days in a state, None where none are asked for."""
        text = self.days.strip()
        return min(int(text[:DIGITS]), MOST_DAYS) if text.isascii() and text.isdigit() else None

    @property
    def states(self) -> tuple[State, ...]:
        return (*BOARD, *CLOSED) if self.closed else BOARD

    @property
    def query(self) -> dict[str, str]:
        """The fields of the address that narrow something."""
        return {name: getattr(self, name) for name in self.__slots__ if getattr(self, name)}

    def wanted(self, now: datetime) -> Wanted:
        """As the database is asked."""
        return Wanted(
            direction=self.direction if self.direction in tuple(Direction) else None,
            field=self.field if self.field in FIELDS else None,
            country=self.country or None,
            node=self.node or None,
            before=now - timedelta(days=self.wait) if self.wait is not None else None,
            text=self.q.strip()[:LONGEST_TEXT],
            longest=self.order == "longest",
        )


def filter_of(request: Request) -> Filter:
    """The filter of a request."""
    return Filter.of(str(request.url))


Filtered = Annotated[Filter, Depends(filter_of)]


@router.get("/pipeline")
def pipeline_page(
    request: Request, visitor: Visiting, data: Data, at: Now, chosen: Filtered, view: str = "", state: str = ""
) -> HTMLResponse:
    """The board; with `view=exchanges` what two organisations have for each other."""
    check(visitor.who, Permission.PAIRINGS)
    if view == "exchanges":
        return _exchanges(request, visitor.who, data, at)
    only = next((one for one in chosen.states if one == state), None)
    wanted, cursor = chosen.wanted(at), request.query_params.get("after", "")
    with data.reading() as session:
        if only is not None and cursor:
            columns = [pipeline.rest(session, visitor.who, wanted, only, cursor)]
        else:
            columns = pipeline.columns(session, visitor.who, wanted, chosen.states if only is None else [only])
        nodes = _nodes(session, visitor.who)
    shown = {**filled(visitor.who, columns, chosen, at), "nodes": nodes, "one": only}
    shown["countries"] = countries(language_of(request))
    template = "pipeline_more.html" if is_part(request) and only is not None else "pipeline.html"
    return html(request, template, shown)


def filled(who: Principal, columns: list[pipeline.Column], chosen: Filter, at: datetime) -> dict[str, Any]:
    """What the templates of the board show."""
    address = f"/pipeline?{urlencode(chosen.query)}" if chosen.query else "/pipeline"
    return {
        "columns": [
            {
                "state": one.state,
                "total": one.total,
                "cards": [card(who, placed, at) for placed in one.cards],
                "more": _more(chosen, one) if one.more else None,
                "why_not": WHY_NOT[one.state],
            }
            for one in columns
        ],
        "total": sum(one.total for one in columns),
        "chosen": chosen,
        "keep": chosen.query,
        "address": address,
        "fields": FIELDS,
        "directions": tuple(Direction),
        "is_partner": who.role is Role.PARTNER,
    }


def moved(who: Principal, session: Session, pairing_id: str, address: str, at: datetime) -> dict[str, Any]:
    """A pairing's card and how many there are in each column, after a step that was taken on the board."""
    chosen = Filter.of(address)
    totals = queries.counts(session, who, chosen.wanted(at), TOLD)
    one = card(who, queries.placed(session, [pairing_id])[pairing_id], at)
    return {"card": one, "totals": {state: totals.get(state, 0) for state in chosen.states}, "address": address}


def _exchanges(request: Request, who: Principal, data: Data, at: datetime) -> HTMLResponse:
    with data.reading() as session:
        found = list(islice(pairings.exchanges(session, who), EXCHANGES))
        placed = queries.placed(session, [row.id for one in found for row, _ in (one.first, one.second)])
    shown = [
        {"probability": one.probability, "cards": [card(who, placed[row.id], at) for row, _ in (one.first, one.second)]}
        for one in found
    ]
    return html(request, "exchanges.html", {"exchanges": shown, "keep": {"view": "exchanges"}})


def _more(chosen: Filter, column: pipeline.Column) -> str:
    return f"/pipeline?{urlencode(chosen.query | {'state': column.state, 'after': column.more})}"


def _nodes(session: Session, who: Principal) -> list[NodeRow]:
    """The nodes that a manager can choose between."""
    if who.role is Role.PARTNER:
        return []
    return [node for node in account_queries.nodes(session) if who.nodes is None or node.id in who.nodes]
