"""Catalogues that cannot be read are refused with the fix; the shipped model finds what the cases ask for."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from matching import (
    ILLUSTRATIVE_CATALOGUE,
    ArtefactError,
    ControlKind,
    Embedding,
    InvalidCatalogue,
    Listing,
    PreparedCatalogue,
    SentenceEncoder,
    embed,
    hashing_models,
    load_catalogue,
    prepare_catalogue,
    read_catalogue,
    read_listing,
    screen,
)
from matching.models import Models, with_artefacts

CASES = Path(__file__).resolve().parents[2] / "data" / "catalogue" / "screening-cases.jsonl"
GOOD: dict[str, Any] = {
    "format": "dukou-catalogue-1",
    "name": "Trial",
    "version": "1",
    "date": "2026-01-31",
    "illustrative": True,
    "languages": ["zh"],
    "note": "Invented.",
    "entries": [
        {
            "code": f"99010{i}X",
            "kind": "restricted",
            "industry": {"code": "01", "zh": "农业"},
            "title": {"zh": "育种"},
            "points": [{"number": 1, "zh": "不育系"}, {"number": 2, "zh": "恢复系"}],
        }
        for i in (1, 2)
    ],
}


def as_bytes(record: Any) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("change", "named", "fix"),
    [
        (lambda c: c.update(format="dukou-catalogue-2"), "the head", "dukou-catalogue-1"),
        (lambda c: c.update(date="31.1.2026"), "the head", "2026-01-31"),
        (lambda c: c.update(illustrative="yes"), "the head", "true"),
        (lambda c: c.update(version=" "), "the head", "version"),
        (lambda c: c.update(entries=[]), "the head", "at least one entry"),
        (lambda c: c.update(languages=["中文"]), "the head", "languages"),
        (lambda c: c["entries"][1].update(code="99X"), "entry number 2", "six digits and X"),
        (lambda c: c["entries"][1].update(code="990101X"), "entry 990101X", "twice"),
        (lambda c: c["entries"][0].update(kind="prohibited"), "entry 990101X", "'restricted'"),
        (lambda c: c["entries"][0].update(industry={"code": "1"}), "entry 990101X", "GB/T 4754"),
        (lambda c: c["entries"][0].update(title={"en": "Breeding"}), "entry 990101X", "title, zh"),
        (lambda c: c["entries"][0].update(points=[]), "entry 990101X", "at least one control point"),
        (lambda c: c["entries"][0]["points"][1].update(number=1), "entry 990101X", "control point 1 comes twice"),
        (lambda c: c["entries"][0]["points"][0].update(number=0), "entry 990101X", "from 1 on"),
        (lambda c: c["entries"][0]["points"][0].update(zh="。"), "entry 990101X", "control point 1, zh"),
    ],
)
def test_a_bad_catalogue_is_refused_by_its_entry_and_the_fix(
    change: Callable[[dict[str, Any]], None], named: str, fix: str
) -> None:
    record = copy.deepcopy(GOOD)
    change(record)
    with pytest.raises(InvalidCatalogue) as caught:
        read_catalogue(as_bytes(record))
    assert caught.value.entry == named
    assert fix in caught.value.fix


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[]"])
def test_what_is_no_catalogue_at_all_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidCatalogue):
        read_catalogue(body)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidCatalogue, match=r"none\.json.*No such file"):
        load_catalogue(tmp_path / "none.json")


def test_other_contents_have_another_digest() -> None:
    changed = copy.deepcopy(GOOD) | {"version": "2"}
    first, again, other = (read_catalogue(as_bytes(one)).digest for one in (GOOD, GOOD, changed))
    assert first == again != other


def test_the_shipped_catalogue_says_that_it_is_invented() -> None:
    shipped = load_catalogue(ILLUSTRATIVE_CATALOGUE)
    assert shipped.illustrative
    assert all(one.code.startswith("99") for one in shipped.entries)
    assert {one.kind for one in shipped.entries} == set(ControlKind)


@pytest.fixture(scope="module")
def models(encoder: SentenceEncoder) -> Models:
    return with_artefacts(encoder)


@pytest.fixture(scope="module")
def prepared(models: Models) -> PreparedCatalogue:
    return prepare_catalogue(load_catalogue(), models)


@pytest.fixture(scope="module")
def cases() -> list[dict[str, Any]]:
    return [json.loads(line) for line in CASES.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def offers(cases: list[dict[str, Any]], models: Models) -> list[tuple[Listing, Embedding]]:
    keys = ("id", "title", "text")
    read = [read_listing({key: one[key] for key in keys} | {"side": "offer"}) for one in cases]
    return list(zip(read, embed(read, models.encoder), strict=True))


def test_nearly_every_labelled_entry_is_shown_and_few_others(
    cases: list[dict[str, Any]], offers: list[tuple[Listing, Embedding]], models: Models, prepared: PreparedCatalogue
) -> None:
    shown = [{one.entry.code for one in screen(*own, prepared, models)} for own in offers]
    wanted = sum(len(case["expected"]) for case in cases)
    right = sum(len(own & set(case["expected"])) for own, case in zip(shown, cases, strict=True))
    assert right / wanted >= 0.95
    assert sum(map(len, shown)) / len(cases) <= 6


def test_what_is_quoted_stands_in_the_offer_and_in_the_entry(
    cases: list[dict[str, Any]], offers: list[tuple[Listing, Embedding]], models: Models, prepared: PreparedCatalogue
) -> None:
    for case, own in zip(cases, offers, strict=True):
        text = f"{case['title']}\n{case['text']}"
        for one in screen(*own, prepared, models):
            assert one.passage in text
            assert one.point in one.entry.points


def test_one_sentence_in_a_long_text_is_what_is_quoted(
    cases: list[dict[str, Any]], offers: list[tuple[Listing, Embedding]], models: Models, prepared: PreparedCatalogue
) -> None:
    place = next(i for i, one in enumerate(cases) if one["kind"] == "buried" and one["language"] == "en")
    found = {one.entry.code: one for one in screen(*offers[place], prepared, models)}
    assert "fly in formation" in found["993701X"].passage


def test_the_same_offer_gives_the_same_answer_best_first(
    offers: list[tuple[Listing, Embedding]], models: Models, prepared: PreparedCatalogue
) -> None:
    first = screen(*offers[0], prepared, models)
    assert first == screen(*offers[0], prepare_catalogue(load_catalogue(), models), models)
    assert [(-one.score, one.entry.code) for one in first] == sorted((-one.score, one.entry.code) for one in first)
    assert len({one.entry.code for one in first}) == len(first)


def test_a_catalogue_prepared_for_another_encoder_is_refused(
    offers: list[tuple[Listing, Embedding]], prepared: PreparedCatalogue
) -> None:
    with pytest.raises(ArtefactError, match="prepare it again"):
        screen(*offers[0], prepared, hashing_models())


def test_a_model_of_which_nothing_is_known_shows_too_much_and_not_too_little() -> None:
    models = hashing_models()
    offer = read_listing({"id": "o", "side": "offer", "title": "Lidar with solid-state scanning"})
    found = screen(offer, embed([offer], models.encoder)[0], prepare_catalogue(load_catalogue(), models), models)
    assert found[0].entry.code == "993901X"
