"""What the values of the domain, countries and languages are called on the pages."""

from __future__ import annotations

from app.web.domain_labels import DOMAIN
from app.web.service_labels import SERVICE
from app.web.words import Language

LABELS = DOMAIN | SERVICE
NO_COUNTRIES = ("EU", "EZ", "QO", "UN", "XA", "XB", "ZZ")  # areas and tests among CLDR's territories


def label(language: Language, kind: str, value: object) -> str:
    """What a value is called; itself where it has no name, "unknown" for None."""
    if value is None:
        return language.words.gettext("unknown")
    text = LABELS[kind].get(str(value))
    return language.words.gettext(text) if text is not None else str(value)


def country(language: Language, code: str | None) -> str:
    """The name of a country by its code of ISO 3166-1."""
    return str(language.locale.territories.get(code, code)) if code else language.words.gettext("unknown")


def countries(language: Language) -> list[tuple[str, str]]:
    """All countries, code and name, in the order of their names."""
    named = language.locale.territories.items()
    found = [
        (code, str(name)) for code, name in named if len(code) == 2 and code.isalpha() and code not in NO_COUNTRIES
    ]
    return sorted(found, key=lambda one: one[1])


def tongue(language: Language, tag: str | None) -> str:
    """The name of a language by its tag of BCP 47, whose first part decides."""
    if not tag:
        return language.words.gettext("unknown")
    names = language.locale.languages
    return str(names.get(tag, names.get(tag.split("-")[0], tag)))
