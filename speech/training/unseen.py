"""A test that the model has not been made for: sentences kept aside, by voices kept aside.

Writes a manifest for `hotline evaluate speech`; the telephone channel is put on there.
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

from speech.training.fetch import Sources
from speech.training.kokoro import RATE_HZ, UNSEEN_VOICES, Kokoro, spell
from speech.training.progress import Progress

SENTENCES = 120
_SLOWEST, _FASTEST = 0.75, 1.1


def speak_unseen(sources: Sources, sentences: Path, manifest: Path, *, count: int = SENTENCES, seed: int = 1) -> None:
    """The first `count` lines of `sentences`, voices in turn. `manifest`: TSV, with its sounds in a folder beside it."""
    import soundfile

    if manifest.exists():
        return
    sounds = manifest.with_suffix("")
    sounds.mkdir(parents=True, exist_ok=True)
    voice = Kokoro(sources.kokoro_graph, sources.kokoro_tokens, sources.kokoro_voices)
    lines = sentences.read_text(encoding="utf-8").split()[:count]
    rows = []
    with Progress("unseen voices speak", len(lines), "sentences") as progress:
        for number, text in enumerate(lines):
            rng = random.Random(f"{seed}/unseen/{number}")
            name, pace = UNSEEN_VOICES[number % len(UNSEEN_VOICES)], rng.uniform(_SLOWEST, _FASTEST)
            spelling = spell(text)
            spoken = voice.speak(spelling, ((name, 1.0),), pace, 1.0) if spelling is not None else None
            if spoken is not None:
                wav = sounds / f"{number:03}.wav"
                soundfile.write(wav, spoken[0], RATE_HZ, subtype="PCM_16")
                kind = "Mandarin" if name.startswith("z") else "foreign"
                rows.append((f"{sounds.name}/{wav.name}", text, name, f"unseen {kind} voices"))
            progress.at(number + 1)
    part = manifest.with_suffix(".part")
    with open(part, "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, delimiter="\t", lineterminator="\n")
        writer.writerow(("path", "transcript", "speaker", "source"))
        writer.writerows(rows)
    part.replace(manifest)
