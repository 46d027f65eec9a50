"""What would make a listing easier to find: hints on its text and on what it leaves open. Pure; nothing is encoded.

A hint is advice and never an obstacle. Patterns look at the text in Unicode's NFKC form, in which full-width digits,
² and ㎡ are what they stand for; `\\d` knows the digits of every script.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from app.hint_texts import TEXTS
from app.record import Disclosure
from matching import Listing, Side
from matching.language import LANGUAGES, UNKNOWN, detect

WORDS = Path(__file__).parent / "vague.json"
SHORT = 40  # words below which a text is very short: 15 of the 612 listings of our samples and benchmark are
UNSPACED = 0.5  # of a word, that a character of a script without blanks stands for
ENOUGH_LETTERS = 40  # from which on a detected language is believed against a stated one
CAPITALS = 0.8  # share of all letters; fewer than `CASED` of them may be a name or an abbreviation
CASED = 12
KIN = ({"id", "ms"}, {"bs", "hr", "sr"}, {"da", "nb"}, {"cs", "sk"})  # languages that detection takes for each other
SHOWN = 3  # examples in a hint
WEIGHTS = {"no_title": 3, "title_only": 3, "no_figures": 3, "short_text": 2, "general_title": 2, "contact_details": 2}
WEIGHTS |= {"other_language": 2, "no_stage": 2, "vague_words": 2}  # all others: 1

PREFIXED = r"[kMGTmuµμnpcdh]?(?:m|g|Wh|W|VA|V|A|Pa|Hz|J|eV|L|l|mol|N|Ω|bit|bp|s|K|lm|lx|Bq|Sv|Ah|bar|t|F|H)"
SYMBOLS = (
    rf"%|‰|٪|°\s?[CFKСм]?م?|\$|€|¥|£|₽|₸|{PREFIXED}\d?|ha|min|h|ppm|ppb|rpm|dB[a-zA-Z]*|[kMGT]B|CFU|Å|pH|ft|psi|mu"
)
LATIN = (
    "percent|per cent|tonn\\w*|ton|tons|kilo\\w*|gram\\w*|lit(?:er|re|ro)s?|met(?:er|re|ro)s?|hectares?|hect[aá]reas?|"
    "hours?|minutes?|seconds?|days?|weeks?|months?|years?|times|cycles?|kilomet\\w*|degrees?|"
    "horas?|minutos?|segundos?|d[ií]as?|dias?|semanas?|meses|mes|m[eê]s|a[nñ]os?|anos?|veces|vezes|grados|graus|ciclos?|"
    "heures?|jours?|semaines?|mois|ans?|ann[ée]es?|fois|degr[ée]s?|Stunden?|Minuten?|Tagen?|Wochen?|Monaten?|Jahren?|"
    "Grad|mal|ore|giorni|mesi|anni|volte|gradi|gi[oờ]|giờ|phút|ngày|tháng|năm|tấn|lần|độ|đồng|jam|menit|hari|minggu|"
    "bulan|tahun|kali|derajat|óra|perc|nap|hónap|év|fok|saat|dakika|gün|hafta|ay|yıl|kat|derece|USD|EUR|CNY|RMB|GBP|RUB|KZT"
)
CYRILLIC = (
    "т|кг|г|мг|мкг|л|мл|м|мм|см|км|мкм|нм|кВт|МВт|ГВт|Вт|кВ|В|А|ч|мин|сек|с|сут\\w*|га|бар|МПа|кПа|Па|Гц|кГц|МГц|дБ|"
    "градус\\w*|тонн\\w*|килограмм\\w*|метр\\w*|литр\\w*|час\\w*|минут\\w*|секунд\\w*|дн\\w*|день|недел\\w*|месяц\\w*|год\\w*|лет|раза?|"
    "процент\\w*|рубл\\w*|руб|тенге|цикл\\w*|сағат|күн|ай|жыл\\w*|апта|есе|пайыз\\w*"
)
CHINESE = (
    "度|摄氏|吨|公斤|千克|毫克|微克|克|升|毫升|米|厘米|毫米|微米|纳米|公里|千米|平方|立方|亩|公顷|千瓦|兆瓦|吉瓦|瓦|千伏|伏|安|"
    "赫兹|兆帕|千帕|帕|小时|分钟|秒|天|日|周|个?月|年|万|亿|元|美元|倍|成|次|目|级|层|株|头|台|件|kg|个百分点"
)
ARABIC = (
    "في المئة|في المائة|بالمئة|بالمائة|طن|أطنان|كغ|كجم|كيلو\\w*|غرام\\w*|جرام\\w*|ملغ|مغ|لتر\\w*|مل|متر\\w*|"
    "أمتار|سم|مم|كم|م|ميكرو\\w*|نانو\\w*|ميغاواط|واط|فولت|أمبير|هرتز|بار|هكتار\\w*|فدان|درجة|درجات|ثانية|ثوان\\w*|دقيقة|دقائق|ساعة|"
    "ساعات|يوم\\w*|أيام|أسبوع\\w*|أسابيع|شهر\\w*|أشهر|سنة|سنوات|عام\\w*|أعوام|مرة|مرات|دولار|يورو|ضعف|أضعاف|نيوتن|جنيه\\w*"
)
THAI = (
    "เปอร์เซ็นต์|ร้อยละ|ตัน|กิโล|กรัม|มิลลิ|ลิตร|เมตร|เซนติ|ไมโคร|นาโน|วัตต์|โวลต์|ไร่|องศา|วินาที|นาที|ชั่วโมง|วัน|สัปดาห์|เดือน|ปี|เท่า|ครั้ง|บาท"
)
NUMBER = r"\d+(?:[.,٫٬'\s]\d+)*"
BETWEEN = r"(?:\s?(?:[–—~\-]|to|bis|до|至|到|إلى|a|à)\s?[+\-−]?\d+(?:[.,٫٬]\d+)*)?[\s\-]?"
SPACED = rf"(?:{SYMBOLS}|{LATIN}|{CYRILLIC}|{ARABIC})(?![A-Za-zÀ-ɏЀ-ӿ؀-ۿ])"
FIGURE = re.compile(
    rf"(?<![A-Za-zÀ-ɏЀ-ӿ\d._])[+\-−±]?{NUMBER}{BETWEEN}(?:{SPACED}|{CHINESE}|{THAI})"
    rf"|(?:[$€¥£₽₸]|US\$|USD|EUR|CNY|RMB|ร้อยละ|百分之)\s?[\d一二三四五六七八九十]"
)
EMAIL = r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
ADDRESS = r"(?:https?://|www\.)\S+"
PHONE = (
    r"(?<![\w.])(?:\+|00)\d(?:[\s().-]{0,2}\d){7,14}(?!\d)|(?<!\d)1[3-9]\d(?:[ -]?\d{4}){2}(?!\d)"
    r"|(?:tel|phone|fax|mobile|whatsapp|тел|телефон|电话|手机|传真|联系方式|هاتف|جوال|tél|tfno)\w*[\s.:：]{0,3}\+?\d(?:[\s().-]{0,2}\d){5,14}"
)
CONTACT = re.compile(rf"{EMAIL}|{ADDRESS}|{PHONE}|(?:微信|wechat)(?:号)?[:： ]\s*\w+", re.IGNORECASE)
TOKEN = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
IDEOGRAPH = r"぀-ヿ㐀-鿿豈-﫿฀-๿຀-໿က-႟ក-៿"
UNSPACED_CHARACTER = re.compile(f"[{IDEOGRAPH}]")


@dataclass(frozen=True, slots=True)
class Hint:
    """One piece of advice: the field to mend, a weight from 1 to 3 (the most helpful), the text in both languages."""

    code: str
    field: str
    weight: int
    zh: str
    en: str


def hints(record: Mapping[str, Any], listing: Listing) -> list[Hint]:
    """What would make a listing easier to find, the most helpful first; `listing` is what `record` says."""
    found = [*_on_title(listing), *_on_text(record, listing), *_on_language(listing), *_on_gaps(record, listing)]
    return sorted(found, key=lambda hint: -hint.weight)


def has_figure(text: str) -> bool:
    """Whether a text holds a number with a unit, in any of the scripts in use."""
    return FIGURE.search(unicodedata.normalize("NFKC", text)) is not None


def contacts(text: str) -> list[str]:
    """E-mail and web addresses and telephone numbers in a text."""
    return CONTACT.findall(unicodedata.normalize("NFKC", text))


def vague_phrases(text: str) -> list[str]:
    """Phrases that praise and say nothing, each once, in the order of the text."""
    return list(dict.fromkeys(found.lower() for found in _vague().findall(unicodedata.normalize("NFKC", text))))


def is_general(title: str) -> bool:
    """Whether nothing, or a single character of Chinese, is left of a title without words that fit any listing."""
    rest = _general_characters().sub("", " ".join(t for t in TOKEN.findall(title.lower()) if t not in _general_words()))
    return len(UNSPACED_CHARACTER.findall(rest)) < 2 and not re.search(rf"[^\W\d_{IDEOGRAPH}]{{2}}", rest)


def length_in_words(text: str) -> float:
    """Words; of scripts without blanks, characters in proportion."""
    spaced = TOKEN.findall(UNSPACED_CHARACTER.sub(" ", text))
    return len(spaced) + UNSPACED * len(UNSPACED_CHARACTER.findall(text))


def is_shouted(text: str) -> bool:
    """Whether nearly all letters are capitals; in Arabic or Chinese an abbreviation does not make it so."""
    letters, capitals = sum(char.isalpha() for char in text), sum(char.isupper() for char in text)
    return capitals >= CASED and capitals >= CAPITALS * letters


def _on_title(listing: Listing) -> Iterator[Hint]:
    if not listing.title:
        yield _hint("no_title", "title")
    elif is_general(listing.title):
        yield _hint("general_title", "title")
    for field in ("title", "summary", "description"):
        if is_shouted(getattr(listing, field)):
            yield _hint("all_capitals", field)
            return


def _on_text(record: Mapping[str, Any], listing: Listing) -> Iterator[Hint]:
    prose = _joined([listing.summary, listing.description, listing.advantages, listing.requirement])
    if not prose:
        yield _hint("title_only", "description")
    elif length_in_words(prose) < SHORT:
        yield _hint("short_text", "description")
    if not record.get("requirements") and not has_figure(_joined([listing.title, prose])):
        yield _hint("no_figures", "description")
    texts = _texts(record, listing)
    yield from _found("vague_words", ((field, vague_phrases(text)) for field, text in texts))
    if record.get("disclosure", Disclosure.PUBLIC) != Disclosure.PUBLIC:
        yield from _found("contact_details", ((field, contacts(text)) for field, text in texts))


def _on_language(listing: Listing) -> Iterator[Hint]:
    """Near-ties go to what is stated (`matching.language`); so few letters tell nothing."""
    stated = listing.language
    if stated not in LANGUAGES or sum(char.isalpha() for char in listing.text) < ENOUGH_LETTERS:
        return
    read = detect([listing.text], [stated])[0]
    if read not in (stated, UNKNOWN) and not any({read, stated} <= kin for kin in KIN):
        yield _hint("other_language", "language", stated=stated, found=read)


def _on_gaps(record: Mapping[str, Any], listing: Listing) -> Iterator[Hint]:
    if listing.trl is None and not record.get("stage"):
        yield _hint("no_stage", "trl")
    if listing.side is Side.NEED and not listing.requirement and not record.get("requirements"):
        yield _hint("no_requirement", "requirement")
    if listing.side is Side.OFFER and not listing.advantages:
        yield _hint("no_advantages", "advantages")
    for code, field in (("no_modes", "modes"), ("no_country", "country"), ("no_keywords", "keywords")):
        if not getattr(listing, field):
            yield _hint(code, field)


def _texts(record: Mapping[str, Any], listing: Listing) -> list[tuple[str, str]]:
    """Every text that a reader sees, by the field that it stands in."""
    fields = ("title", "summary", "description", "advantages", "requirement")
    own = [(field, str(getattr(listing, field))) for field in fields]
    translated = [
        (f"translations.{place}.{field}", str(translation.get(field) or ""))
        for place, translation in enumerate(record.get("translations") or [])
        for field in ("title", "summary", "description")
    ]
    return [*own, ("partner_role", str(record.get("partner_role") or "")), *translated]


def _found(code: str, by_field: Iterable[tuple[str, Sequence[str]]]) -> Iterator[Hint]:
    """One hint for all that was found, at the first field that holds some."""
    places = [(field, found) for field, found in by_field if found]
    if places:
        found = list(dict.fromkeys(one for _, own in places for one in own))
        yield _hint(code, places[0][0], found=", ".join(found[:SHOWN]))


def _hint(code: str, field: str, **found: str | None) -> Hint:
    zh, en = TEXTS[code]
    return Hint(code, field, WEIGHTS.get(code, 1), zh.format(**found), en.format(**found))


def _joined(parts: Iterable[str]) -> str:
    return "\n".join(part for part in parts if part)


@cache
def _words() -> dict[str, dict[str, list[str]]]:
    read: dict[str, dict[str, list[str]]] = json.loads(WORDS.read_text("utf-8"))
    return read


@cache
def _vague() -> re.Pattern[str]:
    """Whole words, but where a script has no blanks."""
    phrases = sorted({one for own in _words()["vague"].values() for one in own}, key=lambda one: (-len(one), one))
    spaced = "|".join(re.escape(one) for one in phrases if not UNSPACED_CHARACTER.search(one))
    unspaced = "|".join(re.escape(one) for one in phrases if UNSPACED_CHARACTER.search(one))
    return re.compile(rf"(?<!\w)(?:{spaced})(?!\w)|{unspaced}", re.IGNORECASE)


@cache
def _general_words() -> frozenset[str]:
    return frozenset(one for own in _words()["general"].values() for one in own)


@cache
def _general_characters() -> re.Pattern[str]:
    terms = sorted((one for one in _general_words() if UNSPACED_CHARACTER.search(one)), key=lambda one: -len(one))
    return re.compile("|".join(map(re.escape, terms)))
