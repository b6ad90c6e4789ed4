"""Tests that the model has not been made for: what was kept aside, or anybody's sentences, by voices kept aside.

Writes a manifest for `hotline evaluate speech`; the telephone channel is put on there.

    .venv-training/bin/python -m speech.training.unseen TEXTS.tsv MANIFEST.tsv [--work var/model]

speaks the column `text` of a table.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import sys
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from speech.training.fetch import FetchError, Sources, fetch_sources
from speech.training.kokoro import RATE_HZ, UNSEEN_VOICES, Floats, Kokoro, spell
from speech.training.progress import Progress
from speech.training.text import TextError, clauses, read_sentences

SENTENCES = 120
_SLOWEST, _FASTEST = 0.75, 1.1
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.15, 0.6  # seconds, between clauses

_STATE: dict[str, Kokoro] = {}


def speak_unseen(
    sources: Sources, texts: Sequence[str], manifest: Path, *, seed: int = 1, processes: int = 0
) -> list[str]:
    """Speaks the texts, voices in turn, one process a core. `manifest`: TSV (path, transcript, speaker, source), with
    its sounds in a folder beside it. Goes on where it was stopped. Texts that the voices cannot say are returned."""
    sounds = manifest.with_suffix("")
    sounds.mkdir(parents=True, exist_ok=True)
    rows, unsaid = [], []
    say = partial(_say, sounds, seed)
    with (
        get_context("spawn").Pool(processes or os.cpu_count(), _start, (sources,)) as pool,
        Progress("unseen voices speak", len(texts), "texts") as progress,
    ):
        for number, done in enumerate(pool.imap(say, enumerate(texts))):
            progress.at(number + 1)
            if done:
                name = UNSEEN_VOICES[number % len(UNSEEN_VOICES)]
                kind = "Mandarin" if name.startswith("z") else "foreign"
                rows.append((f"{sounds.name}/{_file_name(number)}", texts[number], name, f"unseen {kind} voices"))
            else:
                unsaid.append(texts[number])
    part = manifest.with_suffix(".part")
    with open(part, "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, delimiter="\t", lineterminator="\n")
        writer.writerow(("path", "transcript", "speaker", "source"))
        writer.writerows(rows)
    part.replace(manifest)
    return unsaid


def _file_name(number: int) -> str:
    return f"{number:03}.wav"


def _start(sources: Sources) -> None:
    _STATE["voice"] = Kokoro(sources.kokoro_graph, sources.kokoro_tokens, sources.kokoro_voices)


def _say(sounds: Path, seed: int, numbered: tuple[int, str]) -> bool:
    import soundfile

    number, text = numbered
    wav = sounds / _file_name(number)
    if wav.exists():
        return True
    sound = spoken_by(_STATE["voice"].speak, text, number, seed)
    if sound is None:
        return False
    part = wav.with_suffix(".part")
    soundfile.write(part, sound, RATE_HZ, subtype="PCM_16", format="WAV")
    part.replace(wav)
    return True


def spoken_by(
    speak: Callable[..., tuple[Floats, list[float]] | None], text: str, number: int, seed: int
) -> Floats | None:
    """24 kHz sound of a text, clause by clause with pauses between; None when it cannot be said."""
    rng = random.Random(f"{seed}/unseen/{number}")
    voice, pace = ((UNSEEN_VOICES[number % len(UNSEEN_VOICES)], 1.0),), rng.uniform(_SLOWEST, _FASTEST)
    pieces: list[Floats] = []
    for clause in clauses(text):
        spelling = spell(clause)
        spoken = speak(spelling, voice, pace, 1.0) if spelling is not None else None
        if spoken is None:
            return None
        if pieces:
            pieces.append(np.zeros(round(rng.uniform(_SHORTEST_PAUSE, _LONGEST_PAUSE) * RATE_HZ), np.float32))
        pieces.append(spoken[0])
    return np.concatenate(pieces) if pieces else None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m speech.training.unseen", description=__doc__.split("\n")[0])
    parser.add_argument("texts", type=Path, help="TSV with the column text")
    parser.add_argument("manifest", type=Path, help="TSV to write, for hotline evaluate speech")
    parser.add_argument("--work", type=Path, default=Path("var/model"), help="of make model: where the voices are kept")
    given = parser.parse_args()
    try:
        texts = list(read_sentences(given.texts))
        unsaid = speak_unseen(fetch_sources(given.work / "sources"), texts, given.manifest)
    except (FetchError, TextError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    for text in unsaid:
        print(f"left out, a character has no Mandarin reading: {text}", file=sys.stderr)
    return 1 if unsaid else 0


if __name__ == "__main__":
    sys.exit(main())
