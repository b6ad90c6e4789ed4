"""Speech with pauses inside, and the figures of a trial, on sounds made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.audio import write_wav
from speech.channel import Channel
from speech.endpoint import Patience
from speech.errors import SpeechError
from speech.pauses import (
    PAUSE_RANGE_SECONDS,
    TAIL_SECONDS,
    CallerStyle,
    Sound,
    clips_turn,
    figures_in_groups,
    read_clips,
    spoken_turn,
    trimmed,
)
from speech.pauses_trial import Point, TrialTurn, cut_share_at, delay_at, point, run_calls, run_turn

TEXT = "我要投诉，我们小区楼下的烧烤店每天营业到半夜，油烟特别大"


def buzz(text: str, speed: float) -> Sound:
    """A fifth of a second a character, loud enough for the detector."""
    length = round(0.2 * speed * len(text) * 8000)
    rng = np.random.default_rng(len(text))
    return (0.3 * np.sign(np.sin(np.arange(length) * 0.12)) * rng.uniform(0.5, 1, length)).astype(np.float32)


def style(**changes: object) -> CallerStyle:
    given_style = {
        "pause_seconds": 0.6,
        "pause_spread": 0.4,
        "speed": 1.0,
        "hesitates": 0.0,
        "breathes": 0.0,
        "breath_db": -25.0,
        "channel": Channel(codec="none", low_hz=0, high_hz=4000),
    } | changes
    return CallerStyle(**given_style)  # type: ignore[arg-type]


@given(st.integers(0, 10_000))
def test_what_was_made_is_where_it_says(seed: int) -> None:
    told = spoken_turn(TEXT, style(), buzz, np.random.default_rng(seed))
    assert told.text == TEXT.replace("，", "")
    samples = np.abs(np.frombuffer(told.pcm, "<i2").astype(float))
    for stretch in told.stretches:
        inside = samples[round(stretch.start_seconds * 8000) + 80 : round(stretch.end_seconds * 8000) - 80]
        assert inside.mean() > 1000
    for before, after in zip(told.stretches, told.stretches[1:], strict=False):
        low, high = PAUSE_RANGE_SECONDS
        assert low - 0.001 <= after.start_seconds - before.end_seconds <= high + 0.001
        assert samples[round(before.end_seconds * 8000) + 8 : round(after.start_seconds * 8000) - 8].max() == 0
    assert len(samples) / 8000 - told.end_seconds == pytest.approx(TAIL_SECONDS, abs=0.01)


def test_the_same_seed_makes_the_same_call_and_another_one_another() -> None:
    drawn = [CallerStyle.draw(np.random.default_rng(seed)) for seed in (1, 1, 2)]
    made = [spoken_turn(TEXT, one, buzz, np.random.default_rng(3)) for one in drawn]
    assert made[0] == made[1]
    assert made[0].pcm != made[2].pcm


def test_hesitations_and_breaths_are_in_it() -> None:
    told = spoken_turn(TEXT, style(hesitates=1.0, breathes=1.0, pause_seconds=1.2), buzz, np.random.default_rng(1))
    assert any(word in told.text for word in ("嗯", "那个", "就是说", "然后"))
    samples = np.abs(np.frombuffer(told.pcm, "<i2").astype(float))
    first, second = told.stretches[:2]
    pause = samples[round(first.end_seconds * 8000) + 8 : round(second.start_seconds * 8000) - 8]
    assert 0 < pause.max() < samples.max() / 2


def test_callers_differ() -> None:
    drawn = [CallerStyle.draw(np.random.default_rng(seed)) for seed in range(300)]
    pauses = sorted(one.pause_seconds for one in drawn)
    assert pauses[15] < 0.4
    assert pauses[-15] > 0.95
    assert np.corrcoef([one.speed for one in drawn], np.log([one.pause_seconds for one in drawn]))[0, 1] > 0.3


def test_a_text_with_nothing_to_say_is_named() -> None:
    with pytest.raises(SpeechError, match="nothing to say"):
        spoken_turn("，。", style(), buzz, np.random.default_rng(1))


def test_clips_of_a_folder_are_trimmed_and_joined(tmp_path: Path) -> None:
    for name, speaker in (("a", "one"), ("b", "one"), ("c", "two")):
        (tmp_path / speaker).mkdir(exist_ok=True)
        sound = np.concatenate([np.zeros(4000), buzz("四个字呀", 1.0), np.zeros(4000)])
        write_wav(tmp_path / speaker / f"{name}.wav", (sound * 32767).astype("<i2").tobytes())
    clips = read_clips(tmp_path)
    assert {speaker: len(found) for speaker, found in clips.items()} == {"one": 2, "two": 1}
    assert len(clips["two"][0]) / 8000 == pytest.approx(0.8, abs=0.03)
    told = clips_turn(clips["one"], style(), np.random.default_rng(1))
    assert len(told.pauses) == 1
    with pytest.raises(SpeechError, match="no WAV"):
        read_clips(tmp_path / "nowhere")


def test_trimming_silence_leaves_nothing() -> None:
    assert len(trimmed(np.zeros(8000, np.float32))) == 0
    assert len(trimmed(np.zeros(3, np.float32))) == 0


def test_a_number_is_said_in_groups() -> None:
    assert figures_in_groups("13912345678") == "139，1234，5678"
    assert figures_in_groups("62345678") == "6234，5678"


def turn(*spans: tuple[float, bool], step: str = "opening") -> TrialTurn:
    """`spans`: seconds of speech or of silence, ending in silence."""
    frames = [(speech, -20.0 if speech else -90.0) for seconds, speech in spans for _ in range(round(seconds * 50))]
    ends = np.cumsum([seconds for seconds, _ in spans])
    return TrialTurn(step, tuple(frames), (), float(ends[-2]), float(ends[-3]), (spans[-3][0],))


PAUSED = turn((0.5, False), (2.0, True), (1.0, False), (2.0, True), (9.0, False))


def test_a_cut_and_a_delay() -> None:
    cut = run_turn(PAUSED, 0.8, None)
    assert (cut.cut, cut.delay_seconds) == (True, None)
    kept = run_turn(PAUSED, 1.2, None)
    assert not kept.cut
    assert kept.delay_seconds == pytest.approx(1.2, abs=0.03)
    assert kept.answer_seconds == kept.delay_seconds


def test_a_question_instead_of_a_cut() -> None:
    patience = Patience(questions=1, story_seconds=3.0, begun_factor=1.0, more_silence_seconds=1.5)
    asked = run_turn(PAUSED, 0.9, patience)
    assert not asked.cut
    assert (asked.asked_within, asked.asked_after) == (1, 0)


def test_a_turn_that_never_ends_costs_what_was_left_of_it() -> None:
    noisy = turn((0.5, False), (1.0, True), (1.0, False), (6.0, True), (0.1, False))
    outcome = run_turn(noisy, 1.5, None)
    assert outcome.never
    assert outcome.delay_seconds == pytest.approx(0.1)


def test_points_of_a_curve() -> None:
    calls = [(PAUSED, PAUSED), (PAUSED,)]
    outcomes = run_calls(calls, {"opening": 1.0}, 0.8)
    found = point(outcomes, 0.8)
    assert (found.turns, found.cut_share) == (3, 1.0)
    assert point(run_calls(calls, {"opening": 1.0}, 1.5), 1.5).delay_mean_seconds == pytest.approx(1.5, abs=0.03)


def at(cut: float, delay: float) -> Point:
    return Point(1.0, 10, cut, delay, delay, delay, delay, delay, 0.0, 0.0, 0.0)


def test_figures_between_the_points_of_a_curve() -> None:
    # The point that is worse in both is never chosen.
    curve = [at(0.2, 1.0), at(0.1, 2.0), at(0.1, 5.0), at(0.0, 3.0), at(0.0, 4.0)]
    assert delay_at(curve, 0.15, lambda p: p.delay_mean_seconds) == 1.5
    assert delay_at(curve, 0.0, lambda p: p.delay_mean_seconds) == 3.0
    assert delay_at(curve, 0.3, lambda p: p.delay_mean_seconds) is None
    assert cut_share_at(curve, 2.5, lambda p: p.delay_mean_seconds) == 0.05
