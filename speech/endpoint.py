"""Pure: when did a caller begin to speak, when was the turn over? Time comes in as an argument.

Frames may pause (Asterisk sends none while a key is pressed), so every limit runs on the clock: besides each frame
the owner calls `tick` a few times a second.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from speech.caller_pace import CallerPace
from speech.end_words import EndWords, Wording

# A single frame that the detector takes for speech in a pause is a breath or the line's noise.
RESUME_FRAMES = 3
RESUME_WINDOW_SECONDS = 0.12
# The caller's voice is seldom this much fainter than its loud frames, and has a loud one every so often.
NEAR_BELOW_DB = 14.0
LOUD_BELOW_DB = 7.0
FAINT_SECONDS = 0.4
KNOWN_VOICE_FRAMES = 12
# Frames stood still (a key was pressed): what lies between them is no pause of the caller's.
HOLE_SECONDS = 0.1


class EndReason(StrEnum):
    SILENCE = "silence"  # long enough silence after speech
    NO_INPUT = "no_input"  # nothing was said in time after the prompt
    MAXIMUM = "maximum"  # the turn's longest time


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """`at_seconds`: the first frame of the speech, before the moment of the decision."""

    at_seconds: float


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The turn is over. `spoke_until_seconds`: the end of the last frame of speech, None if there was none.

    `silence_seconds`: the silence the caller was given, None when that is not what ended the turn.
    """

    at_seconds: float
    reason: EndReason
    spoke_until_seconds: float | None
    silence_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class PerhapsEnded:
    """Long enough silence, but this caller may well go on: ask whether there is more, and go on listening.

    Nothing ends the turn now until `asked_for_more` says that the question was heard, or the caller speaks on.
    """

    at_seconds: float
    spoke_until_seconds: float
    silence_seconds: float


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    """The caller spoke on after `PerhapsEnded`, long enough to stop the question."""

    at_seconds: float


EndpointEvent = SpeechStarted | SpeechEnded | PerhapsEnded | SpeechResumed


@dataclass(slots=True)
class CallerVoice:
    """How loud a caller's speech is, followed over a turn: a level that one frame of speech in five is above.

    Somebody else in the room, a breath or the line's noise is fainter all the time, the caller only for a moment.
    """

    level_dbfs: float = 0.0
    frames: int = 0
    loud_at_seconds: float = float("-inf")

    def heard(self, at_seconds: float, level_dbfs: float) -> bool:
        """A frame that the detector takes for speech: learn from it, and say whether it is the caller's.

        Everybody is the caller, while the voice is not yet known.
        """
        if level_dbfs >= self.level_dbfs - LOUD_BELOW_DB:
            self.loud_at_seconds = at_seconds
        near = level_dbfs >= self.level_dbfs - NEAR_BELOW_DB and at_seconds - self.loud_at_seconds <= FAINT_SECONDS
        if self.frames == 0:
            self.level_dbfs = level_dbfs
        known = self.frames >= KNOWN_VOICE_FRAMES
        step = 0.2 if known else 8.0 / (self.frames + 4)
        if known and not near:
            step /= 4  # the voice may have become fainter, but that shows slowly
        self.level_dbfs += 0.8 * step if level_dbfs > self.level_dbfs else -0.2 * step
        self.frames += 1
        return near or not known


@dataclass(frozen=True, slots=True)
class Patience:
    """How the silence of a turn adapts, and when the caller is asked instead of cut off.

    The step's base silence becomes this caller's own (`pace`), times a factor for what the words so far sound like,
    within `shortest_seconds` (the base itself, if that is shorter) and `longest_seconds`. Who has told less than
    `story_seconds` of a story has most likely only begun: that silence is longer. The caller is asked for more at most
    `questions` times a turn: when the words want a continuation, when a story has only begun, or when the caller is
    slower than `ask_from_slowness`; the turn then ends `more_silence_seconds` after the question.
    """

    pace: CallerPace = field(default_factory=CallerPace)
    words: EndWords = field(default_factory=EndWords)
    shortest_seconds: float = 0.4
    longest_seconds: float = 3.5
    finished_factor: float = 0.6
    unfinished_factor: float = 1.5
    story_seconds: float = 0.0
    begun_factor: float = 1.5
    questions: int = 0
    ask_from_slowness: float = 1.6
    more_silence_seconds: float = 2.0

    def silence_seconds(self, base_seconds: float, wording: Wording, told_seconds: float) -> float:
        seconds = self.pace.silence_seconds(base_seconds)
        if wording is Wording.FINISHED:
            seconds *= self.finished_factor
        elif wording is Wording.UNFINISHED:
            seconds *= self.unfinished_factor
        elif self._only_begun(wording, told_seconds):
            seconds *= self.begun_factor
        return min(self.longest_seconds, max(min(self.shortest_seconds, base_seconds), seconds))

    def doubts(self, wording: Wording, told_seconds: float) -> bool:
        if wording in (Wording.FINISHED, Wording.ANNOUNCED):
            return False
        slow = self.pace.slowness >= self.ask_from_slowness
        return wording is Wording.UNFINISHED or slow or self._only_begun(wording, told_seconds)

    def _only_begun(self, wording: Wording, told_seconds: float) -> bool:
        return wording is Wording.OPEN and told_seconds < self.story_seconds


class Endpointer:
    """One listening turn. Feed `frame` with every 20 ms, `tick` with the time; the first SpeechEnded is the last event.

    - Speech starts when `start_speech_ms` of speech lie within a window of 1.5 times as long: a click or a cough
      does not stop a prompt, a breath within a word does not start the count anew.
    - The turn ends `end_silence_seconds` after the last speech, counted only once speech has started. With `patience`
      that is the base which adapts to the caller and to the words told by `heard`, and the end may be put off by
      PerhapsEnded.
    - Without speech it ends `no_input_seconds` after `prompt_finished` (the prompt played out, or was stopped).
      While a prompt plays nobody is late.
    - It ends in any case `max_seconds` after speech began, or after the prompt finished when nobody spoke.
    Times never go backwards; one that does is taken for the latest seen.
    """

    def __init__(
        self,
        *,
        start_speech_ms: int = 200,
        end_silence_seconds: float,
        max_seconds: float,
        no_input_seconds: float,
        frame_ms: int = 20,
        patience: Patience | None = None,
    ) -> None:
        if min(start_speech_ms, end_silence_seconds, max_seconds, no_input_seconds, frame_ms) <= 0:
            raise ValueError("every limit of a turn is larger than nothing")
        self._frame_seconds = frame_ms / 1000
        self._needed = max(1, round(start_speech_ms / frame_ms))
        self._window_seconds = 1.5 * start_speech_ms / 1000
        self._end_silence_seconds = end_silence_seconds
        self._max_seconds = max_seconds
        self._no_input_seconds = no_input_seconds
        self._recent: deque[float] = deque(maxlen=self._needed)  # times of the latest frames of speech
        self._now = float("-inf")
        self._prompt_finished: float | None = None
        self._started: float | None = None
        self._spoke_until: float | None = None
        self._ended = False
        # what patience goes by
        self._patience = patience
        self._text = ""
        self._wording = Wording.OPEN
        self._voice = CallerVoice()
        self._speech_frames = 0
        self._told_seconds = 0.0  # speech of the parts before a question for more
        self._last_frame = float("-inf")
        self._hole = False  # frames stood still in this silence
        self._questions_left = patience.questions if patience is not None else 0
        self._asking = False  # PerhapsEnded was told, the question is not over
        self._asked_until: float | None = None  # the question was heard; None once the caller spoke on

    @property
    def started(self) -> bool:
        return self._started is not None

    @property
    def ended(self) -> bool:
        return self._ended

    @property
    def asked(self) -> bool:
        """The caller was asked for more and has not spoken since."""
        return self._asking or self._asked_until is not None

    def prompt_finished(self, at_seconds: float) -> None:
        """The prompt has played out or was stopped; the caller's time begins. Only the first call counts."""
        self._now = max(self._now, at_seconds)
        if self._prompt_finished is None:
            self._prompt_finished = self._now

    def heard(self, text: str) -> None:
        """The words so far: of the turn, or since the caller was asked for more. Without patience of no effect."""
        if self._patience is not None and text != self._text:
            self._text = text
            self._wording = self._patience.words.wording(text)

    def asked_for_more(self, at_seconds: float) -> None:
        """The question that PerhapsEnded called for was heard to its end (or could not be asked)."""
        self._now = max(self._now, at_seconds)
        if self._asking:
            self._asking, self._asked_until = False, self._now

    def frame(self, at_seconds: float, is_speech: bool, level_dbfs: float | None = None) -> EndpointEvent | None:
        """A frame that begins at `at_seconds`. `level_dbfs`: how loud it is; patience takes the faint for silence."""
        if self._ended:
            return None
        is_speech = is_speech and self._is_the_caller(level_dbfs)
        self._now = max(self._now, at_seconds)
        self._hole = self._hole or self._now - self._last_frame > HOLE_SECONDS
        self._last_frame = self._now
        if is_speech:
            self._recent.append(self._now)
            if self._started is not None:
                # What was a long pause ends the turn even when the frame after it is speech: frames had stopped.
                over = self._over(self._now)
                if over is not None:
                    return over
                resumed = self._speaks_on()
                if resumed is not None:
                    return resumed
            elif self._within(self._needed, self._window_seconds):
                self._started = self._recent[0]
                self._spoke_until = self._now + self._frame_seconds
                self._speech_frames, self._hole = self._needed, False
                return SpeechStarted(self._started)
        return self._over(self._now + self._frame_seconds)

    def tick(self, at_seconds: float) -> SpeechEnded | PerhapsEnded | None:
        """Nothing came, time passed."""
        if self._ended:
            return None
        self._now = max(self._now, at_seconds)
        return self._over(self._now)

    def _is_the_caller(self, level_dbfs: float | None) -> bool:
        """Only within a turn, and learned anew in each: whoever begins to speak is heard, however faint."""
        if self._patience is None or level_dbfs is None or self._started is None:
            return True
        return self._voice.heard(self._now, level_dbfs)

    def _within(self, frames: int, seconds: float) -> bool:
        """Do the latest so many frames of speech lie within so long?"""
        return len(self._recent) >= frames and self._now + self._frame_seconds - self._recent[-frames] <= seconds + 1e-9

    def _speaks_on(self) -> SpeechResumed | None:
        """A frame of speech after the speech has started."""
        assert self._spoke_until is not None
        end = self._now + self._frame_seconds
        self._speech_frames += 1
        if self._patience is None or self._now - self._spoke_until <= self._frame_seconds + 1e-9:
            self._spoke_until = end
        elif self._within(min(RESUME_FRAMES, self._needed), RESUME_WINDOW_SECONDS):
            if not self._hole:
                self._patience.pace.paused(self._recent[-min(RESUME_FRAMES, self._needed)] - self._spoke_until)
            self._spoke_until, self._hole = end, False
        else:
            return None
        if self.asked and self._within(self._needed, self._window_seconds):
            self._asking, self._asked_until = False, None
            return SpeechResumed(self._recent[0])
        return None

    def _silence_seconds(self) -> float:
        if self._patience is None:
            return self._end_silence_seconds
        if self._asked_until is not None:
            # Who answers "anything else?" with a full stop need not wait as long as who says nothing.
            if self._patience.words.says_no_more(self._text):
                return min(self._end_silence_seconds, self._patience.more_silence_seconds)
            return self._patience.more_silence_seconds
        return self._patience.silence_seconds(self._end_silence_seconds, self._wording, self._speech_seconds)

    def _over(self, now: float) -> SpeechEnded | PerhapsEnded | None:
        begun = self._started if self._started is not None else self._prompt_finished
        reason, given = None, None
        if self._spoke_until is not None and not self._asking:
            silent_since = max(self._spoke_until, self._asked_until or self._spoke_until)
            if now - silent_since >= (silence := self._silence_seconds()) - 1e-9:
                reason, given = EndReason.SILENCE, silence
        if reason is None and begun is not None:
            if self._started is None and now - begun >= self._no_input_seconds - 1e-9:
                if self._recent and now - self._recent[-1] < self._window_seconds and now - begun < self._max_seconds:
                    return None  # somebody may just be beginning to speak
                reason = EndReason.NO_INPUT
            elif now - begun >= self._max_seconds - 1e-9:
                reason = EndReason.MAXIMUM
        if reason is None:
            return None
        if given is not None and self._asks_for_more(begun, now):
            self._questions_left -= 1
            self._asking = True
            self._part_over()
            assert self._spoke_until is not None
            return PerhapsEnded(now, self._spoke_until, given)
        self._ended = True
        self._part_over()
        return SpeechEnded(now, reason, self._spoke_until, given)

    @property
    def _speech_seconds(self) -> float:
        return self._told_seconds + self._speech_frames * self._frame_seconds

    def _part_over(self) -> None:
        """The words so far are told off: those of a reply to the question stand for themselves."""
        if self._patience is not None:
            self._patience.pace.spoke(len(self._text), self._speech_frames * self._frame_seconds)
        self._told_seconds = self._speech_seconds
        self._text, self._wording, self._speech_frames = "", Wording.OPEN, 0

    def _asks_for_more(self, begun: float | None, now: float) -> bool:
        if self._patience is None or self._questions_left <= 0 or self._asked_until is not None:
            return False
        in_time = begun is None or now - begun < self._max_seconds - 1e-9
        return in_time and self._patience.doubts(self._wording, self._speech_seconds)
