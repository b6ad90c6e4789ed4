"""Builds the real objects of the verbs: recogniser, voice, store, call handler, backend."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import structlog
from aiohttp import web

from cases import drafting
from cases.schema import Asks, CallTranscript, Channel, Ended, Turn, draft_id_of
from cases.service import open_service
from hotline.learn import use_learned
from hotline.settings import Settings
from hotline.vocabulary import lists_in_use
from speech.admission import Limits
from speech.errors import SpeechError
from speech.models import find_model
from speech.transcribe import transcribe_file
from speech.voice import Voice
from speech.vosk_engine import VoskEngine

log = structlog.get_logger(__name__)


def make_engine(settings: Settings, model: str | None = None) -> VoskEngine:
    """The recogniser of the settings (or of `model`), not yet loaded. SpeechError when there is no such model."""
    found = find_model(model or settings.speech.model, settings.models_dir)
    limits = Limits(admit_below_load=settings.speech.admit_below_load, calls_max=settings.speech.heard_calls_max)
    lists = lists_in_use(settings, found.path)
    return VoskEngine(found.path, settings.speech.workers, limits, lists.current)


def make_voice(settings: Settings) -> Voice:
    """The bundled voice, not yet loaded; what it has said is kept in the state folder."""
    return Voice(cache_dir=settings.state_dir / "voice")


def transcript_of_text(text: str, received_at: datetime) -> CallTranscript:
    """A transcript as if `text` had been told in one narration turn."""
    call_id = str(uuid4())
    return CallTranscript(
        call_id=call_id,
        draft_id=draft_id_of(call_id),
        received_at=received_at,
        channel=Channel.IMPORT,
        turns=(Turn(step="text", asks=Asks.NARRATION, text=text),),
        ended=Ended.COMPLETED,
    )


async def transcribe_files(
    settings: Settings, model: str | None, files: list[Path], show: Callable[[dict[str, Any]], None]
) -> None:
    """One object a file, in order; a file that cannot be read is told in its object, and the rest goes on."""
    engine = make_engine(settings, model)
    await asyncio.to_thread(engine.load)
    try:
        for path in files:
            try:
                done = await transcribe_file(engine, path)
            except SpeechError as error:
                show({"file": str(path), "error": error.message, "code": error.code})
                continue
            show(
                {
                    "file": str(path),
                    "text": done.text,
                    "words": [
                        {
                            "text": word.text,
                            "start_seconds": round(word.start_seconds, 3),
                            "end_seconds": round(word.end_seconds, 3),
                            "confidence": round(word.confidence, 3),
                            **({"heard": word.heard} if word.heard else {}),
                        }
                        for word in done.words
                    ],
                    "audio_seconds": round(done.audio_seconds, 3),
                    "decode_seconds": round(done.decode_seconds, 3),
                }
            )
    finally:
        engine.close()


async def run_ivr(settings: Settings) -> None:
    """The call handler until SIGTERM or SIGINT."""
    from zoneinfo import ZoneInfo

    from cases.client import CasesClient
    from cases.service import producer_token
    from hotline.ears import make_ears
    from hotline.serve import until_told_to_stop
    from ivr.server import IvrServer

    engine = make_engine(settings)
    voice = make_voice(settings)
    if problem := use_learned(settings):
        log.error("learned_model_left_out", problem=problem)
    # Everything that is read once is read before the first caller waits for it.
    await asyncio.gather(*(asyncio.to_thread(load) for load in (engine.load, voice.load, drafting.warm_up)))
    token = producer_token(settings.cases, settings.state_dir)
    async with CasesClient(settings.cases_url, token) as client:
        server = IvrServer(
            settings.ivr,
            spool_dir=settings.spool_dir,
            prompts_dir=settings.prompts_dir,
            recognizer=engine,
            voice=voice,
            client=client,
            timezone=ZoneInfo(settings.ivr.timezone),
            door=engine,
            ears=make_ears(settings, engine),
        )
        try:
            await server.start()
            await until_told_to_stop()
        finally:
            await server.stop()
            engine.close()


async def add_user(settings: Settings, name: str, password: str, role: str, display_name: str) -> None:
    """Raises CasesError that says what is wrong with the name, the role or the password."""
    async with open_service(settings.cases, settings.state_dir) as service:
        await service.accounts.add_user(name, password, role, display_name, now=datetime.now(UTC))


async def set_password(settings: Settings, name: str, password: str) -> None:
    """Ends the user's sessions. Raises CasesError."""
    async with open_service(settings.cases, settings.state_dir) as service:
        await service.accounts.set_password(name, password)


async def disable_user(settings: Settings, name: str, disabled: bool) -> None:
    """A disabled user's sessions end. Raises CasesError."""
    async with open_service(settings.cases, settings.state_dir) as service:
        await service.accounts.disable_user(name, disabled=disabled)


async def list_users(settings: Settings) -> list[dict[str, Any]]:
    """Name, display_name, role, active."""
    async with open_service(settings.cases, settings.state_dir) as service:
        return [
            {"name": u.name, "display_name": u.display_name, "role": u.role.value, "active": not u.disabled}
            for u in await service.accounts.users()
        ]


async def run_cases(settings: Settings) -> None:
    """The backend and the desk until SIGTERM or SIGINT."""
    from cases.web.app import make_app
    from hotline.serve import until_told_to_stop

    runner = web.AppRunner(make_app(settings.cases, settings.state_dir), access_log=None, shutdown_timeout=3)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.cases.host, settings.cases.port).start()
        log.info("cases_listening", host=settings.cases.host, port=settings.cases.port)
        await until_told_to_stop()
    finally:
        await runner.cleanup()
