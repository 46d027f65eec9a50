"""The marking of passages in whole texts."""

from __future__ import annotations

import pytest

from app.web.evidence import Piece, marked, verdict
from matching.listing import clean, windows


def joined(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def numbered(pieces: list[Piece]) -> list[tuple[int, str]]:
    return [(piece.number, piece.text) for piece in pieces if piece.number is not None]


def test_passages_are_marked_where_they_stand() -> None:
    text = "It dries leaves. It saves 40 % of fuel (a third of the cost). It is quiet."
    (pieces,), lost = marked([text], ["It is quiet.", "It saves 40 % of fuel (a third of the cost)."])
    assert joined(pieces) == text
    assert numbered(pieces) == [(2, "It saves 40 % of fuel (a third of the cost)."), (1, "It is quiet.")]
    assert lost == []


def test_a_passage_that_runs_from_the_title_into_the_text_is_marked_in_both() -> None:
    (title, body), lost = marked(["Ceramic elbows", "They last. They are cheap."], ["Ceramic elbows They last."])
    assert (numbered(title), numbered(body)) == ([(1, "Ceramic elbows")], [(1, "They last.")])
    assert [piece.first for piece in (*title, *body) if piece.number] == [True, False]
    assert lost == []


@pytest.mark.parametrize(
    "text",
    [
        "第一句话。第二句话！\n第三句话？没有标点",
        "First. Second!\n* * *\nThird; fourth",
        "पहला वाक्य। दूसरा वाक्य।",
        "ประโยคแรกยาวมากที่ไม่มีเครื่องหมายวรรคตอนเลย",
        "الجملة الأولى. هل هذه الثانية؟",
    ],
)
def test_whatever_was_cut_out_of_a_text_is_found_in_it_again(text: str) -> None:
    text = clean(text)
    for limit in (1, 3, 100):
        cut = windows(text, lambda parts: [len(part) // 8 + 1 for part in parts], limit)
        (pieces,), lost = marked([text], cut)
        assert lost == []
        assert joined(pieces) == text
        assert {number for number, _ in numbered(pieces)} == set(range(1, len(cut) + 1))


def test_the_same_sentence_twice_is_marked_twice() -> None:
    (pieces,), lost = marked(["Good. Good."], ["Good.", "Good."])
    assert numbered(pieces) == [(1, "Good."), (2, "Good.")]
    assert lost == []


def test_what_the_text_no_longer_says_is_named() -> None:
    (pieces,), lost = marked(["It is new."], ["It was old.", "…"])
    assert (numbered(pieces), lost) == ([], [1, 2])


def test_words_for_a_probability() -> None:
    said = [verdict(probability, 0.4) for probability in (0.1, 0.2, 0.4, 0.79, 0.8)]
    assert said == ["unlikely", "possible", "likely", "likely", "very_likely"]
