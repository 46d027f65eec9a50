from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from matching.errors import InvalidListing
from matching.listing import TEXT_LIMITS, Listing, Side, clean, read_listing, sentences, windows

OFFER: dict[str, Any] = {"id": "o1", "side": "offer", "title": "Membrane for seawater"}
LETTERS = "ab é中文。，.;! ?\n؟سلامไทย🚀𝟘"


def words(texts: Sequence[str]) -> list[int]:
    """The plainest token count: one for each word, one for each Chinese, Japanese or Thai character."""
    return [len(re.findall(r"[\u0e00-\u0e7f\u3040-\u9fff]|[^\W\u0e00-\u0e7f\u3040-\u9fff]+", text)) for text in texts]


def characters(texts: Sequence[str]) -> list[int]:
    return [len(text) for text in texts]


def test_a_listing_is_read_with_all_its_fields() -> None:
    record = OFFER | {
        "text": "Filters salt.",
        "summary": "Desalination",
        "language": "pt-BR",
        "country": "kz",
        "region": "kz-ala",
        "fields": ["environment", "environment"],
        "trl": 7,
        "modes": ["consulting"],
        "keywords": ["salt", " "],
        "organisation": " ACME ",
        "excluded_countries": ["us"],
    }
    listing = read_listing(record)
    assert listing == Listing(
        id="o1",
        side=Side.OFFER,
        title="Membrane for seawater",
        description="Filters salt.",
        summary="Desalination",
        language="pt",
        country="KZ",
        region="KZ-ALA",
        fields=("environment",),
        trl=7,
        modes=("consulting",),
        keywords=("salt",),
        organisation="ACME",
        excluded_countries=("US",),
    )
    assert listing.text == "Membrane for seawater\nDesalination\nFilters salt.\nsalt"


def test_what_is_missing_stays_unknown() -> None:
    listing = read_listing(OFFER)
    assert (listing.language, listing.country, listing.region, listing.trl, listing.organisation) == (None,) * 5
    assert listing.fields == listing.modes == listing.keywords == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", None),
        ("id", "  "),
        ("id", True),
        ("id", "x" * 201),
        ("id", "a\nb"),
        ("id", "a\tb"),
        ("id", "a\rb"),
        ("id", "a\x00b"),
        ("id", "a\ud800b"),
        ("side", None),
        ("side", "Offer"),
        ("side", "seller"),
        ("side", ["offer"]),
        ("title", 7),
        ("title", "x" * (TEXT_LIMITS["title"] + 1)),
        ("description", ["a"]),
        ("text", {"a": 1}),
        ("summary", "x" * (TEXT_LIMITS["summary"] + 1)),
        ("language", "chinese language"),
        ("language", 5),
        ("country", "KAZ"),
        ("country", 7),
        ("region", "Sichuan"),
        ("fields", "environment"),
        ("fields", ["magic"]),
        ("modes", ["gift"]),
        ("keywords", [1]),
        ("keywords", ["a"] * 101),
        ("keywords", ["x" * 501]),
        ("trl", 0),
        ("trl", 10),
        ("trl", "7"),
        ("trl", True),
        ("trl", 7.0),
        ("organisation", "x" * 501),
        ("excluded_countries", ["USA"]),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_its_field(field: str, value: Any) -> None:
    with pytest.raises(InvalidListing) as caught:
        read_listing(OFFER | {field: value})
    assert caught.value.field == field
    assert caught.value.fix
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("field", ["title", "summary", "description", "text", "organisation"])
def test_one_megabyte_of_text_is_refused_naming_the_field(field: str) -> None:
    with pytest.raises(InvalidListing, match="1,000,000") as caught:
        read_listing(OFFER | {field: "水" * 1_000_000})
    assert caught.value.field == field


def test_text_as_long_as_allowed_is_read() -> None:
    listing = read_listing(OFFER | {name: "x" * limit for name, limit in TEXT_LIMITS.items()})
    assert {name: len(getattr(listing, name)) for name in TEXT_LIMITS} == TEXT_LIMITS


def test_text_and_description_together_are_refused() -> None:
    with pytest.raises(InvalidListing) as caught:
        read_listing(OFFER | {"text": "a", "description": "b"})
    assert caught.value.field == "text"


@pytest.mark.parametrize("text", ["", "   ", "!!! ...", "🚀🚀", "\u200b\u202e", "\x00\x01"])
def test_a_listing_without_a_word_is_refused(text: str) -> None:
    with pytest.raises(InvalidListing) as caught:
        read_listing({"id": "o1", "side": "offer", "title": text, "description": text})
    assert caught.value.field == "description"


@pytest.mark.parametrize("text", ["Photovoltaik", "光伏", "ตัวเร่งปฏิกิริยา", "مرشح", "水", "H2"])
def test_one_word_is_a_listing(text: str) -> None:
    assert read_listing({"id": 1, "side": "need", "title": text}).text == text


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        ("a\x00b\x07c\x9bd", "abcd"),
        ("left\u202eright\u2066x\ufeff", "leftrightx"),
        ("soft\u00adhyphen", "softhyphen"),
        ("one\r\n\r\ntwo\rthree", "one\ntwo\nthree"),
        ("  much \t\u00a0\u3000blank  ", "much blank"),
        ("cafe\u0301", "café"),
        ("cafe\u200b\u0301", "café"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d🔬 lab", "👩\u200d🔬 lab"),
        ("עברית and 中文 и русский", "עברית and 中文 и русский"),
        ("broken \ud83d half", "broken ? half"),
    ],
)
def test_cleaning_takes_off_what_nobody_sees_and_nothing_else(raw: str, seen: str) -> None:
    assert clean(raw) == seen


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_categories=())))
@example("e\u200b\u0301")
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert unicodedata.is_normalized("NFC", once)
    once.encode("utf-8")


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*OFFER, "text", "trl", "fields", "language", "country"]), st.text() | st.integers()
    )
)
def test_any_record_is_read_or_refused_as_invalid(record: dict[str, Any]) -> None:
    try:
        said = read_listing(record).text
    except InvalidListing as error:
        said = error.fix
    assert said


def test_the_hash_follows_the_text_and_nothing_but_the_text() -> None:
    one = read_listing(OFFER)
    assert one.text_hash == read_listing(OFFER | {"id": "o2", "country": "CN", "trl": 3}).text_hash
    assert one.text_hash != read_listing(OFFER | {"description": "more"}).text_hash
    moved = {"id": "o1", "side": "offer", "description": OFFER["title"]}
    assert one.text_hash != read_listing(moved).text_hash


def test_sides_are_opposite_to_each_other() -> None:
    assert (Side.OFFER.opposite, Side.NEED.opposite) == (Side.NEED, Side.OFFER)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One. Two! Three", ["One.", "Two!", "Three"]),
        ("流量3.5吨。含盐8%！好", ["流量3.5吨。", "含盐8%！", "好"]),
        ("سلام؟ نعم", ["سلام؟", "نعم"]),
        ("पहला। दूसरा", ["पहला।", "दूसरा"]),
        ("a\n\n- b\n***", ["a", "- b"]),
    ],
)
def test_sentences_end_where_their_script_ends_them(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts


@settings(max_examples=50, deadline=None)
@given(st.text(LETTERS, max_size=300), st.integers(1, 12), st.sampled_from([words, characters]))
@example("a，", 1, characters)
@example("ab，", 1, characters)
def test_windows_drop_no_letter_and_keep_the_order(text: str, limit: int, count: Any) -> None:
    cut = windows(text, count, limit)
    assert re.findall(r"\w", "".join(cut)) == re.findall(r"\w", text)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sampled_from(["salt", "acid.", "pump;", "naïve", "水泵。", "فلتر", "🚀go"]), max_size=80),
    st.integers(4, 20),
)
def test_every_word_is_whole_in_some_window_and_no_window_is_too_long(tokens: list[str], limit: int) -> None:
    cut = windows(" ".join(tokens), words, limit)
    assert [token for window in cut for token in window.split()] == " ".join(tokens).split()
    assert max(words(cut), default=0) <= limit


def test_a_text_without_marks_is_halved_until_it_fits() -> None:
    text = "พลังงานแสงอาทิตย์" * 40
    cut = windows(text, characters, 50)
    assert "".join(cut).replace(" ", "") == text
    assert len(cut) > 10


def test_a_region_tells_the_country_and_must_lie_in_it() -> None:
    record = {"id": "o", "side": "offer", "title": "pump", "region": "CN-51"}
    assert read_listing(record).country == "CN"
    with pytest.raises(InvalidListing, match="CN-51 does not lie in KZ"):
        read_listing(record | {"country": "KZ"})


def test_an_empty_text_beside_a_description_is_unknown() -> None:
    for empty in (None, ""):
        assert read_listing({"id": "o", "side": "offer", "description": "pump", "text": empty}).description == "pump"
