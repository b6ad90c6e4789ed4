"""How long a draft takes. It is made on the event loop that carries every call's sound, so a frame is its yardstick."""

from __future__ import annotations

import csv
import time
from datetime import UTC, datetime

from bench.figures import Figure, PartResult, median, percentile, spread_of
from bench.parts import Bench
from cases import drafting
from hotline.parts import transcript_of_text
from hotline.settings import CHECKOUT

FRAME_MS = 20.0
TEXTS = CHECKOUT / "tests" / "data" / "complaints_dev.tsv"


def measure(bench: Bench) -> PartResult:
    """Written complaints, each drafted several times; the first round warms the caches and is not counted."""
    drafting.warm_up()
    with TEXTS.open(encoding="utf-8") as lines:
        texts = [row["text"] for row in csv.DictReader(lines, delimiter="\t")]
    rounds = 2 if bench.quick else 5
    transcripts = [transcript_of_text(text, datetime(2026, 1, 1, tzinfo=UTC)) for text in texts]
    took_ms: list[float] = []
    for round_ in range(rounds + 1):
        bench.say(f"{len(texts)} drafts, round {round_} of {rounds}")
        for transcript in transcripts:
            started = time.thread_time()
            drafting.draft(transcript)
            if round_:
                took_ms.append(1000 * (time.thread_time() - started))
    figure = Figure(
        "a draft, CPU, p95",
        percentile(took_ms, 95),
        "ms",
        "one frame of sound, which the event loop must not miss",
        FRAME_MS,
        goal=FRAME_MS,
        spread=f"median {median(took_ms):.1f}, {spread_of(took_ms, 1)}",
    )
    characters = sum(map(len, texts)) / len(texts)
    return PartResult("drafting", (figure,), notes=(f"{len(texts)} complaints of {characters:.0f} characters",))
