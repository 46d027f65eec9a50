"""Words as numbers: the same for inflected forms, for any case, in any script."""

from __future__ import annotations

import subprocess
import sys

import pytest

from matching import HashingEncoder, SentenceEncoder
from matching.words import STEM, words

FAKE = HashingEncoder()


def test_a_word_is_its_first_letters_in_any_case() -> None:
    one, other = words(["Desalination DESALINATED", "desalin"], FAKE)
    assert one == [other[0]] * 2
    assert len("desalin") == STEM


def test_signs_between_words_are_not_words_and_figures_are() -> None:
    assert words(["42CrMo4, 10–15 % (ISO 9227)"], FAKE) == words(["42crmo4 10 15 iso 9227"], FAKE)


def test_scripts_without_blanks_are_cut_into_subwords(encoder: SentenceEncoder) -> None:
    own = words(["印染废水脱色 42CrMo4"], encoder)[0]
    subwords = encoder.tokenize(["印染废水脱色"])[0]
    assert own[: len(subwords)] == subwords
    assert len(own) == len(subwords) + 1
    assert len(words(["เครื่องอบแห้งพลังงานแสงอาทิตย์"], encoder)[0]) > 2


def test_numbers_are_the_same_in_another_process() -> None:
    """Python's own hash differs from run to run; stored words would be lost."""
    code = "from matching import HashingEncoder as E; from matching.words import words; print(words(['сушка'], E()))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str(words(["сушка"], FAKE))


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("हिन्दी प्रौद्योगिकी", ["हिन्दी", "प्रौद्योगिकी"]),  # vowel signs and the virama stand on letters
        ("ＭＢＲ　ｔｅｃｈ", ["mbr", "tech"]),  # full width
        ("İSTANBUL ılık", ["istanbul", "ılık"]),
        ("e\u0301cole", ["école"]),
    ],
)
def test_a_word_stays_whole_in_any_writing(text: str, same: list[str]) -> None:
    assert words([text], FAKE)[0] == [words([word], FAKE)[0][0] for word in same]


def test_half_a_surrogate_pair_is_no_crash() -> None:
    assert len(words(["\ud800 pump"], FAKE)[0]) >= 1
