"""Facts to lines and back, and the fold of a call's facts into its transcript, ended or not."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.schema import AlertKind, Asks, Ended, Word, draft_id_of
from ivr import events
from ivr.errors import CallError
from ivr.events import (
    AlertRaised,
    AudioConnected,
    CallEnded,
    CallerHungUp,
    CallFailed,
    CallHeardAgain,
    CallStarted,
    DraftDelivered,
    DraftReady,
    Fact,
    Hearing,
    HearingBegun,
    HearingPostponed,
    HearingPutOff,
    KeyPressed,
    MoreAsked,
    NothingMoreSaid,
    PromptSaid,
    PromptStopped,
    RecordingDelivered,
    TranscriptFinal,
    TranscriptPartial,
    TurnEnd,
    TurnEnded,
    TurnHeardAgain,
)
from ivr.journal import (
    JOURNAL_NAME,
    Journal,
    decode_fact,
    encode_fact,
    read_journal,
    recording_offset_seconds,
    revision_of,
    transcript_of,
)

CALL = "8c7a0f0e-2b1d-4c3a-9f5e-0123456789ab"
AT = datetime(2026, 11, 24, 22, 30, 0, 123456, tzinfo=UTC)
STARTED = CallStarted(CALL, AT, "13910001234", "12345", "1000017", AT, "PJSIP/1002-00000001")
PROMPT = PromptSaid(CALL, AT, 0, "open", Asks.NARRATION, "请说出您要反映的问题")


def words(text: str, start: float = 1.0) -> tuple[Word, ...]:
    return tuple(
        Word(text=char, start_seconds=start + n, end_seconds=start + n + 0.5, confidence=0.9)
        for n, char in enumerate(text)
    )


EVERY_KIND: list[Fact] = [
    STARTED,
    AudioConnected(CALL, AT, 1.25),
    PROMPT,
    PromptStopped(CALL, AT, 0, "speech", 180.0),
    KeyPressed(CALL, AT, 0, "#"),
    TranscriptPartial(CALL, AT, 0, "楼上", words("楼上")),
    TranscriptFinal(CALL, AT, 0, '楼上 "半夜"\n\\装修\u2028', ()),
    TurnEnded(CALL, AT, 0, "open", Asks.NARRATION, "请说", "楼上", words("楼上"), "12", TurnEnd.SILENCE, 1.0, 4.5),
    MoreAsked(CALL, AT, 0, "还有吗？", 2.1),
    NothingMoreSaid(CALL, AT, 0, "没有了", 9.5),
    AlertRaised(CALL, AT, AlertKind.THREAT, 0, "扬言"),
    CallerHungUp(CALL, AT, "open"),
    CallFailed(CALL, AT, "disk-full", "journal: No space left on device"),
    CallEnded(CALL, AT, Ended.COMPLETED, "goodbye"),
    HearingPostponed(CALL, AT, 12),
    HearingBegun(CALL, AT, Hearing.LATE),
    HearingPutOff(CALL, AT, Hearing.LATE),
    TurnHeardAgain(CALL, AT, 0, "楼上装修", words("楼上装修"), "yes"),
    CallHeardAgain(CALL, AT, Hearing.LATE, "vosk:zh-telephone", 1),
    DraftReady(CALL, AT, str(draft_id_of(CALL))),
    DraftDelivered(CALL, AT, str(draft_id_of(CALL)), True),
    RecordingDelivered(CALL, AT, "0" * 64, 12.5),
]


def test_every_kind_of_fact_is_here() -> None:
    assert {type(fact) for fact in EVERY_KIND} == {
        kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Fact) and kind is not Fact
    }


@pytest.mark.parametrize("fact", EVERY_KIND, ids=lambda fact: type(fact).__name__)
def test_a_fact_is_one_line_and_comes_back_the_same(fact: Fact) -> None:
    line = encode_fact(fact)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode_fact(line) == fact


@given(st.text(), st.text(st.characters(exclude_categories=("Cs",)), max_size=30))
def test_any_text_a_recogniser_gives_can_be_kept(text: str, step: str) -> None:
    line = encode_fact(TranscriptFinal(CALL, AT, 3, text, ()))
    assert line.count(b"\n") == 1
    fact = decode_fact(line)
    assert isinstance(fact, TranscriptFinal)
    assert fact.text == text.encode("utf-8", "replace").decode()
    assert decode_fact(encode_fact(CallerHungUp(CALL, AT, step))) == CallerHungUp(CALL, AT, step)


@given(st.binary(max_size=300))
def test_garbage_is_no_fact_but_no_crash(line: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert decode_fact(line) is None


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"[" * 100_000,
        b'{"fact": 3}',
        b'{"fact":"CallerHungUp","call_id":"x","at":"2026-11-24T22:30:00","step":"s"}',  # no zone
        b'{"fact":"KeyPressed","call_id":"x","at":"2026-11-24T22:30:00Z"}',
        b'{"fact":"TranscriptFinal","call_id":"x","at":"2026-11-24T22:30:00Z","turn":NaN,"text":"","words":[]}',
    ],
)
def test_what_is_no_fact_is_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - pydantic's is one too
        decode_fact(line)


def test_a_kind_of_a_later_version_is_skipped() -> None:
    assert decode_fact(b'{"fact":"CallTransferred","call_id":"x","at":"2026-11-24T22:30:00Z"}') is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / CALL
    path.mkdir()
    return path


def test_what_is_written_is_read(folder: Path) -> None:
    with Journal(folder) as journal:
        for fact in EVERY_KIND:
            journal.write(fact)
    assert read_journal(folder / JOURNAL_NAME) == EVERY_KIND


async def test_facts_stand_in_the_order_in_which_they_were_recorded(folder: Path) -> None:
    facts = [KeyPressed(CALL, AT + timedelta(seconds=n), n, str(n % 10)) for n in range(50)]
    facts += [TranscriptPartial(CALL, AT, n, "x" * n) for n in range(1, 20)]
    with Journal(folder) as journal:
        await asyncio.gather(*(journal.record(fact) for fact in facts))
    assert read_journal(folder / JOURNAL_NAME) == facts


def test_a_torn_last_line_is_left_out_and_cut_at_the_next_opening(folder: Path) -> None:
    whole, torn = encode_fact(STARTED), encode_fact(PROMPT)[:-7]
    (folder / JOURNAL_NAME).write_bytes(whole + torn)
    assert read_journal(folder / JOURNAL_NAME) == [STARTED]
    with Journal(folder) as journal:
        journal.write(PROMPT)
    assert read_journal(folder / JOURNAL_NAME) == [STARTED, PROMPT]


@pytest.mark.parametrize("torn", [b"x", b"x" * 200_000])
def test_a_journal_that_is_only_torn_becomes_empty(folder: Path, torn: bytes) -> None:
    (folder / JOURNAL_NAME).write_bytes(torn)
    Journal(folder).close()
    assert (folder / JOURNAL_NAME).read_bytes() == b""


@given(cut=st.integers(0, 5000))
def test_whatever_was_cut_off_the_rest_is_read(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("cut") / JOURNAL_NAME
    data = b"".join(encode_fact(fact) for fact in EVERY_KIND)[:cut]
    path.write_bytes(data)
    assert read_journal(path) == EVERY_KIND[: data.count(b"\n")]


def test_a_damaged_line_in_the_middle_costs_only_itself(folder: Path) -> None:
    lines = [encode_fact(STARTED), b'{"fact":"KeyPre\xff\x00\n', b"\n", bytes(40) + b"\n", encode_fact(PROMPT)]
    (folder / JOURNAL_NAME).write_bytes(b"".join(lines))
    assert read_journal(folder / JOURNAL_NAME) == [STARTED, PROMPT]


def test_a_journal_that_is_not_there_has_a_code(folder: Path) -> None:
    with pytest.raises(CallError, match="journal-unreadable"):
        read_journal(folder / JOURNAL_NAME)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's full disk")
async def test_a_full_disk_is_told_and_leaves_no_half_line(folder: Path) -> None:
    os.symlink("/dev/full", folder / JOURNAL_NAME)
    journal = Journal(folder)
    for write in (lambda: journal.write(STARTED), None):
        with pytest.raises(CallError) as failure:
            write() if write else await journal.record(STARTED)
        assert failure.value.code == "disk-full"
        assert failure.value.recoverable
    journal.close()


def test_a_write_cut_short_is_taken_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[[int, bytes], int] = os.write
    with Journal(folder) as journal:
        journal.write(STARTED)
        monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:11]))
        with pytest.raises(CallError, match="disk-full"):
            journal.write(PROMPT)
        monkeypatch.undo()
        journal.write(PROMPT)
    assert read_journal(folder / JOURNAL_NAME) == [STARTED, PROMPT]


# what a call was


def ended_turn(turn: int, text: str, digits: str = "", asks: Asks = Asks.NARRATION) -> TurnEnded:
    return TurnEnded(CALL, AT, turn, "step", asks, "问", text, words(text), digits, TurnEnd.SILENCE, 1.0, 3.0)


def test_a_whole_call() -> None:
    facts = [STARTED, PROMPT, ended_turn(0, "楼上装修"), ended_turn(1, "", "1", Asks.CONFIRMATION)]
    transcript = transcript_of([*facts, CallEnded(CALL, AT, Ended.COMPLETED, "goodbye")])
    assert (transcript.call_id, transcript.draft_id) == (CALL, draft_id_of(CALL))
    assert (transcript.caller_number, transcript.reference, transcript.received_at) == ("13910001234", "1000017", AT)
    assert transcript.ended is Ended.COMPLETED
    assert transcript.hung_up_at_step is None
    assert [(turn.text, turn.digits, turn.asks, turn.final) for turn in transcript.turns] == [
        ("楼上装修", "", Asks.NARRATION, True),
        ("", "1", Asks.CONFIRMATION, True),
    ]
    assert transcript.turns[0].heard_from_seconds == 1.0


def test_a_call_killed_in_the_middle_of_a_sentence_keeps_it() -> None:
    facts = [
        STARTED,
        PROMPT,
        TranscriptPartial(CALL, AT, 0, "楼"),
        TranscriptFinal(CALL, AT, 0, "楼上", words("楼上")),
        KeyPressed(CALL, AT, 0, "5"),
        TranscriptPartial(CALL, AT, 0, "半", words("半", 4)),
        TranscriptPartial(CALL, AT, 0, "半夜", words("半夜", 4)),
    ]
    (turn,) = transcript_of(facts).turns
    assert turn.text == "楼上半夜" == "".join(word.text for word in turn.words)
    assert (turn.step, turn.asks, turn.prompt, turn.digits) == ("open", Asks.NARRATION, "请说出您要反映的问题", "5")
    assert not turn.final
    assert transcript_of(facts).ended is Ended.INTERRUPTED


def test_a_partial_without_word_times_stands_behind_words_that_have_them() -> None:
    facts = [STARTED, TranscriptFinal(CALL, AT, 0, "楼上", words("楼上")), TranscriptPartial(CALL, AT, 0, "半夜")]
    (turn,) = transcript_of(facts).turns
    assert turn.text == "楼上半夜" == "".join(word.text for word in turn.words)
    assert (turn.words[-1].start_seconds, turn.words[-1].confidence) == (turn.words[-2].end_seconds, 0.0)


def test_text_without_any_word_times_stays_text() -> None:
    (turn,) = transcript_of([STARTED, TranscriptPartial(CALL, AT, 0, "半夜")]).turns
    assert (turn.text, turn.words, turn.final) == ("半夜", (), False)


def test_a_final_replaces_its_partials_and_an_ended_turn_everything() -> None:
    facts: list[Fact] = [
        STARTED,
        PROMPT,
        TranscriptPartial(CALL, AT, 0, "楼里"),
        TranscriptFinal(CALL, AT, 0, "楼上", ()),
    ]
    (turn,) = transcript_of(facts).turns
    assert (turn.text, turn.final) == ("楼上", True)
    (turn,) = transcript_of([*facts, ended_turn(0, "楼下")]).turns
    assert turn.text == "楼下"


def test_a_hang_up_names_its_step() -> None:
    hung_up = transcript_of([STARTED, PROMPT, CallerHungUp(CALL, AT, "open")])
    assert (hung_up.ended, hung_up.hung_up_at_step) == (Ended.HUNG_UP, "open")
    ended = transcript_of([STARTED, CallerHungUp(CALL, AT, "place"), CallEnded(CALL, AT, Ended.HUNG_UP, "x")])
    assert (ended.ended, ended.hung_up_at_step) == (Ended.HUNG_UP, "place")
    human = transcript_of([STARTED, CallEnded(CALL, AT, Ended.HUMAN, "open"), CallerHungUp(CALL, AT, "open")])
    assert (human.ended, human.hung_up_at_step) == (Ended.HUMAN, None)


def test_a_journal_that_does_not_say_whose_call_it_is_is_broken() -> None:
    with pytest.raises(CallError, match="journal-broken"):
        transcript_of([PROMPT])


def test_facts_of_another_call_are_left_out() -> None:
    other = TranscriptFinal("another", AT, 0, "别人的话", ())
    (turn,) = transcript_of([STARTED, PROMPT, other]).turns
    assert turn.text == ""


def test_hostile_digits_and_numbers_do_not_break_the_transcript() -> None:
    started = CallStarted(CALL, AT, "1" * 100, "12345", "ref-1000x17" * 4, None)
    (turn,) = transcript_of([started, *(KeyPressed(CALL, AT, 0, key) for key in "1;\n#" * 40)]).turns
    assert set(turn.digits) == {"1", "#"}
    assert len(turn.digits) == 64
    transcript = transcript_of([started])
    assert len(transcript.caller_number or "") == 32
    assert transcript.reference.isdigit()


facts_in_any_order = st.lists(
    st.one_of(
        st.builds(
            PromptSaid, st.just(CALL), st.just(AT), st.integers(0, 4), st.text(), st.sampled_from(Asks), st.text()
        ),
        st.builds(KeyPressed, st.just(CALL), st.just(AT), st.integers(0, 4), st.text(max_size=3)),
        st.builds(
            lambda kind, turn, text, timed: kind(CALL, AT, turn, text, words(text) if timed else ()),
            st.sampled_from([TranscriptPartial, TranscriptFinal]),
            st.integers(0, 4),
            st.text(max_size=8),
            st.booleans(),
        ),
        st.builds(ended_turn, st.integers(0, 4), st.text(max_size=8), st.text(max_size=8)),
        st.builds(CallEnded, st.just(CALL), st.just(AT), st.sampled_from(Ended), st.text()),
        st.builds(CallerHungUp, st.just(CALL), st.just(AT), st.text()),
    ),
    max_size=30,
)


@given(facts_in_any_order)
def test_any_facts_make_a_transcript(facts: list[Fact]) -> None:
    transcript = transcript_of([STARTED, *facts])
    for turn in transcript.turns:
        if turn.words:
            assert turn.text == "".join(word.text for word in turn.words)
    assert (transcript.hung_up_at_step is not None) == (transcript.ended is Ended.HUNG_UP)


def test_the_offset_of_the_callers_sound() -> None:
    assert recording_offset_seconds([STARTED, AudioConnected(CALL, AT, 1.5)]) == 1.5
    assert recording_offset_seconds([STARTED]) == 0.0


def test_other_zones_come_back_as_the_same_moment() -> None:
    beijing = AT.astimezone(timezone(timedelta(hours=8)))
    fact = decode_fact(encode_fact(CallerHungUp(CALL, beijing, "open")))
    assert fact is not None
    assert fact.at == AT


def unheard_turn(turn: int) -> TurnEnded:
    return TurnEnded(
        CALL, AT, turn, "open", Asks.NARRATION, "请说", "", (), "", TurnEnd.SILENCE, 1.0, 4.5, pending=True
    )


def test_a_call_that_was_not_heard_waits_for_its_words_and_then_has_them() -> None:
    facts: list[Fact] = [STARTED, HearingPostponed(CALL, AT, 3), PROMPT, unheard_turn(0)]
    (turn,) = transcript_of(facts).turns
    assert (turn.text, turn.pending, turn.final) == ("", True, False)
    assert revision_of(facts) == 0
    facts.append(TurnHeardAgain(CALL, AT, 0, "楼上半夜", words("楼上半夜"), "unknown"))
    (turn,) = transcript_of(facts).turns
    assert turn.pending, "a hearing that was killed in the middle counts for nothing"
    facts.append(CallHeardAgain(CALL, AT, Hearing.LATE, "m", 1))
    (turn,) = transcript_of(facts).turns
    assert (turn.text, turn.pending, turn.final, turn.answer) == ("楼上半夜", False, True, "unknown")
    assert len(turn.words) == 4
    assert revision_of(facts) == 1


def test_words_of_a_killed_hearing_are_not_those_of_the_next_one() -> None:
    ended = TurnEnded(CALL, AT, 0, "open", Asks.NARRATION, "", "楼上", words("楼上"), "", TurnEnd.SILENCE, 1.0, 4.5)
    begun = HearingBegun(CALL, AT, Hearing.SECOND)
    killed = [STARTED, ended, begun, TurnHeardAgain(CALL, AT, 0, "漏伤", words("漏伤"))]
    for end in (
        CallHeardAgain(CALL, AT, Hearing.SECOND, "another", 0),
        CallHeardAgain(CALL, AT, Hearing.SECOND, "another", 0, error="second-pass-died"),
    ):
        (turn,) = transcript_of([*killed, begun, end]).turns
        assert turn.text == "楼上"
    (turn,) = transcript_of([*killed, CallHeardAgain(CALL, AT, Hearing.SECOND, "m", 0, error="given up")]).turns
    assert turn.text == "楼上"


def test_what_nobody_could_recognise_waits_no_longer() -> None:
    facts = [STARTED, unheard_turn(0), CallHeardAgain(CALL, AT, Hearing.LATE, "m", 1, error="audio-missing")]
    (turn,) = transcript_of(facts).turns
    assert (turn.text, turn.pending, turn.final) == ("", False, False)


def test_an_unheard_call_that_died_while_the_caller_spoke_waits_for_those_words_too() -> None:
    say = PromptSaid(CALL, AT, 1, "accepted", Asks.NOTHING, "已受理")
    turns = transcript_of([STARTED, HearingPostponed(CALL, AT, 3), PROMPT, say]).turns
    assert [(turn.pending, turn.final) for turn in turns] == [(True, False), (False, True)]
    assert [turn.pending for turn in transcript_of([STARTED, PROMPT, say]).turns] == [False, False]


def test_a_second_hearing_changes_the_words_and_keeps_keys_and_answers() -> None:
    ended = TurnEnded(
        CALL, AT, 0, "open", Asks.CONTACT, "", "可以", words("可以"), "1", TurnEnd.SILENCE, 1.0, 4.5, "same"
    )
    again = TurnHeardAgain(CALL, AT, 0, "可疑", words("可疑"), "other")
    (turn,) = transcript_of([STARTED, ended, again, CallHeardAgain(CALL, AT, Hearing.SECOND, "m", 1)]).turns
    assert (turn.text, turn.digits, turn.answer, turn.final) == ("可疑", "1", "same", True)
