"""Which folder the dialplan may name, what a folder's state is, which sound belongs to a draft."""

from __future__ import annotations

import os
import wave
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cases.schema import CallTranscript, Ended, draft_id_of
from ivr import callfolder
from ivr.callfolder import FolderState, look_at
from ivr.errors import CallError
from ivr.events import AudioConnected, CallStarted, DraftDelivered, Fact
from ivr.journal import encode_fact

CALL = "8c7a0f0e-2b1d-4c3a-9f5e-0123456789ab"
AT = datetime(2026, 11, 24, 22, 30, tzinfo=UTC)
STARTED = CallStarted(CALL, AT, None, "12345", "", None)


def sound(path: Path, seconds: float = 1.0) -> None:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(int(16000 * seconds)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return callfolder.call_folder(tmp_path, str(tmp_path / "2026-11-24" / CALL), CALL)


def facts(folder: Path, *said: Fact) -> None:
    (folder / "journal.jsonl").write_bytes(b"".join(encode_fact(fact) for fact in said))


def test_the_folder_of_a_call_is_made(tmp_path: Path, folder: Path) -> None:
    assert folder == tmp_path / "2026-11-24" / CALL
    assert folder.is_dir()


@pytest.mark.parametrize(
    ("folder", "call_id"),
    [
        ("{spool}/2026-11-24/{call}", "not-a-uuid"),
        ("{spool}/2026-11-24/{call}", CALL.upper()),
        ("{spool}/2026-11-24/{call}", "{" + CALL + "}"),
        ("{spool}/2026-11-24/other", CALL),
        ("{spool}/{call}", CALL),
        ("{spool}/2026-11-24/../../{call}", CALL),
        ("{spool}/2026-11-24/x/{call}", CALL),
        ("{spool}/../2026-11-24/{call}", CALL),
        ("{spool}/today/{call}", CALL),
        ("2026-11-24/{call}", CALL),
        ("/etc/2026-11-24/{call}", CALL),
        ("{spool}/2026-11-24/{call}\0", CALL),
        ("", CALL),
        ("{spool}/2026-11-24/{call}", ""),
    ],
)
def test_another_folder_is_refused_and_not_made(tmp_path: Path, folder: str, call_id: str) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    with pytest.raises(CallError, match="call-folder-refused"):
        callfolder.call_folder(spool, folder.replace("{spool}", str(spool)).replace("{call}", CALL), call_id)
    assert list(spool.iterdir()) == []


def test_a_link_out_of_the_spool_is_refused(tmp_path: Path) -> None:
    spool, elsewhere = tmp_path / "spool", tmp_path / "elsewhere"
    spool.mkdir()
    elsewhere.mkdir()
    os.symlink(elsewhere, spool / "2026-11-24")
    with pytest.raises(CallError, match="call-folder-refused"):
        callfolder.call_folder(spool, str(spool / "2026-11-24" / CALL), CALL)


def test_a_folder_that_cannot_be_made_has_a_code(tmp_path: Path) -> None:
    (tmp_path / "2026-11-24").write_text("a file where the day should be")
    with pytest.raises(CallError, match="disk-failed"):
        callfolder.call_folder(tmp_path, str(tmp_path / "2026-11-24" / CALL), CALL)


def test_the_states_of_a_folder(folder: Path) -> None:
    assert look_at(folder).state is FolderState.UNHEARD
    sound(folder / "recording.wav")  # a human's conversation, or nothing but our apology
    assert look_at(folder).state is FolderState.UNHEARD
    sound(folder / "message.wav")
    assert look_at(folder).state is FolderState.ORPHANED
    facts(folder, STARTED)
    assert look_at(folder).state is FolderState.UNFINISHED
    (folder / "draft.json").write_text("{}")
    assert look_at(folder).state is FolderState.DRAFTED
    facts(folder, STARTED, DraftDelivered(CALL, AT, str(draft_id_of(CALL)), True))
    assert look_at(folder).state is FolderState.DELIVERED
    callfolder.mark_done(folder)
    assert look_at(folder).state is FolderState.DONE


def test_only_calls_that_are_not_done_are_listed(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "2026-11-24" / "notes").mkdir()
    (tmp_path / "reference.counter").write_text("17")
    assert callfolder.call_folders(tmp_path) == [folder]
    assert callfolder.call_folders(tmp_path, {"2026-11-24"}) == []
    callfolder.mark_done(folder)
    assert callfolder.call_folders(tmp_path) == []


def test_word_times_belong_to_the_whole_recording_of_a_talk(folder: Path) -> None:
    for name in ("recording.wav", "heard.wav", "message.wav"):
        sound(folder / name)
    facts(folder, STARTED, AudioConnected(CALL, AT, 1.0))
    assert callfolder.recording_of(look_at(folder)) == folder / "recording.wav"
    (folder / "recording.wav").unlink()
    assert callfolder.recording_of(look_at(folder)) == folder / "heard.wav"


def test_word_times_belong_to_the_message_when_there_was_no_talk(folder: Path) -> None:
    for name in ("recording.wav", "message.wav"):
        sound(folder / name)
    facts(folder, STARTED)
    assert callfolder.recording_of(look_at(folder)) == folder / "message.wav"


def test_a_recording_without_sound_is_none_and_a_torn_header_is_mended(folder: Path) -> None:
    facts(folder, STARTED, AudioConnected(CALL, AT, 0))
    sound(folder / "recording.wav", 0)
    assert callfolder.recording_of(look_at(folder)) is None
    sound(folder / "heard.wav", 2)
    with open(folder / "heard.wav", "r+b") as file:
        file.seek(40)
        file.write(bytes(4))
    assert callfolder.recording_of(look_at(folder)) == folder / "heard.wav"
    with wave.open(str(folder / "heard.wav")) as mended:
        assert mended.getnframes() == 16000


def test_the_channel_counts_as_gone_when_nobody_writes_sound(folder: Path) -> None:
    assert callfolder.quiet_seconds(folder) == float("inf")
    sound(folder / "recording.wav")
    os.utime(folder / "recording.wav", (1000, 1000))
    assert callfolder.quiet_seconds(folder, 1007.5) == 7.5
    sound(folder / "message.wav")
    os.utime(folder / "message.wav", (1005, 1005))
    assert callfolder.quiet_seconds(folder, 1007.5) == 2.5
    assert callfolder.quiet_seconds(folder, 900) == 0.0  # a clock that was set back


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("13910001234\n", "13910001234"),
        ("+861391", "+861391"),
        ("", None),
        ("unknown", None),
        ("1;2", None),
        ("9" * 21, None),
    ],
)
def test_the_callers_number_is_a_number_or_none(folder: Path, text: str, number: str | None) -> None:
    (folder / "caller.txt").write_text(text)
    assert callfolder.caller_of(folder) == number


def test_a_broken_journal_is_kept_under_another_name(folder: Path) -> None:
    for n in range(3):
        (folder / "journal.jsonl").write_text(f"rubbish {n}")
        callfolder.quarantine_journal(folder)
    kept = sorted(path.name for path in folder.iterdir())
    assert kept == ["journal.jsonl.broken", "journal.jsonl.broken2", "journal.jsonl.broken3"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's full disk")
def test_a_draft_is_there_whole_or_not_at_all(folder: Path) -> None:
    callfolder.write_whole(folder / "draft.json", b"old")
    os.symlink("/dev/full", folder / ".draft.json.part")
    with pytest.raises(CallError, match="disk-full"):
        callfolder.write_whole(folder / "draft.json", b"new")
    assert (folder / "draft.json").read_bytes() == b"old"
    callfolder.write_whole(folder / "draft.json", b"new")
    assert (folder / "draft.json").read_bytes() == b"new"


def test_calls_are_put_in_order_by_their_first_fact(folder: Path) -> None:
    facts(folder, STARTED)
    assert callfolder.began_at(folder) == AT.timestamp()
    (folder / "journal.jsonl").write_bytes(b'{"at":"yesterday"}')
    assert callfolder.began_at(folder) == pytest.approx(folder.stat().st_mtime)


def test_a_draft_with_nothing_understood_keeps_what_was_heard() -> None:
    transcript = CallTranscript(call_id=CALL, draft_id=draft_id_of(CALL), received_at=AT, ended=Ended.HUMAN)
    draft = callfolder.bare_draft(transcript)
    assert (draft.call_id, draft.ended, draft.complete) == (CALL, Ended.HUMAN, False)


def test_a_damaged_draft_or_one_of_another_call_is_none(folder: Path) -> None:
    assert callfolder.read_draft(folder) is None
    (folder / "draft.json").write_text("{")
    assert callfolder.read_draft(folder) is None
    other = CallTranscript(call_id="other", draft_id=draft_id_of("other"), received_at=AT)
    (folder / "draft.json").write_text(callfolder.bare_draft(other).model_dump_json())
    assert callfolder.read_draft(folder) is None
