"""What a hint says, in Chinese and in English; `{found}` is what was found. The codes are in `docs/formats.md`."""

from __future__ import annotations

TEXTS: dict[str, tuple[str, str]] = {
    "no_title": (
        "请写一个标题：用什么方法、解决什么问题。",
        "Give it a title: by which means it solves which problem.",
    ),
    "general_title": (
        "标题过于笼统，请写明工艺、材料或对象。",
        "The title could stand over anything: name the process, the material or the object.",
    ),
    "title_only": (
        "只有标题。请用几句话说明问题、做法、数据和现状。",
        "There is only a title: say in a few sentences what the problem is, how it is solved, with figures.",
    ),
    "short_text": (
        "正文很短。再写几句：目前的做法、指标、规模和适用条件。",
        "The text is very short: add present practice, figures, scale, and under which conditions it holds.",
    ),
    "no_figures": (
        "没有带单位的数据。请写出处理量、温度、纯度、尺寸、成本等。",
        "There is no figure with a unit: give throughput, temperature, purity, size, cost.",
    ),
    "vague_words": (
        "这些说法没有信息量：{found}。请换成可以核对的事实。",
        "These words say little: {found}. Put facts in their place that can be checked.",
    ),
    "all_capitals": (
        "全部是大写字母，难以阅读，也难以检索。请按通常的大小写书写。",
        "It is written in capitals, which is hard to read and to find: write it as usual.",
    ),
    "other_language": (
        "注明的语言是 {stated}，但正文看来是 {found}。请更正语言，或不填。",
        "The language is stated as {stated}, but the text reads as {found}: correct it or leave it out.",
    ),
    "contact_details": (
        "正文里有联系方式（{found}），而这条信息并非公开。请删去：介绍双方时会给出联系方式。",
        "The text holds contact details ({found}) though it is not public: leave them out, an introduction shows them.",
    ),
    "no_stage": (
        "没有注明技术成熟度（TRL）或阶段。需求方请写明可接受的最低成熟度。",
        "Neither a TRL nor a stage is given; for a need: the lowest that you accept.",
    ),
    "no_requirement": (
        "没有写对解决方案的要求。请写明指标，哪些必须满足。",
        "It does not say what a solution must do: give the requirements, and which of them are a must.",
    ),
    "no_advantages": (
        "没有写相对现有做法的优势。请与通常的做法比较。",
        "It does not say what is better than present practice: compare it with what is usual.",
    ),
    "no_modes": (
        "没有选择合作方式（许可、合作开发、技术服务等）。",
        "No way of working together is given (licence, joint development, technical service and others).",
    ),
    "no_country": (
        "没有国家或地区：无法判断是“走出去”还是“引进来”。",
        "There is no country: the direction of a pairing cannot be told.",
    ),
    "no_keywords": (
        "没有关键词。请写三到五个专业术语。",
        "There are no keywords: give three to five terms of the trade.",
    ),
}
