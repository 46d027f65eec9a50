"""What the pages of listings say: the values of a record, hints, objections, in the language of whoever reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.hints import Hint
from app.web.labels import country, label, tongue
from app.web.words import N_, Language
from matching import Listing, Objection
from matching.language import UNKNOWN, detect

NAMES = {
    "reference": N_("Reference"),
    "side": N_("Side"),
    "title": N_("Title"),
    "summary": N_("Summary"),
    "description": N_("Description"),
    "advantages": N_("Advantages"),
    "requirement": N_("What a solution must do"),
    "partner_role": N_("What the partner is to do"),
    "language": N_("Language"),
    "translations": N_("Other languages"),
    "country": N_("Country"),
    "region": N_("Region"),
    "fields": N_("Fields"),
    "trl": N_("Maturity (TRL)"),
    "stage": N_("Stage"),
    "ipr": N_("Intellectual property"),
    "classifications": N_("Patent classes"),
    "keywords": N_("Keywords"),
    "modes": N_("Ways of transfer"),
    "partner_types": N_("Partners sought"),
    "target_countries": N_("Target countries"),
    "excluded_countries": N_("Excluded countries"),
    "budget": N_("Budget"),
    "requirements": N_("Figures"),
    "disclosure": N_("Who may read it"),
    "organisation": N_("Name to show"),
    "sample": N_("Sample data"),
    "owner": N_("Organisation"),
    "origin": N_("Translated"),
}
KINDS = {"fields": "field", "modes": "mode", "partner_types": "partner"}
SINGLE = {"side": "side", "stage": "stage", "ipr": "ipr", "disclosure": "disclosure"}
SIGNS = {"<": "<", "<=": "≤", "=": "=", ">=": "≥", ">": ">"}
ORIGINS = {"author": N_("by a person"), "machine": N_("by a machine")}
WHOSE = {"author": N_("stated by the author"), "manager": N_("stated by a manager")}


def name_of(language: Language, key: str) -> str:
    """What a key of a record is called."""
    text = NAMES.get(key)
    return language.words.gettext(text) if text is not None else key


def told(language: Language, key: str, value: Any) -> list[str]:
    """A value of a record in words, none for what is unknown."""
    if value in (None, "", [], {}):
        return []
    if key in SINGLE:
        return [label(language, SINGLE[key], value)]
    if key in KINDS:
        return [label(language, KINDS[key], one) for one in value]
    if key in ("target_countries", "excluded_countries"):
        return [country(language, str(one).upper()) for one in value]
    return _told_one(language, key, value)


def _told_one(language: Language, key: str, value: Any) -> list[str]:
    _ = language.words.gettext
    match key:
        case "country":
            return [country(language, str(value).upper())]
        case "language":
            return [tongue(language, value)]
        case "requirements":
            return [figure(language, one) for one in value]
        case "budget":
            return [band(language, value)]
        case "origin":
            return [_(ORIGINS[value])]
        case "sample":
            return [_("yes")]
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def figure(language: Language, one: dict[str, Any]) -> str:
    """One quantified requirement."""
    sign, must = SIGNS[one["operator"]], one.get("must", True)
    said = f"{one['parameter']} {sign} {plain(one['value'])} {one.get('unit') or ''}".strip()
    return said if must else f"{said} ({language.words.gettext(N_('nice to have'))})"


def band(language: Language, budget: dict[str, Any]) -> str:
    """A band of money."""
    _ = language.words.gettext
    low, high, currency = budget.get("minimum"), budget.get("maximum"), budget["currency"]
    if low is not None and high is not None:
        return f"{plain(low)}–{plain(high)} {currency}"
    if low is not None:
        return _(N_("from %(amount)s")) % {"amount": f"{plain(low)} {currency}"}
    return _(N_("up to %(amount)s")) % {"amount": f"{plain(high)} {currency}"} if high is not None else str(currency)


def plain(value: float) -> str:
    """A number as one writes it: no more digits than it has."""
    return f"{value:.12g}" if abs(value) < 1e12 else f"{value:g}"


def hint_words(language: Language, found: Sequence[Hint]) -> list[dict[str, Any]]:
    """Hints, each with the field that it is about."""
    return [
        {"code": one.code, "field": one.field, "name": name_of(language, one.field.split(".")[0])}
        | {"weight": one.weight, "text": one.zh if language.code == "zh" else one.en}
        for one in found
    ]


def objection_words(language: Language, one: Objection) -> str:
    """Why two listings are not paired."""
    _ = language.words.gettext
    offers = one.side == "offer"
    match one.rule:
        case "direction":
            said = N_("The direction is not one that the centre looks for: %(way)s.")
            return _(said) % {"way": label(language, "way", one.value)}
        case "organisation":
            return _(N_("Both belong to the same organisation."))
        case "excluded":
            said = N_("The offer excludes %(place)s.") if offers else N_("The need excludes %(place)s.")
        case "targets":
            said = (
                N_("The offer is for other countries than %(place)s.")
                if offers
                else N_("The need seeks partners in other countries than %(place)s.")
            )
        case _:
            said = N_("No way of transfer in common: the offer has %(offered)s, the need wants %(sought)s.")
            joined = _(N_(", ")).join
            ours, theirs = ([label(language, "mode", mode) for mode in own] for own in (one.offered, one.sought))
            return _(said) % {"offered": joined(ours), "sought": joined(theirs)}
    return _(said) % {"place": country(language, one.value)}


def language_of_text(listing: Listing) -> str:
    """The tag of the language that a listing is written in: what its author says, else what the text tells."""
    return listing.language or detect([listing.text])[0]


def tag(language: str | None) -> str:
    """For `lang` in HTML: empty where the language is unknown."""
    return "" if language in (None, UNKNOWN) else str(language)
