"""A text's words as numbers, in any script: what word statistics count.

Where words stand apart a word is its first seven letters, which serves as a stemmer in any language that inflects at
the end (truncation: McNamee and Mayfield, 2004). Where they do not (Chinese, Japanese, Thai, Lao, Khmer, Burmese) the
model's subwords take their place; a segmenter for Chinese was measured to be worse.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from matching.encoder import Encoder

STEM = 7
UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
# A letter or figure and what stands on it: the vowel signs of Indic scripts are no letters of their own to Unicode.
_MARKS = "".join(chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code)) in ("Mn", "Mc"))
WORD = re.compile(rf"[^\W_][^\W_{_MARKS}]*(?:[{_MARKS}]+[^\W_{_MARKS}]*)*")
_FIRST_WORD = 1 << 20  # above every subword id


def words(texts: Sequence[str], encoder: Encoder) -> list[list[int]]:
    """Word numbers of each text, without their order: subword ids, and from 2²⁰ to 2³¹ hashes of words.

    Letters are compared in one width and case (NFKC, case folding; the dot that this leaves on a Turkish i goes).
    """
    folded = [unicodedata.normalize("NFKC", text).casefold().replace("i\u0307", "i") for text in texts]
    subwords = encoder.tokenize([" ".join(UNSPACED.findall(text)) for text in folded])
    return [
        [*own, *(_number(word[:STEM]) for word in WORD.findall(UNSPACED.sub(" ", text)))]
        for text, own in zip(folded, subwords, strict=True)
    ]


@lru_cache(maxsize=1 << 16)
def _number(word: str) -> int:
    """The same on every machine; two of a corpus's words share a number too seldom to matter."""
    digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest()
    return _FIRST_WORD + int.from_bytes(digest, "little") % ((1 << 31) - _FIRST_WORD)
