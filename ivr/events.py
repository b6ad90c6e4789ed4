"""The facts of a call, in the past tense. The journal is these, one JSON line each, on disk before they are acted on.

Every fact has `call_id` and `at` (timezone-aware). Recording seconds count from the recording's first sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cases.schema import AlertKind, Asks, Ended, Word


class TurnEnd(StrEnum):
    """Why a listening turn ended."""

    SILENCE = "silence"  # trailing silence after speech
    NO_INPUT = "no_input"  # nothing was said or pressed in time
    TERMINATOR = "terminator"  # the terminator digit (#)
    KEY = "key"  # a digit that the step acts on at once, or enough digits
    MAXIMUM = "maximum"  # the step's longest time
    KEYWORD = "keyword"  # a watched phrase was heard (emergency, 人工)
    HANG_UP = "hang_up"
    FAILED = "failed"  # the recogniser failed; digits still count


class Hearing(StrEnum):
    """Why a call's recording is recognised after the call."""

    LATE = "late"  # not all of it was recognised while it went on
    SECOND = "second"  # again, by a wider search or a larger model


@dataclass(frozen=True, slots=True)
class Fact:
    call_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class CallStarted(Fact):
    """`recording_started_at`: when Asterisk began recording.wav; None if unknown.

    `line_call_id`: the line's own name of the call (SIP Call-ID), for those who look for it from that side.
    """

    caller_number: str | None
    called_number: str
    reference: str
    recording_started_at: datetime | None
    channel_name: str = ""
    line_call_id: str = ""


@dataclass(frozen=True, slots=True)
class AudioConnected(Fact):
    """The caller's sound arrives. `recording_offset_seconds`: where second 0 of heard.wav lies in recording.wav."""

    recording_offset_seconds: float


@dataclass(frozen=True, slots=True)
class HearingPostponed(Fact):
    """The recogniser has no room for this call: it is asked and recorded, and transcribed when there is room.

    `calls`: how many it hears already.
    """

    calls: int


@dataclass(frozen=True, slots=True)
class PromptSaid(Fact):
    """A prompt began to play. `turn`: index of the turn it belongs to."""

    turn: int
    step: str
    asks: Asks
    text: str


@dataclass(frozen=True, slots=True)
class PromptStopped(Fact):
    """Barge-in: the caller spoke or pressed while the prompt played. `after_ms` from the cause to silence."""

    turn: int
    cause: str  # speech | key
    after_ms: float


@dataclass(frozen=True, slots=True)
class KeyPressed(Fact):
    turn: int
    digit: str


@dataclass(frozen=True, slots=True)
class TranscriptPartial(Fact):
    """Best words so far of a turn; replaced by the next. Seconds in recording time when words have them."""

    turn: int
    text: str
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class TranscriptFinal(Fact):
    """One utterance's final words, appended to the turn."""

    turn: int
    text: str
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class MoreAsked(Fact):
    """The caller fell silent but may not have finished, and is asked `text` while listening goes on.

    `silence_seconds`: the silence after which.
    """

    turn: int
    text: str
    silence_seconds: float


@dataclass(frozen=True, slots=True)
class NothingMoreSaid(Fact):
    """The answer to MoreAsked when it was only that there is nothing to add: the turn's text does not hold it.

    `from_seconds`: where in the recording it begins.
    """

    turn: int
    text: str
    from_seconds: float


@dataclass(frozen=True, slots=True)
class TurnEnded(Fact):
    """A turn is over; what it heard in all (all utterances) and pressed, and the menu's answer it was taken for.

    `silence_seconds`: the silence that the caller was given at the end; None when something else ended the turn.
    """

    turn: int
    step: str
    asks: Asks
    prompt: str
    text: str
    words: tuple[Word, ...]
    digits: str
    ended_by: TurnEnd
    heard_from_seconds: float | None
    heard_to_seconds: float | None
    answer: str = ""
    late: bool = False  # the recogniser did not hear all of it: words are missing
    silence_seconds: float | None = None
    pending: bool = False  # something was said and nothing of it recognised yet


@dataclass(frozen=True, slots=True)
class AlertRaised(Fact):
    kind: AlertKind
    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class CallerHungUp(Fact):
    step: str


@dataclass(frozen=True, slots=True)
class CallFailed(Fact):
    """Something on our side failed; the caller is put through to a human."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class CallEnded(Fact):
    """The machine's part is over."""

    ended: Ended
    step: str


@dataclass(frozen=True, slots=True)
class HearingBegun(Fact):
    """A hearing after the call begins. One that has begun often and never ended is given up: it kills who does it."""

    hearing: Hearing


@dataclass(frozen=True, slots=True)
class HearingPutOff(Fact):
    """The hearing that had begun was ended by our own orderly stop: the recording is not to blame."""

    hearing: Hearing


@dataclass(frozen=True, slots=True)
class TurnHeardAgain(Fact):
    """The words of a turn, recognised from the recording after the call. They count once CallHeardAgain is there.

    `answer`: the menu's answer that they are, for a turn whose answer was not known.
    """

    turn: int
    text: str
    words: tuple[Word, ...] = ()
    answer: str = ""


@dataclass(frozen=True, slots=True)
class CallHeardAgain(Fact):
    """A hearing after the call is over; the TurnHeardAgain since the one before are what it brought.

    `revision`: of the draft from here on; as before when no word changed. `error`: why it brought nothing.
    """

    hearing: Hearing
    model: str
    revision: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class DraftReady(Fact):
    """draft.json is on disk beside the journal."""

    draft_id: str
    revision: int = 0


@dataclass(frozen=True, slots=True)
class DraftDelivered(Fact):
    draft_id: str
    created: bool
    revision: int = 0


@dataclass(frozen=True, slots=True)
class RecordingDelivered(Fact):
    """The whole recording is with the backend; nothing of this call is left to do."""

    sha256: str
    seconds: float
