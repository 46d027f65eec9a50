"""The form that posts a listing: what was typed, as a record and back. Nothing that was typed is lost on the way."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from app.record import CURRENCY, PATENT_CLASS, Record
from app.web.forms import Sent
from app.web.listing_words import name_of, plain
from app.web.words import LANGUAGES, N_, Language
from matching import InvalidListing
from matching.listing import LANGUAGE_TAG, REGION, TEXT_LIMITS

LINES = ("reference", "language", "country", "region", "trl", "stage", "ipr", "disclosure", "organisation", "side")
TEXTS = ("title", "summary", "description", "advantages", "requirement", "partner_role")
TICKS = ("fields", "modes", "partner_types")
MONEY = ("minimum", "maximum", "currency")
FIGURE = ("parameter", "operator", "value", "unit", "must")
TRANSLATION = ("language", "origin", "title", "summary", "description")
LISTS = ("keywords", "classifications", "target_countries", "excluded_countries")
BETWEEN = re.compile(r"[,，、;；\n]")
PARTNER_ROLE = 10_000  # characters; the other texts' limits are the matching's


@dataclass
class Typed:
    """What stands in the form: one text a field, ticked values, rows of figures and of translations.

    `wrong`: what is wrong, by the id of the field that it is about.
    """

    lines: dict[str, str] = field(default_factory=dict)
    ticks: dict[str, list[str]] = field(default_factory=dict)
    figures: list[dict[str, str]] = field(default_factory=list)
    translations: list[dict[str, str]] = field(default_factory=list)
    wrong: dict[str, str] = field(default_factory=dict)

    def line(self, name: str) -> str:
        """One field; empty where nothing was typed."""
        return self.lines.get(name, "")


def sent_in(form: Sent) -> Typed:
    """What a form holds; rows in which nothing was typed are left out."""
    names = (*LINES, *TEXTS, *LISTS, *(f"budget-{one}" for one in MONEY), "sample", "owner")
    return Typed(
        lines={name: form.text(name).replace("\r\n", "\n").strip() for name in names},
        ticks={name: form.texts(name) for name in TICKS},
        figures=[one for one in _rows(form, "figure", FIGURE) if one["parameter"] or one["value"] or one["unit"]],
        translations=[one for one in _rows(form, "translation", TRANSLATION) if any(one[key] for key in TEXTS[:3])],
    )


def stored_in(record: Mapping[str, Any], language: Language, owner: str) -> Typed:
    """A stored record as one would type it; the owner's own name need not be."""
    own = {**record, "description": record.get("description") or record.get("text")}
    lines = {name: str(own.get(name) or "") for name in (*LINES, *TEXTS)}
    lines["organisation"] = "" if record.get("organisation") == owner else lines["organisation"]
    lines |= {name: ", ".join(record.get(name) or []) for name in ("keywords", "classifications")}
    for name in ("target_countries", "excluded_countries"):
        lines[name] = ", ".join(language.locale.territories.get(code, code) for code in record.get(name) or [])
    budget = record.get("budget") or {}
    lines |= {f"budget-{one}": _shown(budget.get(one)) for one in MONEY}
    lines["sample"] = "yes" if record.get("sample") is True else ""
    return Typed(
        lines=lines,
        ticks={name: list(record.get(name) or []) for name in TICKS},
        figures=[_figure_typed(one) for one in record.get("requirements") or []],
        translations=[
            {key: str(one.get(key) or "") for key in TRANSLATION} for one in record.get("translations") or []
        ],
    )


def record_of(typed: Typed, language: Language) -> Record:
    """The record that was typed, without what is wrong, which `typed.wrong` then names."""
    reader = _Reader(typed, language)
    record: Record = {name: typed.line(name) for name in (*LINES, *TEXTS) if name != "trl"}
    record |= {name: list(typed.ticks[name]) for name in TICKS}
    record |= {name: reader.listed(name) for name in ("keywords", "classifications")}
    record |= {name: reader.countries(name) for name in ("target_countries", "excluded_countries")}
    record |= {"trl": int(typed.line("trl")) if typed.line("trl") in tuple("123456789") else None}
    record |= {"budget": reader.budget(), "requirements": reader.figures(), "translations": reader.translations()}
    reader.check_texts()
    record["sample"] = typed.line("sample") == "yes" or None
    return {name: value for name, value in record.items() if value not in (None, "", [], {})}


def place_of(error: InvalidListing) -> str:
    """The id of the field of the form that an error of the record is about."""
    place = re.sub(r"\[(\d+)\]", r".\1", error.field).split(".")
    names = {"requirements": "figure", "translations": "translation", "text": "description"}
    return "-".join([names.get(place[0], place[0]), *place[1:]])


class _Reader:
    """Reads what was typed and notes what is wrong."""

    def __init__(self, typed: Typed, language: Language) -> None:
        self.typed, self.language, self._ = typed, language, language.words.gettext

    def note(self, place: str, said: str, **values: object) -> None:
        """Something is wrong at a field; the first that is said of it stands."""
        self.typed.wrong.setdefault(place, self._(said) % values if values else self._(said))

    def check_texts(self) -> None:
        """Lengths and codes, each at its own field."""
        typed = self.typed
        if typed.line("side") not in ("offer", "need"):
            self.note("side", N_("Choose whether you offer or need something."))
        if not re.search(r"\w", typed.line("title") + typed.line("description")):
            self.note("title", N_("Write a title or a description: there is no word yet."))
        for name in TEXTS:
            self.check_length(name, typed.line(name), TEXT_LIMITS.get(name, PARTNER_ROLE))
        if typed.line("language") and not LANGUAGE_TAG.fullmatch(typed.line("language")):
            self.note("language", N_("Choose a language from the list."))
        region, country = typed.line("region").upper(), typed.line("country").upper()
        if region and not REGION.fullmatch(region):
            self.note("region", N_("Write the region as a code of ISO 3166-2, such as CN-50 for Chongqing."))
        elif region and country and not region.startswith(f"{country}-"):
            self.note("region", N_("The region does not lie in the country that is chosen."))
        self.check_length("reference", typed.line("reference"), 200)
        self.check_length("organisation", typed.line("organisation"), 500)

    def check_length(self, place: str, text: str, limit: int) -> None:
        """A text of no more than so many characters."""
        if len(text) > limit:
            said = N_("Shorten it: %(length)s characters, at most %(limit)s are kept.")
            self.note(place, said, length=len(text), limit=limit)

    def listed(self, name: str) -> list[str]:
        """Entries between commas or on lines of their own."""
        found = [one.strip() for one in BETWEEN.split(self.typed.line(name)) if one.strip()]
        if name == "classifications":
            found = [one.upper() for one in found]
            wrong = next((one for one in found if not re.fullmatch(PATENT_CLASS, one)), None)
            if wrong is not None:
                self.note(name, N_("“%(text)s” is no patent class; write them like H01M 10/05 or C02F."), text=wrong)
        if len(found) > (50 if name == "classifications" else 100):
            self.note(name, N_("These are too many entries; keep the most telling ones."))
        return found

    def countries(self, name: str) -> list[str]:
        """Codes of countries by their codes or their names, in Chinese or in English."""
        names = [one.strip() for one in BETWEEN.split(self.typed.line(name)) if one.strip()]
        found = [_codes().get(one.lower()) for one in names]
        if None in found:
            said = N_("“%(text)s” is no country that is known here; write its name or its code of two letters.")
            self.note(name, said, text=names[found.index(None)])
        return list(dict.fromkeys(one for one in found if one is not None))

    def budget(self) -> Record | None:
        """The band of money, if any of it was typed."""
        low, high = self.number("budget-minimum"), self.number("budget-maximum")
        currency = self.typed.line("budget-currency").upper()
        if not any(self.typed.line(f"budget-{one}") for one in MONEY):
            return None
        if not re.fullmatch(CURRENCY, currency):
            self.note("budget-currency", N_("Give the currency by its three letters, such as CNY or EUR."))
        for place, value in (("budget-minimum", low), ("budget-maximum", high)):
            if value is not None and value < 0:
                self.note(place, N_("An amount of money is not below zero."))
        if low is not None and high is not None and low > high:
            self.note("budget-maximum", N_("The highest amount is below the lowest."))
        given = {"minimum": low, "maximum": high, "currency": currency}
        return {name: value for name, value in given.items() if value is not None}

    def number(self, place: str, text: str | None = None) -> float | None:
        """A number as it is typed, None for none or for what is no number."""
        text = re.sub(r"\s", "", self.typed.line(place) if text is None else text)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self.note(place, N_("Write a number with digits and a point, such as 1500 or 0.5."))
            return None
        return value

    def figures(self) -> list[Record]:
        """Quantified requirements, one a row."""
        found = []
        for at, one in enumerate(self.typed.figures):
            value = self.number(f"figure-{at}-value", one["value"])
            if value is None:
                self.note(f"figure-{at}-value", N_("Give the number that this is about."))
            if not one["parameter"]:
                self.note(f"figure-{at}-parameter", N_("Say what this number measures."))
            self.check_length(f"figure-{at}-parameter", one["parameter"], 200)
            self.check_length(f"figure-{at}-unit", one["unit"], 40)
            row = {"parameter": one["parameter"], "operator": one["operator"], "value": value}
            found.append(row | ({"unit": one["unit"]} if one["unit"] else {}) | _wish(one["must"]))
        return found

    def translations(self) -> list[Record]:
        """The text in other languages."""
        limits = {"title": 1_000, "summary": 2_000, "description": 50_000}
        for at, one in enumerate(self.typed.translations):
            if not one["language"]:
                self.note(f"translation-{at}-language", N_("Choose the language of this text."))
            for key, limit in limits.items():
                self.check_length(f"translation-{at}-{key}", one[key], limit)
        return [{key: value for key, value in one.items() if value} for one in self.typed.translations]


def _wish(must: str) -> Record:
    return {"must": False} if must == "no" else {}


def _rows(form: Sent, name: str, keys: Sequence[str]) -> list[dict[str, str]]:
    """Fields that are repeated, row by row."""
    columns = [[one.strip() for one in form.texts(f"{name}-{key}")] for key in keys]
    return [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=False)]


def _figure_typed(one: Mapping[str, Any]) -> dict[str, str]:
    must = "no" if one.get("must") is False else "yes"
    return {key: _shown(one.get(key)) for key in FIGURE[:4]} | {"must": must}


def _shown(value: Any) -> str:
    return "" if value is None else plain(value) if isinstance(value, int | float) else str(value)


@cache
def _codes() -> dict[str, str]:
    """Codes of countries by what they are called, in small letters."""
    found: dict[str, str] = {}
    for language in LANGUAGES.values():
        found |= {name.lower(): code for code, name in language.locale.territories.items() if _is_country(code)}
    return found | {code.lower(): code for code in list(found.values())}


def countries(language: Language) -> list[tuple[str, str]]:
    """All countries by code and name, in the order of their names."""
    return sorted(
        ((code, str(name)) for code, name in language.locale.territories.items() if _is_country(code)),
        key=lambda one: one[1],
    )


def _is_country(code: str) -> bool:
    return len(code) == 2 and code.isalpha() and code not in ("EU", "EZ", "UN", "QO", "XA", "XB", "ZZ")


def summary_of(typed: Typed, language: Language) -> list[tuple[str, str, str]]:
    """What is wrong: the field's id, its name and what to do, in the order of the form."""
    order = {name: at for at, name in enumerate(ORDER)}
    places = sorted(typed.wrong, key=lambda place: order.get(place.partition("-")[0], len(order)))
    return [(place, _named(place, language), typed.wrong[place]) for place in places]


ORDER = (
    "owner",
    "side",
    "title",
    "description",
    "summary",
    "advantages",
    "requirement",
    "partner_role",
    "translation",
    "fields",
    "trl",
    "stage",
    "ipr",
    "keywords",
    "classifications",
    "figure",
    "modes",
    "partner_types",
    "budget",
    "target_countries",
    "excluded_countries",
    "language",
    "country",
    "region",
    "disclosure",
    "reference",
    "organisation",
    "sample",
)


def _named(place: str, language: Language) -> str:
    first = place.partition("-")[0]
    names = {"figure": "requirements", "translation": "translations"}
    return name_of(language, names.get(first, first))
