"""The command `hotline`: every verb, and the one place that builds the real objects.

Heavy imports stand inside the verbs, so that `hotline --help` answers at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hotline.evaluate import evaluate_app
from hotline.settings import Settings, SettingsError, load_settings
from hotline.vocabulary import vocabulary_app

app = typer.Typer(
    name="hotline",
    help="The voice front door of a citizen hotline: calls, drafts, the operators' desk.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
model_app = typer.Typer(help="The recogniser's models.", no_args_is_help=True)
prompts_app = typer.Typer(help="What callers hear and press.", no_args_is_help=True)
user_app = typer.Typer(help="Who may use the desk.", no_args_is_help=True)
app.add_typer(model_app, name="model")
app.add_typer(prompts_app, name="prompts")
app.add_typer(user_app, name="user")
app.add_typer(evaluate_app, name="evaluate")
app.add_typer(vocabulary_app, name="vocabulary")

out = Console()
err = Console(stderr=True)

Config = Annotated[Path | None, typer.Option("--config", help="hotline.toml to use", envvar="HOTLINE_CONFIG")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON for programs")]


def fail(message: str, status: int = 1) -> NoReturn:
    """Tell what is wrong, and end with `status`."""
    err.print(f"[bold red]error[/] {escape(message)}", highlight=False, soft_wrap=True)
    raise typer.Exit(status)


def settings_or_exit(config: Path | None = None) -> Settings:
    if config is not None:
        # The verbs that `serve` starts read the same file.
        os.environ["HOTLINE_CONFIG"] = str(config.absolute())
    try:
        return load_settings(config)
    except SettingsError as error:
        fail("the settings are not usable:\n  " + "\n  ".join(error.problems), 2)


def print_json(value: Any) -> None:
    """One line of JSON, Chinese readable, on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


@app.callback()
def _every_verb() -> None:
    """Logs go to standard error, warnings and worse; standard output is the verb's own."""
    from hotline.logs import configure_logging

    configure_logging(quiet=True)


# --- running ---------------------------------------------------------------------------------------------------------


@app.command()
def serve(config: Config = None) -> None:
    """Run the whole hotline on this machine: cases, ivr and Asterisk.

    Example: hotline serve
    """
    from hotline import serve as serving
    from hotline.asterisk import AsteriskError
    from hotline.logs import configure_logging

    settings = settings_or_exit(config)
    configure_logging()

    def report(text: str) -> None:
        out.print(f"[dim]·[/] {escape(text)}", highlight=False)

    async def tell(_: serving.Hotline) -> None:
        out.print(f"desk   {settings.cases_url}/desk   (make a log-in: hotline user add NAME --role operator)")
        out.print(f"phone  sip:12345@{settings.asterisk.sip_host}:{settings.asterisk.sip_port}")
        out.print("Ctrl-C ends it.")

    try:
        asyncio.run(serving.serve(settings, report, tell))
    except AsteriskError as error:
        fail(error.message)
    except (serving.AlreadyRunning, serving.ServiceFailed, OSError) as error:
        fail(str(error))


@app.command()
def demo(config: Config = None) -> None:
    """Place a real call, show it live, print the draft, and keep running for you to try.

    Example: hotline demo
    """
    from hotline.asterisk import AsteriskError
    from hotline.demo import run_demo
    from hotline.serve import AlreadyRunning, ServiceFailed

    settings = settings_or_exit(config)
    try:
        asyncio.run(run_demo(settings, out))
    except AsteriskError as error:
        fail(error.message)
    except (AlreadyRunning, ServiceFailed, OSError) as error:
        fail(str(error))


@app.command()
def ivr(config: Config = None) -> None:
    """Run the call handler alone (Asterisk connects to it).

    Example: HOTLINE_IVR__CASES_URL=http://cases:8012 hotline ivr
    """
    from hotline.logs import configure_logging
    from hotline.parts import run_ivr
    from ivr.errors import CallError
    from speech.errors import SpeechError

    settings = settings_or_exit(config)
    configure_logging()
    try:
        asyncio.run(run_ivr(settings))
    except (CallError, SpeechError, OSError) as error:
        fail(str(error))


@app.command()
def cases(config: Config = None) -> None:
    """Run the case backend and the operators' desk alone.

    Example: HOTLINE_CASES__PORT=9000 hotline cases
    """
    from cases.errors import CasesError
    from hotline.logs import configure_logging
    from hotline.parts import run_cases

    settings = settings_or_exit(config)
    configure_logging()
    try:
        asyncio.run(run_cases(settings))
    except (CasesError, OSError) as error:
        fail(str(error))


# --- a call ----------------------------------------------------------------------------------------------------------


@app.command()
def call(
    say: Annotated[list[str] | None, typer.Option("--say", help="a sentence, spoken by the bundled voice")] = None,
    wav: Annotated[list[Path] | None, typer.Option("--wav", help="a sound file to speak; in order with --say")] = None,
    dtmf: Annotated[list[str] | None, typer.Option("--dtmf", help="digits to press, after what is said")] = None,
    number: Annotated[str, typer.Option("--number", help="the caller's number")] = "13800001234",
    heard: Annotated[Path | None, typer.Option("--heard", help="write what the caller heard to this WAV")] = None,
    wait_seconds: Annotated[float, typer.Option(help="how long to wait for the draft after the call")] = 30.0,
    answer_rest: Annotated[
        bool,
        typer.Option(
            "--answer-rest/--silent", help="answer yes by key to questions nothing was given for, or say nothing"
        ),
    ] = True,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Dial the running hotline as a real SIP phone and speak when it listens.

    Steps are taken in order, each when the hotline listens. Questions that nothing was given for are answered with yes.

    Example: hotline call --say "海淀区上地街道上地西里暖气不热，家里只有十四度" --json
    """
    from hotline.calling import CallFailed, place

    settings = settings_or_exit(config)
    try:
        result = asyncio.run(
            place(
                settings,
                say or [],
                wav or [],
                dtmf or [],
                number,
                heard,
                wait_seconds,
                None if as_json else out,
                answer_rest,
            )
        )
    except CallFailed as error:
        fail(str(error))
    if as_json:
        print_json(result)
    if not result["answered"]:
        raise typer.Exit(1)


# --- drafts and transcripts ------------------------------------------------------------------------------------------


@app.command()
def draft(
    text: Annotated[str | None, typer.Option("--text", help="what a caller told")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="one transcript a line; one draft a line")] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Make a complaint draft of text, as a call would.

    Example: hotline draft --text "朝阳区望京街道楼上每天夜里装修" --json
    """
    from hotline.parts import transcript_of_text

    if (text is None) == (file is None):
        fail("give either --text or --file", 2)
    if file is not None:
        try:
            lines = file.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            fail(f"{file}: cannot be read as UTF-8 text: {error}", 2)
    else:
        lines = [text or ""]
    from cases import drafting
    from hotline.learn import use_learned
    from hotline.vocabulary import lists_in_use

    settings = settings_or_exit(config)
    if problem := use_learned(settings):
        err.print(f"[yellow]left out: {escape(problem)}[/]", highlight=False, soft_wrap=True)
    lists_in_use(settings).current()
    bad = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            err.print(f"line {number}: empty, left out")
            bad += 1
            continue
        made = drafting.draft(transcript_of_text(line.strip(), datetime.now(UTC)))
        if as_json or file is not None:
            sys.stdout.write(made.model_dump_json() + "\n")
        else:
            from hotline.show import draft_table

            out.print(draft_table(made))
    if bad and bad == len(lines):
        fail("nothing to draft: every line is empty", 2)


@app.command()
def learn(
    files: Annotated[list[Path] | None, typer.Argument(help="labelled messages, one JSON object a line")] = None,
    undo: Annotated[bool, typer.Option("--undo", help="go back to the model before")] = False,
    try_only: Annotated[bool, typer.Option("--try", help="learn and judge, and install nothing")] = False,
    force: Annotated[bool, typer.Option("--force", help="install it even if it is less right")] = False,
    to: Annotated[Path | None, typer.Option("--to", help="write the model to this file instead")] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Retrain drafting from your city's own labelled messages, judge it by cross-validation, and install it.

    A running hotline makes its next draft with it. What was in use before is kept: --undo.

    Example: hotline learn ours.jsonl
    """
    from rich import progress as bars

    from hotline.learn import LearnFailed, as_dict, show, teach, use_learned
    from hotline.learn import undo as undo_learning

    settings = settings_or_exit(config)
    if undo == bool(files):
        fail("give a file of labelled messages, or --undo", 2)
    try:
        if undo:
            out.print(f"From the next draft on {undo_learning(settings.learned_dir)} is in use.")
            return
        if broken := use_learned(settings):
            err.print(f"[yellow]left out: {escape(broken)}[/]", highlight=False, soft_wrap=True)
        columns = (bars.TextColumn("learning {task.description}"), bars.BarColumn(), bars.TimeElapsedColumn())
        with bars.Progress(*columns, console=err, disable=as_json) as bar:
            task = bar.add_task("", total=1)
            lesson = teach(
                files or [],
                settings.learned_dir,
                out=to,
                install_worse=force,
                only_try=try_only,
                told=lambda step, done, total: bar.update(task, description=step, completed=done, total=total),
            )
    except LearnFailed as error:
        fail(str(error))
    for problem in lesson.problems:
        err.print(f"[yellow]{escape(str(problem))}[/]", highlight=False, soft_wrap=True)
    if as_json:
        print_json(as_dict(lesson))
    else:
        show(lesson, out)
        if lesson.installed and to:
            out.print(f"Written: {lesson.installed} ({lesson.size_bytes // 1024} KiB); drafts are made as before.")
        elif lesson.installed:
            out.print(f"Installed: {lesson.installed} ({lesson.size_bytes // 1024} KiB). Back: hotline learn --undo")
    if not lesson.installed and not try_only:
        fail(f"not installed: {', '.join(lesson.worse)} would become less right. Label more messages, or --force it.")
    if lesson.problems or lesson.result.left_out:
        raise typer.Exit(1)


@app.command()
def transcribe(
    files: Annotated[list[Path], typer.Argument(help="sound files: WAV, FLAC, Ogg")],
    model: Annotated[str | None, typer.Option("--model", help="model name or folder; default: the settings'")] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Transcribe files through exactly the code that a call uses.

    Example: hotline transcribe recording.wav --json
    """
    from hotline.parts import transcribe_files
    from speech.errors import SpeechError

    settings = settings_or_exit(config)
    failed = 0

    def show(item: dict[str, Any]) -> None:
        nonlocal failed
        failed += "error" in item
        if as_json:
            print_json(item)
        elif "error" in item:
            err.print(f"[red]{item['file']}[/]: {item['error']}", highlight=False)
        else:
            out.print(f"[bold]{item['file']}[/]  {item['audio_seconds']:.1f} s: {item['text']}", highlight=False)

    try:
        asyncio.run(transcribe_files(settings, model, files, show))
    except SpeechError as error:
        fail(str(error))
    if failed:
        raise typer.Exit(1)


# --- models ----------------------------------------------------------------------------------------------------------


@model_app.command("list")
def model_list(as_json: AsJson = False, config: Config = None) -> None:
    """What can hear, what is installed, and which one is used.

    Example: hotline model list
    """
    from speech.models import list_models

    settings = settings_or_exit(config)
    infos = list_models(settings.models_dir)
    if as_json:
        rows = [asdict(info) | {"path": str(info.path), "used": info.name == settings.speech.model} for info in infos]
        print_json(rows)
        return
    for info in infos:
        mark = "[green]▶[/]" if info.name == settings.speech.model else " "
        out.print(f"{mark} {info.describe()}", highlight=False)
    out.print("Add an official one: [bold]hotline model add small-cn[/]")


@model_app.command("add")
def model_add(
    name: Annotated[str, typer.Argument(help="small-cn (42 MB) or cn (1.3 GB)")], config: Config = None
) -> None:
    """Download an official Mandarin model (resumes, checks its digest).

    Example: hotline model add small-cn
    """
    from rich import progress as bars

    from speech.errors import SpeechError
    from speech.models import Progress, add_model

    settings = settings_or_exit(config)
    columns = (bars.TextColumn("{task.description}"), bars.BarColumn(), bars.DownloadColumn())
    try:
        with bars.Progress(*columns, bars.TimeRemainingColumn(), console=err) as bar:
            task = bar.add_task(name, total=None)

            def progress(at: Progress) -> None:
                bar.update(task, description=at.step, completed=at.done_bytes, total=at.total_bytes or None)

            info = add_model(name, settings.models_dir, progress)
    except SpeechError as error:
        fail(str(error))
    out.print(f"{info.name} is in {info.path}")
    out.print(
        f'Use it: put [bold]model = "{info.name}"[/] under \\[speech] in hotline.toml, then start the hotline again.'
    )


# --- prompts ---------------------------------------------------------------------------------------------------------


@prompts_app.command("check")
def prompts_check(as_json: AsJson = False, config: Config = None) -> None:
    """Check the menu, the texts and their audio: all problems at once.

    Example: hotline prompts check
    """
    from ivr.prompts import check

    problems = check(settings_or_exit(config).prompts_dir)
    errors = [problem for problem in problems if problem.severity == "error"]
    if as_json:
        print_json([asdict(problem) for problem in problems])
    else:
        for problem in problems:
            colour = "red" if problem in errors else "yellow"
            err.print(f"[{colour}]{problem.where}[/] {problem.message} ({problem.code})", highlight=False)
        if not errors:
            out.print("The menu, its texts and their audio are in order.")
    if errors:
        raise typer.Exit(1)


@prompts_app.command("render")
def prompts_render(
    everything: Annotated[bool, typer.Option("--all", help="render every text, not only the changed ones")] = False,
    config: Config = None,
) -> None:
    """Render the texts that changed into sound.

    Example: hotline prompts render
    """
    from hotline.parts import make_voice
    from ivr.menu import MenuError
    from ivr.prompts import render
    from speech.errors import SpeechError

    settings = settings_or_exit(config)
    try:
        voice = make_voice(settings)
        done = render(
            settings.prompts_dir,
            voice,
            only_changed=not everything,
            progress=lambda name: out.print(f"[dim]·[/] {name}", highlight=False),
        )
    except (SpeechError, MenuError) as error:
        fail(str(error))
    out.print(f"{len(done)} texts rendered.")


# --- users -----------------------------------------------------------------------------------------------------------


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    return str(typer.prompt("password (at least 8 characters)", hide_input=True, confirmation_prompt=True))


@user_app.command("add")
def user_add(
    name: Annotated[str, typer.Argument(help="the log-in name")],
    role: Annotated[str, typer.Option(help="operator, supervisor or admin")] = "operator",
    display_name: Annotated[str, typer.Option(help="the name that others see")] = "",
    password_stdin: Annotated[bool, typer.Option(help="read the password from standard input")] = False,
    config: Config = None,
) -> None:
    """Let somebody use the desk. Asks for the password.

    Example: hotline user add wang --role operator --display-name 王芳
    """
    from cases.errors import CasesError
    from hotline.parts import add_user

    settings = settings_or_exit(config)
    try:
        asyncio.run(add_user(settings, name, _password(password_stdin), role, display_name or name))
    except CasesError as error:
        fail(error.message)
    out.print(f"{name} may log in at {settings.cases_url}/desk as {role}.")


@user_app.command("password")
def user_password(
    name: Annotated[str, typer.Argument(help="the log-in name")],
    password_stdin: Annotated[bool, typer.Option(help="read the password from standard input")] = False,
    config: Config = None,
) -> None:
    """Give somebody a new password; ends their sessions.

    Example: hotline user password wang
    """
    from cases.errors import CasesError
    from hotline.parts import set_password

    settings = settings_or_exit(config)
    try:
        asyncio.run(set_password(settings, name, _password(password_stdin)))
    except CasesError as error:
        fail(error.message)
    out.print(f"{name} has a new password.")


@user_app.command("disable")
def user_disable(
    name: Annotated[str, typer.Argument(help="the log-in name")],
    undo: Annotated[bool, typer.Option("--undo", help="let them in again")] = False,
    config: Config = None,
) -> None:
    """Keep somebody out; what they did stays.

    Example: hotline user disable wang
    """
    from cases.errors import CasesError
    from hotline.parts import disable_user

    settings = settings_or_exit(config)
    try:
        asyncio.run(disable_user(settings, name, not undo))
    except CasesError as error:
        fail(error.message)
    out.print(f"{name} may {'log in again' if undo else 'no longer log in'}.")


@user_app.command("list")
def user_list(as_json: AsJson = False, config: Config = None) -> None:
    """Who may use the desk.

    Example: hotline user list
    """
    from cases.errors import CasesError
    from hotline.parts import list_users

    try:
        users = asyncio.run(list_users(settings_or_exit(config)))
    except CasesError as error:
        fail(error.message)
    if as_json:
        print_json(users)
        return
    table = Table("name", "shown as", "role", "active")
    for user in users:
        table.add_row(user["name"], user["display_name"], user["role"], "yes" if user["active"] else "no")
    out.print(table)


# --- doctor ----------------------------------------------------------------------------------------------------------


@app.command()
def doctor(as_json: AsJson = False, config: Config = None) -> None:
    """Check the host, Asterisk, the model, the prompts and the backend, and say how to mend what is wrong.

    Example: hotline doctor
    """
    from hotline.doctor import examine

    findings = asyncio.run(examine(settings_or_exit(config)))
    if as_json:
        print_json([finding.as_dict() for finding in findings])
    else:
        marks = {"ok": "[green]ok[/]   ", "warn": "[yellow]note[/] ", "bad": "[bold red]mend[/] "}
        for finding in findings:
            out.print(f"{marks[finding.level]} [bold]{finding.what}[/]: {finding.found}", highlight=False)
            if finding.mend:
                out.print(f"      → {finding.mend}", highlight=False)
    if any(finding.level == "bad" for finding in findings):
        raise typer.Exit(1)


def main() -> None:
    """Entry point of the `hotline` command."""
    app()


if __name__ == "__main__":
    main()
