"""What of a call is heard after it, and what that changes: by its journal alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases.schema import Asks, Word
from ivr.events import (
    AudioConnected,
    CallEnded,
    CallHeardAgain,
    CallStarted,
    Fact,
    Hearing,
    HearingPostponed,
    NothingMoreSaid,
    PromptSaid,
    TranscriptPartial,
    TurnEnd,
    TurnEnded,
    TurnHeardAgain,
)
from ivr.journal import revision_of, transcript_of
from ivr.rehearing import (
    Span,
    facts_of_hearing,
    hearing_due,
    hearing_failed,
    part_of,
    spans_of,
    words_in_recording,
)
from speech.recognizer import SpokenWord

CALL = "8c7a0f0e-2b1d-4c3a-9f5e-0123456789ab"
AT = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
STARTED = CallStarted(CALL, AT, "13910001234", "12345", "1000017", AT)
CONNECTED = AudioConnected(CALL, AT, 0.5)
UNHEARD = HearingPostponed(CALL, AT, 1)


def words(text: str, confidence: float = 0.9, start_seconds: float = 0.0) -> tuple[Word, ...]:
    return tuple(
        Word(text=c, start_seconds=start_seconds + n, end_seconds=start_seconds + n + 1, confidence=confidence)
        for n, c in enumerate(text)
    )


def turn(
    index: int = 0,
    text: str = "",
    *,
    pending: bool = False,
    late: bool = False,
    asks: Asks = Asks.NARRATION,
    confidence: float = 0.9,
    answer: str = "",
) -> TurnEnded:
    said = words(text, confidence)
    heard = (1.5 + 10 * index, 8.5 + 10 * index)
    return TurnEnded(
        CALL, AT, index, "open", asks, "请说", text, said, "", TurnEnd.SILENCE, *heard, answer, late, pending=pending
    )


def heard_again(facts: list[Fact], hearing: Hearing, text: str, confidence: float = 0.9) -> list[Fact]:
    found = {span.turn: (text, words(text, confidence)) for span in spans_of(facts, hearing)}
    return [*facts, *facts_of_hearing(facts, hearing, found, at=AT, model="m", answer_of=lambda _turn: "unknown")]


def texts(facts: list[Fact]) -> list[str]:
    return [turn.text for turn in transcript_of(facts).turns]


def test_a_call_heard_whole_is_owed_nothing_unless_there_is_a_second_pass() -> None:
    facts: list[Fact] = [STARTED, CONNECTED, turn(text="楼上装修"), turn(1, "对", asks=Asks.CONFIRMATION, answer="yes")]
    assert hearing_due(facts, second_pass=False) is None
    assert hearing_due(facts, second_pass=True) is Hearing.SECOND
    assert spans_of(facts, Hearing.SECOND) == (Span(0, 1.0, 8.0, 0.5),), "answers of a few phrases are left alone"


def test_first_what_a_call_lacks_then_the_second_pass() -> None:
    facts: list[Fact] = [STARTED, CONNECTED, UNHEARD, turn(pending=True), CallEnded(CALL, AT, "completed", "bye")]  # type: ignore[arg-type]
    assert hearing_due(facts, second_pass=True) is Hearing.LATE
    facts = heard_again(facts, Hearing.LATE, "楼上装修", 0.6)
    assert (texts(facts), revision_of(facts)) == (["楼上装修"], 1)
    assert hearing_due(facts, second_pass=True) is Hearing.SECOND
    facts = heard_again(facts, Hearing.SECOND, "楼上在装修", 0.9)
    assert (texts(facts), revision_of(facts)) == (["楼上在装修"], 2)
    assert hearing_due(facts, second_pass=True) is None


def test_a_second_pass_that_is_less_sure_changes_nothing_and_sends_nothing() -> None:
    facts: list[Fact] = [STARTED, CONNECTED, turn(text="楼上装修")]
    for text, confidence in (("楼下装修", 0.5), ("楼上装修", 1.0), ("", 1.0)):
        again = heard_again(facts, Hearing.SECOND, text, confidence)
        assert (texts(again), revision_of(again)) == (["楼上装修"], 0)
        assert isinstance(again[-1], CallHeardAgain)
        assert hearing_due(again, second_pass=True) is None, "once is enough"


def test_a_turn_that_waited_and_held_no_words_waits_no_longer() -> None:
    facts = heard_again([STARTED, CONNECTED, UNHEARD, turn(pending=True)], Hearing.LATE, "")
    (only,) = transcript_of(facts).turns
    assert (only.text, only.pending, only.final, revision_of(facts)) == ("", False, True, 1)


def test_a_hearing_that_failed_ends_the_waiting_and_is_told() -> None:
    facts: list[Fact] = [STARTED, CONNECTED, UNHEARD, turn(pending=True)]
    failed = hearing_failed(facts, Hearing.LATE, at=AT, model="m", error="audio-missing: gone")
    assert (failed.revision, failed.error) == (1, "audio-missing: gone")
    assert not transcript_of([*facts, failed]).turns[0].pending
    whole: list[Fact] = [STARTED, CONNECTED, turn(text="楼上装修")]
    assert hearing_failed(whole, Hearing.SECOND, at=AT, model="m", error="x").revision == 0, "nothing to send"


def test_an_answer_that_was_not_heard_is_named_when_its_words_come() -> None:
    pending = turn(asks=Asks.CONTACT, pending=True)
    facts = heard_again([STARTED, CONNECTED, UNHEARD, pending], Hearing.LATE, "不知道")
    assert transcript_of(facts).turns[0].answer == "unknown"
    keyed = turn(asks=Asks.CONTACT, pending=True, answer="same")
    facts = heard_again([STARTED, CONNECTED, UNHEARD, keyed], Hearing.LATE, "不知道")
    assert transcript_of(facts).turns[0].answer == "same", "a key was pressed: it stands"


def test_words_lost_live_are_made_good_and_never_by_nothing() -> None:
    facts: list[Fact] = [STARTED, CONNECTED, turn(text="楼上", late=True)]
    assert hearing_due(facts, second_pass=False) is Hearing.LATE
    assert texts(heard_again(facts, Hearing.LATE, "楼上半夜装修", 0.3)) == ["楼上半夜装修"]
    assert texts(heard_again(facts, Hearing.LATE, "")) == ["楼上"]


def test_a_turn_in_which_we_died_is_heard_from_its_question_on() -> None:
    asked = PromptSaid(CALL, AT + timedelta(seconds=3), 0, "open", Asks.NARRATION, "请说")
    facts: list[Fact] = [STARTED, CONNECTED, asked, TranscriptPartial(CALL, AT, 0, "楼上")]
    assert spans_of(facts, Hearing.LATE) == (Span(0, 3.0, None, 0.5),)
    assert texts(heard_again(facts, Hearing.LATE, "楼上半夜装修")) == ["楼上半夜装修"]


def test_the_no_to_anything_else_stays_out_of_the_story() -> None:
    no = NothingMoreSaid(CALL, AT, 0, "没有了", 4.0)
    facts: list[Fact] = [STARTED, CONNECTED, turn(text="楼上装秀", confidence=0.4), no]
    found = {0: ("楼上装修没有了", (*words("楼上装修"), *words("没有了", 0.9, 4.0)))}
    new = facts_of_hearing(facts, Hearing.SECOND, found, at=AT, model="m", answer_of=lambda _turn: "")
    assert isinstance(new[0], TurnHeardAgain)
    assert new[0].text == "楼上装修"


def test_a_message_has_a_sound_of_its_own_and_is_left_alone() -> None:
    message = TurnEnded(
        CALL, AT, 1, "leave_message", Asks.NARRATION, "", "留言", words("留言"), "", TurnEnd.HANG_UP, None, None
    )
    assert spans_of([STARTED, CONNECTED, message], Hearing.SECOND) == ()
    assert hearing_due([STARTED, message], second_pass=True) is None, "without the call's sound there is none to hear"


@given(st.integers(0, 40_000), st.floats(0, 30), st.one_of(st.none(), st.floats(0, 40)))
def test_a_part_is_whole_samples_of_the_sound(size: int, begin: float, end: float | None) -> None:
    pcm = bytes(2 * size)
    part = part_of(pcm, Span(0, begin, end, 0.0), bytes_per_second=16000)
    assert len(part) % 2 == 0
    assert len(part) <= len(pcm)
    assert not part or len(part) >= 4800, "what is too short to hold a word is nothing"


@pytest.mark.parametrize("confidence", [-0.1, 0.5, 1.7])
def test_words_lie_where_they_are_in_the_recording(confidence: float) -> None:
    (word,) = words_in_recording([SpokenWord("楼", 1.0, 1.2, confidence, "漏")], Span(0, 10.0, None, 0.5))
    assert (word.start_seconds, word.end_seconds, word.heard) == (11.5, 11.7, "漏")
    assert 0 <= word.confidence <= 1
