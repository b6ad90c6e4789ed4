"""What the figures were measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from bench.processes import cores, others_share
from hotline.settings import Settings
from speech.models import find_model

# Above this somebody else is at work, and the figures are for trying only.
QUIET_SHARE = 0.05


def describe(settings: Settings) -> dict[str, str]:
    """Name → value, in the order in which they are told."""
    busy = others_share()
    told = {
        "Measured": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "CPU": f"{_cpu_model()}, {len(cores())} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "vosk": importlib.metadata.version("vosk"),
        "model": find_model(settings.speech.model, settings.models_dir).name,
        "Asterisk": _asterisk(),
        "others": f"{busy:.0%} of the machine was busy before the run",
    }
    if busy > QUIET_SHARE:
        told["note"] = "**not a quiet machine: these figures are for trying only**"
    return told


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _asterisk() -> str:
    from hotline.asterisk import AsteriskError, find_asterisk
    from hotline.settings import load_settings

    try:
        return find_asterisk(load_settings().asterisk.prefix).version
    except AsteriskError:
        return "none"
