"""The filters of the catalogue as chips: what each value would leave, and the way there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.record import Stage
from app.shelf import FACETS, UNKNOWN, Chosen
from app.web.labels import country, label, tongue
from app.web.words import N_, Language
from matching import FIELDS, MODES

FIRST = 12  # chips of a group that stand open
NAMES = {
    "field": N_("Field"),
    "country": N_("Country"),
    "stage": N_("Stage"),
    "maturity": N_("Maturity (TRL)"),
    "mode": N_("Ways of transfer"),
    "language": N_("Language of the text"),
}
ORDERS: dict[str, tuple[str, ...]] = {
    "field": FIELDS,
    "stage": tuple(Stage),
    "maturity": ("1-3", "4-6", "7-9"),
    "mode": MODES,
}


@dataclass(frozen=True, slots=True)
class Chip:
    """One value of a facet: chosen or not, how many listings it leaves, the address that chooses it or lets it go."""

    name: str
    count: int
    path: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Group:
    """The chips of one facet: the first ones, and the rest."""

    facet: str
    name: str
    first: list[Chip]
    rest: list[Chip]
    chosen: Chip | None


def groups(
    language: Language, chosen: Chosen, counts: dict[str, dict[str, int]], link: Callable[[dict[str, str]], str]
) -> list[Group]:
    """One group for each facet that tells listings apart; `link` makes an address of filters."""
    made = [_group(language, chosen, name, counts[name], link) for name in FACETS]
    return [one for one in made if len(one.first) > 1 or one.chosen is not None]


def value_name(language: Language, facet: str, value: str) -> str:
    """What a value of a facet is called."""
    if value == UNKNOWN:
        return label(language, facet, None)
    if facet == "maturity":
        return f"TRL {value.replace('-', '–')}"
    named: dict[str, Callable[[Language, str], str]] = {"country": country, "language": tongue}
    return named[facet](language, value) if facet in named else label(language, facet, value)


def _group(
    language: Language,
    chosen: Chosen,
    facet: str,
    counts: dict[str, int],
    link: Callable[[dict[str, str]], str],
) -> Group:
    filters, value = chosen.filters, getattr(chosen, facet)
    others = {name: one for name, one in filters.items() if name != facet}
    known = sorted({*counts} | ({value} if value else set()), key=lambda one: _place(facet, one, counts))

    def chip(one: str) -> Chip:
        path = link(others if one == value else _ordered(others | {facet: one}))
        return Chip(value_name(language, facet, one), counts.get(one, 0), path, one == value)

    chips = [chip(one) for one in known]
    cut = max(FIRST, known.index(value) + 1) if value else FIRST
    name = language.words.gettext(NAMES[facet])
    return Group(facet, name, chips[:cut], chips[cut:], next((one for one in chips if one.is_chosen), None))


def _place(facet: str, value: str, counts: dict[str, int]) -> tuple[Any, ...]:
    """In the order of the domain where it has one, else the most frequent first; unknown at the end."""
    order = ORDERS.get(facet, ())
    return value == UNKNOWN, order.index(value) if value in order else len(order), -counts.get(value, 0), value


def _ordered(filters: dict[str, str]) -> dict[str, str]:
    """In the order of the facets, so that one selection has one address."""
    return {name: filters[name] for name in FACETS if name in filters}
