"""Pure: what of a call's recording is to be recognised after the call, and what that changes. By the journal alone,
so that whatever dies in between, the next start does what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cases.schema import Asks, Turn, Word
from ivr.events import (
    AudioConnected,
    CallHeardAgain,
    CallStarted,
    Fact,
    Hearing,
    HearingPostponed,
    NothingMoreSaid,
    PromptSaid,
    TurnEnded,
    TurnHeardAgain,
)
from ivr.journal import recording_offset_seconds, revision_of, turns_by_index
from ivr.surer import is_surer
from speech.recognizer import SpokenWord

# A reply to 还有吗 that was left out of the story stays out, though another search puts its beginning elsewhere.
_REPLY_SECONDS = 0.3
# A turn whose end is not known may be this short at the least.
_SHORTEST_SECONDS = 0.3
# Answers to be matched with a few phrases are not heard better by a model that knows more words.
_TOLD = frozenset({Asks.NARRATION, Asks.PLACE, Asks.CONTACT})


@dataclass(frozen=True, slots=True)
class Span:
    """The part of heard.wav in which a turn listened. `to_seconds` None: to its end.

    `offset_seconds`: where second 0 of heard.wav lies in the recording.
    """

    turn: int
    from_seconds: float
    to_seconds: float | None
    offset_seconds: float


AnswerOf = Callable[[TurnEnded], str]


def hearing_due(facts: Sequence[Fact], *, second_pass: bool) -> Hearing | None:
    """What is to be done next for a call that is over: first what it lacks, then the second pass."""
    done = {fact.hearing for fact in facts if isinstance(fact, CallHeardAgain)}
    if Hearing.LATE not in done and spans_of(facts, Hearing.LATE):
        return Hearing.LATE
    if second_pass and Hearing.SECOND not in done and spans_of(facts, Hearing.SECOND):
        return Hearing.SECOND
    return None


def spans_of(facts: Sequence[Fact], hearing: Hearing) -> tuple[Span, ...]:
    """The turns to hear, in their order."""
    connected = next((fact for fact in facts if isinstance(fact, AudioConnected)), None)
    if connected is None:
        return ()
    offset_seconds = recording_offset_seconds(facts)
    ended = {fact.turn: fact for fact in facts if isinstance(fact, TurnEnded)}
    asked_at = {fact.turn: fact.at for fact in facts if isinstance(fact, PromptSaid)}
    unheard = any(isinstance(fact, HearingPostponed) for fact in facts)
    found = []
    for index, turn in turns_by_index(facts).items():
        if not _wanted(turn, hearing, unheard=unheard):
            continue
        over = ended.get(index)
        if over is not None:
            from_seconds, to_seconds = over.heard_from_seconds, over.heard_to_seconds
            if from_seconds is None:  # a message: the words are another file's
                continue
            from_seconds -= offset_seconds
            to_seconds = None if to_seconds is None else to_seconds - offset_seconds
        else:
            from_seconds, to_seconds = _since(connected.at, asked_at.get(index)), None
        found.append(Span(index, max(0.0, from_seconds), to_seconds, offset_seconds))
    return tuple(found)


def _wanted(turn: Turn, hearing: Hearing, *, unheard: bool) -> bool:
    if turn.asks is Asks.NOTHING:
        return False
    if hearing is Hearing.LATE:
        return turn.pending or not turn.final
    return turn.asks in _TOLD and bool(turn.text or turn.pending or unheard)


def _since(connected_at: datetime, asked_at: datetime | None) -> float:
    return (asked_at - connected_at).total_seconds() if asked_at is not None else 0.0


def part_of(pcm: bytes, span: Span, *, bytes_per_second: int) -> bytes:
    """The span's sound, whole samples; empty when heard.wav does not reach so far."""
    start = 2 * round(span.from_seconds * bytes_per_second / 2)
    end = len(pcm) if span.to_seconds is None else 2 * round(span.to_seconds * bytes_per_second / 2)
    part = pcm[start : max(start, end)]
    return part if len(part) >= _SHORTEST_SECONDS * bytes_per_second else b""


def facts_of_hearing(
    facts: Sequence[Fact],
    hearing: Hearing,
    heard: Mapping[int, tuple[str, tuple[Word, ...]]],
    *,
    at: datetime,
    model: str,
    answer_of: AnswerOf,
) -> tuple[Fact, ...]:
    """What to write down: the turns whose words are others than before, and that the hearing is over.

    `heard`: by turn, words in recording time.
    """
    call_id = next(fact.call_id for fact in facts if isinstance(fact, CallStarted))
    before = turns_by_index(facts)
    ended = {fact.turn: fact for fact in facts if isinstance(fact, TurnEnded)}
    replies = {fact.turn: fact.from_seconds for fact in facts if isinstance(fact, NothingMoreSaid)}
    changed: list[Fact] = []
    for index, found in heard.items():
        turn = before[index]
        text, words = _without_reply(found, replies.get(index))
        if not _is_news(turn, text, words, hearing):
            continue
        over = ended.get(index)
        answer = answer_of(replace(over, text=text, words=words)) if over is not None and not over.answer else ""
        changed.append(TurnHeardAgain(call_id, at, index, text, words, answer if turn.pending else ""))
    revision = revision_of(facts) + bool(changed)
    return (*changed, CallHeardAgain(call_id, at, hearing, model, revision))


def _is_news(turn: Turn, text: str, words: tuple[Word, ...], hearing: Hearing) -> bool:
    """Whether the desk is to know. What was heard to its end live is only replaced by what is surer."""
    if turn.pending:
        return True
    if hearing is Hearing.SECOND:
        return is_surer(turn.text, turn.words, text, words)
    # Live, words were lost: the whole is better, unless it is nothing.
    return bool(text) or not turn.text


def hearing_failed(facts: Sequence[Fact], hearing: Hearing, *, at: datetime, model: str, error: str) -> CallHeardAgain:
    """The end of a hearing that brings nothing. Turns that waited for their words do so no longer."""
    call_id = next(fact.call_id for fact in facts if isinstance(fact, CallStarted))
    waited = hearing is Hearing.LATE and any(turn.pending for turn in turns_by_index(facts).values())
    return CallHeardAgain(call_id, at, hearing, model, revision_of(facts) + waited, error[:500])


def _without_reply(
    found: tuple[str, tuple[Word, ...]], reply_from_seconds: float | None
) -> tuple[str, tuple[Word, ...]]:
    text, words = found
    if reply_from_seconds is None or not words:
        return text, words
    kept = tuple(word for word in words if word.start_seconds < reply_from_seconds - _REPLY_SECONDS)
    return "".join(word.text for word in kept), kept


def words_in_recording(words: Iterable[SpokenWord], span: Span) -> tuple[Word, ...]:
    """Words of a span's sound, with times of the recording."""
    begin = span.from_seconds + span.offset_seconds
    return tuple(
        Word(
            text=word.text,
            start_seconds=round(max(0.0, begin + word.start_seconds), 3),
            end_seconds=round(max(0.0, begin + word.end_seconds), 3),
            confidence=min(1.0, max(0.0, word.confidence)),
            heard=word.heard,
        )
        for word in words
    )
