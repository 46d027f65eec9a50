import html
import re
from dataclasses import replace
from typing import Any

import pytest

from app.access import PUBLIC
from app.snapshot import Sight
from app.web import words
from matching import Side
from scripts import check_words
from tests.app.conftest import World

QUERY = "ceramic elbows for ore slurry pipelines"


def test_every_text_of_the_pages_has_its_chinese() -> None:
    assert len(check_words.texts()) > 150
    assert list(check_words.problems()) == []


@pytest.mark.parametrize(
    ("asked", "accepted", "language"),
    [
        ("zh", "en", "zh"),
        ("zh-CN", "", "zh"),
        ("", "fr, zh-CN;q=0.8, en;q=0.5", "zh"),
        ("", "zh;q=0.1, en", "en"),
        ("xx", "", "en"),
        ("", "en;q=nonsense, zh", "zh"),
    ],
)
def test_the_language_of_the_page(asked: str, accepted: str, language: str) -> None:
    assert words.choose(asked, accepted=accepted) == language


def test_the_page_speaks_chinese_and_english(world: World) -> None:
    assert '<html lang="zh-CN">' in world.public.get("/", params={"lang": "zh"}).text
    assert "技术供需" in world.public.get("/", headers={"accept-language": "zh-CN"}).text
    assert '<html lang="en">' in world.public.get("/").text


def test_results_show_evidence_in_its_own_language(filled: World) -> None:
    page = filled.public.get("/", params={"q": QUERY}).text
    assert "耐磨陶瓷弯头" in page
    assert re.search(r"\d+%</strong>", page)
    assert page.count("The offer says") == page.count("The need says") >= 1
    assert re.search(r'<blockquote dir="auto" lang="[a-z]{2,3}">', page)


def test_a_text_from_right_to_left_is_marked(filled: World) -> None:
    page = filled.public.get("/", params={"q": "مضخات مياه شمسية لري الحقول", "lang": "zh"}).text
    assert re.search(r'<h3 dir="auto" lang="ar"><a [^>]+>مضخات مياه شمسية</a></h3>', page)


def test_no_good_match_says_what_would_help(filled: World, monkeypatch: pytest.MonkeyPatch) -> None:
    live: Any = filled.app.state.live
    found = live.search(QUERY, Side.OFFER, 10, sight=Sight(PUBLIC))
    monkeypatch.setattr(live, "search", lambda *_, **__: replace(found, threshold=1.01))
    page = filled.public.get("/", params={"q": QUERY}).text
    assert "No good match" in page
    assert "figures with units" in page


def test_what_a_person_types_is_shown_as_text(filled: World) -> None:
    nasty = '</textarea><script>alert("1")</script> pump'
    response = filled.public.get("/", params={"q": nasty})
    assert "<script>" not in response.text
    assert html.escape(nasty, quote=False).split(" pump")[0][:20] in response.text
    assert "unsafe" not in response.headers["content-security-policy"]


@pytest.mark.parametrize("params", [{"q": "…"}, {"q": "x" * 60_000}])
def test_a_text_that_cannot_be_searched_gets_a_page(filled: World, params: dict[str, str]) -> None:
    response = filled.public.get("/", params=params)
    assert response.status_code == 422
    assert "This text cannot be searched" in response.text


def test_a_wrong_side_falls_back_to_offers(filled: World) -> None:
    assert filled.public.get("/", params={"q": QUERY, "side": "sideways"}).status_code == 200


def test_nothing_comes_from_elsewhere(filled: World) -> None:
    page = filled.public.get("/", params={"q": QUERY}).text
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)
    for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        file = filled.public.get(address)
        assert file.status_code == 200
        assert "immutable" in file.headers["cache-control"]


def test_a_missing_page_is_a_page(world: World) -> None:
    response = world.public.get("/nothing", params={"lang": "zh"})
    assert response.status_code == 404
    assert "没有这个页面" in response.text
