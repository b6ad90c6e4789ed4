"""CPU and memory of processes, from /proc (Linux)."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """`cpu_seconds`: user and system time since its start, ended children too; `memory_bytes`: its own share (PSS)."""

    cpu_seconds: float
    memory_bytes: int


def cpu_seconds(pid: int) -> float:
    """User and system CPU of a process and its ended children; 0 when it is gone. Precise to 10 ms."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    fields = stat.rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / _TICKS


def memory_bytes(pid: int) -> int:
    """Proportional set size; 0 when it cannot be read."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def usage(pid: int) -> Usage:
    return Usage(cpu_seconds(pid), memory_bytes(pid))


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError, ValueError):
                continue
            children.setdefault(parent, []).append(int(folder.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def cores() -> list[int]:
    """The cores that we may use."""
    return sorted(os.sched_getaffinity(0))


def others_share(seconds: float = 1.0) -> float:
    """How much of the machine is busy while we only wait: 0 is a quiet machine."""
    before = _busy_and_all()
    time.sleep(seconds)
    after = _busy_and_all()
    spent = after[1] - before[1]
    return (after[0] - before[0]) / spent if spent else 0.0


def _busy_and_all() -> tuple[int, int]:
    counts = [int(count) for count in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(counts) - counts[3] - counts[4], sum(counts)
