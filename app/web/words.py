"""The words of the pages: English in the code, Chinese in `locale/zh/*.po`, one file for each part of the pages.

The files are read as they are (GNU gettext's text format), so that there is nothing to compile. That every text has
its Chinese, and that the files do not contradict each other, is a test.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LOCALES = Path(__file__).parent / "locale"


@dataclass(frozen=True, slots=True)
class Language:
    """A language of the pages: its tag in HTML (BCP 47), its own name, its locale and its words."""

    code: str
    tag: str
    name: str
    locale: Locale
    words: NullTranslations


def N_(text: str) -> str:
    """Marks a text that is translated where it is shown."""
    return text


def _chinese() -> NullTranslations:
    catalog = Catalog(locale="zh_Hans_CN")
    for path in sorted((LOCALES / "zh").glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale="zh_Hans_CN"):
                if message.id:
                    catalog[message.id] = message
    compiled = io.BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return GNUTranslations(compiled)


LANGUAGES = {
    "en": Language("en", "en", "English", Locale("en"), NullTranslations()),
    "zh": Language("zh", "zh-CN", "中文", Locale("zh", "CN", script="Hans"), _chinese()),
}


def choose(*asked: str, accepted: str = "") -> str:
    """The first language of `asked` that there is, else of an Accept-Language header, else English."""
    weighed = [_weighed(part, place) for place, part in enumerate(accepted.split(",")[:50])]
    for tag in [*asked, *(tag for _, _, tag in sorted(weighed))]:
        primary = tag.strip().lower().split("-")[0]
        if primary in LANGUAGES:
            return primary
    return "en"


def _weighed(part: str, place: int) -> tuple[float, int, str]:
    """Sorts by descending quality, then by place (RFC 9110, 12.5.4)."""
    tag, _, quality = part.partition(";q=")
    try:
        return -float(quality or 1.0), place, tag
    except ValueError:
        return 0.0, place, tag
