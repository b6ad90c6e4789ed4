"""What the voice has said before: in memory and on disk, both bounded."""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from pathlib import Path

import structlog

from speech.audio import read_telephone, write_wav
from speech.errors import SpeechError

log = structlog.get_logger(__name__)

# Cached sound: when it is full the least recently used goes.
_MEMORY_BYTES = 8 * 2**20
_DISK_BYTES = 128 * 2**20


class SoundCache:
    """Sound by key, in memory and as WAV files. A cache that cannot be read or written is no reason to stay silent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._memory: OrderedDict[str, bytes] = OrderedDict()
        self._disk_bytes: int | None = None

    def get(self, key: str) -> bytes | None:
        if key in self._memory:
            self._memory.move_to_end(key)
            return self._memory[key]
        path = self._folder / f"{key}.wav"
        try:
            sound = read_telephone(path)
            os.utime(path)
        except SpeechError as error:
            if error.code != "audio-missing":
                log.warning("voice_cache_unreadable", file=path.name, code=error.code)
                with contextlib.suppress(OSError):
                    path.unlink()
            return None
        except OSError:
            return None
        self._remember(key, sound)
        return sound

    def put(self, key: str, sound: bytes) -> None:
        self._remember(key, sound)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_wav(self._folder / f"{key}.wav", sound)
            self._make_room(len(sound))
        except OSError as error:
            log.warning("voice_cache_unwritable", folder=str(self._folder), error=error.strerror)

    def _remember(self, key: str, sound: bytes) -> None:
        self._memory[key] = sound
        while sum(map(len, self._memory.values())) > _MEMORY_BYTES and len(self._memory) > 1:
            self._memory.popitem(last=False)

    def _make_room(self, added_bytes: int) -> None:
        if self._disk_bytes is not None and self._disk_bytes + added_bytes <= _DISK_BYTES:
            self._disk_bytes += added_bytes
            return
        files = sorted(
            ((s.st_mtime, s.st_size, p) for p in self._folder.glob("*.wav") if (s := p.stat())), reverse=True
        )
        total = 0
        for _, size, path in files:
            total += size
            if total > _DISK_BYTES * 0.9 and len(files) > 1:
                path.unlink(missing_ok=True)
                total -= size
        self._disk_bytes = total
