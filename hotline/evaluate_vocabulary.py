"""`hotline evaluate vocabulary`: listed names that are found, against names put in where none was said."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hotline.settings import Settings

if TYPE_CHECKING:
    from hotline.vocabulary_trial import Heard, Plan, Trial


def vocabulary(
    spoken: Annotated[int, typer.Option(min=1, max=5000, help="sentences with a listed name to speak")] = 60,
    listed: Annotated[int, typer.Option(min=8, max=700, help="invented names in the list")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="the same seed makes the same sentences")] = 1,
    texts: Annotated[Path | None, typer.Option(help="sentences without such names, one a line")] = None,
    sounds: Annotated[Path | None, typer.Option(help="a folder of recordings without such names")] = None,
    snr: Annotated[float | None, typer.Option(help="noise on the line: speech to noise in dB")] = None,
    model: Annotated[str | None, typer.Option("--model", help="model name or folder; default: the settings'")] = None,
    fit: Annotated[bool, typer.Option("--fit", help="fit the weights of speech/vocabulary.py anew, and print them")] = (
        False
    ),
    as_json: Annotated[bool, typer.Option("--json", help="print JSON for programs")] = False,
    config: Annotated[
        Path | None, typer.Option("--config", help="hotline.toml to use", envvar="HOTLINE_CONFIG")
    ] = None,
) -> None:
    """Measure how many listed names are found that no recogniser learned, and how many are put in where none was said.

    The names are invented, spoken by the bundled voice, and heard over a telephone line by the code of a call.
    Example: hotline evaluate vocabulary --spoken 60
    """
    from hotline.cli import fail, print_json, settings_or_exit
    from hotline.vocabulary_trial import Plan
    from speech.errors import SpeechError

    settings = settings_or_exit(config)
    plan = Plan(listed, spoken, seed, texts, sounds, model, snr)
    try:
        trial, with_name, with_none = asyncio.run(_measure(settings, plan))
        weights = _fitted(trial, [*with_name, *with_none]) if fit else None
    except (ValueError, OSError, SpeechError) as error:
        fail(str(error), 2)
    found = figures(trial, with_name, with_none)
    if weights is not None:
        found["weights"] = weights
    if as_json:
        print_json(found)
    else:
        _show(found)


async def _measure(settings: Settings, plan: Plan) -> tuple[Trial, list[Heard], list[Heard]]:
    from rich import progress as bars

    from hotline.parts import make_voice
    from hotline.vocabulary_trial import Trial
    from speech.models import find_model
    from speech.vocabulary_keeper import sounds_of
    from speech.vosk_engine import VoskEngine

    folder = find_model(plan.model or settings.speech.model, settings.models_dir).path
    trial = Trial(plan, make_voice(settings), sounds_of(folder))
    engine = VoskEngine(folder, settings.speech.workers, vocabulary=lambda: trial.vocabulary)
    await asyncio.to_thread(engine.load)
    columns = (bars.TextColumn("sentences"), bars.BarColumn(), bars.MofNCompleteColumn(), bars.TimeRemainingColumn())
    try:
        with bars.Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("", total=None)
            with_name, with_none = await trial.run(
                engine, lambda done, total: bar.update(task, completed=done, total=total)
            )
    finally:
        engine.close()
    return trial, with_name, with_none


def _fitted(trial: Trial, heard: Sequence[Heard]) -> list[float]:
    from hotline.vocabulary_fit import evidence_rows, fitted

    return [round(float(weight), 2) for weight in fitted(*evidence_rows(trial.vocabulary, heard))]


def figures(trial: Trial, with_name: Sequence[Heard], with_none: Sequence[Heard]) -> dict[str, Any]:
    """Everything measured, by way of hearing; `missed` and `false` name every case of the last way."""
    from hotline.vocabulary_trial import WAYS

    places = {entry.written for entry in trial.entries if entry.is_place}
    hours = sum(one.seconds for one in with_none) / 3600
    ways = {}
    for way in WAYS:
        found = sum(one.name in one.text(way) for one in with_name)
        wrong = sum(any(word.text != one.name for word in one.put_in(way)) for one in with_name)
        false = [word.text for one in with_none for word in one.put_in(way)]
        ways[way] = {
            "found": found,
            "recall": round(found / len(with_name), 4) if with_name else None,
            "sentences_with_a_wrong_name": wrong,
            "false": len(false),
            "false_per_hour": round(len(false) / hours, 2) if hours else None,
            "false_places_per_hour": round(sum(name in places for name in false) / hours, 2) if hours else None,
        }
    last = list(WAYS)[-1]
    return {
        "listed": len(trial.entries),
        "with_name": len(with_name),
        "without_name": len(with_none),
        "hours_without_name": round(hours, 4),
        "ways": ways,
        "missed": [
            {"said": one.said, "heard": one.text(last), "name": one.name}
            for one in with_name
            if one.name not in one.text(last)
        ],
        "false": [
            {"said": one.said, "heard": word.heard, "name": word.text, "sure": word.confidence}
            for one in with_none
            for word in one.put_in(last)
        ],
    }


def _show(found: dict[str, Any]) -> None:
    from hotline.vocabulary_trial import WAYS

    out = Console()
    out.print(
        f"{found['listed']} invented names listed; {found['with_name']} sentences with one, "
        f"{60 * found['hours_without_name']:.1f} minutes of speech with none",
        highlight=False,
    )
    table = Table("heard", "names found", "sentences with a wrong name", "false names an hour", "false places an hour")
    for way, row in found["ways"].items():
        table.add_row(
            WAYS[way],
            f"{row['found']} of {found['with_name']}",
            str(row["sentences_with_a_wrong_name"]),
            *("–" if row[key] is None else f"{row[key]:g}" for key in ("false_per_hour", "false_places_per_hour")),
        )
    out.print(table)
    for one in found["missed"]:
        out.print(f"missed {one['name']}: {one['heard']}", highlight=False, markup=False)
    for one in found["false"]:
        out.print(f"false {one['name']} for {one['heard']} in: {one['said']}", highlight=False, markup=False)
    if "weights" in found:
        out.print(f"weights: {tuple(found['weights'])}", highlight=False)
