"""What has changed between two texts or records: nothing is made up, nothing is left out."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from app.differences import Piece, changes, pieces

TEXTS = st.text(st.sampled_from("ab 、茶。\nم."), max_size=60)


@settings(max_examples=200, deadline=None)
@given(TEXTS, TEXTS)
def test_the_pieces_are_both_texts(before: str, after: str) -> None:
    found = pieces(before, after)
    assert "".join(one.text for one in found if one.kind != "new") == before
    assert "".join(one.text for one in found if one.kind != "gone") == after


def test_chinese_is_compared_by_character_and_other_scripts_by_word() -> None:
    assert pieces("热泵干燥", "热泵烘干") == (
        Piece("same", "热泵"),
        Piece("new", "烘"),
        Piece("same", "干"),
        Piece("gone", "燥"),
    )
    assert pieces("heat pumps", "heat pump") == (Piece("same", "heat "), Piece("gone", "pumps"), Piece("new", "pump"))


def test_the_longest_texts_are_compared_in_no_time() -> None:
    before = "".join(f"Sentence number {i} is here. " for i in range(1_800))
    start = time.monotonic()
    found = pieces(before, before.replace("number 900 ", "number nine hundred "))
    assert time.monotonic() - start < 5
    assert [one.text for one in found if one.kind == "new"] == ["Sentence number nine hundred is here. "]


def test_two_records_differ_in_what_they_say_and_not_in_how_they_name_it() -> None:
    before = {
        "side": "offer",
        "text": "tea",
        "trl": 3,
        "translations": [{"language": "ar", "origin": "author", "title": "a"}],
    }
    after = {
        "side": "offer",
        "description": "tea",
        "translations": [{"language": "ar", "origin": "machine", "title": "a"}],
    }
    assert [(one.name, one.language, one.before, one.after) for one in changes(before, after)] == [
        ("origin", "ar", "author", "machine"),
        ("trl", "", 3, None),
    ]
