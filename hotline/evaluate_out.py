"""Where a measurement goes: files that were asked for, then the terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from hotline.evaluate_files import write_text


def put_out(
    figures: dict[str, Any],
    show: Callable[[Console], None],
    *,
    as_json: Path | None,
    files: dict[Path | None, Callable[[Path], object]],
    incomplete: bool,
) -> None:
    """Writes `figures` to `as_json` ("-": prints them instead of `show`) and each of `files` by its writer; None is a
    file that nobody asked for. Exit status 1 when a file cannot be written, or when the measurement is `incomplete`."""
    from hotline.cli import fail, print_json

    to_stdout = as_json is not None and str(as_json) == "-"
    writers = {path: write for path, write in files.items() if path is not None}
    if as_json is not None and not to_stdout:
        writers[as_json] = lambda path: write_text(path, figures)
    try:
        for path, write in writers.items():
            write(path)
    except OSError as error:
        fail(f"{error.filename}: cannot be written: {error.strerror}")
    if to_stdout:
        print_json(figures)
    else:
        show(Console())
        for path in writers:
            Console().print(f"written: {path}", highlight=False, markup=False, soft_wrap=True)
    if incomplete:
        raise typer.Exit(1)
