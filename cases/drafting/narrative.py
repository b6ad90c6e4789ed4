"""What the caller told, as an operator would write it down: all narration, without the words that carry nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from cases.drafting.evidence import Span, evidence_of, heard_confidence, turns_asked
from cases.drafting.tables import speech_table
from cases.schema import Asks, Turn, Understood

_STUTTER = re.compile(r"(我|你|他|她|它|就|是|这|那|在|有|都|不){2,}")
_STUTTER_PAIR = re.compile(r"(这个|那个|就是|然后|我们|他们|因为|所以){2,}")
_KEPT = {"是不是": "\ue0f0", "有没有": "\ue0f1", "在不在": "\ue0f2", "天天": "\ue0f3"}
_MINIMUM_CHARS = 4


@lru_cache(maxsize=1)
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    table = speech_table()
    either = "|".join(map(re.escape, sorted(table.fillers, key=len, reverse=True)))
    opening = "|".join(map(re.escape, sorted((*table.opening_fillers, *table.fillers), key=len, reverse=True)))
    return re.compile(either), re.compile(rf"^(?:{opening}|[\s,，。、])+")


def cleaned(text: str) -> str:
    """The text without fillers, stutter and greetings; '' when nothing is left."""
    fillers, opening = _patterns()
    clean = fillers.sub("", text)
    clean = _STUTTER_PAIR.sub(r"\1", clean)
    for said, mark in _KEPT.items():
        clean = clean.replace(said, mark)
    clean = _STUTTER.sub(r"\1", clean)
    for said, mark in _KEPT.items():
        clean = clean.replace(mark, said)
    without_greeting = opening.sub("", clean)
    return (without_greeting or clean).strip()


def narrative(turns: Sequence[Turn]) -> Understood[str]:
    """All narration turns, cleaned and joined; the evidence is everything that was said in them."""
    told = [(number, turn, cleaned(turn.text)) for number, turn in turns_asked(turns, Asks.NARRATION)]
    told = [one for one in told if one[2]]
    value = "。".join(clean for _, _, clean in told)
    if not value:
        return Understood[str]()
    spans = [Span(number, 0, len(turn.text)) for number, turn, _ in told]
    confidence = heard_confidence(turns, spans) * (0.95 if len(value) >= _MINIMUM_CHARS else 0.4)
    return Understood[str](value=value, confidence=round(confidence, 2), evidence=evidence_of(turns, spans))
