"""The programme at a glance, for managers and the programme office: pictures that are tables too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from app.access import Permission, Principal, check
from app.asking import Data, Now
from app.errors import NotFound
from app.overview import SIGNED, Count, Scope, by_node, contracts, in_states, month_of, published, targets
from app.pairings import INTRODUCED, OPEN, UNDER_WAY
from app.queries import overview as queries
from app.queries.overview import NodeFacts
from app.web import overview_pictures as pictures
from app.web.forms import Visiting
from app.web.pictures import Picture, csv_of
from app.web.rendering import html, language_of
from app.web.words import N_, Language

PERIODS = {
    "": N_("all times"),
    "year": N_("the last 12 months"),
    "quarter": N_("the last 3 months"),
    "month": N_("this month"),
}
STAGES = {
    "": (N_("all ever proposed"), None),
    "taken": (N_("taken up or further"), (*UNDER_WAY, *SIGNED)),
    "introduced": (N_("introduced or further"), INTRODUCED),
    "contracted": (N_("contracted"), SIGNED),
}
MONTHS = {"year": 11, "quarter": 2, "month": 0}  # before the present one

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the overview is narrowed to, as the address has it."""

    node: str = ""
    period: str = ""
    stage: str = ""

    @property
    def fields(self) -> dict[str, str]:
        """Those that narrow anything, for the address of another page of the same."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name))}


@dataclass(frozen=True, slots=True)
class Seen:
    """The figures that somebody sees: now, of all times, and the nodes they are of."""

    narrowed: Count
    always: Count
    nodes: list[NodeFacts]
    choice: list[NodeFacts]


@router.get("/overview")
def overview_page(
    request: Request, visitor: Visiting, data: Data, at: Now, node: str = "", period: str = "", stage: str = ""
) -> HTMLResponse:
    """The overview."""
    check(visitor.who, Permission.DECIDE)
    asked, language = _asked(node, period, stage), language_of(request)
    seen = _seen(request, visitor.who, data, at, asked)
    whole = seen.narrowed.pairings
    stock = published(seen.always.listings).counted("side")
    view: dict[str, Any] = {
        "pictures": _pictures(seen, asked, language),
        "numbers": [
            (N_("Nodes"), len(seen.nodes)),
            (N_("Organisations"), sum(one.organisations for one in seen.nodes)),
            (N_("Published offers"), stock[("offer",)]),
            (N_("Published needs"), stock[("need",)]),
            (N_("Pairings proposed"), len(whole)),
            (N_("still open"), len(in_states(whole, OPEN))),
            (N_("Contracts"), contracts(whole)),
        ],
        "asked": asked,
        "nodes": seen.choice,
        "periods": PERIODS,
        "stages": {name: text for name, (text, _) in STAGES.items()},
        "at": seen.narrowed.at,
        "keep": asked.fields,
        "partial": not visitor.who.sees_all or bool(asked.node),
    }
    return html(request, "overview.html", view, language=language)


@router.get("/overview/{name}.csv")
def overview_table(
    request: Request,
    visitor: Visiting,
    data: Data,
    at: Now,
    name: str,
    node: str = "",
    period: str = "",
    stage: str = "",
) -> Response:
    """One of its pictures as a file."""
    check(visitor.who, Permission.DECIDE)
    asked = _asked(node, period, stage)
    seen = _seen(request, visitor.who, data, at, asked)
    return csv_of(_pictures(seen, asked, language_of(request)), name)


def _asked(node: str, period: str, stage: str) -> Asked:
    return Asked(node, period if period in PERIODS else "", stage if stage in STAGES else "")


def _seen(request: Request, who: Principal, data: Data, at: datetime, asked: Asked) -> Seen:
    """Raises NotFound for a node that is not the visitor's business."""
    with data.reading() as session:
        choice = [one for one in queries.nodes(session) if who.sees_all or one.id in (who.nodes or ())]
    nodes = [one for one in choice if asked.node in ("", one.id)]
    if asked.node and not nodes:
        raise NotFound(f"there is no node {asked.node!r:.220}")
    own = None if who.sees_all and not asked.node else frozenset(one.id for one in nodes)
    count: Count = request.app.state.overview.count(at)
    always = Scope(own).of(count)
    since = _since(at, asked.period)
    return Seen(Scope(since=since).of(always) if since else always, always, nodes, choice)


def _since(at: datetime, period: str) -> int:
    """The first month of a period, 0 for all times."""
    if period not in MONTHS:
        return 0
    first = at.replace(day=1)
    for _ in range(MONTHS[period]):
        first = (first - timedelta(days=1)).replace(day=1)
    return month_of(first)


def _pictures(seen: Seen, asked: Asked, language: Language) -> dict[str, Picture]:
    """All pictures by name, in the order of the page."""
    count, states = seen.narrowed, STAGES[asked.stage][1]
    chosen = count.pairings if states is None else in_states(count.pairings, states)
    reached = {"nodes": len(seen.nodes), "contracts": contracts(seen.always.pairings)}
    present = published(seen.always.listings).counted("node", "side")
    signed, under_way = (by_node(count.pairings, states) for states in (SIGNED, UNDER_WAY))
    found = (
        pictures.targets(targets(), reached, language),
        pictures.map_of_flows(chosen, language),
        pictures.flows(chosen, language),
        pictures.funnel(count.pairings, language),
        pictures.times(count.arrivals, language),
        pictures.stock(published(count.listings), language),
        pictures.nodes(seen.nodes, present, under_way, signed, language),
    )
    return {one.name: one for one in found}
