"""A whole hotline for the benchmarks: that of the system tests, with what it costs and what its calls left."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from system.conftest import System, free_range, make_system

from bench.processes import cpu_seconds, family, memory_bytes
from hotline.settings import CHECKOUT
from ivr.callfolder import HEARD
from ivr.events import CallStarted, DraftDelivered, Fact, RecordingDelivered
from ivr.journal import JOURNAL_NAME, read_journal, revision_of
from ivr.texts import file_digest, read_lock, wav_path, write_lock
from speech.audio import SAMPLE_RATE_HZ, write_wav

SERVICES = ("asterisk", "ivr", "cases")
RTP_PORTS = 600
STEADY_SECONDS = 12.0


@contextlib.contextmanager
def hotline(calls_most: int, **more: str) -> Iterator[System]:
    """Up, on free ports, in a folder that goes with it. RuntimeError with its logs' end when it does not come up."""
    folder = Path(tempfile.mkdtemp(prefix="hotline-bench-"))
    first = free_range(RTP_PORTS)
    ports = {
        "HOTLINE_ASTERISK__RTP_FIRST_PORT": str(first),
        "HOTLINE_ASTERISK__RTP_LAST_PORT": str(first + RTP_PORTS - 1),
        "HOTLINE_IVR__MAX_CALLS": str(2 * calls_most),
    }
    (folder / "sounds").mkdir()
    system = make_system(folder / "state", folder / "sounds", **(ports | more))
    try:
        try:
            system.start()
        except pytest.fail.Exception as error:
            raise RuntimeError(str(error)[-1500:]) from None
        yield system
    finally:
        system.stop()
        shutil.rmtree(folder, ignore_errors=True)


def steady_prompts(folder: Path) -> Path:
    """The prompts, the opening one a steady sound: when it stops can then be told to the packet."""
    shutil.copytree(CHECKOUT / "prompts", folder, dirs_exist_ok=True)
    seconds = np.arange(int(STEADY_SECONDS * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    sound = 4000 * np.sin(2 * np.pi * 440 * seconds)
    path = wav_path(folder, "opening")
    write_wav(path, sound.astype("<i2").tobytes())
    lock = read_lock(folder)
    lock["opening"] = replace(lock["opening"], audio=file_digest(path), seconds=STEADY_SECONDS)
    write_lock(folder, lock)
    return folder


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds since the start, and memory now, of each service with its children."""

    at: float
    cpu_seconds: dict[str, float]
    memory_bytes: dict[str, int]


def cost(system: System) -> Cost:
    families = {name: family(system.pid(name)) for name in SERVICES}
    return Cost(
        time.monotonic(),
        {name: sum(map(cpu_seconds, pids)) for name, pids in families.items()},
        {name: sum(map(memory_bytes, pids)) for name, pids in families.items()},
    )


def metrics(system: System) -> dict[str, float]:
    """The call handler's counters by name; those with labels added up."""
    url = f"http://127.0.0.1:{system.settings.ivr.metrics_port}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    totals: dict[str, float] = {}
    for line in lines:
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            key = name.partition("{")[0]
            totals[key] = totals.get(key, 0.0) + float(value)
    return totals


@dataclass(frozen=True, slots=True)
class Kept:
    """What a call left on the disk."""

    folder: Path
    facts: tuple[Fact, ...]

    @property
    def started(self) -> CallStarted | None:
        return next((fact for fact in self.facts if isinstance(fact, CallStarted)), None)

    @property
    def delivered(self) -> bool:
        newest = revision_of(self.facts)
        return any(isinstance(fact, DraftDelivered) and fact.revision >= newest for fact in self.facts)

    @property
    def done(self) -> bool:
        """The backend has the draft and the recording."""
        return self.delivered and any(isinstance(fact, RecordingDelivered) for fact in self.facts)

    @property
    def heard(self) -> Path:
        return self.folder / HEARD

    def draft(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads((self.folder / "draft.json").read_text("utf-8"))
        return data

    def all_of(self, kind: type[Any]) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind)]


def kept_calls(system: System) -> dict[str, Kept]:
    """By SIP Call-ID."""
    found: dict[str, Kept] = {}
    for journal in system.spool.glob(f"*/*/{JOURNAL_NAME}"):
        facts = tuple(read_journal(journal))
        kept = Kept(journal.parent, facts)
        if kept.started is not None:
            found[kept.started.line_call_id] = kept
    return found


async def until_done(system: System, call_ids: list[str], seconds: float) -> dict[str, Kept]:
    """The calls once the backend has all of each, or when time is over."""
    deadline = time.monotonic() + seconds
    while True:
        kept = await asyncio.to_thread(kept_calls, system)
        if all(call_id in kept and kept[call_id].done for call_id in call_ids) or time.monotonic() > deadline:
            return {call_id: kept[call_id] for call_id in call_ids if call_id in kept}
        await asyncio.sleep(1.0)
