"""Which language a text is written in, offline, through lingua's n-gram models.

The language decides which mean is taken off a vector (`space.py`), so it is detected and not believed: a declared
language only breaks near-ties, as between Malay and Indonesian or in a title of three words.
"""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lingua import ConfidenceValue, LanguageDetector

UNKNOWN = "und"
# Partner countries' languages that lingua knows; fewer candidates are faster and err less on short texts.
_CODES = """
ar az be bg bn bs cs da de el en es et fa fi fr gu he hi hr hu hy id is it ja ka kk ko lt lv mk mn
mr ms nl nb pa pl pt ro ru sk sl so sq sr sv sw ta te th tl tr uk ur vi zh
"""
LANGUAGES = tuple(_CODES.split())
READ = 1_000  # characters that are looked at: more do not change the answer
SHORT = 120  # characters below which lingua asks all its models; above, only the quarter that is loaded in a moment
NEAR_TIE = 0.2  # a declared language wins when it is at least this probable


def detect(texts: Sequence[str], declared: Sequence[str | None] | None = None) -> list[str]:
    """ISO 639-1 code of each text, `UNKNOWN` where no letter tells.

    `declared` holds what authors say, or None; it is followed only where the text allows it.
    """
    heads = [re.sub(r"\s+", " ", text[:READ]) for text in texts]
    if any(len(head) < SHORT for head in heads):
        with _preparing:  # what is being loaded would be loaded here a second time, all at once
            pass
    ranked = _detector().compute_language_confidence_values_in_parallel(heads)
    said = declared if declared is not None else [None] * len(texts)
    return [_choose(head, values, own) for head, values, own in zip(heads, ranked, said, strict=True)]


def _choose(text: str, ranked: list[ConfidenceValue], declared: str | None) -> str:
    if not re.search(r"[^\W\d_]", text) or not ranked or ranked[0].value == 0.0:
        return declared or UNKNOWN
    confidence = {item.language.iso_code_639_1.name.lower(): item.value for item in ranked}
    if declared is not None and confidence.get(declared, 0.0) >= NEAR_TIE:
        return declared
    return ranked[0].language.iso_code_639_1.name.lower()


@cache
def _detector() -> LanguageDetector:
    from lingua import IsoCode639_1, LanguageDetectorBuilder

    codes = [getattr(IsoCode639_1, code.upper()) for code in LANGUAGES]
    return LanguageDetectorBuilder.from_iso_codes_639_1(*codes).build()


_preparing = threading.Lock()
_prepared = threading.Event()


def prepare_languages() -> None:
    """Load the models of all languages, one language at a time; short texts wait for it, long ones do not.

    The first detection would load them all at once and keep every other thread of the process waiting for seconds:
    lingua does not give up the interpreter meanwhile. All detectors share what is loaded.
    """
    from lingua import IsoCode639_1, LanguageDetectorBuilder

    with _preparing:
        if _prepared.is_set():
            return
        for one, other in itertools.pairwise(LANGUAGES):
            codes = [getattr(IsoCode639_1, code.upper()) for code in (one, other)]
            LanguageDetectorBuilder.from_iso_codes_639_1(*codes).with_preloaded_language_models().build()
            time.sleep(0.01)  # for those who wait
        _prepared.set()
