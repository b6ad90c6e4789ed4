"""Pure: written Mandarin as it is said. Figures become words, marks become pauses, letters get the names they have here.

What remains are Chinese characters and the pauses `、，；。`; everything else is left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

_DIGITS = "零一二三四五六七八九"
_TELEPHONE = "零幺二三四五六七八九"
_UNITS = ("", "十", "百", "千")
# Measure words before which 2 is 两, and which make a number a count.
_COUNTED = "个位次天年小时分钟点户家人件辆条层遍名块元周星期张只本台棵间套栋米吨斤公"
_LETTERS = dict(
    zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        [
            "诶",
            "必",
            "西",
            "弟",
            "衣",
            "艾弗",
            "记",
            "艾尺",
            "爱",
            "杰",
            "开",
            "艾勒",
            "艾木",
            "恩",
            "欧",
            "批",
            "科优",
            "阿",
            "艾斯",
            "踢",
            "优",
            "威",
            "达不溜",
            "艾克斯",
            "歪",
            "贼",
        ],
        strict=True,
    )
)
_PAUSES = str.maketrans(
    {"!": "。", "?": "。", ".": "。", "\n": "。", ";": "；", ":": "，", ",": "，", "…": "，", "—": "，"}
)
_SYMBOLS = {"℃": "度", "°C": "度", "°": "度", "㎡": "平方米", "m²": "平方米", "km": "公里", "kg": "公斤", "+": "加", "&": "和", "@": "艾特", "=": "等于"}  # fmt: skip


def count_in_words(digits: str) -> str:
    """'235' → 两百三十五, '10' → 十, '20005' → 两万零五; more than 16 digits are said one by one."""
    digits = digits.lstrip("0") or "0"
    if len(digits) > 16:
        return digits_in_words(digits)
    if digits == "0":
        return "零"
    words = _grouped(digits)
    words = words.removeprefix("一") if words.startswith("一十") else words
    return re.sub("(?<!十)二(?=[百千万亿])", "两", words)


def _grouped(digits: str) -> str:
    """By 亿, then 万, then within; a 零 where places are left out between what is said."""
    digits = digits.lstrip("0")
    for mark, places in (("亿", 8), ("万", 4)):
        if len(digits) > places:
            low = digits[-places:]
            gap = "零" if low[0] == "0" and low.strip("0") else ""
            return _grouped(digits[:-places]) + mark + gap + _grouped(low)
    words, gap = "", ""
    for place, digit in zip(range(len(digits) - 1, -1, -1), digits, strict=True):
        if digit == "0":
            gap = "零"
        else:
            words += gap + _DIGITS[int(digit)] + _UNITS[place]
            gap = ""
    return words


def digits_in_words(digits: str, *, telephone: bool = False) -> str:
    """One by one; on the telephone 1 is said 幺."""
    return "".join((_TELEPHONE if telephone else _DIGITS)[int(digit)] for digit in digits)


def spoken_form(text: str) -> str:
    """See the module. Pure and total: any text gives some result, which may be empty."""
    text = unicodedata.normalize("NFKC", text)
    for written, said in _SYMBOLS.items():
        text = text.replace(written, said)
    text = text.replace("〇", "零")
    for pattern, say in _RULES:
        text = pattern.sub(say, text)
    text = re.sub(
        r"[A-Za-z]+", lambda m: "".join(_LETTERS[letter.upper()] for letter in m[0] if letter.upper() in _LETTERS), text
    )
    text = re.sub(r"(?<=\d)[^\S\n]+(?=\d)", "，", text).translate(_PAUSES)
    text = re.sub("[^\u4e00-\u9fa5、，；。]+", "", text)
    text = re.sub("[、，；。]*。[、，；。]*", "。", text)
    return re.sub("([、，；])[、，；]+", r"\1", text).strip("、，；。")


def _number(written: str) -> str:
    whole, _, part = written.replace(",", "").partition(".")
    return count_in_words(whole) + (f"点{digits_in_words(part)}" if part else "")


def _clock(match: re.Match[str]) -> str:
    hour, minute = match[1], match[2]
    said = _two(count_in_words(hour)) + "点"
    if minute == "00":
        return said + "整"
    return said + ("零" if minute.startswith("0") else "") + count_in_words(minute) + "分"


def _two(words: str) -> str:
    return "两" if words == "二" else words


def _date(match: re.Match[str]) -> str:
    return f"{digits_in_words(match[1])}年{count_in_words(match[2])}月{count_in_words(match[3])}日"


def _telephone(match: re.Match[str]) -> str:
    groups = re.split(r"[- ]+", match[0].lstrip("+"))
    if len(groups) == 1 and len(groups[0]) == 11:
        groups = [groups[0][:3], groups[0][3:7], groups[0][7:]]
    return "，".join(digits_in_words(group, telephone=True) for group in groups)


# In this order: the first rule that takes a figure has it.
_RULES: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
    (re.compile(r"(?<!\d)((?:19|20)\d\d)[-/年](\d{1,2})[-/月](\d{1,2})(?:[日号]|(?!\d))"), _date),
    (
        re.compile(r"(?<!\d)(\d{2,4})(?=年(?!级|内|以|前|后|来|多|纪))"),
        lambda m: digits_in_words(m[1]) if len(m[1]) != 3 else _number(m[1]),
    ),
    (re.compile(r"(?<!\d)([01]?\d|2[0-4]):([0-5]\d)(?::[0-5]\d)?(?!\d)"), _clock),
    # telephones: mobiles, with area code, service numbers, the emergency ones
    (re.compile(r"(?<!\d)(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)"), _telephone),
    (re.compile(r"(?<!\d)0\d{2,3}[- ]?\d{7,8}(?!\d)"), _telephone),
    (
        re.compile(
            r"(?<!\d)(?:400[- ]?\d{3,4}[- ]?\d{3,4}|12345|123\d{2}|9[56]\d{3}|11[0-9]|12[0-2])(?![\d.])(?![个位次天年元块米%])"
        ),
        _telephone,
    ),
    (re.compile(r"(\d+(?:\.\d+)?)%"), lambda m: "百分之" + _number(m[1])),
    (re.compile(r"(?<![\d/])(\d{1,4})/(\d{1,4})(?![\d/])"), lambda m: f"{_number(m[2])}分之{_number(m[1])}"),
    (re.compile(r"(?<=[\d年月日号点时度元块米%])\s*[-~－～]\s*(?=\d)"), lambda m: "到"),
    (re.compile(r"(?<![\d.A-Za-z])-(\d+(?:\.\d+)?)(?=度)"), lambda m: "零下" + _number(m[1])),
    (re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?"), lambda m: _number(m[0])),
    # rooms and numbers of four or more figures that count nothing: one by one
    (
        re.compile(r"(?<![\d.])(\d{3,4})(?=室|房间|号房|号线|路(?!口))"),
        lambda m: digits_in_words(m[1], telephone=True),
    ),
    (
        re.compile(rf"(?<![\d.])(0\d+|\d{{5,}})(?![\d.])(?![{_COUNTED}多余平])"),
        lambda m: digits_in_words(m[1], telephone=True),
    ),
    (re.compile(rf"(?<![\d.])2(?=[{_COUNTED}])(?!年级|月)"), lambda m: "两"),
    (re.compile(r"\d+(?:\.\d+)?"), lambda m: _number(m[0])),
]
