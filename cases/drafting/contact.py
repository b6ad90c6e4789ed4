"""Whom to ring back and whether the caller wants to stay unknown."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cases.drafting.evidence import Span, evidence_of, heard_confidence
from cases.drafting.numerals import DIGIT_OF
from cases.drafting.phrases import PhraseIndex, exact_floor, usual_floor
from cases.drafting.pinyin import hear
from cases.drafting.tables import contact_table
from cases.schema import Alternative, Asks, Turn, Understood

_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_LANDLINE = re.compile(r"0(?:10|2[0-9]|[3-9][0-9]{2})[2-8][0-9]{6,7}|[2-8][0-9]{7}")
_SERVICE = re.compile(r"400[0-9]{7}")
_PLAUSIBLE_DIGITS = range(7, 14)
_BETWEEN_PARTS_CHARS = 4
_NEAR_CHARS = 14
_SYLLABLE_DIGITS = {
    "ling": "0", "yao": "1", "yi": "1", "er": "2", "liang": "2", "san": "3", "si": "4", "wu": "5", "liu": "6", "qi": "7", "ba": "8", "jiu": "9",
}  # fmt: skip
_RUN = re.compile(r"D(?:[DSF]*D)?")
# names of the menu's answers (prompts/menu.toml)
_SAME, _CONFIDENTIAL = "same", "confidential"
_WRONG = re.compile(r"不对|错了|说错|重新说|重说|应该是")
_DOUBTED = 0.4  # taken back, or perhaps somebody else's: it is asked
_VALID_PRESSED = 0.98
# own_number words that do not say whose number it is, and who else stands before them
_OWNERLESS = ("联系电话", "电话是", "手机是", "号码是", "手机号", "电话号码", "座机")
_OTHER_OWNER = re.compile(r"(?<![我咱们])的$|[他她]|邻居|经理|老板|物业|房东|店|公司")
_OWNER_CHARS = 8


@dataclass(frozen=True, slots=True)
class _Digits:
    digits: str
    start: int
    end: int


@lru_cache(maxsize=1)
def _fillers() -> re.Pattern[str]:
    return re.compile(
        r"[\s,，。、-]|" + "|".join(map(re.escape, sorted(contact_table().number_fillers, key=len, reverse=True)))
    )


@lru_cache(maxsize=1)
def _indexes() -> dict[str, PhraseIndex[None]]:
    table = contact_table()
    return {
        name: PhraseIndex(((phrase, None) for phrase in getattr(table, name)), floor=floor)
        for name, floor in (
            ("this_number", usual_floor),
            ("confidential", usual_floor),
            ("not_confidential", usual_floor),
            ("own_number", exact_floor),
            ("other_number", exact_floor),
        )
    }


def callback_number(turns: Sequence[Turn], caller_number: str | None) -> Understood[str]:
    """The number to ring back: pressed, said, or "this one" (`caller_number`). Digits only, as dialled in China."""
    candidates: list[tuple[float, str, Span]] = []
    corrected: list[tuple[float, str, Span]] = []
    for number, turn in enumerate(turns):
        if turn.asks is Asks.CONTACT:
            candidates += _answered(number, turn, caller_number)
            candidates += _pressed(number, turn)
            candidates += _said(turns, number, turn)
            valid = [one for one in candidates if one[2].turn == number and _kind_confidence(one[1])]
            corrected = [one for one in valid if one[0] != _DOUBTED] or corrected
            candidates += _this_one(number, turn, caller_number, contact=True)
        elif turn.asks is Asks.NARRATION:
            candidates += _told(turns, number, turn)
            candidates += _this_one(number, turn, caller_number, contact=False)
    if not candidates:
        return Understood[str]()
    # the last valid number of the last answer that gave one, however well it was heard; otherwise the surest, the later
    last = corrected[-1] if corrected else None
    order = sorted(range(len(candidates)), key=lambda i: (candidates[i] is not last, -candidates[i][0], -i))
    confidence, value, span = candidates[order[0]]
    others = dict.fromkeys(candidates[i][1] for i in order[1:] if candidates[i][1] != value)
    return Understood[str](
        value=value,
        confidence=round(confidence, 2),
        evidence=evidence_of(turns, [span]),
        alternatives=tuple(Alternative[str](value=other, confidence=0.2) for other in list(others)[:3]),
    )


def _answered(number: int, turn: Turn, caller_number: str | None) -> list[tuple[float, str, Span]]:
    """The menu took the turn for "this number" (a key, or a word like 可以)."""
    digits = re.sub(r"[^0-9]", "", caller_number or "")
    if turn.answer != _SAME or not digits:
        return []
    return [(0.95, digits, Span(number, 0, 0 if turn.digits else len(turn.text)))]


def _pressed(number: int, turn: Turn) -> list[tuple[float, str, Span]]:
    digits = re.sub(r"[^0-9]", "", turn.digits)
    if len(digits) not in _PLAUSIBLE_DIGITS:
        return []
    valid = _MOBILE.fullmatch(digits) or _LANDLINE.fullmatch(digits)
    return [(_VALID_PRESSED if valid else 0.5, digits, Span(number, 0, 0))]


def _said(turns: Sequence[Turn], number: int, turn: Turn) -> list[tuple[float, str, Span]]:
    """Digits said in answer to the question: a valid number is nearly sure, another length is to be checked."""
    found = []
    runs = _joined(turn.text, _runs(turn.text, by_sound=True))
    for run in runs:
        span = Span(number, run.start, run.end)
        kind = _kind_confidence(run.digits)
        behind = min((other.start for other in runs if other.start >= run.end), default=len(turn.text))
        if kind and _WRONG.search(turn.text[run.end : behind]):
            found.append((_DOUBTED, run.digits, span))
        elif kind:
            found.append((kind * heard_confidence(turns, [span]), run.digits, span))
        elif len(run.digits) in _PLAUSIBLE_DIGITS:
            found.append((0.4, run.digits, span))
    return found


def _told(turns: Sequence[Turn], number: int, turn: Turn) -> list[tuple[float, str, Span]]:
    """A number within the narration may be somebody else's: it counts beside words like 我的电话."""
    own = _indexes()["own_number"].find(hear(turn.text))
    other = _indexes()["other_number"].find(hear(turn.text))
    found = []
    for run in _runs(turn.text, by_sound=False):
        kind = _kind_confidence(run.digits)
        if not kind:
            continue
        span = Span(number, run.start, run.end)
        if any(0 <= run.start - o.end <= _NEAR_CHARS for o in other):
            continue
        near = [o for o in own if 0 <= run.start - o.end <= _NEAR_CHARS or 0 <= o.start - run.end <= _NEAR_CHARS]
        if near and not any(_is_callers(o.phrase, turn.text[max(0, o.start - _OWNER_CHARS) : o.start]) for o in near):
            found.append((_DOUBTED, run.digits, span))
        elif near:
            found.append((kind * 0.95 * heard_confidence(turns, [span]), run.digits, span))
        elif _MOBILE.fullmatch(run.digits):
            found.append((0.5, run.digits, span))
    return found


def _is_callers(phrase: str, before: str) -> bool:
    """我的电话 is; 电话是 is when nobody else's name stands before it (物业经理的电话是)."""
    return phrase not in _OWNERLESS or not _OTHER_OWNER.search(before)


def _kind_confidence(digits: str) -> float:
    if _MOBILE.fullmatch(digits):
        return 0.93
    if _SERVICE.fullmatch(digits):
        return 0.0
    return 0.85 if _LANDLINE.fullmatch(digits) else 0.0


def _runs(text: str, *, by_sound: bool) -> list[_Digits]:
    """Stretches of said digits, fillers between them allowed. By sound a digit counts only among written ones."""
    marks = ["X"] * len(text)
    for match in _fillers().finditer(text):
        marks[match.start() : match.end()] = "F" * len(match.group())
    syllables = hear(text).syllables
    values = [""] * len(text)
    for at, char in enumerate(text):
        if char in DIGIT_OF:
            marks[at], values[at] = "D", DIGIT_OF[char]
        elif by_sound and marks[at] == "X" and syllables[at] in _SYLLABLE_DIGITS:
            marks[at], values[at] = "S", _SYLLABLE_DIGITS[syllables[at]]
    runs = []
    for match in _RUN.finditer("".join(marks)):
        start, end = match.span()
        start, end = _completed(start, end, marks, values)
        digits = "".join(values[start:end])
        if len(digits) >= 3:
            runs.append(_Digits(_national(digits), start, end))
    return runs


def _completed(start: int, end: int, marks: list[str], values: list[str]) -> tuple[int, int]:
    """With digits written as other characters at its ends (腰三八…), when only they make it a number (…零零要保密)."""
    before = start - 1 if start > 0 and marks[start - 1] == "S" else start
    after = end + 1 if end < len(marks) and marks[end] == "S" else end
    for first, last in ((start, end), (before, end), (start, after), (before, after)):
        if _kind_confidence(_national("".join(values[first:last]))):
            return first, last
    return start, end


def _national(digits: str) -> str:
    """Without the country code (86, 0086)."""
    bare = digits.removeprefix("00").removeprefix("86")
    return bare if len(digits) > 11 and _MOBILE.fullmatch(bare) else digits


def _joined(text: str, runs: list[_Digits]) -> list[_Digits]:
    """Runs, and neighbours joined over a hesitation when together they make a number; after 不对 anew."""
    found: list[_Digits] = []
    for first, second in itertools.pairwise(runs):
        between = text[first.end : second.start]
        if len(between) <= _BETWEEN_PARTS_CHARS and not _WRONG.search(between):
            joined = _Digits(first.digits + second.digits, first.start, second.end)
            if _kind_confidence(joined.digits):
                found.append(joined)
    alone = [run for run in runs if not any(j.start <= run.start and run.end <= j.end for j in found)]
    return sorted([*alone, *found], key=lambda run: run.start)


def _this_one(number: int, turn: Turn, caller_number: str | None, *, contact: bool) -> list[tuple[float, str, Span]]:
    """就用这个号: the number of the line. In the narration only when it cannot be about another phone."""
    digits = re.sub(r"[^0-9]", "", caller_number or "")
    if not digits:
        return []
    table = contact_table()
    if contact and turn.digits in table.keys_this_number:
        return [(0.95, digits, Span(number, 0, 0))]
    if contact and turn.text and turn.text in table.yes:
        return [(0.9, digits, Span(number, 0, len(turn.text)))]
    for found in _indexes()["this_number"].find(hear(turn.text)):
        if turn.text[: found.start].endswith(table.refusals):
            continue
        if not contact and not found.phrase.startswith(("就", "打这个", "用这个", "本机")):
            continue
        return [(0.9 if contact else 0.7, digits, Span(number, found.start, found.end))]
    return []


def confidential(turns: Sequence[Turn]) -> Understood[bool]:
    """Whether the caller wants name and number kept from everyone downstream; the last word counts."""
    result = Understood[bool]()
    for number, turn in enumerate(turns):
        keyed = turn.digits in contact_table().keys_confidential
        if turn.asks is Asks.CONTACT and (keyed or turn.answer == _CONFIDENTIAL):
            span = Span(number, 0, 0 if turn.digits else len(turn.text))
            result = Understood[bool](value=True, confidence=0.95, evidence=evidence_of(turns, [span]))
            continue
        if turn.asks not in (Asks.NARRATION, Asks.PLACE, Asks.CONTACT) or not turn.text:
            continue
        heard = hear(turn.text)
        denied = _indexes()["not_confidential"].find(heard)
        wanted = [
            one
            for one in _indexes()["confidential"].find(heard)
            if not any(d.start <= one.start and one.end <= d.end for d in denied)
        ]
        said = [(one, True) for one in wanted] + [(one, False) for one in denied]
        if not said:
            continue
        last, value = max(said, key=lambda pair: pair[0].start)
        sure = 0.92 if turn.asks is Asks.CONTACT else 0.82
        if not last.exact:
            sure -= 0.2
        result = Understood[bool](
            value=value,
            confidence=round(sure, 2),
            evidence=evidence_of(turns, [Span(number, last.start, last.end)]),
        )
    return result
