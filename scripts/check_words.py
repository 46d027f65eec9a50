"""Checks that every text of the pages has its Chinese, that no translation is left over, and that none contradict.

    python scripts/check_words.py

Texts are what `_(…)`, `ngettext(…)` and `N_(…)` hold in the pages' code, and `{% trans %}` and `_(…)` in templates.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from app.web.words import LOCALES

WEB = LOCALES.parent
METHODS = [("**.py", "python"), ("pages/**.html", "jinja2.ext:babel_extract")]
KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}


def texts() -> dict[str, str]:
    """Every text of the pages that is to be translated, and the first place where it stands."""
    found: dict[str, str] = {}
    for path, line, message, _, _ in extract_from_dir(WEB, METHODS, {}, KEYWORDS, strip_comment_tags=False):
        text = message[0] if isinstance(message, tuple) else message
        found.setdefault(text, f"{path}:{line}")
    return found


def problems() -> Iterator[str]:
    """What is wrong, one line each."""
    wanted, known = texts(), dict[str, tuple[str, str]]()
    for path in sorted((LOCALES / "zh").glob("*.po")):
        with path.open("rb") as file:
            messages = list(read_po(file, locale="zh_Hans_CN", abort_invalid=True))
        for message in messages:
            if not message.id:
                continue
            text = message.id[0] if isinstance(message.id, tuple) else message.id
            said = message.string[0] if isinstance(message.string, tuple) else message.string
            if not said or message.fuzzy:
                yield f"{path.name}: {text!r} is not translated"
            elif text not in wanted:
                yield f"{path.name}: {text!r} is on no page"
            elif known.setdefault(text, (said, path.name))[0] != said:
                yield f"{path.name}: {text!r} is {said!r}, but {known[text][0]!r} in {known[text][1]}"
            for problem in message.check():
                yield f"{path.name}: {text!r}: {problem}"
    for text in wanted.keys() - known.keys():
        yield f"{wanted[text]}: {text!r} has no Chinese"


if __name__ == "__main__":
    found = list(problems())
    for problem in found:
        print(problem)
    sys.exit(1 if found else 0)
