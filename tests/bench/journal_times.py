"""Latencies of a call from its journal and from what its caller's wire saw. Pure.

The wire's times are the loop's, the journal's are the wall's: `offset` is wall minus loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ivr.events import (
    AudioConnected,
    CallStarted,
    Fact,
    MoreAsked,
    TranscriptFinal,
    TranscriptPartial,
    TurnEnd,
    TurnEnded,
)


@dataclass(frozen=True, slots=True)
class FinalWords:
    """A turn that silence ended. `beyond_seconds`: from the caller's last sound to the final words, less the silence
    that she was given."""

    turn: int
    silence_seconds: float
    beyond_seconds: float


def final_words(facts: Sequence[Fact], spoke_until: float, offset: float) -> FinalWords | None:
    """Of the turn in which the caller spoke last; None when something else than silence ended it, or words are missing."""
    asked_more = {fact.turn for fact in facts if isinstance(fact, MoreAsked)}
    for ended in facts:
        if not isinstance(ended, TurnEnded) or not ended.text:
            continue
        if ended.ended_by is not TurnEnd.SILENCE or ended.silence_seconds is None or ended.turn in asked_more:
            return None
        finals = [fact for fact in facts if isinstance(fact, TranscriptFinal) and fact.turn == ended.turn]
        if not finals:
            return None
        after = finals[-1].at.timestamp() - (spoke_until + offset)
        if after < 0:  # the turn ended in a pause inside the speech
            return None
        return FinalWords(ended.turn, ended.silence_seconds, after - ended.silence_seconds)
    return None


def recording_began(facts: Sequence[Fact]) -> float | None:
    """The wall's time of the recording's second 0."""
    started = next((fact for fact in facts if isinstance(fact, CallStarted)), None)
    connected = next((fact for fact in facts if isinstance(fact, AudioConnected)), None)
    if started is None or connected is None or started.recording_started_at is None:
        return None
    return started.recording_started_at.timestamp()


def partial_ages(facts: Sequence[Fact]) -> list[float]:
    """How long after the end of its last word each partial transcript that brought a word was there.

    A partial's words are found in the turn's final words, which have times; one that was revised later is left out.
    """
    began = recording_began(facts)
    if began is None:
        return []
    ages: list[float] = []
    finals: dict[int, list[TranscriptFinal]] = {}
    for fact in facts:
        if isinstance(fact, TranscriptFinal):
            finals.setdefault(fact.turn, []).append(fact)
    longest: dict[int, int] = {}
    for fact in facts:
        if not isinstance(fact, TranscriptPartial) or len(fact.text) <= longest.get(fact.turn, 0):
            continue
        longest[fact.turn] = len(fact.text)
        length = 0
        for word in (word for final in finals.get(fact.turn, ()) for word in final.words):
            length += len(word.text)
            if length >= len(fact.text):
                said = "".join(w.text for final in finals[fact.turn] for w in final.words)
                if length == len(fact.text) and said.startswith(fact.text):
                    ages.append(fact.at.timestamp() - (began + word.end_seconds))
                break
    return ages
