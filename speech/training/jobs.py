"""One process's share of the sentences to speak, and how it goes on after it was stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from speech.training.clips import Clip


@dataclass(frozen=True, slots=True)
class Job:
    """Every `jobs`th sentence from number `job` on, until `hours` of speech are there.

    Each sentence draws from its own seed, so that what is made does not depend on where a run was stopped.
    """

    sentences: Path
    out_dir: Path
    job: int
    jobs: int
    hours: float
    seed: int


@dataclass(slots=True)
class Share:
    """An open manifest, `<out_dir>/<job>.jsonl`, with the sound files beside it."""

    job: Job
    out: TextIO
    seconds: float
    next_number: int

    @property
    def hours(self) -> float:
        return self.seconds / 3600

    def sentences(self) -> Iterator[tuple[int, str]]:
        """What is still to be said, with its number, until the share's hours are full."""
        lines = self.job.sentences.read_text(encoding="utf-8").split()[self.job.job :: self.job.jobs]
        for number in range(self.next_number, len(lines)):
            if self.hours >= self.job.hours:
                return
            yield number, lines[number]

    def wav(self, number: int) -> Path:
        return self.job.out_dir / f"{self.job.job}_{number}.wav"

    def add(self, clip: Clip, seconds: float) -> None:
        """The sound file is written before its line: a line always has its sound."""
        self.out.write(clip.line() + "\n")
        self.out.flush()
        self.seconds += seconds


@contextmanager
def resume(job: Job) -> Iterator[Share]:
    job.out_dir.mkdir(parents=True, exist_ok=True)
    manifest = job.out_dir / f"{job.job}.jsonl"
    seconds, number = 0.0, -1
    if manifest.exists():
        lines = manifest.read_text(encoding="utf-8").splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        if len(whole) < len(lines):  # the last one was being written when the process died
            manifest.write_text("".join(whole), encoding="utf-8")
        for row in map(json.loads, whole):
            seconds += row["spans"][-1][2]
            number = int(Path(row["wav"]).stem.rsplit("_", 1)[1])
    with open(manifest, "a", encoding="utf-8") as out:
        yield Share(job, out, seconds, number + 1)
