"""Where in the call something was said: characters of a turn, and seconds of the recording through its words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cases.schema import Asks, Evidence, Turn


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """`turns[turn].text[start:end]`; an empty span at 0 stands for the turn's pressed digits."""

    turn: int
    start: int
    end: int


def turns_asked(turns: Sequence[Turn], *asked: Asks) -> list[tuple[int, Turn]]:
    """The turns (with their index) that answered one of these questions and in which something was said."""
    return [(number, turn) for number, turn in enumerate(turns) if turn.asks in asked and turn.text]


def evidence_of(turns: Sequence[Turn], spans: Iterable[Span]) -> tuple[Evidence, ...]:
    """The spans as evidence, in order, overlapping and touching ones joined, with the seconds of their words."""
    joined: list[Span] = []
    for span in sorted(set(spans)):
        last = joined[-1] if joined else None
        if last and last.turn == span.turn and span.start <= last.end:
            joined[-1] = Span(last.turn, last.start, max(last.end, span.end))
        else:
            joined.append(span)
    return tuple(_with_seconds(turns, span) for span in joined)


def _with_seconds(turns: Sequence[Turn], span: Span) -> Evidence:
    turn = turns[span.turn]
    start_seconds = end_seconds = None
    if span.end > span.start:
        touched = [
            word
            for word, (start, end) in zip(turn.words, _word_chars(turn), strict=True)
            if start < span.end and span.start < end
        ]
        if touched:
            start_seconds, end_seconds = touched[0].start_seconds, touched[-1].end_seconds
    return Evidence(
        turn=span.turn,
        start_char=span.start,
        end_char=span.end,
        start_seconds=start_seconds,
        end_seconds=end_seconds,
    )


def _word_chars(turn: Turn) -> tuple[tuple[int, int], ...]:
    """Character offsets of each word of the turn."""
    chars = []
    at = 0
    for word in turn.words:
        chars.append((at, at + len(word.text)))
        at += len(word.text)
    return tuple(chars)


def heard_confidence(turns: Sequence[Turn], spans: Iterable[Span]) -> float:
    """The mean confidence (0-1) of the words under the spans; 1 where words carry no confidence (typed text)."""
    values = []
    for span in spans:
        turn = turns[span.turn]
        for word, (start, end) in zip(turn.words, _word_chars(turn), strict=True):
            if start < span.end and span.start < end:
                values.append(word.confidence)
    return sum(values) / len(values) if values else 1.0
