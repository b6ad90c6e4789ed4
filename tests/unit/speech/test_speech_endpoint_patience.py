"""Endpointing that adapts: the caller's own pauses, the words so far, and asking rather than cutting."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.caller_pace import TYPICAL_PAUSE_SECONDS, CallerPace
from speech.end_words import EndWords, Wording
from speech.endpoint import Endpointer, EndReason, Patience, PerhapsEnded, SpeechEnded, SpeechResumed

WORDS = EndWords(
    finished=("谢谢", "尽快处理"),
    unfinished=("然后", "因为"),
    openers=("我要投诉",),
    no_more=("没有了", "没有", "就这些"),
)


class Line:
    """Frames of 20 ms into one turn."""

    def __init__(self, patience: Patience | None, base: float = 1.5, maximum: float = 60.0) -> None:
        self.turn = Endpointer(end_silence_seconds=base, max_seconds=maximum, no_input_seconds=7.0, patience=patience)
        self.turn.prompt_finished(0.0)
        self.at = 0.0
        self.events: list[object] = []

    def run(self, seconds: float, speech: bool, level: float | None = None) -> Line:
        for _ in range(round(seconds / 0.02)):
            event = self.turn.frame(self.at, speech, level)
            self.at += 0.02
            if event is not None:
                self.events.append(event)
                if isinstance(event, SpeechEnded | PerhapsEnded):
                    break
        return self

    def speak(self, seconds: float = 1.0, level: float | None = None) -> Line:
        return self.run(seconds, True, level)

    def silent(self, seconds: float) -> Line:
        return self.run(seconds, False)

    @property
    def over(self) -> SpeechEnded:
        last = self.events[-1]
        assert isinstance(last, SpeechEnded), self.events
        return last

    @property
    def waited(self) -> float:
        assert self.over.spoke_until_seconds is not None
        return self.over.at_seconds - self.over.spoke_until_seconds


def test_a_caller_not_yet_known_gets_the_base_silence() -> None:
    line = Line(Patience()).speak().silent(9)
    assert line.waited == pytest.approx(1.5, abs=0.03)
    assert line.over.silence_seconds == pytest.approx(1.5)


def test_who_pauses_long_is_given_longer_within_the_turn_and_in_the_next() -> None:
    pace = CallerPace()
    line = Line(Patience(pace=pace))
    for _ in range(5):
        line.speak().silent(1.3)
    line.speak().silent(1.8).speak().silent(9)
    assert [type(event).__name__ for event in line.events] == ["SpeechStarted", "SpeechEnded"]
    assert line.waited > 1.8
    assert Line(Patience(pace=pace)).speak().silent(9).waited > 1.8
    assert pace.slowness > 1.5


def test_who_speaks_in_one_go_is_answered_sooner() -> None:
    line = Line(Patience())
    for _ in range(6):
        line.speak().silent(0.25)
    assert line.speak().silent(9).waited < 1.3


def test_without_patience_pauses_and_words_change_nothing() -> None:
    line = Line(None)
    for _ in range(5):
        line.speak().silent(1.3)
    line.turn.heard("然后")
    assert line.speak().silent(9).waited == pytest.approx(1.5, abs=0.03)


@pytest.mark.parametrize(
    ("text", "waits"), [("修好了吗谢谢", "shorter"), ("楼上漏水然后", "longer"), ("楼上漏水", "same")]
)
def test_words_that_end_a_story_or_want_more(text: str, waits: str) -> None:
    line = Line(Patience(words=WORDS)).speak()
    line.turn.heard(text)
    waited = line.silent(9).waited
    assert waited < 1.0 if waits == "shorter" else waited > 2.0 if waits == "longer" else abs(waited - 1.5) < 0.03


def test_a_short_base_grows_no_longer_by_a_bound_meant_for_stories() -> None:
    answer = EndWords(answers=("对", "是的"))
    line = Line(Patience(words=answer), base=0.3).speak(0.4)
    line.turn.heard("对")
    assert line.silent(9).waited == pytest.approx(0.3, abs=0.03)


def test_a_story_barely_begun_is_waited_for_and_asked_about() -> None:
    line = Line(Patience(words=WORDS, story_seconds=2.5, questions=1)).speak(1.0).silent(9)
    asked = line.events[-1]
    assert isinstance(asked, PerhapsEnded)
    assert asked.at_seconds - asked.spoke_until_seconds == pytest.approx(2.25, abs=0.03)


def test_an_announcement_waits_to_be_asked_on_and_is_not_asked_for_more() -> None:
    line = Line(Patience(words=WORDS, story_seconds=2.5, questions=1)).speak(1.0)
    line.turn.heard("你好我要投诉")
    assert line.silent(9).waited == pytest.approx(1.5, abs=0.03)


def asked_line(**more: float) -> Line:
    line = Line(Patience(words=WORDS, questions=1, **more)).speak()  # type: ignore[arg-type]
    line.turn.heard("楼上漏水因为")
    line.silent(9)
    assert isinstance(line.events[-1], PerhapsEnded)
    return line


def test_nothing_ends_while_the_question_sounds_and_silence_after_it_does() -> None:
    line = asked_line().silent(5)
    assert line.turn.asked
    assert not line.turn.ended
    line.turn.asked_for_more(line.at)
    asked_until = line.at
    line.silent(9)
    assert line.over.at_seconds - asked_until == pytest.approx(2.0, abs=0.03)
    assert line.over.silence_seconds == 2.0


def test_who_speaks_on_stops_the_question_and_is_not_asked_again() -> None:
    line = asked_line().speak(1.0)
    assert isinstance(line.events[-1], SpeechResumed)
    assert not line.turn.asked
    line.turn.heard("楼下也漏然后")
    line.silent(9)
    assert line.over.reason is EndReason.SILENCE


def test_nothing_more_ends_the_turn_soon() -> None:
    line = asked_line()
    line.turn.asked_for_more(line.at)
    line.silent(0.5).speak(0.16)  # too short to count as speaking on
    line.turn.heard("没有了")
    line.silent(9)
    assert line.over.silence_seconds == 1.5


def test_the_longest_time_ends_a_turn_whatever_is_asked() -> None:
    line = Line(Patience(words=WORDS, questions=1), maximum=4.0).speak()
    line.turn.heard("因为")
    line.silent(9)
    assert isinstance(line.events[-1], PerhapsEnded)
    line.silent(9)
    assert line.over.reason is EndReason.MAXIMUM


def test_a_voice_in_the_background_does_not_keep_the_turn_open() -> None:
    line = Line(Patience()).speak(3.0, level=-20.0)
    spoke_until = line.at
    line.run(9, True, level=-38.0)
    assert line.over.reason is EndReason.SILENCE
    assert line.over.at_seconds - spoke_until < 2.5


def test_who_begins_faintly_is_heard() -> None:
    line = Line(Patience()).speak(1.0, level=-45.0).silent(9)
    assert line.over.spoke_until_seconds == pytest.approx(1.0)


def test_a_gap_without_frames_is_no_pause_of_the_callers() -> None:
    pace = CallerPace()
    line = Line(Patience(pace=pace)).speak()
    line.at += 1.0  # a key was held
    line.speak().silent(9)
    assert pace.pauses == 0


@pytest.mark.parametrize(
    ("text", "wording"),
    [
        ("", Wording.OPEN),
        ("嗯", Wording.UNFINISHED),
        ("楼上漏水嗯", Wording.UNFINISHED),
        ("楼上漏水因为，", Wording.UNFINISHED),
        ("请尽快处理啊", Wording.FINISHED),
        ("我要投诉", Wording.ANNOUNCED),
        ("我要投诉邻居", Wording.OPEN),
    ],
)
def test_wording_of_a_story(text: str, wording: Wording) -> None:
    assert WORDS.wording(text) is wording


@pytest.mark.parametrize(
    ("text", "wording"),
    [
        ("幺三九", Wording.UNFINISHED),
        ("号码是幺三九一二三四", Wording.UNFINISHED),
        ("幺三九一二三四五六七八", Wording.FINISHED),
        ("六二三四五六七八", Wording.OPEN),
        ("可以", Wording.FINISHED),
        ("可以的", Wording.FINISHED),
        ("可以换一个号码给你吗", Wording.OPEN),
    ],
)
def test_wording_of_how_to_call_back(text: str, wording: Wording) -> None:
    assert EndWords(answers=("可以", "好"), figures=True).wording(text) is wording


def test_only_a_whole_answer_says_that_there_is_nothing_more() -> None:
    assert WORDS.says_no_more("嗯没有了。")
    assert not WORDS.says_no_more("楼上的水没有了以后楼下也")
    assert not WORDS.says_no_more("")


@given(st.lists(st.floats(0.0, 30.0), max_size=60), st.floats(0.2, 5.0))
def test_silences_stay_finite_and_grow_with_the_base(pauses: list[float], base: float) -> None:
    pace = CallerPace()
    for pause in pauses:
        pace.paused(pause)
    given_silence = pace.silence_seconds(base)
    assert math.isfinite(given_silence)
    assert 0 < given_silence < pace.silence_seconds(base * 1.5)
    bounded = Patience(pace=pace).silence_seconds(base, Wording.UNFINISHED, 0.0)
    assert min(0.4, base) <= bounded <= 3.5


@given(st.lists(st.floats(0.23, 3.9), min_size=1, max_size=30))
def test_longer_pauses_make_a_slower_caller(pauses: list[float]) -> None:
    one, other = CallerPace(), CallerPace()
    for pause in pauses:
        one.paused(pause)
        other.paused(min(3.95, pause * 1.2))
    assert one.slowness <= other.slowness
    quick, slow = CallerPace(), CallerPace()
    quick.spoke(60, 60 / 6.0)
    slow.spoke(60, 60 / 3.0)
    assert quick.slowness < 1.0 < slow.slowness
    assert CallerPace().silence_seconds(TYPICAL_PAUSE_SECONDS) == pytest.approx(TYPICAL_PAUSE_SECONDS)


frames = st.lists(
    st.tuples(st.floats(0, 2), st.booleans(), st.floats(-60, 0), st.sampled_from(["", "因为", "谢谢"])), max_size=150
)


@given(frames, st.integers(0, 2))
def test_any_sequence_asks_no_oftener_than_allowed_and_ends_once_and_last(
    steps: list[tuple[float, bool, float, str]], questions: int
) -> None:
    turn = Endpointer(
        end_silence_seconds=1.0,
        max_seconds=20.0,
        no_input_seconds=5.0,
        patience=Patience(words=WORDS, questions=questions, story_seconds=2.0),
    )
    turn.prompt_finished(0.0)
    at, kinds = 0.0, []
    for number, (step, is_speech, level, text) in enumerate(steps):
        at += step
        turn.heard(text)
        event = turn.frame(at, is_speech, level) if number % 3 else turn.tick(at)
        if event is not None:
            kinds.append(type(event))
        if number % 7 == 6:
            turn.asked_for_more(at)
    assert kinds.count(PerhapsEnded) <= questions
    assert kinds.count(SpeechResumed) <= kinds.count(PerhapsEnded)
    assert kinds.count(SpeechEnded) <= 1
    if SpeechEnded in kinds:
        assert kinds[-1] is SpeechEnded
    elif turn.started:
        assert turn.tick(at + 21.0) is not None or turn.tick(at + 22.0) is not None
