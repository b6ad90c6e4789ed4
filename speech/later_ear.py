"""Ears for what is recognised after a call: they give way to the calls that go on.

`EngineEar` uses the recogniser of the calls, when it has time to spare. `ProcessEar` is a process of its own with a
model of its own, at the lowest priority: the kernel stops it while calls need the machine, and what becomes of it
touches no call.

Between the processes: a length (4 bytes, little endian) and as much sound in, one JSON line out.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import structlog

from speech.audio import seconds_of
from speech.errors import SpeechError
from speech.recognizer import Recognizer, SpokenWord, Transcript
from speech.transcribe import transcribe_sound

log = structlog.get_logger(__name__)

# While calls need the machine, this often it is looked whether they still do.
_LOOK_SECONDS = 0.2
# A large model reads for a while before it hears; then it may be this much slower than the sound is long.
LOAD_SECONDS = 120.0
SLOWEST = 20.0
# Nothing to hear for so long: the process ends and its memory is free. The next recording starts it again.
IDLE_SECONDS = 300.0
_LINE_MAX_BYTES = 16 * 2**20
_SOUND_MAX_BYTES = 2**30
_PR_SET_PDEATHSIG = 1


class EngineEar:
    """The recogniser of the calls, while it has time to spare."""

    def __init__(self, engine: Recognizer, name: str, has_room: Callable[[], bool]) -> None:
        self._engine = engine
        self.name = name
        self._has_room = has_room

    async def hear(self, pcm: bytes) -> Transcript:
        """The words of a whole sound. Raises the recogniser's SpeechErrors."""
        return await transcribe_sound(self._engine, pcm, background=True, has_room=self._has_room)

    async def close(self) -> None:
        """Nothing is held."""


class ProcessEar:
    """Another model in another process, one sound at a time. `close` ends the process."""

    def __init__(self, model_dir: Path, has_room: Callable[[], bool], lists: tuple[Path, Path] | None = None) -> None:
        """`has_room`: whether calls leave it time. `lists`: the files of the city's own places and of its words."""
        self._model_dir = model_dir
        self._lists = lists or ()
        self._has_room = has_room
        self._process: asyncio.subprocess.Process | None = None
        self._one_at_a_time = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None
        self.name = f"vosk:{model_dir.name}"

    async def hear(self, pcm: bytes) -> Transcript:
        """The words of a whole sound.

        Raises SpeechError: the process's own, `second-pass-died` or `second-pass-stuck` (recoverable: the next sound
        gets a fresh process).
        """
        async with self._one_at_a_time:
            if self._idle is not None:
                self._idle.cancel()
            try:
                answer = await self._asked(pcm)
            except BaseException:
                await self._end()  # what it would answer now belongs to no question
                raise
            self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._rest)
        if "error" in answer:
            raise SpeechError(answer["error"], answer.get("message", ""), recoverable=bool(answer.get("recoverable")))
        words = tuple(SpokenWord(**word) for word in answer["words"])
        return Transcript(answer["text"], words, False, seconds_of(pcm), float(answer["decode_seconds"]))

    async def close(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        await self._end()

    async def _asked(self, pcm: bytes) -> dict[str, Any]:
        process = await self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(struct.pack("<I", len(pcm)) + pcm)
            giving_way = asyncio.create_task(self._give_way(process, SLOWEST * (1 + seconds_of(pcm))))
            try:
                await process.stdin.drain()
                line = await process.stdout.readline()
            finally:
                giving_way.cancel()
                await asyncio.gather(giving_way, return_exceptions=True)
            answer = json.loads(line)
            return dict(answer)
        except (OSError, ValueError, TypeError) as error:
            stuck = giving_way.done() and not giving_way.cancelled()
            raise SpeechError(
                "second-pass-stuck" if stuck else "second-pass-died",
                f"the process of the second pass gave no answer ({error!r})",
                recoverable=True,
            ) from error

    async def _running(self) -> asyncio.subprocess.Process:
        """The process, loaded; started when there is none."""
        if self._process is not None and self._process.returncode is None:
            return self._process
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "speech.later_ear",
            str(self._model_dir),
            *map(str, self._lists),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_MAX_BYTES,
            start_new_session=True,
        )
        assert process.stdout is not None
        giving_way = asyncio.create_task(self._give_way(process, LOAD_SECONDS))
        try:
            line = await process.stdout.readline()
        finally:
            giving_way.cancel()
            await asyncio.gather(giving_way, return_exceptions=True)
        if not line:
            raise SpeechError("second-pass-died", "the process of the second pass did not start", recoverable=True)
        told = json.loads(line)
        if "error" in told:
            raise SpeechError(told["error"], told.get("message", ""))
        log.info("second_pass_ready", model=self.name, pid=process.pid, load_seconds=told["load_seconds"])
        return process

    async def _give_way(self, process: asyncio.subprocess.Process, most_seconds: float) -> None:
        """Stop the process while calls need the machine. Ends, by killing it, when it has worked for too long."""
        stopped = False
        left_seconds = most_seconds
        before = time.monotonic()
        try:
            while left_seconds > 0:
                await asyncio.sleep(_LOOK_SECONDS)
                now = time.monotonic()
                left_seconds -= 0.0 if stopped else now - before
                before = now
                if stopped is self._has_room():
                    stopped = not stopped
                    _signal(process, signal.SIGSTOP if stopped else signal.SIGCONT)
            log.error("second_pass_stuck", model=self.name, pid=process.pid, seconds=round(most_seconds))
            _signal(process, signal.SIGKILL)
        finally:
            if stopped:
                _signal(process, signal.SIGCONT)

    def _rest(self) -> None:
        """The process ends by the end of its input."""
        if self._process is not None and self._process.stdin is not None and not self._one_at_a_time.locked():
            log.info("second_pass_rests", model=self.name, pid=self._process.pid)
            self._process.stdin.close()
            self._process = None

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            _signal(process, signal.SIGKILL)
            await process.wait()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


# the process


def _serve(model_dir: Path, lists: list[Path], sounds: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the input ends."""
    from speech.vocabulary_keeper import VocabularyKeeper, sounds_of
    from speech.vosk_engine import VoskEngine

    def tell(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
        answers.flush()

    # A place that was put in live must not be undone by an ear that does not know it.
    vocabulary = VocabularyKeeper(*lists, sounds=sounds_of(model_dir)).current if lists else None
    engine = VoskEngine(model_dir, workers=1, vocabulary=vocabulary)
    started = time.monotonic()
    try:
        engine.load()
    except SpeechError as error:
        tell({"error": error.code, "message": error.message})
        return
    tell({"load_seconds": round(time.monotonic() - started, 3)})
    while len(head := sounds.read(4)) == 4:
        (size,) = struct.unpack("<I", head)
        pcm = sounds.read(min(size, _SOUND_MAX_BYTES))
        if len(pcm) < size:
            return
        try:
            heard = asyncio.run(transcribe_sound(engine, pcm))
        except SpeechError as error:
            tell({"error": error.code, "message": error.message, "recoverable": error.recoverable})
            continue
        words = [{name: getattr(word, name) for name in SpokenWord.__slots__} for word in heard.words]
        tell({"text": heard.text, "words": words, "decode_seconds": round(heard.decode_seconds, 3)})


def main() -> None:
    os.nice(19)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # also while stopped
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else is printed goes to the log
    model_dir, *lists = map(Path, sys.argv[1:])
    _serve(model_dir, lists, sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
