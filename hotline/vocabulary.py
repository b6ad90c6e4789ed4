"""`hotline vocabulary …`: the city's own lists of places and words, checked, and what the recogniser mixes up, learned.

Here the lists meet what knows where places lie (`cases.drafting`) and what hears (`speech`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from hotline.settings import Settings

if TYPE_CHECKING:
    from speech.confusions import Confusions
    from speech.vocabulary_keeper import VocabularyKeeper
    from speech.vocabulary_list import ListProblem
    from speech.vocabulary_search import Entry

# Fewer syllables around mistakes say little: the table would hold chance.
ENOUGH_SYLLABLES = 1000

vocabulary_app = typer.Typer(help="Places and words that the recogniser never learned.", no_args_is_help=True)
Config = Annotated[Path | None, typer.Option("--config", help="hotline.toml to use", envvar="HOTLINE_CONFIG")]


def list_files(settings: Settings) -> tuple[Path, Path]:
    """places.tsv and vocabulary.tsv; they lie beside the menu and its texts."""
    from speech.vocabulary_keeper import PLACES_FILE, VOCABULARY_FILE

    return settings.prompts_dir / PLACES_FILE, settings.prompts_dir / VOCABULARY_FILE


def lists_in_use(settings: Settings, model_dir: Path | None = None) -> VocabularyKeeper:
    """The lists as they are at any moment; a change of the places reaches the drafts too."""
    from speech.vocabulary_keeper import VocabularyKeeper, sounds_of

    return VocabularyKeeper(*list_files(settings), on_change=_tell_drafting, sounds=sounds_of(model_dir))


def _tell_drafting(entries: Sequence[Entry]) -> None:
    from cases.drafting.gazetteer import ListedPlace, use_listed_places

    use_listed_places(ListedPlace(entry.written, entry.district, entry.street) for entry in entries if entry.is_place)


def checked(settings: Settings) -> tuple[list[Entry], list[ListProblem]]:
    """What can be used of the lists, and everything that is wrong with them, file by file, line by line."""
    from speech.vocabulary_keeper import read_file
    from speech.vocabulary_list import ListProblem, Severity

    places, vocabulary = list_files(settings)
    problems: list[ListProblem] = []
    entries: list[Entry] = []
    known: dict[str, Entry] = {}
    for path in (places, vocabulary):
        try:
            read = read_file(path, places=path == places)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            problems.append(ListProblem(path.name, 0, Severity.ERROR, str(error)))
            continue
        found = list(read.problems)
        found += _where_problems(read.entries, path.name) if path == places else _twice(read.entries, known, path.name)
        known |= {entry.written: entry for entry in read.entries}
        entries += read.entries
        problems += sorted(found, key=lambda problem: problem.line)
    return entries, problems


def _where_problems(entries: Sequence[Entry], file: str) -> Iterator[ListProblem]:
    from cases.drafting.gazetteer import gazetteer
    from speech.vocabulary_list import ListProblem, Severity

    for entry in entries:
        if problem := gazetteer().where_problem(entry.district, entry.street):
            yield ListProblem(
                file,
                entry.line,
                Severity.ERROR,
                f"{entry.written}: {problem} (until it is mended no draft knows where this place is)",
            )


def _twice(entries: Sequence[Entry], places: dict[str, Entry], file: str) -> Iterator[ListProblem]:
    from speech.vocabulary_list import ListProblem, Severity

    for entry in entries:
        if entry.written in places:
            line = places[entry.written].line
            yield ListProblem(
                file, entry.line, Severity.WARNING, f"{entry.written} is in places.tsv line {line} already: delete this"
            )


@vocabulary_app.command("check")
def check(
    as_json: Annotated[bool, typer.Option("--json", help="print JSON for programs")] = False, config: Config = None
) -> None:
    """Check places.tsv and vocabulary.tsv: every bad line with what to do. Status 1 when a line cannot be used.

    Example: hotline vocabulary check
    """
    from hotline.cli import print_json, settings_or_exit
    from speech.vocabulary_list import Severity

    settings = settings_or_exit(config)
    entries, problems = checked(settings)
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    if as_json:
        print_json([asdict(problem) for problem in problems])
    else:
        err = Console(stderr=True)
        for problem in problems:
            colour = "red" if problem.severity is Severity.ERROR else "yellow"
            where = f"{problem.file} line {problem.line}" if problem.line else problem.file
            err.print(f"[{colour}]{where}[/]", end=" ", highlight=False)
            err.print(problem.message, markup=False, highlight=False, soft_wrap=True)
        places = sum(entry.is_place for entry in entries)
        Console().print(
            f"{places} places and {len(entries) - places} words are used from the next call on"
            + (f"; {errors} errors to mend." if errors else "."),
            highlight=False,
        )
    if errors:
        raise typer.Exit(1)


@vocabulary_app.command("learn")
def learn(
    evaluation: Annotated[Path, typer.Argument(help="TSV: said, heard; or the JSON of `hotline evaluate speech`")],
    model: Annotated[str, typer.Option("--model", help="the model that heard it")] = "bundled",
    output: Annotated[Path | None, typer.Option("--output", help="default: confusions.tsv of the model")] = None,
    config: Config = None,
) -> None:
    """Learn what a model mixes up from what it heard of known sentences; listed names are then matched by that.

    Example: hotline vocabulary learn evaluation.json --model small-cn
    """
    from hotline.cli import fail, settings_or_exit
    from speech.confusions import learn as learned
    from speech.errors import SpeechError
    from speech.models import find_model

    settings = settings_or_exit(config)
    try:
        pairs = read_pairs(evaluation)
        folder = find_model(model, settings.models_dir).path
    except (ValueError, SpeechError) as error:
        fail(str(error), 2)
    found = learned(pairs)
    if found.said < ENOUGH_SYLLABLES:
        fail(
            f"{evaluation}: {len(pairs)} sentences have {found.said} syllables in and around mistakes;"
            f" {ENOUGH_SYLLABLES} are needed to tell habit from chance: evaluate more speech",
            2,
        )
    target = output or confusions_file(model, folder)
    try:
        target.write_text("\n".join(found.lines()) + "\n", "utf-8")
    except OSError as error:
        fail(f"{target}: cannot be written: {error.strerror}")
    Console().print(f"{len(pairs)} sentences, {found.said} syllables in and around mistakes. Most mixed up:")
    for kind, said, heard, count in most_mixed_up(found):
        Console().print(f"  {kind} {said or '(none)'} heard as {heard or '(none)'}: {count}", highlight=False)
    Console().print(f"Written to {target}; a hotline that runs uses it after its next start.", highlight=False)


def confusions_file(model: str, folder: Path) -> Path:
    """Where a model's table is kept: in its folder; the bundled model's with the code."""
    import speech
    from speech.vocabulary_keeper import CONFUSIONS_FILE

    return Path(speech.__path__[0]) / CONFUSIONS_FILE if model == "bundled" else folder / CONFUSIONS_FILE


def most_mixed_up(found: Confusions, count: int = 12) -> list[tuple[str, str, str, int]]:
    """(kind, said, heard, how often), the most frequent first."""
    rows = [
        (kind, said, heard, times)
        for kind, counts in (("initial", found.initials), ("final", found.finals))
        for (said, heard), times in counts.items()
        if said != heard
    ]
    return sorted(rows, key=lambda row: (-row[3], row))[:count]


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """(said, heard) of every sentence. Raises ValueError that names the line and what is expected."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    if text.lstrip().startswith(("{", "[")):
        try:
            pairs = list(_pairs_in(json.loads(text)))
        except ValueError as error:
            raise ValueError(f"{path}: not valid JSON: {error}") from error
    else:
        pairs = []
        for number, line in enumerate(text.splitlines(), 1):
            cells = line.split("\t")
            if not line.strip() or (number == 1 and [cell.casefold() for cell in cells[:2]] == ["said", "heard"]):
                continue
            if len(cells) < 2:
                raise ValueError(f"{path} line {number}: two columns are needed, parted by a tab: said, heard")
            pairs.append((cells[0], cells[1]))
    if not pairs:
        raise ValueError(f"{path}: no sentence with what was said and what was heard is in it")
    return pairs


def _pairs_in(evaluation: Any) -> Iterator[tuple[str, str]]:
    """The clips of a speech evaluation."""
    clips = evaluation.get("heard") if isinstance(evaluation, dict) else None
    for clip in clips if isinstance(clips, list) else ():
        said, heard = (
            (clip.get("said_compared"), clip.get("heard_compared")) if isinstance(clip, dict) else (None, None)
        )
        if isinstance(said, str) and isinstance(heard, str):
            yield said, heard
