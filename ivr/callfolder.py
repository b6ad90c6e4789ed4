"""One call's folder on disk, `<spool>/<YYYY-MM-DD>/<call_id>/`: what is in it, and what is still to be done for it.

journal.jsonl (facts) · heard.wav (caller as received) · recording.wav (Asterisk, both sides) · message.wav (only when
nobody answered) · caller.txt (only with message.wav: the number the line signalled) · draft.json · done (empty: the
backend has all of it). Functions here block; the spool calls them in threads.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from pydantic import ValidationError

from cases.schema import Caller, CallTranscript, ComplaintDraft, Ended
from ivr.errors import CallError
from ivr.events import AudioConnected, DraftDelivered, DraftReady, Fact, RecordingDelivered, TurnEnded
from ivr.journal import JOURNAL_NAME, disk_error, encode_fact, read_journal, revision_of, sync_folder
from speech.audio import repair_wav
from speech.errors import SpeechError

RECORDING, HEARD, MESSAGE = "recording.wav", "heard.wav", "message.wav"
DRAFT, DONE, CALLER = "draft.json", "done", "caller.txt"
LEAVE_MESSAGE_STEP = "leave_message"
RECOVERED_STEP = "recovered"
WAV_HEADER_BYTES = 44
MESSAGE_MIN_SECONDS = 1.0

_DAY = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_CALLER = re.compile(r"^\+?[0-9]{1,20}$")


class FolderState(StrEnum):
    LIVE = "live"  # the call is being handled by this process
    UNFINISHED = "unfinished"  # a journal without a draft, or with one of an earlier revision
    ORPHANED = "orphaned"  # sound but no readable journal: we were down, or it broke
    DRAFTED = "drafted"  # draft.json, not known to be with the backend
    DELIVERED = "delivered"  # the backend has the draft, not the recording
    DONE = "done"
    UNHEARD = "unheard"  # nobody's words: the caller spoke to a human only, or left; nothing to draft


@dataclass(frozen=True, slots=True)
class CallFolder:
    """A folder that was looked at once. `facts` is empty when there is no readable journal; `quiet_seconds` as then."""

    path: Path
    state: FolderState
    facts: tuple[Fact, ...] = ()
    quiet_seconds: float = float("inf")

    @property
    def call_id(self) -> str:
        return self.path.name


def look_at(path: Path) -> CallFolder:
    """The folder's state, by what is on disk. CallError `journal-unreadable` (too large, failing disk).

    FileNotFoundError when there is no such folder (pruned).
    """
    path.stat()
    if (path / DONE).exists():
        return CallFolder(path, FolderState.DONE)
    quiet = quiet_seconds(path)  # before the sound is looked at: what is written meanwhile is looked at again
    facts = tuple(read_journal(path / JOURNAL_NAME)) if (path / JOURNAL_NAME).exists() else ()
    if not facts:
        state = FolderState.ORPHANED if has_words(path) else FolderState.UNHEARD
    elif any(isinstance(fact, DraftDelivered) and fact.revision >= revision_of(facts) for fact in facts):
        state = FolderState.DELIVERED
    else:
        state = FolderState.DRAFTED if _drafted(path, facts) else FolderState.UNFINISHED
    return CallFolder(path, state, facts, quiet)


def _drafted(path: Path, facts: Sequence[Fact]) -> bool:
    """Whether draft.json is of the newest revision. One without its DraftReady may be of the revision before."""
    if not (path / DRAFT).exists():
        return False
    revision = revision_of(facts)
    return revision == 0 or any(isinstance(fact, DraftReady) and fact.revision == revision for fact in facts)


def call_folder(spool: Path, folder: str, call_id: str) -> Path:
    """The folder that the dialplan names, made if it is not there.

    CallError `call-folder-refused` unless the id is a canonical UUID and the folder is `<spool>/<day>/<call_id>`, links
    resolved; `disk-full` when it cannot be made.
    """
    try:
        canonical = str(UUID(call_id)) == call_id
    except ValueError:
        canonical = False
    if not canonical:
        raise CallError("call-folder-refused", "the call id is not a UUID in its usual form")
    if "\0" in folder or not os.path.isabs(folder):
        raise CallError("call-folder-refused", "the call's folder must be an absolute path")
    path, root = Path(folder).resolve(), spool.resolve()
    if path.name != call_id or path.parent.parent != root or not _DAY.match(path.parent.name):
        raise CallError("call-folder-refused", "the call's folder must be <spool>/<YYYY-MM-DD>/<call id>")
    try:
        made = [part for part in (path.parent, path) if not part.exists()]
        path.mkdir(parents=True, exist_ok=True)
        for part in made:
            sync_folder(part.parent)
    except OSError as error:
        raise disk_error("call folder", error) from error
    return path


def call_folders(spool: Path, skip_days: frozenset[str] | set[str] = frozenset()) -> list[Path]:
    """Every folder of a call that is not done, by day. What is not named like one is left alone."""
    found: list[Path] = []
    for day in sorted(entry.name for entry in os.scandir(spool) if entry.is_dir(follow_symlinks=False)):
        if not _DAY.match(day) or day in skip_days:
            continue
        for entry in os.scandir(spool / day):
            with contextlib.suppress(ValueError):
                if entry.is_dir(follow_symlinks=False) and str(UUID(entry.name)) == entry.name:
                    path = Path(entry.path)
                    if not (path / DONE).exists():
                        found.append(path)
    return found


def began_at(path: Path) -> float:
    """Epoch seconds by which calls are put in order: the first fact's, else the folder's own."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        with open(path / JOURNAL_NAME, "rb") as journal:
            line = journal.readline(4096).decode("utf-8", "replace")
        found = re.search(r'"at":"([^"]+)"', line)
        if found:
            return datetime.fromisoformat(found.group(1)).timestamp()
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def size_bytes(path: Path) -> int:
    """0 when there is no such file."""
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def has_sound(path: Path) -> bool:
    return size_bytes(path) > WAV_HEADER_BYTES


def has_message(path: Path) -> bool:
    """Whether the caller left a message; who hung up at the beep left none."""
    return size_bytes(path / MESSAGE) >= WAV_HEADER_BYTES + 16000 * MESSAGE_MIN_SECONDS


def has_words(path: Path) -> bool:
    """Whether there is sound of the caller that nobody may have understood yet."""
    return has_message(path) or has_sound(path / HEARD)


def quiet_seconds(path: Path, now_epoch_seconds: float | None = None) -> float:
    """How long nobody has written sound into the folder; infinity when there is none. The channel's sign of life."""
    times = []
    for name in (RECORDING, MESSAGE):
        with contextlib.suppress(OSError):
            times.append((path / name).stat().st_mtime)
    now = time.time() if now_epoch_seconds is None else now_epoch_seconds
    return max(0.0, now - max(times)) if times else float("inf")


def recording_of(folder: CallFolder) -> Path | None:
    """The sound that the draft's word times belong to, its header mended; None when nothing was recorded.

    Word times count from recording.wav when the call's own sound was connected (AudioConnected); what was recognised
    afterwards (a message, an orphan) counts from its own file.
    """
    talked = any(isinstance(fact, AudioConnected) for fact in folder.facts)
    for name in (RECORDING, HEARD, MESSAGE) if talked else (MESSAGE, HEARD, RECORDING):
        path = folder.path / name
        if not has_sound(path):
            continue
        with contextlib.suppress(SpeechError):
            repair_wav(path)
            return path
    return None


def wav_seconds(path: Path) -> float:
    """Length by the file's size (8 kHz 16-bit mono)."""
    return max(0, path.stat().st_size - WAV_HEADER_BYTES) / 16000


def delivered_seconds(facts: Sequence[Fact]) -> float | None:
    """Length of the recording that the backend has; None when it has none."""
    return next((fact.seconds for fact in reversed(facts) if isinstance(fact, RecordingDelivered)), None)


def message_taken(facts: Sequence[Fact]) -> bool:
    return any(isinstance(fact, TurnEnded) and fact.step == LEAVE_MESSAGE_STEP for fact in facts)


def caller_of(path: Path) -> str | None:
    """The number in caller.txt, if it looks like one."""
    with contextlib.suppress(OSError):
        with open(path / CALLER, encoding="ascii", errors="replace") as file:
            number = file.read(64).strip()
        return number if _CALLER.match(number) else None
    return None


def sound_began_at(path: Path) -> datetime:
    """When a sound file began, by its last write and its length."""
    return datetime.fromtimestamp(path.stat().st_mtime - wav_seconds(path), UTC)


def write_whole(path: Path, content: bytes) -> None:
    """There whole or not at all, and still there after a power cut. CallError `disk-full` / `disk-failed`."""
    part = path.with_name(f".{path.name}.part")
    try:
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise disk_error(path.name, error) from error


def write_journal(path: Path, facts: Sequence[Fact]) -> None:
    """A journal made afterwards, whole or not at all."""
    write_whole(path / JOURNAL_NAME, b"".join(encode_fact(fact) for fact in facts))


def quarantine_journal(path: Path) -> Path:
    """Put a journal that nobody can read out of the way; → its new name."""
    target = path / f"{JOURNAL_NAME}.broken"
    number = 1
    while target.exists():
        number += 1
        target = path / f"{JOURNAL_NAME}.broken{number}"
    os.replace(path / JOURNAL_NAME, target)
    sync_folder(path)
    return target


def mark_done(path: Path) -> None:
    write_whole(path / DONE, b"")


def read_draft(path: Path) -> ComplaintDraft | None:
    """draft.json; None when it is not there or no draft of this call."""
    try:
        draft = ComplaintDraft.model_validate_json((path / DRAFT).read_bytes())
    except (OSError, ValidationError):
        return None
    return draft if draft.call_id == path.name else None


def bare_draft(transcript: CallTranscript) -> ComplaintDraft:
    """A draft with nothing understood: a human hears and reads. For a drafting that failed."""
    return ComplaintDraft(
        draft_id=transcript.draft_id,
        call_id=transcript.call_id,
        reference=transcript.reference,
        received_at=transcript.received_at,
        channel=transcript.channel,
        caller=Caller(number=transcript.caller_number),
        turns=transcript.turns,
        recording=transcript.recording,
        ended=transcript.ended,
        complete=transcript.ended is Ended.COMPLETED,
        hung_up_at_step=transcript.hung_up_at_step,
    )


def is_day(name: str) -> bool:
    """`YYYY-MM-DD`, as Asterisk names the folders of a UTC day."""
    return bool(_DAY.match(name))
