from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from speech.audio import write_wav
from speech.babble import babble
from speech.channel import PACKET_SAMPLES, Channel, speech_power, telephone
from speech.errors import SpeechError
from speech.g711 import coded


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def tone(hz: float, seconds: float = 1.0, rate_hz: int = 16000) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def by_libsndfile(samples: np.ndarray, subtype: str) -> np.ndarray:
    memory = io.BytesIO()
    soundfile.write(memory, samples, 8000, format="WAV", subtype=subtype)
    memory.seek(0)
    return soundfile.read(memory, dtype="int16")[0]


@pytest.mark.parametrize(("law", "subtype"), [("alaw", "ALAW"), ("ulaw", "ULAW")])
def test_g711_is_what_another_implementation_makes_of_every_sample(law: str, subtype: str) -> None:
    every = np.arange(-32768, 32768).astype(np.int16)
    np.testing.assert_array_equal(coded(every, law), by_libsndfile(every, subtype))


@given(st.integers(-32768, 32767), st.sampled_from(["alaw", "ulaw"]))
def test_g711_errs_by_at_most_its_step(sample: int, law: str) -> None:
    out = int(coded(np.array([sample], np.int16), law)[0])
    assert abs(out - sample) <= max(8, abs(sample) / 31 + 4)
    assert coded(np.array([out], np.int16), law)[0] == out  # a second link changes nothing


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 900),
    st.sampled_from([8000, 11025, 16000, 48000]),
    st.sampled_from(["alaw", "ulaw", "none"]),
    st.none() | st.floats(-5, 40),
    st.sampled_from(["white", "babble"]),
    st.floats(0, 0.5),
    st.sampled_from(["silence", "repeat"]),
    st.integers(0, 2**32),
)
def test_any_sound_keeps_its_length_and_the_seed_decides(
    length, rate_hz, codec, snr_db, noise, loss, concealment, seed
) -> None:
    conditions = Channel(codec=codec, snr_db=snr_db, noise=noise, packet_loss=loss, concealment=concealment)
    samples = rng(seed).uniform(-1, 1, length)
    out = telephone(samples, rate_hz, conditions, rng(seed))
    assert out.dtype == np.int16
    assert abs(len(out) - length * 8000 / rate_hz) <= 1
    np.testing.assert_array_equal(out, telephone(samples, rate_hz, conditions, rng(seed)))


def test_the_band_is_the_telephones() -> None:
    line = Channel(codec="none", level_dbfs=-6)

    def through(hz: float) -> float:
        both = tone(1000) + tone(hz)
        out = telephone(both, 16000, line, rng())
        spectrum = np.abs(np.fft.rfft(out[2000:6000] * np.hanning(4000)))
        return float(20 * np.log10(spectrum[round(hz / 2)] / spectrum[500]))

    assert through(100) < -30
    assert through(3900) < -25
    assert -4 < through(300) < -2
    assert abs(through(2000)) < 0.5


@pytest.mark.parametrize("level", [-30.0, -6.0, 0.0])
def test_the_level_is_the_peak(level: float) -> None:
    out = telephone(tone(440), 16000, Channel(codec="none", level_dbfs=level), rng())
    assert 20 * np.log10(np.abs(out.astype(float)).max() / 32767) == pytest.approx(level, abs=0.05)


@pytest.mark.parametrize("noise", ["white", "babble"])
@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
def test_noise_is_measured_against_the_speech_and_not_its_pauses(noise: str, snr_db: float) -> None:
    speech = np.concatenate([np.zeros(16000), tone(700, 2.0), np.zeros(16000)])
    quiet = Channel(codec="none", level_dbfs=-20)
    clean = telephone(speech, 16000, quiet, rng()).astype(float)
    noisy = telephone(speech, 16000, replace(quiet, snr_db=snr_db, noise=noise), rng()).astype(float)
    measured = 10 * np.log10(speech_power(clean) / ((noisy - clean) ** 2).mean())
    assert measured == pytest.approx(snr_db, abs=0.3)


def test_noise_may_come_from_a_file(tmp_path: Path) -> None:
    write_wav(tmp_path / "street.wav", (8000 * tone(900, 0.5, 8000)).astype("<i2").tobytes())
    line = Channel(snr_db=5, noise=str(tmp_path / "street.wav"))
    assert line.name == "a-law, 5 dB street noise"
    out = telephone(tone(440), 16000, line, rng()).astype(float)
    spectrum = np.abs(np.fft.rfft(out[:8000]))
    assert spectrum[900] > 30 * np.median(spectrum)
    with pytest.raises(SpeechError, match="audio-missing"):
        telephone(tone(440), 16000, Channel(snr_db=5, noise=str(tmp_path / "none.wav")), rng())


def test_silence_stays_silence_at_any_signal_to_noise_ratio() -> None:
    out = telephone(np.zeros(8000), 8000, Channel(codec="none", snr_db=10), rng())
    assert not out.any()


def test_lost_packets_are_whole_and_as_many_as_asked() -> None:
    line = Channel(codec="none", packet_loss=0.1)
    sound = np.full(8000 * 120, 0.5) * np.sign(tone(997, 120, 8000))
    packets = telephone(sound, 8000, line, rng(3)).reshape(-1, PACKET_SAMPLES)
    lost = ~packets.any(axis=1)
    assert 0.08 < lost.mean() < 0.12
    runs = np.diff(np.flatnonzero(np.diff(np.r_[0, lost, 0])))[::2]
    assert 1.25 < runs.mean() < 1.65  # in runs: 1 / (1 - 0.3)


def test_concealment_repeats_and_fades() -> None:
    sound = tone(500, 60, 8000)
    silent = telephone(sound, 8000, Channel(codec="none", packet_loss=0.2), rng(5)).reshape(-1, PACKET_SAMPLES)
    conceal = Channel(codec="none", packet_loss=0.2, concealment="repeat")
    repeated = telephone(sound, 8000, conceal, rng(5)).reshape(-1, PACKET_SAMPLES)
    lost = ~silent.any(axis=1)
    firsts = [at for at in np.flatnonzero(lost) if at > 1 and not lost[at - 1]]
    assert firsts
    for at in firsts:
        np.testing.assert_array_equal(repeated[at], repeated[at - 1] // 2)
    assert repeated[lost].any(axis=1).mean() > 0.9


def test_bad_conditions_are_named() -> None:
    for wrong in (
        {"codec": "opus"},
        {"low_hz": 3400.0, "high_hz": 300.0},
        {"level_dbfs": 3.0},
        {"snr_db": float("nan")},
        {"packet_loss": 2.0},
        {"noise": ""},
    ):
        with pytest.raises(SpeechError, match="channel-invalid"):
            Channel(**wrong)  # type: ignore[arg-type]


def test_a_name_says_what_is_unusual() -> None:
    assert Channel().name == "a-law"
    assert Channel(codec="ulaw", snr_db=10, noise="babble", packet_loss=0.02).name == (
        "µ-law, 10 dB babble noise, 2 % lost"
    )


def test_babble_sounds_like_speech_and_not_like_noise() -> None:
    sound = babble(8000 * 10, 8000, rng())
    spectrum = np.abs(np.fft.rfft(sound)) ** 2
    hz = np.fft.rfftfreq(len(sound), 1 / 8000)
    assert spectrum[hz < 1000].sum() > 2 * spectrum[hz > 2000].sum()
    frames = (sound.reshape(-1, 400) ** 2).mean(axis=1)
    assert frames.std() / frames.mean() > 0.3  # syllables come and go
