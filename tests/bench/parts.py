"""What every part of the benchmark is handed, and what it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.figures import PartResult
from bench.sounds import Callers
from hotline.settings import Settings


@dataclass(frozen=True, slots=True)
class Bench:
    """`out`: the run's folder. `quick`: fewer repetitions, for trying. `server`: another one to measure (ws://…)."""

    settings: Settings
    out: Path
    quick: bool = False
    server: str = ""

    def say(self, text: str) -> None:
        """Progress, at once."""
        print(f"  {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    def callers(self) -> Callers:
        return Callers(self.out)

    def folder(self, name: str) -> Path:
        folder = self.out / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


Measure = Callable[[Bench], PartResult]
