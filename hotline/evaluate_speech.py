"""`hotline evaluate speech`: how well does the hotline hear? Clips with known words, down a telephone line."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from hotline.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from hotline.evaluate_speech_figures import Measured, Plan
    from ivr.menu_states import Menu
    from speech.evaluate.hearing import MakeEndpointer
    from speech.vosk_engine import VoskEngine


class Law(StrEnum):
    """The codec of the line."""

    A = "a"
    U = "u"
    NONE = "none"


def speech(
    manifest: Annotated[
        Path, typer.Argument(help="TSV with the columns path (or file), transcript, and perhaps speaker, source")
    ],
    channel: Annotated[
        list[str] | None,
        typer.Option("--channel", help="clean, telephone, faint, noisy, street or lossy; several: one after another"),
    ] = None,
    snr: Annotated[list[float] | None, typer.Option("--snr", help="dB of speech above the noise; several")] = None,
    noise: Annotated[str, typer.Option("--noise", help="white, babble or a sound file; white unless said")] = "",
    level: Annotated[list[float] | None, typer.Option("--level", help="the speech's peak in dBFS; several")] = None,
    loss: Annotated[
        list[float] | None, typer.Option("--loss", help="share of packets lost, 0.02 is 2 %; several")
    ] = None,
    law: Annotated[Law | None, typer.Option("--law", help="G.711 a-law, µ-law, or no codec")] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="model name or folder, or 'wider'; several: side by side; default: the settings'"),
    ] = None,
    lists: Annotated[
        bool, typer.Option("--lists/--no-lists", help="hear with the city's own words and places, as calls do")
    ] = True,
    seed: Annotated[int, typer.Option(min=0, help="the same seed makes the same noise and losses")] = 1,
    longest: Annotated[float, typer.Option(min=1, max=3600, help="seconds; longer clips are left out")] = 300.0,
    worst: Annotated[int, typer.Option(min=0, max=1000, help="how many of the worst clips to print")] = 5,
    as_json: Annotated[
        Path | None, typer.Option("--json", help="write all figures and every clip here; - prints")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="write the page with the plots here")] = None,
    transcripts: Annotated[
        Path | None, typer.Option("--transcripts", help="write what was heard here, for evaluate drafts --heard")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="hotline.toml to use", envvar="HOTLINE_CONFIG")
    ] = None,
) -> None:
    """Measure how many characters and syllables the recogniser gets wrong, and whether its confidences can be trusted.

    Each clip goes down every line asked for and is heard as a call hears: the same detector, endpointing, recogniser.
    Exit status 1: some lines could not be used (each is named). 2: nothing was measured.

    Example: hotline evaluate speech clips.tsv --channel clean --channel telephone --html hearing.html
    """
    from hotline.cli import err, fail, settings_or_exit
    from hotline.evaluate_files import check_writable, read_lines, write_text
    from hotline.evaluate_out import put_out
    from hotline.evaluate_speech_figures import Plan, figures_of, transcripts_tsv
    from hotline.evaluate_speech_show import show
    from ivr.menu import MenuError
    from speech.errors import SpeechError
    from speech.evaluate.conditions import conditions
    from speech.evaluate.manifest import read_manifest

    settings = settings_or_exit(config)
    to_stdout = as_json is not None and str(as_json) == "-"
    try:
        check_writable(None if to_stdout else as_json, html, transcripts)
        lines = conditions(
            channel or (), snr_db=snr or (), level_dbfs=level or (), packet_loss=loss or (), law=law or "", noise=noise
        )
        clips, problems = read_manifest(read_lines(manifest))
        if not clips:
            fail(f"{manifest}: nothing to hear:\n  " + "\n  ".join(map(str, problems)), 2)
        plan = Plan(manifest, clips, lines, model or [settings.speech.model], seed, longest, lists)
        measured = asyncio.run(_measure(settings, plan))
    except (ValueError, OSError, SpeechError, MenuError) as error:
        fail(getattr(error, "message", "") or str(error), 2)
    problems = sorted([*problems, *measured.problems], key=lambda problem: problem.line)
    for note in measured.notes:
        err.print(f"note {note}", highlight=False, markup=False, soft_wrap=True)
    for problem in problems:
        err.print(f"{manifest.name} {problem}", style="red", highlight=False, markup=False, soft_wrap=True)
    if not measured.heard:
        fail(f"{manifest}: no clip could be heard, {len(problems)} lines are named above", 2)
    figures = figures_of(plan, measured, problems)

    def write_page(path: Path) -> None:
        from hotline.evaluate_speech_page import page_of

        page_of(figures).write(path)

    put_out(
        figures,
        lambda console: show(figures, worst, console),
        as_json=as_json,
        files={html: write_page, transcripts: lambda path: write_text(path, transcripts_tsv(measured.heard))},
        incomplete=bool(problems),
    )


async def _measure(settings: Settings, plan: Plan) -> Measured:
    """Every model in turn, so that only one is in memory."""
    from rich import progress as bars

    from hotline.evaluate_speech_figures import Measured
    from ivr.menu import load_menu
    from speech.channel import telephone
    from speech.evaluate.trial import Sounds, hear_clips

    for condition in plan.conditions:  # a noise file that cannot be read stops us before, not in the middle
        telephone([0.0, 0.5, -0.5, 0.1], 8000, condition.channel, _rng(plan.seed))
    new_caller = caller_of(load_menu(settings.prompts_dir))
    sounds = Sounds(plan.manifest.parent, plan.longest_seconds)
    measured = Measured()
    paths = _model_paths(settings, plan.models)
    columns = (bars.TextColumn("{task.description}"), bars.BarColumn(), bars.MofNCompleteColumn())
    with bars.Progress(*columns, bars.TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        for name, path in paths.items():
            task = bar.add_task(f"{name}: clips × lines", total=len(plan.clips) * len(plan.conditions))
            engine = _engine(settings, path, plan.lists)
            try:
                await asyncio.to_thread(engine.load)
                measured.heard += await hear_clips(
                    engine,
                    name,
                    plan.clips,
                    plan.conditions,
                    sounds,
                    new_caller,
                    seed=plan.seed,
                    told=lambda done, task=task: bar.update(task, completed=done),  # type: ignore[misc]
                )
            finally:
                engine.close()
    measured.problems += sounds.problems.values()
    measured.notes += sounds.notes.values()
    return measured


def _rng(seed: int) -> Any:
    import numpy as np

    return np.random.default_rng(seed)


def _model_paths(settings: Settings, models: list[str]) -> dict[str, str]:
    """A short name for each model asked for → what `find_model` takes; all of them are checked before any is heard.

    Raises SpeechError for the first that cannot be used, ValueError for one that is named twice.
    """
    from speech.models import find_model
    from speech.wider_search import WIDER, wider_model

    found: dict[str, str] = {}
    for wanted in models:
        if wanted == WIDER:
            first = find_model(settings.speech.model, settings.models_dir)
            name, path = f"{first.name} {WIDER}", str(wider_model(first.path, settings.state_dir / "second-pass"))
        else:
            info = find_model(wanted, settings.models_dir)
            name, path = info.name, wanted
        if name in found:
            name = wanted
        if name in found:
            raise ValueError(f"the model {wanted} is named twice")
        found[name] = path
    return found


def _engine(settings: Settings, model: str, lists: bool) -> VoskEngine:
    from hotline.parts import make_engine
    from speech.models import find_model
    from speech.vosk_engine import VoskEngine

    if lists:
        return make_engine(settings, model)
    return VoskEngine(find_model(model, settings.models_dir).path, settings.speech.workers)


def caller_of(menu: Menu) -> Callable[[], MakeEndpointer]:
    """The endpointing that a caller meets who tells a story, by the menu; each caller is unknown at first."""
    from cases.schema import Asks
    from ivr.actions import Ask
    from ivr.listen import patience_of
    from speech.caller_pace import CallerPace
    from speech.endpoint import Endpointer

    state = next((state for state in menu.states.values() if state.asks is Asks.NARRATION), None)
    ask = Ask("story", Asks.NARRATION, ())
    if state is not None:
        ask = Ask(
            state.name,
            state.asks,
            (),
            no_input_seconds=state.no_input_seconds,
            end_silence_seconds=state.end_silence_seconds,
            max_seconds=state.max_seconds,
        )

    def new_caller() -> MakeEndpointer:
        pace = CallerPace()

        def new_endpointer() -> Endpointer:
            asks_more = bool(menu.endpointing.more)
            return Endpointer(
                end_silence_seconds=ask.end_silence_seconds,
                max_seconds=ask.max_seconds,
                no_input_seconds=ask.no_input_seconds,
                patience=patience_of(menu.endpointing, menu.hearing.openers, ask, pace, asks_more),
            )

        return new_endpointer

    return new_caller
