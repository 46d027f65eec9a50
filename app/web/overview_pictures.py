"""The pictures of the overview, each from its figures, in a language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from babel.numbers import format_decimal, format_percent

from app.overview import WAY, Target, durations, reached
from app.queries.overview import NodeFacts
from app.tally import Tally
from app.web.labels import country, label
from app.web.pictures import Cell, Picture
from app.web.words import Language
from matching import FIELDS

Code = str | None


def targets(aims: Sequence[Target], counts: Mapping[str, int], language: Language) -> Picture:
    """How far the programme is."""
    _ = language.words.gettext
    rows: list[list[Cell]] = []
    for aim in aims:
        have = counts[aim.counts] if aim.counts is not None else None
        name = aim.zh if language.code == "zh" else aim.en
        rows.append([name, have, aim.value, str(aim.by), have / aim.value if have is not None else None])
    columns = [(_("Target"), "text"), (_("Reached"), "number"), (_("Aim"), "number"), (_("By the end of"), "text")]
    said = _(
        "Cooperation projects and joint projects are counted by their contracts with another country: "
        "one and the same number against two targets. What is not measured here is named, not guessed."
    )
    return Picture("targets", _("Progress against the targets"), said, [*columns, (_("Share"), "share")], rows)


def map_of_flows(pairings: Tally, language: Language) -> Picture:
    """Pairings between Chengyu and each country, by direction and by our region."""
    _ = language.words.gettext
    found: dict[tuple[str, Code], Counter[Code]] = {}
    for (direction, partner, home), number in pairings.counted("direction", "country", "home").items():
        if direction in ("go-out", "bring-in"):
            found.setdefault((direction, partner), Counter())[home] += number
    order = sorted(found, key=lambda key: (-found[key].total(), key[1] or "~", key[0]))
    rows: list[list[Cell]] = []
    for direction, partner in order:
        homes = found[direction, partner]
        parts = [homes["CN-50"], homes["CN-51"]]
        rest = homes.total() - sum(parts)
        rows.append([label(language, "way", direction), country(language, partner), homes.total(), *parts, rest])
    ours = [(_("of Chongqing"), "number"), (_("of Sichuan"), "number"), (_("region not said"), "number")]
    return Picture(
        "map",
        _("Between Chongqing–Sichuan and the world"),
        _most(_by_country(found), language),
        [(_("Direction"), "text"), (_("Country"), "text"), (_("Pairings"), "number"), *ours],
        rows,
        order,
        _("No pairing crosses the border yet in what is shown here. Widen the period, or choose all nodes."),
    )


def _by_country(found: Mapping[tuple[str, Code], Counter[Code]]) -> Counter[Code]:
    countries = Counter[Code]()
    for (_direction, partner), homes in found.items():
        countries[partner] += homes.total()
    return countries


def _most(countries: Counter[Code], language: Language) -> str:
    """How many pairings there are with how many countries, and with which the most."""
    if not countries:
        return ""
    ((most, number),) = countries.most_common(1)
    text = language.words.gettext(
        "%(pairings)s pairings with %(countries)s countries, the most with %(most)s (%(share)s)."
    )
    return text % {
        "pairings": format_decimal(countries.total(), locale=language.locale),
        "countries": len(countries),
        "most": country(language, most),
        "share": format_percent(number / countries.total(), locale=language.locale),
    }


def flows(pairings: Tally, language: Language) -> Picture:
    """Pairings by direction, field and partner country."""
    _ = language.words.gettext
    found = pairings.counted("direction", "field", "country")
    order = sorted(found, key=lambda key: (-found[key], *(part or "~" for part in key)))
    ways, fields, partners = (set(part) for part in zip(*order, strict=True)) if order else (set(), set(), set())
    named = {one: country(language, one) for one in partners}
    named_ways = {one: label(language, "way", one) for one in ways}
    named_fields = {one: label(language, "field", one) for one in fields}
    rows: list[list[Cell]] = [
        [named_ways[way], named_fields[field], named[partner], found[way, field, partner]]
        for way, field, partner in order
    ]
    columns = [(_("Direction"), "text"), (_("Field"), "text"), (_("Country"), "text"), (_("Pairings"), "number")]
    said = _("A pairing counts under the first field of its offer, or of its need where the offer names none.")
    none = _(
        "No pairing has been proposed in what is shown here. Proposals come with each posted listing and each night."
    )
    return Picture("flows", _("Direction, field and country"), said, columns, rows, order, none)


def funnel(pairings: Tally, language: Language) -> Picture:
    """How far pairings have come."""
    _ = language.words.gettext
    numbers = list(reached(pairings).items()) if len(pairings) else []
    rows: list[list[Cell]] = []
    for place, (state, number) in enumerate(numbers):
        before = numbers[place - 1][1] if place else 0
        rows.append([label(language, "state", state), number, number / before if before else None])
    columns = [(_("Step"), "text"), (_("Pairings that came this far"), "number"), (_("Of the step before"), "share")]
    said = _("All pairings that ever came to a step or past it, whatever became of them later.")
    none = _("No pairing has been proposed in what is shown here.")
    return Picture(
        "funnel", _("From proposed to contracted"), said, columns, rows, [[state] for state, _ in numbers], none
    )


def times(arrivals: Tally, language: Language) -> Picture:
    """How long the steps took."""
    _ = language.words.gettext
    found = durations(arrivals)
    order = [state.value for state in WAY if state in found]
    rows: list[list[Cell]] = [
        [label(language, "state", state), one.number, one.median, one.lower, one.upper]
        for state in order
        for one in [found[state]]
    ]
    days = [
        (_("Median, days"), "days"),
        (_("A quarter within, days"), "days"),
        (_("Three quarters within, days"), "days"),
    ]
    return Picture(
        "times",
        _("Time from the proposal to each step"),
        _("Only pairings that have come to the step; those that are still on their way are not in it."),
        [(_("Step"), "text"), (_("Pairings"), "number"), *days],
        rows,
        [[state] for state in order],
        _("Nobody has taken up a proposal yet in what is shown here. The queue is where to begin."),
    )


def stock(listings: Tally, language: Language) -> Picture:
    """Published listings by field and side."""
    _ = language.words.gettext
    found = listings.counted("field", "side")
    names = [name for name in (*FIELDS, *_others(found)) if found[name, "offer"] + found[name, "need"]]
    rows: list[list[Cell]] = [
        [label(language, "field", name), found[name, "offer"], found[name, "need"]] for name in names
    ]
    columns = [(_("Field"), "text"), (_("Offers"), "number"), (_("Needs"), "number")]
    said = _("Listings that are published now; one with several fields counts under its first.")
    none = _("No listing is published in what is shown here. Post one, or import a file.")
    return Picture("listings", _("Listings by field and side"), said, columns, rows, [[name] for name in names], none)


def _others(found: Mapping[tuple[Any, ...], int]) -> list[Code]:
    """What stands as a field and is none, and last those without one."""
    return sorted({name for name, _ in found} - set(FIELDS), key=lambda name: (name is None, name or ""))


def nodes(
    shown: Sequence[NodeFacts],
    present: Counter[tuple[Any, ...]],
    under_way: Counter[str],
    signed: Counter[str],
    language: Language,
) -> Picture:
    """The nodes and what they have."""
    _ = language.words.gettext
    rows: list[list[Cell]] = [
        [
            one.name,
            country(language, one.country),
            one.organisations,
            present[one.id, "offer"],
            present[one.id, "need"],
            under_way[one.id],
            signed[one.id],
        ]
        for one in shown
    ]
    numbers = (_("Organisations"), _("Offers"), _("Needs"), _("Under way"), _("Contracts"))
    columns = [(_("Node"), "name"), (_("Country"), "text"), *((name, "number") for name in numbers)]
    said = _("A pairing between two nodes stands with both.")
    none = _("There is no node yet. An administrator adds the first one.")
    return Picture("nodes", _("Nodes"), said, columns, rows, none=none)
