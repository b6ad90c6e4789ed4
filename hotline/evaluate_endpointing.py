"""`hotline evaluate endpointing`: does the hotline know when a caller has finished? False cut-offs against delay."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hotline.settings import Settings

if TYPE_CHECKING:
    from hotline.endpointing_trial import Plan
    from hotline.report import Report

WAYS = {
    "fixed": "the step's silence, for everybody",
    "adaptive": "the caller's own pauses and words",
    "asking": "adaptive, and 还有吗？ when in doubt",
}


class Words(StrEnum):
    """Where partial transcripts come from: nowhere, from the text itself a little late, or from the recogniser."""

    NONE = "none"
    TRUE = "true"
    MODEL = "model"


def endpointing(
    callers: Annotated[int, typer.Option(min=1, max=5000, help="how many callers to imitate, four turns each")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="the same seed makes the same calls")] = 1,
    words: Annotated[Words, typer.Option(help="partial transcripts: none, the true words, or the recogniser's")] = (
        Words.MODEL
    ),
    texts: Annotated[Path | None, typer.Option(help="stories to tell, one a line or a TSV's first column")] = None,
    voices: Annotated[
        Path | None, typer.Option(help="recorded clips instead of the bundled voice; a folder for each speaker")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="model name or folder; default: the settings'")] = None,
    html: Annotated[Path | None, typer.Option(help="write the page here")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON for programs")] = False,
    config: Annotated[
        Path | None, typer.Option("--config", help="hotline.toml to use", envvar="HOTLINE_CONFIG")
    ] = None,
) -> None:
    """Measure false cut-offs and the delay after the true end, for fixed and for adaptive silences side by side.

    Makes calls of speech with pauses, hesitations, breaths and noise, and hears them with the detector, the menu and
    the endpointing of a real call, faster than real time.

    Example: hotline evaluate endpointing --html ends.html
    """
    from hotline.cli import fail, print_json, settings_or_exit
    from hotline.endpointing_trial import Plan
    from hotline.evaluate_files import check_writable
    from ivr.menu import MenuError
    from speech.errors import SpeechError

    settings = settings_or_exit(config)
    plan = Plan(callers, seed, words.value, texts, voices, model)
    try:
        check_writable(html)
        found = asyncio.run(_measure(settings, plan))
    except (ValueError, OSError, SpeechError, MenuError) as error:
        fail(str(error), 2)
    if html is not None:
        try:
            page_of(found).write(html)
        except OSError as error:
            fail(f"{html}: cannot be written: {error.strerror}")
    if as_json:
        print_json(found)
    else:
        _show(found)
        if html is not None:
            Console().print(f"The curves are in {html}")


async def _measure(settings: Settings, plan: Plan) -> dict[str, Any]:
    from rich import progress as bars

    from hotline.endpointing_trial import make_calls, speaker, summary
    from hotline.parts import make_engine, make_voice
    from ivr.menu import load_menu

    menu = load_menu(settings.prompts_dir)
    engine = make_engine(settings, plan.model) if plan.words == Words.MODEL else None
    if engine is not None:
        await asyncio.to_thread(engine.load)
    columns = (
        bars.TextColumn("callers heard"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeRemainingColumn(),
    )
    try:
        with bars.Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("", total=plan.callers)
            speak = speaker(make_voice(settings)) if plan.voices is None else None
            calls = await make_calls(plan, menu, speak, engine, lambda done, _all: bar.update(task, completed=done))
        return await asyncio.to_thread(summary, plan, calls, menu)
    finally:
        if engine is not None:
            engine.close()


def _show(found: dict[str, Any]) -> None:
    out = Console()
    plan = found["plan"]
    out.print(
        f"{found['turns']} turns of {plan['callers']} callers (seed {plan['seed']}), {found['pauses']['count']} pauses "
        f"of {found['pauses']['median_seconds']} s in the middle; partials: {plan['words']}",
        highlight=False,
    )
    table = Table("silences ×", *(f"{way}: cut off, delay" for way in WAYS))
    for number, point in enumerate(found["curves"]["fixed"]):
        cells = [found["curves"][way][number] for way in WAYS]
        table.add_row(
            f"{point['factor']:g}", *(f"{100 * c['cut_share']:.1f} %  {c['delay_mean_seconds']:.2f} s" for c in cells)
        )
    out.print(table)
    for row in found["at_equal_cut_offs"]:
        delays = ", ".join(f"{way} {_seconds(row[way])}" for way in WAYS)
        out.print(f"cut off {100 * row['cut_share']:.0f} % → delay: {delays}", highlight=False)


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"


def page_of(found: dict[str, Any]) -> Report:
    """The report's page."""
    from hotline.report import Axis, Report, Series, line_chart, percent, table

    plan = found["plan"]
    page = Report(
        "Has the caller finished?",
        about="A hotline that waits too short cuts callers off, one that waits too long keeps everybody waiting. Each "
        "point is one setting of the silences; lower and further left is better. The calls are imitated, so the true "
        "ends are known; how people pause on a real line differs from city to city.",
        facts={key: str(value) for key, value in plan.items()},
    )

    def chart(curves: dict[str, list[dict[str, Any]]], delay: str, label: str) -> Any:
        series = [
            Series(
                f"{way}: {WAYS[way]}",
                tuple((p[delay], p["cut_share"]) for p in points),
                notes=tuple(f"silences × {p['factor']:g}" for p in points),
            )
            for way, points in curves.items()
        ]
        return line_chart(series, x=Axis(label, low=0), y=Axis("turns cut off", low=0, percent=True))

    page.section("False cut-offs against delay", "Delay: from the true end to the end of the turn, mean of all turns.")
    page.add(chart(found["curves"], "delay_mean_seconds", "delay, s"))
    page.section(
        "Against the first sound of ours", "A question for more is an answer too: the caller is not left alone."
    )
    page.add(chart(found["curves"], "answer_mean_seconds", "to the first sound, s"))
    page.section("At equal false cut-offs")
    rows = [[percent(row["cut_share"], 0), *(_seconds(row[way]) for way in WAYS)] for row in found["at_equal_cut_offs"]]
    page.add(table(["cut off", *(f"{way}: delay" for way in WAYS)], rows))
    page.section("At equal delay")
    rows = [[_seconds(row["delay_seconds"]), *(percent(row[way]) for way in WAYS)] for row in found["at_equal_delay"]]
    page.add(table(["delay", *(f"{way}: cut off" for way in WAYS)], rows))
    page.section(
        "As the menu is set",
        "Each step by its own base silence. Asked within: 还有吗？ was put into a pause; asked after: to who had finished.",
    )
    rows = []
    for step, ways in found["by_step"].items():
        for way, points in ways.items():
            at = next((p for p in points if p["factor"] == 1.0), None)
            if at is not None:
                rows.append(
                    [
                        step,
                        f"{found['bases_seconds'][step]:g} s",
                        way,
                        percent(at["cut_share"]),
                        *(_seconds(at[f"delay_{kind}_seconds"]) for kind in ("median", "mean", "p95")),
                        percent(at["asked_within_share"]),
                        percent(at["asked_after_share"]),
                        percent(at["never_share"]),
                    ]
                )
    head = ["step", "base", "way", "cut off", "delay, median", "mean", "p95", "asked within", "asked after", "no end"]
    page.add(table(head, rows))
    page.text("No end: noise was taken for speech until the sound was over; the delay is what was left of it.")
    return page
