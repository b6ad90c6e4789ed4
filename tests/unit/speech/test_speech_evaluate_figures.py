"""Error rates, intervals, calibration; and the lines that clips are sent down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.errors import SpeechError
from speech.evaluate.compare import compare
from speech.evaluate.conditions import PRESETS, conditions
from speech.evaluate.figures import ClipHeard, bootstrap, calibration, confusions, difference, rates, worst
from speech.evaluate.manifest import Clip


def heard(
    line: int,
    said: str,
    got: str,
    *,
    confidences: tuple[tuple[float, bool], ...] | None = (),
    turns: int = 1,
    model: str = "m",
) -> ClipHeard:
    return ClipHeard(
        clip=Clip(line, f"{line}.wav", said),
        model=model,
        condition="telephone",
        heard=got,
        comparison=compare(said, got),
        confidences=confidences,
        turns=turns,
        late=False,
        audio_seconds=2.0,
        decoded_seconds=1.5,
        cpu_seconds=0.1,
    )


def test_rates_are_over_all_characters_not_over_clips() -> None:
    found = rates([heard(1, "楼上漏水", "楼上漏水"), heard(2, "你好", "您好啊", turns=2), heard(3, "是的", "")])
    assert (found.clips, found.characters, found.errors) == (3, 8, 4)
    assert found.character_error_rate == 0.5
    assert found.syllable_error_rate == 0.5
    assert (found.substituted, found.inserted, found.deleted) == (1 / 8, 1 / 8, 2 / 8)
    assert (found.all_right, found.unheard, found.cut) == (1, 1, 1)
    assert found.cpu_seconds_per_second == pytest.approx(0.05)


def test_an_interval_holds_the_rate_is_repeatable_and_narrows_with_more_clips() -> None:
    few = [(1, 10), (5, 10), (0, 10), (9, 10)]
    first = bootstrap(few, seed=3)
    assert first == bootstrap(few, seed=3)
    assert first is not None
    assert 0 <= first.low < 15 / 40 < first.high <= 0.9
    many = bootstrap(few * 50)
    assert many is not None
    assert many.high - many.low < (first.high - first.low) / 4
    assert bootstrap([(1, 2)]) is None  # of one clip nothing can be said


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=2, max_size=20))
def test_an_interval_lies_between_the_best_and_the_worst_clip(pairs: list[tuple[int, int]]) -> None:
    found = bootstrap(pairs)
    each = [errors / said for errors, said in pairs]
    assert found is not None
    assert min(each) - 1e-9 <= found.low <= found.high <= max(each) + 1e-9


def test_models_are_compared_on_the_clips_that_both_heard() -> None:
    one = [heard(n, "楼上漏水", "楼上漏水") for n in range(1, 9)]
    other = [heard(n, "楼上漏水", "楼上漏油") for n in range(5, 20)]
    gap, between = difference(one, other)
    assert gap == -0.25
    assert between is not None
    assert between.low == between.high == -0.25
    with pytest.raises(ValueError, match="in common"):
        difference(one[:2], other)


def test_calibration_is_the_distance_of_confidence_from_being_right() -> None:
    sure_and_right = heard(1, "楼上", "楼上", confidences=((0.95, True), (0.85, True)))
    sure_and_wrong = heard(2, "楼上", "楼下", confidences=((0.95, False), (1.0, True)))
    unknown = heard(3, "二", "2", confidences=None)
    found = calibration([sure_and_right, sure_and_wrong, unknown])
    assert found is not None
    assert (found.words, found.left_out) == (4, 1)
    assert found.right == 0.75
    top, below = found.bins[9], found.bins[8]
    assert top is not None
    assert below is not None
    assert (top.words, below.words) == (3, 1)
    assert found.error == pytest.approx((3 * abs((0.95 + 0.95 + 1) / 3 - 2 / 3) + abs(0.85 - 1)) / 4)
    assert calibration([unknown]) is None


def test_the_worst_come_first_and_the_right_not_at_all() -> None:
    clips = [heard(1, "楼上漏水", "楼上漏油"), heard(2, "你好", "您"), heard(3, "对", "对"), heard(4, "你好吗", "")]
    assert [one.clip.line for one in worst(clips)] == [4, 2, 1]
    assert [one.clip.line for one in worst(clips, 1)] == [4]


def test_confusions_are_counted() -> None:
    found = confusions([heard(1, "十四", "是四"), heard(2, "十楼", "是楼啊")])
    assert found[0][:2] == ("十", "是")
    assert found[0][2].value == "sound"
    assert found[0][3] == 2
    assert ("", "啊") in [one[:2] for one in found]


def test_without_a_word_a_good_telephone_line_is_taken() -> None:
    (only,) = conditions()
    assert only.name == "telephone"
    assert only.channel == PRESETS["telephone"][0]


def test_presets_and_wishes_are_combined_and_doubles_left_out() -> None:
    found = conditions(["telephone", "clean", "telephone"], snr_db=[20, 10], packet_loss=[0, 0.05])
    assert len(found) == 8
    assert len({one.name for one in found}) == 8
    assert {one.channel.snr_db for one in found} == {20, 10}
    assert found == conditions(["telephone", "clean"], snr_db=[20, 10], packet_loss=[0, 0.05])


def test_the_law_holds_for_every_preset() -> None:
    assert {one.channel.codec for one in conditions(["telephone", "lossy"], law="u")} == {"ulaw"}


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        ({"presets": ["mars"]}, "mars"),
        ({"noise": "babble"}, "SNR"),
        ({"snr_db": [float("nan")]}, "nan"),
        ({"packet_loss": [2.0]}, "share"),
        ({"level_dbfs": [3.0]}, "loudest"),
        ({"law": "x"}, "law"),
        ({"snr_db": [float(n) for n in range(70)]}, "64"),
    ],
)
def test_a_line_that_cannot_be_is_refused_with_a_reason(wishes: dict, told: str) -> None:
    with pytest.raises(SpeechError, match=told):
        conditions(**wishes)
