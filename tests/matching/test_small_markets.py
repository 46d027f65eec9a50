"""The shipped model in markets of a few listings: what answers is proposed, what does not is not."""

from __future__ import annotations

import pytest

from matching import Direction, SentenceEncoder, answers, embed, match, read_listing
from matching.market import Market
from matching.models import Models, with_artefacts

NEED = read_listing(
    {
        "id": "need",
        "side": "need",
        "country": "KZ",
        "title": "Обесцвечивание сточных вод красильного цеха",
        "description": "Наша фабрика сбрасывает 800 м³ окрашенной воды в сутки. "
        "Нужна технология, которая убирает цвет и солёность и возвращает воду в производство.",
    }
)
ANSWER = read_listing(
    {
        "id": "answer",
        "side": "offer",
        "country": "CN",
        "region": "CN-50",
        "title": "印染废水纳滤—电催化氧化脱色回用技术",
        "description": "以纳滤膜分离盐与染料, 浓水经电催化氧化脱色, 色度去除率98%, 回用率75%, "
        "已在三家印染厂每日处理1000吨废水。",
    }
)
OTHERS = [
    read_listing(
        {"id": f"other-{i}", "side": "offer", "country": "CN", "region": "CN-51", "title": title, "text": text}
    )
    for i, (title, text) in enumerate(
        (
            ("高原牦牛酸奶发酵菌种", "从牧区样品中筛选的乳酸菌, 低温发酵十二小时, 酸度稳定, 适合小型乳品厂。"),
            ("无人机电池低温自加热组件", "电芯在零下三十度五分钟内升温, 循环八百次容量保持率九成。"),
            ("中药材连作障碍土壤改良剂", "以菌渣与生物炭配制, 三年试验增产两成, 根腐病减少一半。"),
        )
    )
]


@pytest.fixture(scope="module")
def models(encoder: SentenceEncoder) -> Models:
    return with_artefacts(encoder)


@pytest.mark.parametrize("others", [0, 1, 3])
def test_the_answer_is_proposed_however_few_stand_beside_it(models: Models, others: int) -> None:
    found = match([NEED, ANSWER, *OTHERS[:others]], models).pairings
    assert [(p.need, p.offer, p.direction) for p in found] == [("need", "answer", Direction.GO_OUT)]


def test_where_nothing_answers_nothing_is_proposed(models: Models) -> None:
    assert match([NEED, *OTHERS], models).pairings == ()


def test_a_search_in_a_small_market_finds_the_same_with_the_same_probability(models: Models) -> None:
    own = [NEED, ANSWER, *OTHERS]
    embeddings = embed(own, models.encoder)
    proposed = match(own, models).pairings[0]
    first = answers(Market.build(own, embeddings, models), NEED, embeddings[0])[0]
    assert first.offer == proposed.offer
    assert first.probability == pytest.approx(proposed.probability, abs=1e-4)
