"""What the bench makes of what it measured: its parts are there, figures, search, table, the caller's wire, overload."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import audio_path
from bench.__main__ import PARTS, _watch
from bench.figures import Curve, Figure, PartResult, Plot, percentile
from bench.hotline_up import Kept
from bench.overload import result_of, seen
from bench.page import TITLES, page
from bench.search import LargestPassing
from bench.sip_callers import CallRecord, Script
from bench.sip_wire import FRAME_SAMPLES, alaw_decode, alaw_encode, key_payload, missing, parse_rtp, parse_sip, rtp
from bench.table import markdown
from cases.schema import Asks, Ended
from ivr.events import (
    CallEnded,
    CallHeardAgain,
    DraftDelivered,
    Fact,
    Hearing,
    HearingPostponed,
    RecordingDelivered,
    TranscriptFinal,
    TurnEnd,
    TurnEnded,
    TurnHeardAgain,
)
from ivr.journal import revision_of

AT = datetime(2026, 11, 29, 12, tzinfo=UTC)
CALL = "20261129-120000-abc"


@pytest.mark.parametrize("part", PARTS)
def test_every_part_that_is_named_can_be_run(part: str) -> None:
    assert callable(importlib.import_module(PARTS[part]).measure)
    assert part in TITLES


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("pass", ""),
        ("import sys; sys.exit('no model')", "exit status 1: no model"),
        ("import time; time.sleep(120)", "not done in 0.5 s"),  # and nothing said: it hangs
    ],
)
def test_a_part_that_breaks_or_hangs_is_told_and_holds_up_nothing(tmp_path: Path, said: str, told: str) -> None:
    most_seconds = 0.5 if "sleep" in said else 60
    assert _watch([sys.executable, "-c", said], tmp_path / "log", most_seconds).startswith(told)


@given(st.integers(0, 700), st.integers(1, 64))
def test_the_largest_load_that_passes_is_found(truth: int, first: int) -> None:
    search = LargestPassing(first, most=512, gap_share=0.06)
    tried = 0
    while (load := search.next()) is not None:
        search.tell(load, passes=load <= truth)
        tried += 1
        assert tried < 40
    truth = min(truth, 512)
    assert search.answer <= truth
    assert truth - search.answer <= max(1, int(0.06 * search.answer))


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.integers(1, 100))
def test_a_percentile_was_measured_and_has_so_many_below_it(values: list[float], percent: int) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values)


def test_goals_are_judged_from_their_side_and_results_survive_json() -> None:
    streams = Figure("streams", 30.0, "", "usual", 20.0, 1.5, at_most=False, of_ratio=True)
    assert (streams.ratio, streams.met, replace(streams, value=29.0).met) == (1.5, True, False)
    late = Figure("late", 151.0, "ms", goal=150.0)
    assert (late.met, replace(late, value=None).met, replace(late, goal=None).met) == (False, None, None)
    plot = Plot("t", "x", "y", (Curve("c", ((1.0, 2.0),)),))
    result = PartResult("calls", (streams, late), (plot,), ("n",), "broke | here", 1.5)
    assert PartResult.from_json(result.as_json()) == result
    told = markdown({"CPU": "x"}, [result])
    assert "✓" in told
    assert "✗" in told
    assert r"broke \| here" in told
    assert "broke" in page({"CPU": "x"}, [result])


@given(st.binary(min_size=320, max_size=320))
def test_alaw_is_as_near_as_its_steps(pcm: bytes) -> None:
    said = np.frombuffer(pcm, "<i2").astype(int)
    heard = np.frombuffer(alaw_decode(alaw_encode(pcm)), "<i2").astype(int)
    assert (np.abs(heard - said) <= np.maximum(16, np.abs(said) / 16)).all()
    assert alaw_encode(alaw_decode(alaw_encode(pcm))) == alaw_encode(pcm)


def test_packets_of_keys_and_sound_are_what_the_standards_say() -> None:
    assert key_payload("#", 800, end=True) == bytes([11, 0x8A, 3, 0x20])  # RFC 4733
    packet = parse_rtp(rtp(8, 65536 + 3, 160, 7, bytes(FRAME_SAMPLES), marker=True))
    assert packet is not None
    assert (packet.kind, packet.sequence, packet.timestamp, len(packet.payload)) == (8, 3, 160, FRAME_SAMPLES)
    assert missing([65534, 65535, 0, 2, 1, 5]) == 2
    assert missing([]) == 0


@given(st.binary(max_size=200))
def test_noise_on_the_wire_breaks_nothing(data: bytes) -> None:
    parse_rtp(data)
    parse_sip(data)


# --- overload


def record(*, answered: bool = True) -> CallRecord:
    """Speaks one frame at the loop's second 10."""
    loud = np.full(160, 8000, "<i2").tobytes()
    made = CallRecord(Script("1", loud, 5.0), "line-1")
    if answered:
        made.answered_at, made.frames_at = 9.0, [10.0]
    return made


def turn(text: str, *, pending: bool = False) -> TurnEnded:
    return TurnEnded(
        CALL, AT, 0, "open", Asks.NARRATION, "", text, (), "", TurnEnd.SILENCE, 1.0, 4.5,
        silence_seconds=1.0, pending=pending,
    )  # fmt: skip


def kept(folder: Path, *facts: Fact, done: bool = True) -> Kept:
    if not done:
        return Kept(folder, facts)
    delivered = DraftDelivered(CALL, AT, "draft", True, revision_of(facts))
    return Kept(folder, (*facts, delivered, RecordingDelivered(CALL, AT, "0", 4.5)))


def test_one_who_is_heard_live_waits_beyond_her_silence(tmp_path: Path) -> None:
    offset = AT.timestamp() - 11.5
    facts = (TranscriptFinal(CALL, AT, 0, "停水了"), turn("停水了"), CallEnded(CALL, AT, Ended.COMPLETED, "open"))
    one = seen(record(), kept(tmp_path, *facts), offset)
    assert (one.answered, one.delivered, one.live, one.words) == (True, True, True, True)
    assert one.beyond_seconds == pytest.approx(1.5 - 0.02 - 1.0)


def test_one_who_is_not_heard_live_waits_for_her_words(tmp_path: Path) -> None:
    facts: list[Fact] = [
        HearingPostponed(CALL, AT, 4),
        turn("", pending=True),
        CallEnded(CALL, AT, Ended.COMPLETED, ""),
    ]
    owed = seen(record(), kept(tmp_path, *facts, done=False), 0.0)
    assert (owed.live, owed.words, owed.delivered, owed.words_after_seconds) == (False, False, False, None)
    at = AT + timedelta(seconds=7)
    facts += [TurnHeardAgain(CALL, at, 0, "停水了"), CallHeardAgain(CALL, at, Hearing.LATE, "m", 1)]
    there = seen(record(), kept(tmp_path, *facts), 0.0)
    assert (there.live, there.words, there.delivered, there.words_after_seconds) == (False, True, True, 7.0)


def test_what_is_lost_is_counted_once(tmp_path: Path) -> None:
    live = seen(record(), kept(tmp_path, TranscriptFinal(CALL, AT, 0, "停"), turn("停")), AT.timestamp() - 11.5)
    later = replace(live, live=False, beyond_seconds=None, words_after_seconds=3.0)
    unanswered = seen(record(answered=False), None, 0.0)
    wordless = replace(later, words=False, words_after_seconds=None)
    undelivered = replace(later, delivered=False)
    result = result_of([live], [live, later, unanswered, wordless, undelivered], 1, 0.0)
    waits, lost, words = result.figures
    assert (waits.value, waits.ratio) == (pytest.approx(480, abs=1), 1.0)
    assert (lost.value, lost.met) == (3.0, False)
    assert words.value == 3.0
    assert result.failure == ""
    assert result_of([live], [live], 1, 0.0).failure


def test_a_call_is_done_when_the_newest_draft_and_the_recording_have_arrived(tmp_path: Path) -> None:
    first = DraftDelivered(CALL, AT, "draft", True, 0)
    recording = RecordingDelivered(CALL, AT, "0", 4.5)
    again = (TurnHeardAgain(CALL, AT, 0, "停水了"), CallHeardAgain(CALL, AT, Hearing.LATE, "m", 1))
    assert Kept(tmp_path, (first, recording)).done
    assert not Kept(tmp_path, (first,)).done
    assert not Kept(tmp_path, (first, recording, *again)).done
    assert Kept(tmp_path, (first, recording, *again, replace(first, revision=revision_of(again)))).done


def test_cpu_of_a_call_is_told_only_while_there_are_cores_to_spare() -> None:
    free = audio_path.Round(
        calls=10, answered=10, delivered=10, cores=dict.fromkeys(audio_path.SERVICES, 0.2), recognition_cores=0.4,
        memory_bytes=dict.fromkeys(audio_path.SERVICES, 2**20), packets_missing=0, packets_heard=9, frames_lost=0,
        frames_said=9, generator_lag_seconds=0.01,
    )  # fmt: skip
    full = replace(free, generator_lag_seconds=0.1, recognition_cores=0.7)
    result = audio_path.result_of([free, full], dict.fromkeys(audio_path.SERVICES, 0))
    told, _memory, _lost, nothing, *_ = result.figures
    assert told.value == pytest.approx(2.0)
    assert nothing.value is None


def test_figures_below_zero_have_no_ratio() -> None:
    assert Figure("beyond the silence", -2.0, "ms", "alone", -6.0).ratio is None
    assert Figure("beyond the silence", 3.0, "ms", "alone", 6.0).ratio == 0.5
