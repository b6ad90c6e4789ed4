"""Pure: the list of clips to be heard, a TSV with named columns: `path` (or `file`), `transcript`, `speaker`, `source`."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from speech.evaluate.compare import comparable

PATH_COLUMNS = ("path", "file")
TRANSCRIPT = "transcript"
# Standard characters of the mainland that GB 2312 lacks and Big5 has: of names, mostly.
_NOT_ONLY_TRADITIONAL = frozenset("玥昇甯珮彧喆琤")


@dataclass(frozen=True, slots=True)
class Clip:
    """One line of a manifest. `path`: as written there, relative to the manifest's folder."""

    line: int
    path: str
    transcript: str
    speaker: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a line (0: with the whole file), and what to do about it. The line is left out."""

    line: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.path}: {self.message}" if self.path else f"{where}{self.message}"


@lru_cache(maxsize=1)
def traditional_characters() -> frozenset[str]:
    """The everyday characters of Big5 (its first level) that the simplified set, GB 2312, does not have."""
    found = set()
    for high in range(0xA4, 0xC7):
        for low in (*range(0x40, 0x7F), *range(0xA1, 0xFF)):
            char = bytes((high, low)).decode("big5", errors="ignore")
            if "\u4e00" <= char <= "\u9fff" and not char.encode("gb2312", errors="ignore"):
                found.add(char)
    return frozenset(found - _NOT_ONLY_TRADITIONAL)


def read_manifest(lines: Iterable[str]) -> tuple[list[Clip], list[Problem]]:
    """Every clip that can be used, and everything that is wrong with the others. Never raises for what is written.

    The first line names the columns, in any order; columns of other names are left alone.
    """
    clips: list[Clip] = []
    problems: list[Problem] = []
    columns: list[str] | None = None
    width = 0
    for number, line in enumerate(lines, 1):
        line = line.removeprefix("\ufeff") if number == 1 else line
        line = line.rstrip("\r\n")
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        if columns is None:
            columns, width = [cell.casefold() for cell in cells], len(cells)
            missing = _missing(columns)
            if missing:
                return [], [Problem(number, "", _head_message(line, missing))]
            continue
        if len(cells) > width and not any(cells[width:]):
            cells = cells[:width]
        clip = _clip(number, columns, cells)
        if isinstance(clip, Clip):
            clips.append(clip)
        else:
            problems.append(clip)
    if not clips and not problems:
        message = "no clips: write the columns path and transcript, then a clip a line" if columns is None else (
            "no clips: there is only the line with the columns' names"
        )  # fmt: skip
        problems.append(Problem(0, "", message))
    return clips, problems


def _missing(columns: list[str]) -> list[str]:
    missing = [] if any(name in columns for name in PATH_COLUMNS) else ["path"]
    return missing + ([] if TRANSCRIPT in columns else [TRANSCRIPT])


def _head_message(line: str, missing: list[str]) -> str:
    commas = "\t" not in line and "," in line
    hint = (
        "the columns are separated by commas: save it with tabs"
        if commas
        else f"no column {' and none '.join(missing)}"
    )
    return f"{hint}; the first line names the columns: path (or file), transcript, and perhaps speaker and source"


def _clip(number: int, columns: list[str], cells: list[str]) -> Clip | Problem:
    path = next((cells[at] for at, name in enumerate(columns) if name in PATH_COLUMNS and at < len(cells)), "")
    cells += (
        [""] * (len(columns) - len(cells)) if TRANSCRIPT in columns[: len(cells)] else []
    )  # a spreadsheet's short line
    if len(cells) != len(columns):
        return Problem(
            number, path, f"{len(cells)} cells where the first line names {len(columns)}: one tab between cells"
        )
    row = dict(zip(columns, cells, strict=True))
    if not path:
        return Problem(number, "", "no path: name the sound file")
    if any(unicodedata.category(char) == "Cc" for char in path):
        return Problem(number, path.encode("unicode_escape").decode(), "a control character in the path: write it anew")
    transcript = row[TRANSCRIPT]
    old = "".join(dict.fromkeys(char for char in transcript if char in traditional_characters()))
    if old:
        return Problem(
            number, path, f"traditional characters in the transcript ({old[:12]}): write it in simplified ones"
        )
    if not comparable(transcript):
        return Problem(number, path, "no transcript: write what is said, in Chinese characters")
    return Clip(number, path, transcript, row.get("speaker", ""), row.get("source", ""))
