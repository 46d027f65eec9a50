from __future__ import annotations

import subprocess
import sys

import pytest

from matching.language import LANGUAGES, UNKNOWN, detect

WRITTEN = {
    "zh": "我们寻找一种处理高盐废水的膜技术，每天三千吨。",
    "en": "We are looking for a membrane that treats salty wastewater.",
    "ru": "Мы ищем мембранную технологию для очистки солёных сточных вод.",
    "ar": "نبحث عن تقنية أغشية لمعالجة المياه المالحة في المصانع.",
    "fa": "ما به دنبال فناوری غشایی برای تصفیهٔ پساب شور هستیم.",
    "he": "אנו מחפשים טכנולוגיית ממברנות לטיהור שפכים מלוחים.",
    "th": "เรากำลังมองหาเทคโนโลยีเมมเบรนสำหรับบำบัดน้ำเสียที่มีความเค็มสูง",
    "hu": "Membrántechnológiát keresünk sós ipari szennyvíz tisztítására.",
    "ja": "高塩分の廃水を処理する膜技術を探しています。",
    "hi": "हम खारे अपशिष्ट जल के उपचार के लिए झिल्ली तकनीक खोज रहे हैं।",
}


def test_languages_are_told_apart_in_one_call() -> None:
    assert detect(list(WRITTEN.values())) == list(WRITTEN)


def test_the_languages_looked_for_are_distinct() -> None:
    assert len(set(LANGUAGES)) == len(LANGUAGES)


@pytest.mark.parametrize("text", ["", "   ", "3.5 × 10⁴", "🚀🚀🚀", "-- 12 / 7 --", "𓀀𓀁𓂀", "ᚠᚢᚦᚨᚱᚲ"])
def test_where_no_letter_tells_the_language_is_unknown_or_what_is_declared(text: str) -> None:
    assert detect([text]) == [UNKNOWN]
    assert detect([text], ["kk"]) == ["kk"]


def test_a_false_declaration_does_not_win_over_the_text() -> None:
    assert detect([WRITTEN["zh"], WRITTEN["ru"]], ["en", "de"]) == ["zh", "ru"]


def test_a_declaration_settles_a_near_tie() -> None:
    text = "bahan komposit ringan"
    assert detect([text, text], ["ms", "id"]) == ["ms", "id"]


def test_mixed_scripts_get_one_known_language() -> None:
    assert detect(["采用 SiC MOSFET 的车载充电机，效率 97% 🚀"]) == ["zh"]
    assert detect(["We use 膜 and мембрана in our membrane plant for water"]) == ["en"]


def test_one_word_gets_an_answer() -> None:
    assert detect(["Abwasserbehandlungsanlage"]) == ["de"]
    assert detect(["膜"])[0] in {"zh", "ja"}


def test_only_the_head_of_a_long_text_is_looked_at() -> None:
    assert detect([WRITTEN["en"] * 20 + WRITTEN["ru"] * 2000]) == ["en"]


def test_no_texts_give_no_languages() -> None:
    assert detect([]) == []


def test_declarations_must_be_as_many_as_texts() -> None:
    with pytest.raises(ValueError, match="zip"):
        detect(["one text"], [None, None])


def test_the_first_detection_after_preparing_keeps_nobody_waiting() -> None:
    """In a process of its own: models once loaded stay."""
    program = (
        "import time; from matching.language import detect, prepare_languages; prepare_languages();"
        "t = time.process_time(); detect(['A pump for the fields', '水泵', 'Насос для полей'] * 5);"
        "print(time.process_time() - t)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.0  # seconds of work; unprepared it is five and more
