"""The city's lists as files: read anew when they change, so that the next call knows what was added a minute ago.

Nothing here stops a call. A line that was good and is broken now keeps what it said before, a new broken line is left
out, and a file that cannot be read, or of which no line is good, keeps all that was read last.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from speech.confusions import SoundCosts, load_confusions, shipped_confusions
from speech.errors import SpeechError
from speech.vocabulary import Vocabulary
from speech.vocabulary_list import ListProblem, ReadList, Severity, read_list
from speech.vocabulary_search import Entry

log = structlog.get_logger(__name__)

PLACES_FILE = "places.tsv"
VOCABULARY_FILE = "vocabulary.tsv"
CONFUSIONS_FILE = "confusions.tsv"
MAX_FILE_BYTES = 2_000_000

Stamp = tuple[int, int, int] | None


class VocabularyKeeper:
    """Thread safe. `current` costs two `stat`s when nothing changed; it reads files, so call it off the event loop."""

    def __init__(
        self,
        places: Path,
        vocabulary: Path,
        *,
        on_change: Callable[[Sequence[Entry]], None] | None = None,
        sounds: SoundCosts | None = None,
    ) -> None:
        """A file that is not there is an empty list. `on_change` is told the entries, also the first time."""
        self.files = {places: True, vocabulary: False}  # whether it is a list of places
        self._on_change = on_change
        self._sounds = sounds
        self._lock = threading.Lock()
        self._stamps: dict[Path, Stamp] | None = None
        self._lists: dict[Path, ReadList] = {}
        self._current: Vocabulary | None = None

    @property
    def problems(self) -> list[ListProblem]:
        return [problem for read in list(self._lists.values()) for problem in read.problems]

    def current(self) -> Vocabulary:
        with self._lock:
            stamps = {path: _stamp(path) for path in self.files}
            if self._current is None or stamps != self._stamps:
                self._stamps = stamps
                self._reload()
            assert self._current is not None
            return self._current

    def _reload(self) -> None:
        before = {path: read.entries for path, read in self._lists.items()}
        for path, places in self.files.items():
            self._lists[path] = self._read(path, places=places)
        entries = [entry for read in self._lists.values() for entry in read.entries]
        if self._current is not None and before == {path: read.entries for path, read in self._lists.items()}:
            return
        if self._sounds is None:
            self._sounds = SoundCosts(shipped_confusions())
        self._current = Vocabulary(entries, self._sounds)
        log.info("vocabulary_loaded", entries=len(entries), problems=len(self.problems))
        if self._on_change is not None:
            self._on_change(entries)

    def _read(self, path: Path, *, places: bool) -> ReadList:
        last = self._lists.get(path)
        try:
            read = read_file(path, places=places)
        except FileNotFoundError:
            if last is None or not last.entries:
                return ReadList((), ())
            kept = "the file is gone: put it back, or an empty one"
        except (OSError, ValueError) as error:
            kept = str(error)
        else:
            errors = [problem for problem in read.problems if problem.severity is Severity.ERROR]
            if read.entries or not errors or last is None or not last.entries:
                return _mended(read, errors, last, path)
            kept = f"no line is good; {errors[0]}"
        entries = last.entries if last is not None else ()
        log.error("vocabulary_kept", file=str(path), reason=kept, entries=len(entries))
        return ReadList(entries, (ListProblem(path.name, 0, Severity.ERROR, f"{kept}; what was read last is used"),))


def _mended(read: ReadList, errors: Sequence[ListProblem], last: ReadList | None, path: Path) -> ReadList:
    """With the last good entries of lines that are broken now."""
    broken = {problem.written for problem in errors} - {entry.written for entry in read.entries}
    kept = tuple(entry for entry in last.entries if entry.written in broken) if last is not None else ()
    names = {entry.written for entry in kept}
    for problem in errors:
        log.warning(
            "vocabulary_line_kept" if problem.written in names else "vocabulary_line_left_out",
            file=str(path),
            line=problem.line,
            problem=problem.message,
        )
    return ReadList((*read.entries, *kept), read.problems)


def read_file(path: Path, *, places: bool) -> ReadList:
    """Raises OSError, or ValueError for what is no list at all (not UTF-8, far too large)."""
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"larger than {MAX_FILE_BYTES // 1_000_000} MB: no list of names is")
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}: save it as UTF-8") from error
    # Not splitlines: a strange separator inside a cell is no end of a line.
    return read_list(text.split("\n"), path.name, places=places)


def sounds_of(model_dir: Path | None) -> SoundCosts:
    """What this model mixes up: its own confusions.tsv when it has one, else the bundled model's."""
    own = model_dir / CONFUSIONS_FILE if model_dir is not None else None
    if own is not None and own.is_file():
        try:
            return SoundCosts(load_confusions(own))
        except SpeechError as error:
            log.error("confusions_left_out", file=str(own), error=error.message)
    return SoundCosts()


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
