"""`hotline evaluate drafts`: how right are drafts of messages whose right answers are known?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from cases.drafting.labelled import Labelled
    from hotline.evaluate_drafts_figures import Reading


def drafts(
    file: Annotated[
        Path, typer.Argument(help="JSON lines: text, and any of appeal_type, level1, district, street, urgency, alerts")
    ],
    homophone_noise: Annotated[
        float, typer.Option("--homophone-noise", min=0, max=0.9, help="share of characters misheard as others alike")
    ] = 0.0,
    draws: Annotated[int, typer.Option(min=1, max=50, help="how often the noise is drawn")] = 3,
    heard: Annotated[
        Path | None,
        typer.Option("--heard", help="what a recogniser heard: TSV or JSON lines, as of evaluate speech --transcripts"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="the same seed makes the same mistakes")] = 1,
    worst: Annotated[int, typer.Option(min=0, max=10000, help="how many of the worst drafts to print")] = 10,
    as_json: Annotated[Path | None, typer.Option("--json", help="write all figures and drafts here; - prints")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="write the page with the plots here")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="hotline.toml to use", envvar="HOTLINE_CONFIG")
    ] = None,
) -> None:
    """Measure which fields of drafts are right, how often a place is false, and whether sure means sure.

    Drafts are made as in a call: with what was learned (hotline learn) and with the listed places. A list of answers
    means that any of them is right; "" that the field must stay empty; what is left out is not judged.
    With `heard` beside `text`, or in a file of its own, drafts of what a recogniser heard are measured beside.
    Exit status 1: some lines could not be used (each is named). 2: nothing was measured.

    Example: hotline evaluate drafts messages.jsonl --homophone-noise 0.1 --html drafts.html
    """
    from cases.fields import SURE_FROM
    from hotline.cli import err, fail, settings_or_exit
    from hotline.evaluate_drafts_figures import figures_of
    from hotline.evaluate_drafts_heard import read_heard, read_messages
    from hotline.evaluate_drafts_show import show
    from hotline.evaluate_files import check_writable, read_lines
    from hotline.evaluate_out import put_out
    from hotline.learn import use_learned
    from hotline.vocabulary import lists_in_use

    settings = settings_or_exit(config)
    if problem := use_learned(settings):
        err.print(f"left out: {problem}", style="red", highlight=False, markup=False, soft_wrap=True)
    lists_in_use(settings).current()
    to_stdout = as_json is not None and str(as_json) == "-"
    try:
        check_writable(None if to_stdout else as_json, html)
        messages, beside, wrong = read_messages(read_lines(file))
        problems = [f"{file.name} {problem}" for problem in wrong]
        columns = {"heard": beside} if beside else {}
        if heard is not None and messages:
            found = read_heard(read_lines(heard), messages)
            columns |= found.columns
            problems += [f"{heard.name} {problem}" for problem in found.problems]
    except ValueError as error:
        fail(str(error), 2)
    for problem in problems:
        err.print(problem, style="red", highlight=False, markup=False, soft_wrap=True)
    if not messages:
        fail(f"{file}: no message can be used", 2)
    if not any(one.labels for one in messages):
        fail(f"{file}: no message has a label, so nothing can be judged: write what is right beside text", 2)
    readings = _measured(messages, columns, homophone_noise, draws, seed, SURE_FROM)
    plan = {"homophone_noise": homophone_noise, "draws": draws, "seed": seed, "sure_from": SURE_FROM}
    figures = figures_of(file.name, messages, readings, problems, plan)

    def write_page(path: Path) -> None:
        from hotline.evaluate_drafts_page import page_of

        page_of(figures).write(path)

    put_out(
        figures,
        lambda console: show(figures, worst, console),
        as_json=as_json,
        files={html: write_page},
        incomplete=bool(problems),
    )


def _measured(
    messages: list[Labelled],
    columns: dict[str, dict[int, str]],
    homophone_noise: float,
    draws: int,
    seed: int,
    sure_from: float,
) -> list[Reading]:
    """Every form of the messages, drafted, with a bar for who waits."""
    from rich import progress as bars

    from hotline.evaluate_drafts_figures import Reading, as_heard, drawn

    heard = {name: as_heard(messages, texts) for name, texts in columns.items()}
    passes = 1 + (draws if homophone_noise else 0)
    total = passes * len(messages) + sum(map(len, heard.values()))
    layout = (bars.TextColumn("drafts"), bars.BarColumn(), bars.MofNCompleteColumn(), bars.TimeRemainingColumn())
    with bars.Progress(*layout, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total)

        def one_more(_done: int) -> None:
            bar.advance(task)

        readings = [Reading("text", (drawn(messages, sure_from=sure_from, told=one_more),))]
        if homophone_noise:
            every = tuple(
                drawn(messages, sure_from=sure_from, homophone_noise=homophone_noise, seed=seed + number, told=one_more)
                for number in range(draws)
            )
            readings.append(Reading(f"{100 * homophone_noise:g} % homophones", every))
        for name, own in heard.items():
            found = drawn(own, sure_from=sure_from, told=one_more)
            readings.append(Reading(name, (found,), _error_rate(messages, columns[name])))
    return readings


def _error_rate(messages: list[Labelled], heard: dict[int, str]) -> float | None:
    from speech.evaluate.compare import compare

    pairs = [compare(one.text, heard[one.line]) for one in messages if one.line in heard]
    said = sum(len(pair.said) for pair in pairs)
    return sum(pair.errors for pair in pairs) / said if said else None
