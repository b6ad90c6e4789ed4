"""The AudioSocket parser: any split, any garbage, wrong order, oversized, unknown."""

from __future__ import annotations

from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr.audiosocket_wire import (
    DIGITS,
    SOUND_MAX_BYTES,
    AudioSocketParser,
    Digit,
    Identified,
    PeerError,
    PeerHungUp,
    Sound,
    Violation,
    WireEvent,
    encode_frame,
)

CALL = UUID("8c7a0f0e-2b1d-4c3a-9f5e-0123456789ab")
HELLO = encode_frame(0x01, CALL.bytes)
sound = st.binary(min_size=1, max_size=400).map(lambda b: b + b[: len(b) % 2])
frames = st.one_of(
    sound.map(lambda pcm: (encode_frame(0x10, pcm), Sound(pcm))),
    st.sampled_from(sorted(DIGITS)).map(lambda digit: (encode_frame(0x03, digit.encode()), Digit(digit))),
    st.integers(0, 255).map(lambda code: (encode_frame(0xFF, bytes([code])), PeerError(code))),
    st.tuples(st.integers(0x11, 0x7F), st.binary(max_size=500)).map(lambda f: (encode_frame(*f), None)),  # unknown
)


def fed(parser: AudioSocketParser, data: bytes, cuts: list[int]) -> list[WireEvent]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [event for start, end in pairwise(places) for event in parser.feed(data[start:end])]


@given(st.lists(frames, max_size=12), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_split_gives_the_same_events(said: list[tuple[bytes, WireEvent | None]], cuts: list[int]) -> None:
    data = HELLO + b"".join(wire for wire, _event in said)
    expected = [Identified(str(CALL)), *(event for _wire, event in said if event is not None)]
    assert fed(AudioSocketParser(), data, cuts) == expected


@given(st.binary(max_size=3000), st.lists(st.integers(0, 3000), max_size=8), st.booleans())
def test_garbage_never_raises_and_never_depends_on_the_split(data: bytes, cuts: list[int], hello: bool) -> None:
    data = (HELLO if hello else b"") + data
    whole = AudioSocketParser().feed(data)
    assert fed(AudioSocketParser(), data, cuts) == whole
    assert sum(isinstance(event, Violation | PeerHungUp) for event in whole) <= 1
    if whole and not isinstance(whole[0], Violation):
        assert isinstance(whole[0], Identified)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encode_frame(0x10, bytes(320)), "order"),
        (encode_frame(0x00), "order"),
        (encode_frame(0x77, b"x"), "order"),
        (encode_frame(0x01, bytes(15)), "uuid"),
        (b"\x01\xff\xff", "uuid"),
        (HELLO + HELLO, "order"),
        (HELLO + b"\x10\xff\xff", "oversized"),
        (HELLO + encode_frame(0x10, bytes(SOUND_MAX_BYTES + 2)), "oversized"),
        (HELLO + encode_frame(0x03, b"12"), "digit"),
        (HELLO + encode_frame(0x03, b""), "digit"),
        (HELLO + encode_frame(0x03, b"\n"), "digit"),
        (HELLO + encode_frame(0x03, b"\xff"), "digit"),
        (HELLO + encode_frame(0x03, b"e"), "digit"),
    ],
)
def test_a_broken_peer_is_told_by_name(data: bytes, reason: str) -> None:
    parser = AudioSocketParser()
    assert parser.feed(data)[-1] == Violation(reason)
    assert parser.feed(HELLO + encode_frame(0x10, bytes(320))) == []


def test_an_oversized_frame_is_refused_before_it_is_received() -> None:
    parser = AudioSocketParser()
    parser.feed(HELLO)
    assert parser.feed(b"\x10\x80\x00") == [Violation("oversized")]


def test_after_a_hang_up_nothing_is_heard() -> None:
    parser = AudioSocketParser()
    events = parser.feed(HELLO + encode_frame(0x00) + encode_frame(0x10, bytes(320)))
    assert events == [Identified(str(CALL)), PeerHungUp()]


def test_half_a_sample_is_cut_so_that_the_next_frame_is_no_noise() -> None:
    parser = AudioSocketParser()
    parser.feed(HELLO)
    assert parser.feed(encode_frame(0x10, b"\x01\x02\x03")) == [Sound(b"\x01\x02")]
    assert parser.feed(encode_frame(0x10, b"\x01")) == []


def test_letters_of_digits_are_upper_case() -> None:
    parser = AudioSocketParser()
    parser.feed(HELLO)
    assert parser.feed(encode_frame(0x03, b"a")) == [Digit("A")]


def test_a_uuid_is_canonical() -> None:
    call = uuid4()
    assert AudioSocketParser().feed(encode_frame(1, call.bytes)) == [Identified(str(call))]
