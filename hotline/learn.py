"""`hotline learn FILE.jsonl`: retrains drafting from a city's own labelled messages, judges it, installs it, undoes it.

The new model is learned from the file beside our own labelled messages. It is installed in one rename, so that the next
draft of a running hotline is made with it; what was in use before is kept beside it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cases.drafting.labelled import Labelled, LineProblem, read_labelled
from cases.drafting.learning import FOLDS, MAX_MESSAGES, FieldReport, LearnedResult, learn
from cases.drafting.model_file import INSTALLED, KEEPER, PREVIOUS, ModelFileError, read_learned, write_learned
from hotline.evaluate_files import without_halves
from hotline.settings import Settings

MOST_PROBLEMS_SHOWN = 50
FIELD_NAMES = {"level1": "一级分类 level 1", "appeal_type": "工单类型 type", "urgency": "紧急程度 urgency"}


class LearnFailed(Exception):
    """Nothing was installed; the message says what to do."""

    code = "learning-failed"


@dataclass(frozen=True, slots=True)
class FileProblem:
    file: Path
    problem: LineProblem

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a file taught. `worse`: fields that would become less right; `installed`: where the model now lies."""

    messages: int
    problems: tuple[FileProblem, ...]
    result: LearnedResult
    size_bytes: int
    installed: Path | None

    @property
    def worse(self) -> tuple[str, ...]:
        return tuple(report.field for report in self.result.reports if report.worse)


def use_learned(settings: Settings) -> str:
    """Drafts of this process are made with what `hotline learn` installed, from now on and as it changes.

    Returns what is wrong with it, empty when nothing is: the bundled model is then in use.
    """
    KEEPER.look_in(settings.learned_dir)
    KEEPER.current()
    return KEEPER.problem


def our_messages() -> list[Labelled]:
    """The labelled messages that come with the hotline."""
    text = (resources.files("cases.drafting") / "data" / "labelled.jsonl").read_text(encoding="utf-8")
    return read_labelled(text.splitlines())[0]


def read_files(files: Iterable[Path]) -> tuple[list[Labelled], list[FileProblem]]:
    """All messages that can be used. A file that cannot be read is a problem too (line 0); the rest goes on."""
    messages: list[Labelled] = []
    problems: list[FileProblem] = []
    for path in files:
        try:
            # Not splitlines: a strange separator inside a text is no end of a line.
            lines, halves = without_halves(path.read_text(encoding="utf-8-sig").split("\n"))
        except UnicodeDecodeError as error:
            problems.append(FileProblem(path, LineProblem(0, f"is not UTF-8 ({error.reason}): save it as UTF-8")))
            continue
        except OSError as error:
            problems.append(FileProblem(path, LineProblem(0, f"cannot be read: {error.strerror or error}")))
            continue
        found, wrong = read_labelled(lines)
        messages += found
        if halves and not found:
            wrong = [problem for problem in wrong if problem.line]  # "no messages" is not what is wrong
        problems += [FileProblem(path, problem) for problem in sorted([*halves, *wrong], key=lambda one: one.line)]
    return messages, problems


def teach(
    files: Iterable[Path],
    learned_dir: Path,
    *,
    out: Path | None = None,
    install_worse: bool = False,
    only_try: bool = False,
    told: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> Lesson:
    """Learn, judge, and install into `learned_dir` (or write to `out`). Raises LearnFailed.

    A model that is less right than the one in use is not installed unless `install_worse`.
    """
    messages, problems = read_files(files)
    if not messages:
        shown = "\n  ".join(map(str, problems[:MOST_PROBLEMS_SHOWN]))
        raise LearnFailed(f"no message can be used:\n  {shown}")
    result = learn(messages, our_messages(), before=KEEPER.current(), told=told)
    if not result.reports:
        raise LearnFailed("no field can be learned:\n  " + "\n  ".join(result.left_out))
    content = write_learned(result.learned)
    try:
        read_learned(content)  # what no call could read is not installed
    except ModelFileError as error:
        raise LearnFailed(
            f"what was learned cannot be used ({error}): keep what was in use, and report this"
        ) from error
    lesson = Lesson(len(messages), tuple(problems), result, len(content), None)
    if only_try or (lesson.worse and not install_worse and out is None):
        return lesson
    try:
        if out is not None:
            write_whole(out, content)
        else:
            install(learned_dir, content)
    except OSError as error:
        raise LearnFailed(f"{out or learned_dir} cannot be written: {error.strerror or error}") from error
    return Lesson(len(messages), tuple(problems), result, len(content), out or learned_dir / INSTALLED)


def install(folder: Path, content: bytes) -> None:
    """The model in use becomes the previous one; with none, --undo goes back to the bundled one."""
    folder.mkdir(parents=True, exist_ok=True)
    installed, previous = folder / INSTALLED, folder / PREVIOUS
    if installed.exists():
        write_whole(previous, installed.read_bytes())
    else:
        previous.unlink(missing_ok=True)
    write_whole(installed, content)


def undo(folder: Path) -> str:
    """Back to the model before; says which. Raises LearnFailed when the bundled one is in use already."""
    installed, previous = folder / INSTALLED, folder / PREVIOUS
    try:
        if previous.exists():
            os.replace(previous, installed)
            return "the model before"
        if installed.exists():
            installed.unlink()
            return "the bundled model"
    except OSError as error:
        raise LearnFailed(f"{folder} cannot be written: {error.strerror or error}") from error
    raise LearnFailed("nothing to undo: the bundled model is in use")


def write_whole(path: Path, content: bytes) -> None:
    """All or nothing, whoever reads it meanwhile and whenever the machine dies."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def show(lesson: Lesson, out: Console) -> None:
    """The table of before and after, by field."""
    out.print(
        f"{lesson.messages} messages, judged by {FOLDS}-fold cross-validation: each by a model that had not seen it."
    )
    if lesson.messages > MAX_MESSAGES:
        out.print(f"Only the last {MAX_MESSAGES} are learned from: more do not fit into memory.")
    table = Table("field", "messages", "right", "shown as sure", "right when sure", "the model in use: right", "sure")
    for report in lesson.result.reports:
        before = report.before
        table.add_row(
            FIELD_NAMES.get(report.field, report.field),
            str(report.after.messages),
            _percent(report.after.right),
            _percent(report.after.sure),
            _percent(report.after.sure_right),
            f"{_percent(before.right)} of {before.messages} new to it" if before else "has learned from all of these",
            f"{_percent(before.sure)}, {_percent(before.sure_right)} right" if before else "",
        )
    out.print(table)
    for report in lesson.result.reports:
        if report.before and report.after_on_same and report.before.messages < report.after.messages:
            out.print(f"{report.field}: on those {report.before.messages} {_percent(report.after_on_same.right)} now.")
    for line in lesson.result.left_out:
        out.print(f"[yellow]{escape(line)}[/]", highlight=False)


def as_dict(lesson: Lesson) -> dict[str, Any]:
    return {
        "messages": lesson.messages,
        "fields": [_report_dict(report) for report in lesson.result.reports],
        "left_out": list(lesson.result.left_out),
        "problems": [
            {"file": str(p.file), "line": p.problem.line, "message": p.problem.message} for p in lesson.problems
        ],
        "worse": list(lesson.worse),
        "installed": str(lesson.installed) if lesson.installed else None,
        "bytes": lesson.size_bytes,
    }


def _report_dict(report: FieldReport) -> dict[str, Any]:
    return {
        "field": report.field,
        "classes": report.classes,
        "after": asdict(report.after),
        "before": asdict(report.before) if report.before else None,
        "after_on_same": asdict(report.after_on_same) if report.after_on_same else None,
    }


def _percent(share: float | None) -> str:
    return "—" if share is None else f"{100 * share:.1f} %"
