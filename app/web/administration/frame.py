"""What the pages of administration share: their tabs, the question before a destructive step, the look at a form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, ValidationError

from app.access import Permission, Principal, check
from app.web.forms import Visiting
from app.web.rendering import html, see
from app.web.words import N_

HOME = "/administration"
TABS = (
    ("nodes", N_("Nodes"), Permission.DECIDE),
    ("organisations", N_("Organisations"), Permission.DECIDE),
    ("people", N_("People"), Permission.ACCOUNTS),
    ("keys", N_("API keys"), Permission.KEYS),
    ("webhooks", N_("Webhooks"), Permission.WEBHOOKS),
    ("catalogue", N_("Control catalogue"), Permission.SCREEN),
    ("audit", N_("Audit log"), Permission.AUDIT),
)
PAGE = 50  # rows of a list

router = APIRouter(include_in_schema=False)

Model = TypeVar("Model", bound=BaseModel)


@router.get(HOME)
def administration_page(visitor: Visiting) -> Response:
    """The first of the pages that the visitor may see."""
    check(visitor.who, Permission.WEBHOOKS)
    return see(f"{HOME}/{tabs_of(visitor.who)[0][0]}")


def tabs_of(who: Principal) -> list[tuple[str, str, Permission]]:
    """The tabs that somebody may see."""
    return [tab for tab in TABS if tab[2] in who.permissions]


def page(
    request: Request, who: Principal, tab: str, template: str, view: Mapping[str, Any], status: int = 200
) -> HTMLResponse:
    """A page under one of the tabs."""
    shared = {"tabs": tabs_of(who), "tab": tab, "here": HOME, "onward": request.url.path, "may": who.permissions}
    return html(request, f"administration/{template}", {**shared, **view}, status)


def question(
    request: Request, who: Principal, tab: str, *, title: str, text: str, about: str, button: str, back: str
) -> HTMLResponse:
    """Asks before something is done that cannot be undone; its form goes to the same address."""
    asked = {"title": title, "text": text, "about": about, "button": button, "back": back}
    return page(request, who, tab, "question.html", asked)


def fitting(model: type[Model], values: Mapping[str, Any]) -> tuple[Model | None, set[str]]:
    """What a form says, or the names of the fields that are wrong; empty fields say nothing."""
    said = {name: value for name, value in values.items() if value not in ("", None)}
    try:
        return model.model_validate(said), set()
    except ValidationError as error:
        return None, {str(one["loc"][0]) for one in error.errors() if one["loc"]}
