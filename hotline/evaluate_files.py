"""What the measuring verbs read and leave behind."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cases.drafting.labelled import LineProblem

MAX_LIST_BYTES = 200_000_000


def read_lines(path: Path) -> list[str]:
    """The lines of a text file. ValueError that says what to do when it is none."""
    try:
        size = path.stat().st_size
        if size > MAX_LIST_BYTES:
            raise ValueError(f"{path} has {size / 1e6:.0f} MB: a list has {MAX_LIST_BYTES / 1e6:.0f} at most, split it")
        # Not splitlines: a strange separator inside a cell is no end of a line.
        return path.read_bytes().decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 at byte {error.start}: save it as UTF-8") from error
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from error


def without_halves(lines: Iterable[str]) -> tuple[list[str], list[LineProblem]]:
    r"""JSON lines. One with half a character (\ud83d without its other half) is named and left empty: such a text can
    neither be learned from nor written anywhere."""
    kept: list[str] = []
    problems: list[LineProblem] = []
    for number, line in enumerate(lines, 1):
        if "\\ud" in line.lower() and _has_half(line):
            message = "half a character (a \\ud… without its other half): take it out, or save it as UTF-8 text"
            problems.append(LineProblem(number, message))
            line = ""
        kept.append(line)
    return kept, problems


def _has_half(line: str) -> bool:
    try:
        json.dumps(json.loads(line), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except (ValueError, RecursionError):
        return False  # no JSON: told by whoever reads the line
    return False


def check_writable(*paths: Path | None) -> None:
    """Before hours of measuring: ValueError for a file that could not be written afterwards."""
    wanted = [path for path in paths if path is not None]
    for path in wanted:
        folder = path.absolute().parent
        if path.is_dir():
            raise ValueError(f"{path} is a folder: name a file")
        if not folder.is_dir():
            raise ValueError(f"{path}: there is no folder {folder}: make it first")
        if not os.access(folder, os.W_OK):
            raise ValueError(f"{path}: nothing can be written in {folder}")
    if len({path.absolute() for path in wanted}) < len(wanted):
        raise ValueError("two results go to one file: give each its own name")


def write_text(path: Path, content: str | dict[str, Any]) -> None:
    """There whole or not at all; what is no text is written as JSON. OSError when it cannot be written."""
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, "utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
