"""Clips as the stages of the recipe hand them on, and shares of work that go on after a kill."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypinyin import Style, lazy_pinyin

from speech.training.calls import PACKET_SAMPLES, RATE_HZ, Call, coded, imitated_call, plain_call, resampled
from speech.training.clips import SILENT, UNKNOWN, Clip, Span, clip_of, read_clips, with_pauses, write_clips
from speech.training.features import UNLABELLED, Recipe, dct, labels_of, online_mean, utterances_of
from speech.training.jobs import Job, resume
from speech.training.units import FINALS, INITIALS, PAUSE, UNIT_INDEX, UNITS, syllable_units
from speech.training.zhtts_voice import units_and_spans
from speech.voice import symbols_of


def test_every_unit_has_one_place() -> None:
    assert len(UNITS) == 60 == len(set(UNITS)) == 1 + len(INITIALS) + len(FINALS)


@pytest.mark.parametrize(
    ("pinyin", "units"),
    [
        ("zhong1", ("zh", "ong")),
        ("an4", ("an",)),
        ("wen2", ("uen",)),
        ("yi1", ("i",)),
        ("zhi5", ("zh", "iii")),
        ("si4", ("s", "ii")),
        ("lve4", ("l", "ve")),
        ("nü3", ("n", "v")),
        ("er2", ("er",)),
    ],
)
def test_syllables_become_initial_and_final(pinyin: str, units: tuple[str, ...]) -> None:
    assert syllable_units(pinyin) == units


@given(st.text(max_size=8))
def test_what_is_no_syllable_is_none_and_nothing_breaks(text: str) -> None:
    units = syllable_units(text)
    assert units is None or all(unit in UNIT_INDEX for unit in units)


@given(
    st.text(
        "的一是了我不人在他有这个上们来到时大地为子中你说生国年着就那和要她出也得里后自以会", min_size=1, max_size=20
    )
)
def test_every_common_character_can_be_trained_on(text: str) -> None:
    for pinyin in lazy_pinyin(text, style=Style.TONE3, neutral_tone_with_five=True):
        assert syllable_units(pinyin)


SPANS = st.lists(st.tuples(st.integers(-2, 5), st.floats(0, 60), st.floats(0, 3)), max_size=8)


@given(SPANS, st.one_of(st.none(), st.floats(-9, 0)))
def test_a_clip_is_the_same_after_its_line(spans: list[tuple[int, float, float]], match: float | None) -> None:
    rows = [Span(unit, round(start, 4), round(start + length, 4)) for unit, start, length in spans]
    clip = Clip("a.wav", "您好", "zhtts", "one", with_pauses([["n", "in"], ["h", "ao"]])).with_spans(rows, match)
    assert clip_of(clip.line()) == clip


def test_a_manifest_that_was_cut_off_keeps_its_whole_lines(tmp_path: Path) -> None:
    clip = Clip("a.wav", "好", "zhtts", "one", ("_", "h", "ao", "_"))
    assert write_clips(tmp_path / "m.jsonl", [clip, clip]) == 2
    whole = (tmp_path / "m.jsonl").read_text(encoding="utf-8")
    (tmp_path / "m.jsonl").write_text(whole + whole[:20], encoding="utf-8")
    assert list(read_clips([tmp_path / "m.jsonl"])) == [clip, clip]


def test_a_share_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    sentences = tmp_path / "spoken.txt"
    sentences.write_text("\n".join("一二三四五六七八"), encoding="utf-8")
    job = Job(sentences, tmp_path / "out", job=1, jobs=2, hours=1, seed=3)

    def clip(share_wav: Path, text: str) -> Clip:
        return Clip(str(share_wav), text, "zhtts", "one", ("_", "i", "_")).with_spans([Span(1, 0, 900)])

    with resume(job) as share:
        said = [text for _, text in share.sentences()]
        assert said == ["二", "四", "六", "八"]
        share.add(clip(share.wav(0), "二"), 900)
        share.add(clip(share.wav(1), "四"), 900)
    with open(tmp_path / "out" / "1.jsonl", "a", encoding="utf-8") as out:
        out.write('{"wav": "')  # killed while it wrote
    with resume(job) as share:
        assert share.hours == 0.5
        assert [text for _, text in share.sentences()] == ["六", "八"]
        share.add(clip(share.wav(2), "六"), 1800)
        assert list(share.sentences()) == []  # the hours are full
    assert len(list(read_clips([tmp_path / "out" / "1.jsonl"]))) == 3


def test_the_first_voice_tells_units_and_times() -> None:
    symbols = symbols_of("安全")
    seconds = [0.1 if symbol != "eos" else 0.0 for symbol in symbols]
    labelled = units_and_spans(symbols, seconds)
    assert labelled is not None
    units, spans = labelled
    assert units == (PAUSE, "an", PAUSE, "q", "van", PAUSE)
    named = [
        (units[s.unit] if s.unit >= 0 else s.unit, round(s.start_seconds, 3), round(s.end_seconds, 3)) for s in spans
    ]
    # The mark between the syllables is real speech: half belongs to each.
    assert named == [(SILENT, 0.0, 0.1), ("an", 0.1, 0.35), ("q", 0.35, 0.5), ("van", 0.5, 0.6), (SILENT, 0.6, 0.7)]


def test_labels_say_where_a_unit_begins() -> None:
    call = Call(np.zeros(8000), lead_seconds=0.2, pace=2.0)
    spans = [Span(SILENT, 0, 0.1), Span(1, 0.1, 0.3), Span(2, 0.3, 0.5), Span(UNKNOWN, 0.5, 0.6)]
    labels = labels_of(("_", "h", "ao"), spans, call, 60).tolist()
    h, ao = 2 * UNIT_INDEX["h"], 2 * UNIT_INDEX["ao"]
    begin = labels.index(h + 1)
    assert begin == 24  # 0.2 s + 0.1 s / 2, minus half a frame
    assert labels[begin + 1 : begin + 10] == [h] * 9
    assert labels[begin + 10] == ao + 1
    assert UNLABELLED in labels
    assert set(labels[:20]) == {0}


def test_words_read_one_by_one_are_joined_within_a_speaker() -> None:
    clips = [
        Clip(f"{speaker}{n}.wav", "好", "words", speaker, ("_", "h", "ao", "_")).with_spans(
            [Span(1, 0, 1)], -0.5 if n else -9
        )
        for speaker in "ab"
        for n in range(10)
    ]
    utterances = utterances_of(clips, Recipe(copies=2, join=(3, 9)), seed=1)
    assert all(len({clip.speaker for clip in u.clips}) == 1 for u in utterances)
    # The clip that fits its transcript badly is left out; the others are used once a copy.
    assert sum(len(u.clips) for u in utterances) == 2 * 2 * 9
    assert utterances == utterances_of(clips, Recipe(copies=2, join=(3, 9)), seed=1)


def tone(hertz: float, rate_hz: int, seconds: float = 1.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(rate_hz * seconds)) / rate_hz)).astype(np.float32)


@pytest.mark.parametrize("rate_hz", [16000, 24000])
@pytest.mark.parametrize("factor", [0.8, 1.0, 1.18])
def test_a_shorter_vocal_tract_is_higher_and_quicker(rate_hz: int, factor: float) -> None:
    sound, pace = resampled(tone(500, rate_hz), rate_hz, factor)
    assert pace == pytest.approx(factor, rel=0.01)
    assert len(sound) / RATE_HZ == pytest.approx(1 / pace, rel=0.01)
    peak = np.abs(np.fft.rfft(sound)).argmax() * RATE_HZ / len(sound)
    assert peak == pytest.approx(500 * pace, abs=3)


@pytest.mark.parametrize("codec", [("WAV", "ALAW"), ("WAV", "ULAW"), ("WAV", "GSM610"), ("AU", "G721_32"), None])
def test_a_codec_keeps_time_and_most_of_the_sound(codec: tuple[str, str] | None) -> None:
    sound = tone(700, RATE_HZ).astype(np.float64) * 30000
    back = coded(sound, codec)
    assert len(back) == len(sound)
    assert np.corrcoef(sound[800:-800], back[800:-800])[0, 1] > 0.95


def test_an_imitated_call_is_made_again_by_its_seed() -> None:
    speech = tone(400, 16000)
    calls = [imitated_call(speech, 16000, seed, warp=(0.8, 1.2)) for seed in (7, 7, 8)]
    assert np.array_equal(calls[0].sound, calls[1].sound)
    assert calls[0].pace == calls[1].pace != calls[2].pace
    assert all(np.abs(call.sound).max() <= 32768 and len(call.sound) > PACKET_SAMPLES for call in calls)


def test_a_plain_call_says_where_the_clip_lies() -> None:
    speech = np.concatenate([np.zeros(8000, np.float32), tone(600, 16000)])
    call = plain_call(speech, 16000)
    level = np.abs(call.sound).reshape(-1, 80).mean(1)
    loud = np.flatnonzero(level > level.max() / 3)[0] * 80 / RATE_HZ
    assert loud == pytest.approx(call.lead_seconds + 0.5 / call.pace, abs=0.02)


def test_the_running_mean_is_that_of_vosk() -> None:
    """Kaldi's OnlineCmvn: a window of 600 frames, at most 200 global ones until it is full."""
    frames = np.random.default_rng(1).standard_normal((700, 3)) + 5
    mean = online_mean(frames, np.zeros(3))
    assert mean[0] == pytest.approx(frames[0] / 201)
    assert mean[450] == pytest.approx(frames[:451].sum(0) / 600)
    assert mean[650] == pytest.approx(frames[51:651].mean(0))
    later = online_mean(frames, np.zeros(3), before=600, before_mean=np.full(3, 5.0))
    assert later.shape == mean.shape
    assert later[0] == pytest.approx((599 * 5 + frames[0]) / 600)


def test_the_cosine_transform_is_kaldis() -> None:
    matrix = dct()
    plain = matrix / (1 + 11 * np.sin(np.pi * np.arange(40) / 22))[:, None]
    assert plain @ plain.T == pytest.approx(np.eye(40), abs=1e-5)
