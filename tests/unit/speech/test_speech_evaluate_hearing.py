"""A sound heard as a call hears it, by a recogniser that knows what it was given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from speech.audio import seconds_of
from speech.endpoint import Endpointer, Patience
from speech.errors import SpeechError
from speech.evaluate.hearing import hear_as_a_call
from speech.evaluate.manifest import Clip
from speech.evaluate.trial import Sounds, hear_clips
from speech.recognizer import Partial, SpokenWord, Transcript


@dataclass
class Stream:
    ear: Ear
    number: int
    on_partial: Callable[[Partial], None] | None
    fed: list[tuple[float, int]] = field(default_factory=list)
    closed: bool = False
    backlog_seconds: float = 0.0

    def feed(self, pcm: bytes, at_seconds: float) -> None:
        self.fed.append((at_seconds, len(pcm)))
        if self.on_partial is not None:
            self.on_partial(Partial(f"第{self.number}"))

    async def finish(self) -> Transcript:
        if self.ear.fails:
            raise SpeechError("speech-decode-failed", "decoding failed", recoverable=self.ear.recoverable)
        text = f"第{self.number}" if self.ear.hears else ""
        words = (SpokenWord(text, self.fed[0][0], self.fed[-1][0], 0.9),) if text else ()
        return Transcript(text, words, False, sum(seconds_of(bytes(size)) for _, size in self.fed), 0.0)

    def close(self) -> None:
        self.closed = True


class Ear:
    def __init__(self, *, hears: bool = True, fails: bool = False, recoverable: bool = True) -> None:
        self.hears, self.fails, self.recoverable = hears, fails, recoverable
        self.streams: list[Stream] = []

    def open(
        self,
        *,
        phrases: Sequence[str] = (),
        on_partial: Callable[[Partial], None] | None = None,
        background: bool = False,
    ) -> Stream:
        assert background  # what is measured must not make calls give anything up
        self.streams.append(Stream(self, len(self.streams) + 1, on_partial))
        return self.streams[-1]


def buzz(seconds: float) -> np.ndarray:
    rng = np.random.default_rng(1)
    length = round(seconds * 8000)
    return 10000 * np.sign(np.sin(np.arange(length) * 0.12)) * rng.uniform(0.5, 1, length)


def sound(*parts: float) -> bytes:
    """Seconds of speech, of silence for those below nothing."""
    pieces = [buzz(part) if part > 0 else np.zeros(round(-part * 8000)) for part in parts]
    return np.concatenate(pieces).astype("<i2").tobytes()


def fixed() -> Endpointer:
    return Endpointer(end_silence_seconds=1.0, max_seconds=20, no_input_seconds=5)


async def test_what_is_said_in_one_breath_is_one_turn_and_silence_is_not_fed() -> None:
    ear = Ear()
    heard = await hear_as_a_call(ear, sound(-2, 1, -0.4, 1, -3), fixed)
    assert (heard.text, heard.turns) == ("第1", 1)
    assert heard.audio_seconds == pytest.approx(7.4)
    assert 2 < heard.decoded_seconds < 4
    assert heard.cpu_seconds > 0


async def test_a_long_pause_ends_a_turn_and_the_rest_is_heard_in_the_next() -> None:
    ear = Ear()
    heard = await hear_as_a_call(ear, sound(-0.5, 1, -2, 1, -0.5), fixed)
    assert (heard.text, heard.turns) == ("第1第2", 2)
    first, second = ear.streams
    assert first.fed[-1][0] < 2.6 < 3 < second.fed[0][0]


async def test_who_is_asked_for_more_and_speaks_on_is_one_turn() -> None:
    ear = Ear()

    def asking() -> Endpointer:
        patience = Patience(questions=1, story_seconds=10.0, more_silence_seconds=1.5)
        return Endpointer(end_silence_seconds=1.0, max_seconds=60, no_input_seconds=5, patience=patience)

    heard = await hear_as_a_call(ear, sound(-0.5, 1, -2.2, 1, -0.5), asking)
    assert (heard.text, heard.turns) == ("第1", 1)


async def test_a_sound_without_speech_is_heard_as_nothing() -> None:
    heard = await hear_as_a_call(Ear(), sound(-9), fixed)
    assert (heard.text, heard.turns, heard.decoded_seconds) == ("", 0, 0.0)


async def test_noise_without_words_makes_no_turn() -> None:
    heard = await hear_as_a_call(Ear(hears=False), sound(-0.5, 1, -2, 1, -0.5), fixed)
    assert (heard.text, heard.turns) == ("", 0)
    assert heard.decoded_seconds > 2


async def test_a_clip_that_the_recogniser_fails_on_is_told_and_the_rest_goes_on(tmp_path) -> None:
    from speech.audio import write_wav
    from speech.evaluate.conditions import conditions

    write_wav(tmp_path / "a.wav", sound(1))
    clips = [Clip(2, "a.wav", "好"), Clip(3, "none.wav", "好"), Clip(4, "a.wav", "好")]
    for ear, problems in ((Ear(fails=True), [2, 3, 4]), (Ear(), [3])):
        sounds = Sounds(tmp_path)
        done: list[int] = []
        found = await hear_clips(ear, "m", clips, conditions(), sounds, lambda: fixed, told=done.append)
        assert sorted(sounds.problems) == problems
        assert [one.clip.line for one in found] == ([] if ear.fails else [2, 4])
        assert done == [1, 2, 3]
        assert all(stream.closed for stream in ear.streams) or not ear.fails
    gone = Ear(fails=True, recoverable=False)
    with pytest.raises(SpeechError):
        await hear_clips(gone, "m", clips, conditions(), Sounds(tmp_path), lambda: fixed)
