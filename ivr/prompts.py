"""The sound of prompts/: played to callers (`PromptStore`), made from texts.toml (`render`), checked (`check`)."""

from __future__ import annotations

import io
import threading
import wave
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np
import structlog

from ivr.actions import Piece
from ivr.errors import CallError
from ivr.menu import MenuError, check_prompts, stamp_of
from ivr.menu_states import Text
from ivr.spoken import SPOKEN_TEXTS, digit_pieces, time_pieces
from ivr.texts import (
    AUDIO_LANGUAGE,
    NAME_PATTERN,
    SAMPLE_BYTES,
    SAMPLE_RATE_HZ,
    LockEntry,
    Problem,
    file_digest,
    read_lock,
    read_texts,
    replace_file,
    source_digest,
    wav_path,
    wav_problem,
    write_lock,
)
from speech.errors import SpeechError

log = structlog.get_logger(__name__)

__all__ = [
    "Problem",
    "PromptSounds",
    "PromptStore",
    "Rendered",
    "Speaker",
    "check",
    "digit_pieces",
    "render",
    "time_pieces",
]

QUIET_DBFS = -45.0  # below: silence around the words
EDGE_MS = 60  # silence kept around a sentence
DIGIT_EDGE_MS = 30  # pieces said in a row stand closer
MAX_SILENCE_MS = 5000
_SILENCE = "silence_"

check = check_prompts


class Speaker(Protocol):
    """What `render` needs of `speech.voice.Voice`: text to 8 kHz 16-bit mono PCM; `speed` larger is slower."""

    def speak(self, text: str, *, speed: float = 1.0) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Rendered:
    """One text that got new sound, and its length."""

    name: str
    seconds: float


class PromptSounds:
    """The recorded pieces as they were at one moment, for one call. Immutable: no file is touched."""

    def __init__(self, pcm: Mapping[tuple[str, str], bytes]) -> None:
        self._pcm = pcm

    def audio(self, piece: Piece, language: str = AUDIO_LANGUAGE) -> bytes:
        """The sound of a named piece: 8 kHz 16-bit little-endian mono PCM.

        `CallError("prompt-unrecorded")` for free text (the run-time voice speaks that), `("prompt-missing")` when
        there was no usable file; both are recoverable by speaking `piece.text`.
        """
        if piece.name is None:
            raise CallError("prompt-unrecorded", "free text is spoken by the run-time voice", recoverable=True)
        if piece.name.startswith(_SILENCE):
            return _silence(piece.name)
        pcm = self._pcm.get((language, piece.name))
        if pcm is None:
            message = f"no usable sound {language}/{piece.name}.wav; run `hotline prompts render`"
            raise CallError("prompt-missing", message, recoverable=True)
        return pcm


class PromptStore:
    """The recorded pieces, loaded once and again when the folder changed. Thread safe.

    As MenuKeeper does with the menu, an edit is taken when all of prompts/ is whole, and not before: menu and sounds
    go together, also while a rendering is under way. A file that vanishes or breaks goes on sounding as it did.
    """

    def __init__(self, prompts_dir: Path) -> None:
        self._prompts_dir = prompts_dir
        self._lock = threading.Lock()
        self._stamp = stamp_of(prompts_dir)
        self._files: dict[tuple[str, str], tuple[tuple[int, int], bytes]] = {}
        self._sounds = self._load()

    def snapshot(self) -> PromptSounds:
        """The newest whole set of sounds. A few `stat`s when nothing changed, else it reads: not on the event loop."""
        with self._lock:
            stamp = stamp_of(self._prompts_dir)
            if stamp != self._stamp:
                self._stamp = stamp
                if self._is_whole():
                    self._sounds = self._load()
                else:
                    log.warning("prompts_kept")  # MenuKeeper says what is wrong
            return self._sounds

    def _is_whole(self) -> bool:
        try:
            return not any(problem.severity == "error" for problem in check_prompts(self._prompts_dir))
        except OSError:  # unreadable in the middle of an edit
            return False

    def _load(self) -> PromptSounds:
        """Read what is new; what has not changed is shared with earlier snapshots, what cannot be read stays as it was."""
        for path in sorted((self._prompts_dir / AUDIO_LANGUAGE).glob("*.wav")):
            if not NAME_PATTERN.fullmatch(path.stem):
                continue
            key = (AUDIO_LANGUAGE, path.stem)
            known = self._files.get(key)
            try:
                status = path.stat()
                stamp = (status.st_mtime_ns, status.st_size)
                if known is not None and known[0] == stamp:
                    continue
                problem = wav_problem(path)
                if problem is None:
                    self._files[key] = (stamp, _read_pcm(path))
                    continue
            except (OSError, wave.Error, EOFError) as error:
                problem = str(error)
            log.warning("prompt_unusable", name=path.stem, problem=problem, kept=known is not None)
        return PromptSounds(MappingProxyType({key: pcm for key, (_stamp, pcm) in self._files.items()}))


def render(
    prompts_dir: Path,
    voice: Speaker,
    only_changed: bool = True,
    progress: Callable[[str], None] | None = None,
) -> list[Rendered]:
    """Speak every text of texts.toml whose sound is missing or no longer its own; gives back those, in order.

    Writes `zh/<name>.wav` (8 kHz mono 16 bit, trimmed; the voice evens the loudness). The lock is written after every file, so
    an interrupted run goes on where it stopped. `progress` gets each name when its sound is there. Raises `MenuError`
    naming all faults when texts.toml is broken, `SpeechError` when the voice fails (`voice-silent`: it said nothing).
    Sounds whose text is gone are left alone (`check` names them).
    """
    texts, choice, problems = read_texts(prompts_dir)
    if any(problem.severity == "error" for problem in problems):
        raise MenuError(problems)
    lock = {name: entry for name, entry in read_lock(prompts_dir).items() if name in texts}
    done = []
    for name, text in texts.items():
        source, path, entry = source_digest(text, choice), wav_path(prompts_dir, name), lock.get(name)
        if only_changed and entry is not None and entry.source == source and _is(path, entry.audio):
            continue
        pcm = _speak(voice, text)
        replace_file(path, _wav(pcm))
        lock[name] = LockEntry(source, file_digest(path), len(pcm) / SAMPLE_BYTES / SAMPLE_RATE_HZ)
        write_lock(prompts_dir, lock)
        done.append(Rendered(name, lock[name].seconds))
        if progress is not None:
            progress(name)
    return done


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and file_digest(path) == digest


def _speak(voice: Speaker, text: Text) -> bytes:
    pcm = voice.speak(text.spoken, speed=text.speed)
    samples = np.frombuffer(pcm[: len(pcm) // SAMPLE_BYTES * SAMPLE_BYTES], dtype="<i2").astype(np.float64)
    edge_ms = DIGIT_EDGE_MS if text.name in SPOKEN_TEXTS else EDGE_MS
    samples = _trim(samples, edge_ms)
    if not len(samples):
        raise SpeechError("voice-silent", f"the voice said nothing for {text.name} ({text.spoken}); reword it")
    return bytes(np.clip(np.round(samples), -32768, 32767).astype("<i2").tobytes())


def _trim(samples: np.ndarray, edge_ms: int) -> np.ndarray:
    """Without the silence before and after, but for `edge_ms` (made anew, so that pieces join without a click)."""
    loud = np.flatnonzero(np.abs(samples) > 32768 * 10 ** (QUIET_DBFS / 20))
    if not len(loud):
        return samples[:0]
    margin = SAMPLE_RATE_HZ * 20 // 1000  # soft beginnings (f, s, h) lie below the threshold
    words = samples[max(0, loud[0] - margin) : loud[-1] + 2 * margin].copy()
    fade = min(margin // 4, len(words) // 2)
    words[:fade] *= np.linspace(0, 1, fade)
    words[len(words) - fade :] *= np.linspace(1, 0, fade)
    edge = np.zeros(SAMPLE_RATE_HZ * edge_ms // 1000)
    return np.concatenate([edge, words, edge])


def _wav(pcm: bytes) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(SAMPLE_BYTES)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(pcm)
    return buffer.getvalue()


def _read_pcm(path: Path) -> bytes:
    with wave.open(str(path), "rb") as file:
        return file.readframes(file.getnframes())


def _silence(name: str) -> bytes:
    milliseconds = name.removeprefix(_SILENCE)
    if not milliseconds.isascii() or not milliseconds.isdigit() or int(milliseconds) > MAX_SILENCE_MS:
        raise CallError("prompt-missing", f"{name!r} is no silence of up to {MAX_SILENCE_MS} ms", recoverable=True)
    return bytes(SAMPLE_RATE_HZ * int(milliseconds) // 1000 * SAMPLE_BYTES)
