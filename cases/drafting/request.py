"""诉求: what the caller wants done, in their own words (希望…, 要求…, 能不能…)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from cases.drafting.evidence import Span, evidence_of, turns_asked
from cases.drafting.narrative import cleaned
from cases.drafting.phrases import PhraseIndex, exact_floor, usual_floor
from cases.drafting.pinyin import hear
from cases.drafting.tables import speech_table
from cases.schema import Asks, Place, Turn, Understood

_LONGEST_CHARS = 60
_SHORTEST_CHARS = 4
_NEAR_CHARS = 25  # a second wish-word this near belongs to the same wish


@lru_cache(maxsize=1)
def _indexes() -> tuple[PhraseIndex[None], PhraseIndex[None]]:
    table = speech_table()
    return (
        PhraseIndex(((phrase, None) for phrase in table.requests), floor=usual_floor),
        PhraseIndex(((phrase, None) for phrase in table.request_ends), floor=exact_floor),
    )


def request(turns: Sequence[Turn], place: Understood[Place] | None = None) -> Understood[str]:
    """The last wish of each narration turn, from its first wish-word to where the thought ends.

    A place said at the very end of the turn is no part of the wish.
    """
    opens, ends = _indexes()
    spans: list[Span] = []
    said: list[str] = []
    strong = False
    for number, turn in turns_asked(turns, Asks.NARRATION):
        heard = hear(turn.text)
        found = opens.find(heard)
        if not found:
            continue
        start = _start_of_last_wish([one.start for one in found])
        stops = [one.start for one in ends.find(heard) if one.start >= start + _SHORTEST_CHARS]
        stops += _trailing_place(number, turn, place, start + _SHORTEST_CHARS)
        end = min([*stops, len(turn.text), start + _LONGEST_CHARS])
        value = cleaned(turn.text[start:end])
        if len(value) < _SHORTEST_CHARS:
            continue
        spans.append(Span(number, start, end))
        said.append(value)
        strong = strong or any(one.phrase in ("希望", "要求", "建议") for one in found if one.start >= start)
    if not said:
        return Understood[str]()
    confidence = 0.82 if strong and all(len(one) < _LONGEST_CHARS for one in said) else 0.6
    return Understood[str](value="；".join(said), confidence=confidence, evidence=evidence_of(turns, spans))


def _trailing_place(number: int, turn: Turn, place: Understood[Place] | None, least: int) -> list[int]:
    """Where the place begins that ends the turn."""
    edge = len(turn.text)
    for evidence in reversed(place.evidence if place else ()):
        if evidence.turn == number and edge - evidence.end_char <= 2 and evidence.start_char >= least:
            edge = evidence.start_char
    return [edge]


def _start_of_last_wish(starts: list[int]) -> int:
    """Walks back from the last wish-word over those that are near each other (希望尽快帮我们修好)."""
    start = starts[-1]
    for earlier in reversed(starts[:-1]):
        if start - earlier > _NEAR_CHARS:
            break
        start = earlier
    return start
