"""What the page says, in Chinese and in English."""

from __future__ import annotations

from app import words_accounts, words_nights

ENGLISH = {
    "html_lang": "en",
    "title": "Dukou",
    "tagline": "Where technology offers and needs meet, in any language",
    "looking_for": "I am looking for",
    "offer": "offers that answer my need",
    "need": "needs that my offer answers",
    "text_label": "Describe it in your own language",
    "text_hint": "Process, material, figures, stage: the more concrete, the better it is found.",
    "search": "Search",
    "results": "Good matches",
    "weak": "Weaker results",
    "weak_hint": "These did not reach the level at which we would introduce two parties.",
    "none_title": "No good match",
    "none": "Nothing here answers this text well enough to introduce you. It is easier to find when it says:",
    "tips": "figures with units: throughput, temperature, purity, size, cost|the stage: laboratory, pilot, production "
    "(TRL)|names of processes, materials, organisms, standards or models|what is used today, and what is wrong with it",
    "empty": "There are no listings here yet.",
    "loading_title": "One moment",
    "loading": "The language model is being loaded. Reload this page in a minute.",
    "failed_title": "The search is out of order",
    "failed": "It could not start. Please tell whoever runs this service; its log says why.",
    "invalid_title": "This text cannot be searched",
    "very_likely": "very likely a match",
    "likely": "likely a match",
    "possible": "possibly a match",
    "unlikely": "unlikely",
    "raises": "Speaks for it",
    "lowers": "Speaks against it",
    "evidence": "Passages that speak to each other",
    "offer_says": "The offer says",
    "need_says": "The need says",
    "country": "Country",
    "language": "Language",
    "direction": "Direction",
    "unknown": "unknown",
    "untitled": "Untitled listing",
    "whole_text": "Whole text",
    "go-out": "from Chongqing–Sichuan abroad",
    "bring-in": "from abroad to Chongqing–Sichuan",
    "third-country": "between other places",
    "domestic": "within Chongqing–Sichuan",
    "margin": "how close the two texts are in meaning",
    "title_margin": "how close the titles are",
    "shared_words": "words in common",
    "same_language": "both in one language, which is no merit in itself",
    "field_agreement": "fields of technology",
    "maturity_gap": "maturity against what is asked for",
    "other_language": "中文",
    "error_title": "This did not work",
    "back": "Back to the search",
    "not_found": "There is no such page.",
}
CHINESE = {
    "html_lang": "zh-CN",
    "title": "渡口",
    "tagline": "技术供需，以任何语言在此相遇",
    "looking_for": "我要找",
    "offer": "能满足我需求的技术供给",
    "need": "需要我这项技术的需求",
    "text_label": "请用您自己的语言描述",
    "text_hint": "工艺、材料、数值、成熟阶段：写得越具体，越容易找到。",
    "search": "搜索",
    "results": "匹配结果",
    "weak": "较弱的结果",
    "weak_hint": "以下结果未达到可以推荐对接的程度。",
    "none_title": "没有合适的匹配",
    "none": "目前没有足以推荐对接的结果。文字中写明以下内容，会更容易被找到：",
    "tips": "带单位的数值：产量、温度、纯度、尺寸、成本|所处阶段：实验室、中试、已投产（技术成熟度 TRL）"
    "|工艺、材料、生物种类、标准或型号的名称|现在用的是什么，问题在哪里",
    "empty": "这里还没有供需信息。",
    "loading_title": "请稍候",
    "loading": "语言模型正在加载，请一分钟后刷新本页。",
    "failed_title": "检索暂不可用",
    "failed": "检索未能启动，请告知本服务的管理人员；原因已写入日志。",
    "invalid_title": "这段文字无法搜索",
    "very_likely": "很可能匹配",
    "likely": "可能匹配",
    "possible": "或许匹配",
    "unlikely": "不太可能匹配",
    "raises": "有利因素",
    "lowers": "不利因素",
    "evidence": "相互对应的段落",
    "offer_says": "供给方写道",
    "need_says": "需求方写道",
    "country": "国家或地区",
    "language": "语言",
    "direction": "方向",
    "unknown": "未知",
    "untitled": "无标题",
    "whole_text": "全文",
    "go-out": "走出去",
    "bring-in": "引进来",
    "third-country": "第三方之间",
    "domestic": "成渝区域内",
    "margin": "两段文字含义的接近程度",
    "title_margin": "标题的接近程度",
    "shared_words": "共同的词语",
    "same_language": "语言相同（本身不算优势）",
    "field_agreement": "技术领域",
    "maturity_gap": "成熟度与要求的差距",
    "other_language": "English",
    "error_title": "操作未成功",
    "back": "返回搜索",
    "not_found": "没有这个页面。",
}
WORDS = {
    "en": ENGLISH | words_accounts.ENGLISH | words_nights.ENGLISH,
    "zh": CHINESE | words_accounts.CHINESE | words_nights.CHINESE,
}


def choose(asked: str, accepted: str) -> str:
    """The page's language: the one asked for, else the first known in an Accept-Language header, else English."""
    weighed = [_weighed(part, place) for place, part in enumerate(accepted.split(",")[:50])]
    for tag in [asked, *(tag for _, _, tag in sorted(weighed))]:
        primary = tag.strip().lower().split("-")[0]
        if primary in WORDS:
            return primary
    return "en"


def _weighed(part: str, place: int) -> tuple[float, int, str]:
    """Sorts by descending quality, then by place (RFC 9110, 12.5.4)."""
    tag, _, quality = part.partition(";q=")
    try:
        return -float(quality or 1.0), place, tag
    except ValueError:
        return 0.0, place, tag
