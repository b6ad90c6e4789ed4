"""The spool: from a call's folder to a draft and a recording that the backend has, once, whatever dies in between.

The folder on disk is the only state, so every step can be done again: the draft's id is a function of the call's id
and the backend takes a draft it knows for the same; a recording is put, not added. One process owns a spool (flock).

    journal ──draft_fn──► draft.json + DraftReady ──POST──► DraftDelivered ──PUT──► RecordingDelivered ──► done
        ▲                                       └─► the recording is heard again, where that is due (`later`)
        └── CallHeardAgain with a higher revision ──┘

Sending is off the call path. In memory there is only a bounded list of folders to look at; what does not fit is found
again by the next recovery. While the backend is away one try is made at a time, further and further apart (at most
30 s), for all calls together; then the oldest calls go first.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import heapq
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

import structlog

from cases.errors import CasesError
from cases.schema import CallTranscript, ComplaintDraft, DraftReceipt, Ended, Recording, draft_id_of
from ivr import callfolder
from ivr.afterwards import AfterwardsEar, TranscribeFn
from ivr.callfolder import CallFolder, FolderState
from ivr.errors import CallError
from ivr.events import (
    CallEnded,
    DraftDelivered,
    DraftReady,
    Fact,
    RecordingDelivered,
)
from ivr.journal import Journal, disk_error, revision_of, transcript_of, turns_of
from ivr.metrics import (
    CALLS_RECOVERED,
    DELIVERY_FAILURES,
    DRAFTS_DELIVERED,
    QUARANTINED,
    RECORDINGS_DELIVERED,
    SPOOL_FOLDERS,
)

log = structlog.get_logger(__name__)

PENDING_MAX = 10_000
RETRY_FIRST_SECONDS = 0.5
RETRY_MOST_SECONDS = 30.0
REFUSED_RETRY_SECONDS = 600.0  # the backend does not want it: a person must look, others go on
RECOVER_AT_ONCE = 5  # folders looked at in one go; then the calls have the interpreter for as long


class Backend(Protocol):
    """What of cases.client the spool needs. Raises CasesError; `recoverable` says that trying again may help."""

    async def deliver_draft(self, draft: ComplaintDraft) -> DraftReceipt: ...

    async def put_recording(self, call_id: str, path: Path) -> Recording: ...


DraftFn = Callable[[CallTranscript], ComplaintDraft]


class Later(Protocol):
    """Who recognises recordings after their calls: `ivr.second_pass.HearingLater`. A folder is done when nothing is
    due any more."""

    def start(self, keeper: Spool) -> None: ...

    async def stop(self) -> None: ...

    def due(self, facts: Sequence[Fact]) -> object | None: ...

    async def offer(self, path: Path, facts: Sequence[Fact], began_at: float) -> None: ...


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a round of recovery saw of one folder. `error`: its journal cannot be read."""

    path: Path
    state: FolderState
    began_at: float = 0.0
    error: CallError | None = None


def retry_seconds(failures: int, chance: float) -> float:
    """Pause after the n-th failure in a row (from 1), doubling; `chance` 0-1 spreads nodes apart."""
    return min(RETRY_MOST_SECONDS, RETRY_FIRST_SECONDS * 2 ** min(failures - 1, 10)) * (0.75 + 0.5 * chance)


class Spool:
    """Owns a spool folder: opens calls' folders, finishes calls, delivers, recovers, prunes.

    `channel_quiet_seconds`: with no sound written for so long, the channel counts as gone (Asterisk writes at least
    every 2 s while it lives). `settled_seconds`: and after so long the recording will not grow any more.
    """

    def __init__(
        self,
        root: Path,
        backend: Backend,
        draft: DraftFn,
        transcribe: TranscribeFn | None = None,
        later: Later | None = None,
        *,
        message_prompt: str = "",
        called_number: str = "12345",
        keep_days: float = 30,
        recover_every_seconds: float = 60,
        channel_quiet_seconds: float = 5,
        settled_seconds: float = 60,
        at_once: int = 4,
    ) -> None:
        self.root = root
        self._backend = backend
        self._draft_fn = draft
        self._later = later
        self._ear = AfterwardsEar(transcribe, message_prompt=message_prompt, called_number=called_number)
        self._keep_days = keep_days
        self._recover_every_seconds = recover_every_seconds
        self._channel_quiet_seconds = channel_quiet_seconds
        self._settled_seconds = settled_seconds
        self._at_once = at_once
        self._live: set[Path] = set()
        self._finished: set[Path] = set()  # this process saw the end of the call: no need to wait for quiet
        self._pending: dict[Path, tuple[float, float]] = {}  # folder → (due by monotonic, call began by epoch)
        self._running: dict[Path, asyncio.Task[None]] = {}
        self._again: set[Path] = set()  # enqueued while running
        self._settled_days: set[str] = set()
        self._refused_until_seconds: dict[Path, float] = {}  # by folder, monotonic
        self._waiting: dict[Path, FolderState] = {}  # only the backend is missing: no need to read it again meanwhile
        self._failures = 0
        self._away_until_seconds = 0.0
        self._locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()
        self._recovering = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._lock_descriptor = -1

    # life

    async def start(self) -> None:
        """Take the spool and go to work. What died is looked for beside that: no caller waits for it.

        CallError `spool-in-use`, `disk-full`, `disk-failed`.
        """
        self._take_lock()
        self._loop = asyncio.get_running_loop()
        self._tasks = [
            asyncio.create_task(self._deliver_for_ever(), name="spool-deliver"),
            asyncio.create_task(self._recover_for_ever(), name="spool-recover"),
        ]
        if self._later is not None:
            self._later.start(self)

    async def stop(self) -> None:
        """Stop at once; what was under way is done again at the next start."""
        tasks = [*self._tasks, *self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        if self._later is not None:  # last: it still writes down what it puts off, and nobody holds a folder now
            await self._later.stop()
        if self._lock_descriptor >= 0:
            os.close(self._lock_descriptor)
            self._lock_descriptor = -1

    def _take_lock(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise disk_error("spool", error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise CallError("spool-in-use", f"another process works on {self.root}: stop it first") from None
        self._lock_descriptor = descriptor

    # calls

    def call_folder(self, folder: str, call_id: str) -> Path:
        """The folder that the dialplan names for a new call, checked and made if need be. Thread safe.

        CallError `call-folder-refused`, `call-already-handled` (live, or has a journal), `disk-full`.
        """
        path = callfolder.call_folder(self.root, folder, call_id)
        if path in self._live or (path / callfolder.JOURNAL_NAME).exists():
            raise CallError("call-already-handled", "this call has been handled already")
        return path

    @contextlib.contextmanager
    def live(self, folder: Path) -> Iterator[None]:
        """While this lasts the call is ours and recovery keeps off. Thread safe.

        Left normally, the call is drafted at once if anything was said; else, and when left by an exception, when its
        channel is gone: the caller may still leave a message.
        """
        self._live.add(folder)
        try:
            yield
            self._finished.add(folder)
        finally:
            self._live.discard(folder)
            if self._loop is not None:
                began = callfolder.began_at(folder)
                with contextlib.suppress(RuntimeError):  # the loop is over: the next start finds the folder
                    self._loop.call_soon_threadsafe(self._enqueue, folder, began)

    # what is heard after the call

    async def keep(self, path: Path, facts: Sequence[Fact]) -> None:
        """Add facts to the journal of a call that is over. CallError `disk-full`, `disk-failed`; FileNotFoundError."""
        async with self._folder_lock(path):
            await asyncio.to_thread(path.stat)  # a folder that was pruned is not made again
            for fact in facts:
                await self._record(path, fact)

    async def go_on(self, path: Path) -> None:
        """Draft and deliver by the facts as they are now."""
        self._enqueue(path, await asyncio.to_thread(callfolder.began_at, path))

    def _folder_lock(self, folder: Path) -> asyncio.Lock:
        lock = self._locks.get(folder)
        if lock is None:
            self._locks[folder] = lock = asyncio.Lock()
        return lock

    # recovery

    async def recover(self) -> Counter[FolderState]:
        """Look at every folder that is not done, enqueue what needs work, oldest first; prune. → folders by state.

        A few folders at a time, with pauses as long as the work: with thousands that wait, calls go on beside it.
        """
        async with self._recovering:
            folders = await asyncio.to_thread(callfolder.call_folders, self.root, self._settled_days)
            states: Counter[FolderState] = Counter()
            unfinished: set[Path] = set()
            to_do: list[_Seen] = []
            for first in range(0, len(folders), RECOVER_AT_ONCE):
                began_seconds = time.monotonic()
                for seen in await asyncio.to_thread(self._look_at, folders[first : first + RECOVER_AT_ONCE]):
                    if seen.error is not None and not await self._set_aside(seen.path, seen.error):
                        continue
                    states[seen.state] += 1
                    if seen.state is not FolderState.UNHEARD:
                        unfinished.add(seen.path)
                        to_do.append(seen)
                await asyncio.sleep(time.monotonic() - began_seconds)
            for state in FolderState:
                SPOOL_FOLDERS.labels(state.value).set(states[state])
            for seen in to_do:
                if seen.path not in self._live and not self._waits_for_backend(seen.path):
                    self._enqueue(seen.path, seen.began_at)
            await asyncio.to_thread(self._prune, unfinished)
            return states

    def _look_at(self, paths: Sequence[Path]) -> list[_Seen]:
        """Blocks. What was taken away meanwhile is left out."""
        all_seen = []
        for path in paths:
            if path in self._live:
                all_seen.append(_Seen(path, FolderState.LIVE))
            elif self._waits_for_backend(path):
                all_seen.append(_Seen(path, self._waiting.get(path, FolderState.DRAFTED)))
            else:
                try:
                    all_seen.append(_Seen(path, callfolder.look_at(path).state, callfolder.began_at(path)))
                except CallError as error:
                    all_seen.append(_Seen(path, FolderState.ORPHANED, callfolder.began_at(path), error))
                except FileNotFoundError:
                    continue
                except OSError:  # the worker finds out and says what is wrong; the others go on
                    all_seen.append(_Seen(path, FolderState.UNFINISHED))
        return all_seen

    def _waits_for_backend(self, path: Path) -> bool:
        return path in self._waiting and path in self._pending

    async def _recover_for_ever(self) -> None:
        while True:
            try:
                await self.recover()
            except Exception:
                log.exception("spool_recovery_failed")
            await asyncio.sleep(self._recover_every_seconds)

    def _prune(self, unfinished: set[Path]) -> None:
        """Forget what is old and done, or nobody's words; remember days of which all is done: they are not read again."""
        now = datetime.now(UTC)
        yesterday = f"{now - timedelta(days=1):%Y-%m-%d}"
        oldest_kept = f"{now - timedelta(days=self._keep_days):%Y-%m-%d}"
        open_days = {path.parent.name for path in unfinished}
        for entry in list(os.scandir(self.root)):
            day = entry.name
            if not callfolder.is_day(day) or not entry.is_dir(follow_symlinks=False):
                continue
            if day < yesterday and day not in open_days:
                self._settled_days.add(day)
            if day >= oldest_kept:
                continue
            for path in [Path(call.path) for call in os.scandir(entry.path)]:
                if path not in unfinished and path not in self._live and self._is_over(path):
                    shutil.rmtree(path, ignore_errors=True)
            with contextlib.suppress(OSError):
                os.rmdir(entry.path)
                log.info("spool_day_pruned", day=day)

    def _is_over(self, path: Path) -> bool:
        """Nothing more will come of it: the backend has all, or there never was anything for it (a human answered)."""
        try:
            folder = callfolder.look_at(path)
        except (CallError, OSError):
            return False
        if folder.state is FolderState.UNHEARD:
            return folder.quiet_seconds >= self._settled_seconds
        return folder.state is FolderState.DONE

    # the work

    def _enqueue(self, path: Path, began_at: float, due_seconds: float = 0.0) -> None:
        """`due_seconds` by the monotonic clock; 0: now."""
        if path in self._running:
            self._again.add(path)
            return
        if path not in self._pending and len(self._pending) >= PENDING_MAX:
            return  # overflow: the disk is the queue, the next recovery finds it
        self._pending[path] = (due_seconds, began_at)
        self._woken.set()

    async def _deliver_for_ever(self) -> None:
        while True:
            self._woken.clear()
            now = time.monotonic()
            free = max(0, self._at_once - len(self._running))  # none: whoever ends wakes us
            ready = ((began, path) for path, (_due, began) in self._pending.items() if self._due_at(path) <= now)
            for began, path in heapq.nsmallest(free, ready) if free else ():
                del self._pending[path]
                self._running[path] = asyncio.create_task(self._work(path, began), name="spool-call")
            timeout_seconds = None
            if self._pending and len(self._running) < self._at_once:
                timeout_seconds = max(0.01, min(map(self._due_at, self._pending)) - now)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_seconds):
                    await self._woken.wait()

    def _due_at(self, path: Path) -> float:
        due_seconds = self._pending[path][0]
        return max(due_seconds, self._away_until_seconds) if path in self._waiting else due_seconds

    async def _work(self, path: Path, began: float) -> None:
        due_seconds: float | None = time.monotonic() + REFUSED_RETRY_SECONDS
        try:
            async with self._folder_lock(path):
                due_seconds = await self._advance(path)
        except CasesError as error:
            due_seconds = self._backend_failed(path, error)
        except CallError as error:
            log.error("spool_call_failed", call_id=path.name, code=error.code, error=error.message)
            due_seconds = time.monotonic() + RETRY_MOST_SECONDS
        except FileNotFoundError:
            due_seconds = None  # pruned, or taken away by hand
            self._forget(path)
        except Exception:
            log.exception("spool_call_crashed", call_id=path.name)
        finally:
            self._running.pop(path, None)
            if path in self._again:
                self._again.discard(path)
                due_seconds = 0.0
            if due_seconds is not None:
                self._enqueue(path, began, due_seconds)
            self._woken.set()

    def _backend_failed(self, path: Path, error: CasesError) -> float:
        """When to try again. All calls that wait for the backend are due at the same moment, so the oldest goes first."""
        DELIVERY_FAILURES.labels(error.code).inc()
        if not error.recoverable:
            log.error("spool_backend_refused", call_id=path.name, code=error.code, error=error.message)
            self._refused_until_seconds[path] = time.monotonic() + REFUSED_RETRY_SECONDS
            return self._refused_until_seconds[path]
        now = time.monotonic()
        if now >= self._away_until_seconds:  # one failure a pause, however many calls were under way
            self._failures += 1
            self._away_until_seconds = now + retry_seconds(self._failures, random.random())
            log.warning("spool_backend_away", call_id=path.name, code=error.code, failures=self._failures)
        return self._away_until_seconds

    async def _advance(self, path: Path) -> float | None:
        """Do what can be done for a folder now. → when (monotonic) to look at it again; None: there is no need."""
        if path in self._live:
            return None
        try:
            folder = await asyncio.to_thread(callfolder.look_at, path)
            if folder.state is FolderState.ORPHANED:
                if due_seconds := self._gone_at(folder):
                    return due_seconds
                await self._ear.adopt(path)
                folder = await asyncio.to_thread(callfolder.look_at, path)
            draft = None
            if folder.state is FolderState.UNFINISHED:
                at_once = revision_of(folder.facts) > 0 or (path in self._finished and _said_something(folder.facts))
                if not at_once and (due_seconds := self._gone_at(folder)):
                    return due_seconds
                draft = await self._draft(folder)
        except CallError as error:
            if error.code not in ("journal-broken", "journal-unreadable"):
                raise
            return 0.0 if await self._set_aside(path, error) else None
        if folder.state is FolderState.UNHEARD:
            self._forget(path)
            return None
        if self._later is not None:
            await self._later.offer(path, folder.facts, await asyncio.to_thread(callfolder.began_at, path))
        self._waiting[path] = FolderState.DRAFTED if folder.state is FolderState.UNFINISHED else folder.state
        wait_until_seconds = max(self._away_until_seconds, self._refused_until_seconds.get(path, 0.0))
        if wait_until_seconds > time.monotonic():
            return wait_until_seconds
        self._refused_until_seconds.pop(path, None)
        if folder.state in (FolderState.UNFINISHED, FolderState.DRAFTED):
            await self._deliver_draft(folder, draft)
            folder = await asyncio.to_thread(callfolder.look_at, path)
        self._waiting.pop(path, None)
        if folder.state is FolderState.DELIVERED:
            return await self._deliver_sound(folder)
        return None

    def _gone_at(self, folder: CallFolder) -> float:
        """When (monotonic) to look whether the channel is gone; 0 when it counts as gone."""
        wait_seconds = self._channel_quiet_seconds - folder.quiet_seconds
        return time.monotonic() + wait_seconds if wait_seconds > 0 else 0.0

    async def _set_aside(self, path: Path, error: CallError) -> bool:
        """A journal that says nothing makes room for the sound; → True when there is sound to go by."""
        QUARANTINED.inc()
        try:
            name = (await asyncio.to_thread(callfolder.quarantine_journal, path)).name
        except OSError as failure:
            log.error("spool_quarantine_failed", call_id=path.name, error=str(failure))
            return False
        log.error("spool_journal_set_aside", call_id=path.name, code=error.code, error=error.message, kept_as=name)
        return await asyncio.to_thread(callfolder.has_words, path)

    async def _draft(self, folder: CallFolder) -> ComplaintDraft:
        """draft.json and DraftReady. CallError `journal-broken`; a full disk is logged and the draft goes on."""
        facts = list(folder.facts)
        revision = revision_of(facts)
        # What is left after a draft has gone out does not join it by the way: it may be half said yet.
        first = revision == 0 and folder.path not in self._live
        if first and (message := await self._ear.message_turn(folder)) is not None:
            facts.append(message)
            CALLS_RECOVERED.labels("message").inc()
            try:
                await self._record(folder.path, message)
            except CallError as error:
                log.error("spool_message_not_kept", call_id=folder.call_id, code=error.code, error=error.message)
        transcript = transcript_of(facts)
        if transcript.call_id != folder.call_id:
            raise CallError("journal-broken", "the journal is of another call than its folder")
        try:
            draft = await asyncio.to_thread(self._draft_fn, transcript)
            if (draft.draft_id, draft.call_id) != (draft_id_of(folder.call_id), folder.call_id):
                raise ValueError("the draft is of another call")
        except Exception:
            log.exception("drafting_failed", call_id=folder.call_id)
            draft = callfolder.bare_draft(transcript)
        draft = draft.model_copy(update={"revision": revision})
        if first and folder.path not in self._finished:
            CALLS_RECOVERED.labels("journal").inc()
        content = draft.model_dump_json().encode("utf-8", "replace")
        try:
            await asyncio.to_thread(callfolder.write_whole, folder.path / callfolder.DRAFT, content)
            await self._record(folder.path, _ready(draft))
        except CallError as error:  # delivered from memory all the same; after a crash it is made again
            log.error("spool_draft_not_kept", call_id=folder.call_id, code=error.code, error=error.message)
        return draft

    async def _deliver_draft(self, folder: CallFolder, draft: ComplaintDraft | None) -> None:
        if draft is None:
            draft = await asyncio.to_thread(callfolder.read_draft, folder.path)
        if draft is None or draft.revision != revision_of(folder.facts):  # damaged: made again, with the same id
            log.error("spool_draft_damaged", call_id=folder.call_id)
            draft = await self._draft(folder)
        elif folder.state is FolderState.DRAFTED and not any(isinstance(fact, DraftReady) for fact in folder.facts):
            # killed between the two: the fact is made good
            await self._record(folder.path, _ready(draft))
        receipt = await self._backend.deliver_draft(draft)
        self._failures, self._away_until_seconds = 0, 0.0
        DRAFTS_DELIVERED.labels(str(receipt.created).lower()).inc()
        draft_id = str(draft.draft_id)
        log.info(
            "draft_delivered",
            call_id=folder.call_id,
            draft_id=draft_id,
            created=receipt.created,
            revision=draft.revision,
        )
        delivered = DraftDelivered(folder.call_id, datetime.now(UTC), draft_id, receipt.created, draft.revision)
        await self._record(folder.path, delivered)

    async def _deliver_sound(self, folder: CallFolder) -> float | None:
        """The recording, once the channel is gone; again should it have grown; then the folder is done."""
        path = folder.path
        if due_seconds := self._gone_at(folder):
            return due_seconds
        sound = await asyncio.to_thread(callfolder.recording_of, folder)
        if sound is not None:
            seconds = await asyncio.to_thread(callfolder.wav_seconds, sound)
            known_seconds = callfolder.delivered_seconds(folder.facts)
            if known_seconds is None or seconds > known_seconds + 0.1:
                recording = await self._backend.put_recording(folder.call_id, sound)
                RECORDINGS_DELIVERED.inc()
                log.info("recording_delivered", call_id=folder.call_id, source=sound.name, seconds=round(seconds, 1))
                fact = RecordingDelivered(folder.call_id, datetime.now(UTC), recording.sha256, seconds)
                await self._record(path, fact)
        if folder.quiet_seconds < self._settled_seconds:
            return time.monotonic() + self._settled_seconds - folder.quiet_seconds
        if self._later is not None and self._later.due(folder.facts) is not None:
            return None  # whoever hears it goes on with it; after a crash, recovery does
        await asyncio.to_thread(callfolder.mark_done, path)
        self._forget(path)
        return None

    def _forget(self, path: Path) -> None:
        self._finished.discard(path)
        self._waiting.pop(path, None)
        self._refused_until_seconds.pop(path, None)

    async def _record(self, path: Path, fact: Fact) -> None:
        """One fact more in a journal that nobody else writes."""

        def write() -> None:
            with Journal(path) as journal:
                journal.write(fact)

        await asyncio.to_thread(write)


def _said_something(facts: Sequence[Fact]) -> bool:
    """Where nothing was said there is nothing to show to a human now, but a message may still be left.

    So it is where nothing is understood yet and the caller went on to the humans.
    """
    to_humans = any(isinstance(fact, CallEnded) and fact.ended is Ended.HUMAN for fact in facts)
    return any(turn.text or (turn.pending and not to_humans) for turn in turns_of(facts))


def _ready(draft: ComplaintDraft) -> DraftReady:
    return DraftReady(draft.call_id, datetime.now(UTC), str(draft.draft_id), draft.revision)
