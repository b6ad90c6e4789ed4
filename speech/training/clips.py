"""A clip of speech whose units are known, as the stages hand it on: one JSON line each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from speech.training.units import PAUSE

SILENT = -1  # a span of silence
UNKNOWN = -2  # a span whose unit nobody knows: training leaves it out


@dataclass(frozen=True, slots=True)
class Span:
    """`unit`: which of the clip's units (an index into `Clip.units`), or SILENT, or UNKNOWN."""

    unit: int
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, slots=True)
class Clip:
    """`units`: initials and finals in order, PAUSE wherever the speaker may have paused. `spans`: who told the times
    (a synthesiser, an alignment) is told by the stage that wrote the line; empty before anybody did.
    `match`: mean log likelihood ratio of the aligned units against the best ones; None before alignment."""

    wav: str
    text: str
    source: str
    speaker: str
    units: tuple[str, ...]
    spans: tuple[Span, ...] = ()
    match: float | None = None

    def with_spans(self, spans: Sequence[Span], match: float | None = None) -> Clip:
        return replace(self, spans=tuple(spans), match=match)

    def line(self) -> str:
        row = asdict(self)
        row["units"] = " ".join(self.units)
        row["spans"] = [[s.unit, round(s.start_seconds, 4), round(s.end_seconds, 4)] for s in self.spans]
        return json.dumps(row, ensure_ascii=False)


def clip_of(line: str) -> Clip:
    row = json.loads(line)
    row["units"] = tuple(row["units"].split())
    row["spans"] = tuple(Span(int(unit), float(start), float(end)) for unit, start, end in row["spans"])
    return Clip(**row)


def read_clips(paths: Iterable[Path]) -> Iterator[Clip]:
    """Clips of manifests; a last line that a killed process left half written is passed over."""
    for path in paths:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):
                    yield clip_of(line)


def write_clips(path: Path, clips: Iterable[Clip]) -> int:
    """Replaces the manifest as a whole; how many clips it holds."""
    part, count = path.with_suffix(".part"), 0
    with open(part, "w", encoding="utf-8") as out:
        for clip in clips:
            out.write(clip.line() + "\n")
            count += 1
    part.replace(path)
    return count


def with_pauses(words: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Units of words -> one row with a PAUSE before, between and after them."""
    row = [PAUSE]
    for word in words:
        row += [*word, PAUSE]
    return tuple(row)
