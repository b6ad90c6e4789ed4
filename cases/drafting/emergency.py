"""Emergencies and threats in what was said: heard during the call, so made for partial transcripts and high precision.

A phrase must be said as happening now: a fear (担心着火), a memory (去年着火), a rule (打人事件已经处理) is no emergency.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from cases.drafting.phrases import Found, PhraseIndex, exact_floor, long_by_sound_floor
from cases.drafting.pinyin import Heard, hear
from cases.drafting.table_models import EmergencyKind
from cases.drafting.tables import alerts_table, emergencies

_BEFORE_CHARS = 16
_AFTER_CHARS = 12
_NOW_AFTER_CHARS = 8

Kind = Literal["fire", "medical", "crime", "traffic"]


@dataclass(frozen=True, slots=True)
class Emergency:
    """`text[start_char:end_char]` says that it happens now; `number` is whom to ring."""

    kind: Kind
    number: Literal["119", "120", "110", "122"]
    start_char: int
    end_char: int


@dataclass(frozen=True, slots=True)
class Threat:
    """扬言: `text[start_char:end_char]` threatens harm."""

    start_char: int
    end_char: int


@lru_cache(maxsize=1)
def _emergency_index() -> PhraseIndex[EmergencyKind]:
    return PhraseIndex(
        ((phrase, kind) for kind in emergencies().kinds for phrase in kind.phrases), floor=long_by_sound_floor
    )


@lru_cache(maxsize=1)
def _not_now_indexes() -> tuple[PhraseIndex[None], PhraseIndex[None], PhraseIndex[None], PhraseIndex[None]]:
    table = emergencies().not_now
    before, after, now, inside = (
        PhraseIndex(((phrase, None) for phrase in phrases), floor=exact_floor)
        for phrases in (table.before, table.after, table.now, table.inside)
    )
    return before, after, now, inside


@lru_cache(maxsize=1)
def _threat_indexes() -> tuple[PhraseIndex[None], PhraseIndex[None]]:
    table = alerts_table().threat
    return (
        PhraseIndex(((phrase, None) for phrase in table.phrases), floor=_threat_floor),
        PhraseIndex(((phrase, None) for phrase in table.not_said_by_caller), floor=exact_floor),
    )


def _threat_floor(length: int) -> float:
    """The very characters up to three syllables (看了他 is no 砍了他), the same syllables and two of them from four on."""
    return 1.0 if length <= 3 else 0.85


def emergency_watch() -> tuple[str, ...]:
    """The phrases to watch in partial transcripts; each hit is to be judged by `hears_emergency`."""
    return tuple(dict.fromkeys(phrase for kind in emergencies().kinds for phrase in kind.phrases if "…" not in phrase))


def hears_emergency(text: str) -> Emergency | None:
    """The first emergency that the text tells as happening now, or None. Pure; also for partial transcripts."""
    heard = hear(text)
    found = _emergency_index().find(heard)
    if not found:
        return None
    before, after, now, inside = (index.find(heard) for index in _not_now_indexes())
    for one in found:
        if any(other.start <= one.start and one.end <= other.end for other in inside):
            continue
        if _happens_now(one, before, after, now):
            return Emergency(one.payload.kind, one.payload.number, one.start, one.end)
    return None


def _happens_now(
    one: Found[EmergencyKind], before: list[Found[None]], after: list[Found[None]], now: list[Found[None]]
) -> bool:
    """No fear, memory or rule near the phrase; a now-word nearer than a memory outweighs it."""
    doubts = [b.end for b in before if b.end <= one.start and one.start - b.end < _BEFORE_CHARS]
    if doubts and not any(n.start >= max(doubts) and n.end <= one.start for n in now):
        return False
    doubts_after = [a.start for a in after if a.start >= one.end and a.start - one.end < _AFTER_CHARS]
    if not doubts_after:
        return True
    return any(n.start >= one.end and n.end <= min(doubts_after) for n in now)


def hears_threat(text: str) -> Threat | None:
    """The first threat of harm that the caller says, or None. Pure."""
    heard: Heard = hear(text)
    index, others = _threat_indexes()
    found = index.find(heard)
    if not found:
        return None
    reported = others.find(heard)
    for one in found:
        if not any(r.end <= one.start and one.start - r.end < _AFTER_CHARS for r in reported):
            return Threat(one.start, one.end)
    return None
