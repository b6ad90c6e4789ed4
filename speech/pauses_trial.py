"""The end-of-speech decision on calls of which the true ends are known, in virtual time: false cut-offs and delay.

The detector and the endpointer are those of a call. The two figures pull against each other, so both are told along
the base silence: a curve, for one way of deciding beside another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from speech.audio import FRAME_BYTES, FRAME_MS
from speech.endpoint import Endpointer, EndReason, Patience, PerhapsEnded, SpeechEnded, SpeechResumed, SpeechStarted
from speech.vad import SpeechDetector

FRAME_SECONDS = FRAME_MS / 1000
MAX_SECONDS = 300.0
NO_INPUT_SECONDS = 60.0
QUESTION_SECONDS = 0.8


@dataclass(frozen=True, slots=True)
class TrialTurn:
    """One turn as the endpointer will meet it.

    `frames`: the detector's decisions, and how loud each frame is in dBFS. `partials`: (when it was known, the words so far), in order. `step` names the
    kind of question. `last_begins_seconds`: where the caller's last stretch of speech begins.
    """

    step: str
    frames: tuple[tuple[bool, float], ...]
    partials: tuple[tuple[float, str], ...]
    end_seconds: float
    last_begins_seconds: float
    pauses: tuple[float, ...]


TrialCall = tuple[TrialTurn, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one turn.

    cut: it was ended while the caller had more to say. delay_seconds: from the true end to the decision.
    answer_seconds: from the true end to the first sound of ours (a question for more, or the next thing said).
    asked_within: questions for more put into a pause. never: the sound was over before a decision (noise taken for
    speech, or no speech found); its delay is what was left of the sound.
    """

    step: str
    cut: bool
    delay_seconds: float | None
    answer_seconds: float | None
    asked_within: int = 0
    asked_after: int = 0
    never: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a curve. `factor`: what every step's base silence was multiplied with. Delays of turns not cut."""

    factor: float
    turns: int
    cut_share: float
    delay_median_seconds: float
    delay_mean_seconds: float
    delay_p95_seconds: float
    answer_median_seconds: float
    answer_mean_seconds: float
    asked_within_share: float
    asked_after_share: float
    never_share: float


MakePatience = Callable[[str], Patience | None]
"""The patience of a step, made anew for each turn; the caller's pace is carried by whoever makes it."""


def speech_frames(pcm: bytes, detector: SpeechDetector) -> tuple[tuple[bool, float], ...]:
    """The detector's decision on every whole frame, and the frame's level."""
    return tuple(
        (detector.is_speech(pcm[at : at + FRAME_BYTES]), round(detector.level_dbfs, 1))
        for at in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)
    )


def run_turn(turn: TrialTurn, base_seconds: float, patience: Patience | None) -> Outcome:
    """One turn to its end. The caller says nothing more after the true end, also when asked."""
    ear = Endpointer(
        end_silence_seconds=base_seconds,
        max_seconds=MAX_SECONDS,
        no_input_seconds=NO_INPUT_SECONDS,
        patience=patience,
    )
    ear.prompt_finished(0.0)
    partials = iter(turn.partials)
    coming = next(partials, None)
    text, before_question = "", 0
    question_until: float | None = None
    asked_within = asked_after = 0
    answered: float | None = None
    for number, (is_speech, level_dbfs) in enumerate(turn.frames):
        at = number * FRAME_SECONDS
        while coming is not None and coming[0] <= at:
            text = coming[1]
            coming = next(partials, None)
        ear.heard(text[before_question:])
        if question_until is not None and at >= question_until:
            ear.asked_for_more(at)
            question_until = None
        match ear.frame(at, is_speech, level_dbfs):
            case PerhapsEnded(at_seconds=now):
                question_until, before_question = now + QUESTION_SECONDS, len(text)
                if _has_more(turn, now):
                    asked_within += 1
                else:
                    asked_after += 1
                    answered = now
            case SpeechResumed():
                question_until = None
            case SpeechEnded() as ended if ended.reason is EndReason.SILENCE:
                if _has_more(turn, ended.at_seconds):
                    return Outcome(turn.step, True, None, None, asked_within, asked_after)
                delay = ended.at_seconds - turn.end_seconds
                answer = (answered if answered is not None else ended.at_seconds) - turn.end_seconds
                return Outcome(turn.step, False, delay, answer, asked_within, asked_after)
            case SpeechStarted() | SpeechEnded() | None:
                pass
    delay = len(turn.frames) * FRAME_SECONDS - turn.end_seconds
    answer = answered - turn.end_seconds if answered is not None else delay
    return Outcome(turn.step, False, delay, answer, asked_within, asked_after, never=True)


def _has_more(turn: TrialTurn, now: float) -> bool:
    """A decision within the last stretch is a cut as well, but for its faint last sounds."""
    return now < max(turn.last_begins_seconds, turn.end_seconds - 0.15)


def run_calls(
    calls: Iterable[TrialCall],
    bases: dict[str, float],
    factor: float,
    patience_of_caller: Callable[[], MakePatience] | None = None,
) -> list[Outcome]:
    """Every turn of every call, each call by a caller not known before. `bases`: the base silence by step."""
    outcomes = []
    for call in calls:
        make = patience_of_caller() if patience_of_caller is not None else None
        outcomes += [run_turn(turn, bases[turn.step] * factor, make(turn.step) if make else None) for turn in call]
    return outcomes


def point(outcomes: Sequence[Outcome], factor: float) -> Point:
    delays = [outcome.delay_seconds for outcome in outcomes if outcome.delay_seconds is not None]
    answers = [outcome.answer_seconds for outcome in outcomes if outcome.answer_seconds is not None]
    count = max(1, len(outcomes))

    def of(values: list[float], percent: float) -> float:
        return round(float(np.percentile(values, percent)), 3) if values else 0.0

    return Point(
        factor=factor,
        turns=len(outcomes),
        cut_share=round(sum(outcome.cut for outcome in outcomes) / count, 4),
        delay_median_seconds=of(delays, 50),
        delay_mean_seconds=round(float(np.mean(delays)), 3) if delays else 0.0,
        delay_p95_seconds=of(delays, 95),
        answer_median_seconds=of(answers, 50),
        answer_mean_seconds=round(float(np.mean(answers)), 3) if answers else 0.0,
        asked_within_share=round(sum(outcome.asked_within > 0 for outcome in outcomes) / count, 4),
        asked_after_share=round(sum(outcome.asked_after > 0 for outcome in outcomes) / count, 4),
        never_share=round(sum(outcome.never for outcome in outcomes) / count, 4),
    )


def _worth_choosing(curve: Sequence[Point], value: Callable[[Point], float]) -> list[Point]:
    """The points that no other one beats in both figures."""
    return [
        one
        for one in curve
        if not any(
            other.cut_share <= one.cut_share
            and value(other) <= value(one)
            and (other.cut_share, value(other)) != (one.cut_share, value(one))
            for other in curve
        )
    ]


def delay_at(curve: Sequence[Point], cut_share: float, value: Callable[[Point], float]) -> float | None:
    """The delay that a way of deciding has at this share of cut-offs, between its points; None outside of them."""
    ordered = sorted(_worth_choosing(curve, value), key=lambda p: p.cut_share)
    for one, other in pairwise(ordered):
        if one.cut_share <= cut_share <= other.cut_share:
            width = other.cut_share - one.cut_share
            share = (cut_share - one.cut_share) / width if width else 0.0
            return round(value(one) + share * (value(other) - value(one)), 3)
    return None


def cut_share_at(curve: Sequence[Point], delay_seconds: float, value: Callable[[Point], float]) -> float | None:
    """The share of cut-offs at this delay, between the curve's points; None outside of them."""
    ordered = sorted(_worth_choosing(curve, value), key=value)
    for one, other in pairwise(ordered):
        if value(one) <= delay_seconds <= value(other):
            width = value(other) - value(one)
            share = (delay_seconds - value(one)) / width if width else 0.0
            return round(one.cut_share + share * (other.cut_share - one.cut_share), 4)
    return None
