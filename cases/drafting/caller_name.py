"""The caller's name: 我姓王, 我叫李建国, 免贵姓陈, 弓长张. The sound of a name does not tell its characters: never sure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from cases.drafting.evidence import Span, evidence_of, turns_asked
from cases.drafting.tables import contact_table
from cases.schema import Asks, Turn, Understood

_FULL = 0.7
_SURNAME = 0.75
_SPELLED = 0.85
_INTRODUCTIONS = re.compile(
    r"(?P<called>我叫|我的名字叫|名字叫|我名叫|我名字是|(?<=我姓.)叫)|(?P<surname>我姓|免贵姓|免贵|本人姓|^姓)|(?P<am>我是)"
)
_LONGEST_GIVEN = 2
# somebody was called over, not a name told (我叫安保过来, 我叫高空作业的人); 来反映 and 去年 go on behind a name
_CALLED_OVER = re.compile(r"来(?!反映|投诉|举报|咨询|电|自)|去(?!年)|的人")
_CALLED_OVER_CHARS = 6


@lru_cache(maxsize=1)
def _surname() -> re.Pattern[str]:
    table = contact_table()
    doubles = "|".join(map(re.escape, table.double_surnames))
    return re.compile(rf"(?:{doubles}|[{re.escape(table.surnames)}])")


@lru_cache(maxsize=1)
def _title() -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, contact_table().titles)))


def caller_name(turns: Sequence[Turn]) -> Understood[str]:
    """The fullest way in which the caller introduced themselves; empty when they did not."""
    best: tuple[float, int, str, Span] | None = None
    for number, turn in turns_asked(turns, Asks.CONTACT, Asks.NARRATION, Asks.PLACE):
        for value, start, end, confidence in _introductions(turn.text):
            rank = (len(value) + confidence, number)
            if best is None or rank > (len(best[2]) + best[0], best[1]):
                best = (confidence, number, value, Span(number, start, end))
    if best is None:
        return Understood[str]()
    confidence, _, value, span = best
    return Understood[str](value=value, confidence=confidence, evidence=evidence_of(turns, [span]))


def _introductions(text: str) -> list[tuple[str, int, int, float]]:
    found = []
    for match in _INTRODUCTIONS.finditer(text):
        at = match.end()
        described = _described(text, at)
        if described and not match["am"]:
            surname, end = described
            found.append((surname, match.start(), end, _SPELLED))
            continue
        surname_match = _surname().match(text, at)
        if not surname_match:
            continue
        surname, end = surname_match.group(), surname_match.end()
        title = _title().match(text, end)
        if title:
            found.append((surname + title.group(), match.start(), title.end(), _SURNAME))
        elif match["called"]:
            given = _given(text, end)
            if given and not _CALLED_OVER.search(text, end, end + _CALLED_OVER_CHARS):
                found.append((surname + given, match.start(), end + len(given), _FULL))
        elif match["surname"]:
            found.append((surname, match.start(), end, _SURNAME))
    return found


def _described(text: str, at: int) -> tuple[str, int] | None:
    """弓长张, also behind the surname itself (张弓长张)."""
    for words, surname in contact_table().described_surnames.items():
        for lead in ("", surname):
            if text.startswith(lead + words, at):
                return surname, at + len(lead) + len(words)
    return None


def _given(text: str, at: int) -> str:
    """One or two characters up to where the name must have ended."""
    ends = contact_table().name_ends
    length = 0
    while length < _LONGEST_GIVEN and at + length < len(text) and not text.startswith(ends, at + length):
        length += 1
    return text[at : at + length]
