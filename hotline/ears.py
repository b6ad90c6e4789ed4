"""Builds what hears recordings after their calls: what was not heard live, and the second pass if one is set."""

from __future__ import annotations

from pathlib import Path

import structlog

from hotline.settings import Settings
from hotline.vocabulary import list_files
from ivr.second_pass import Ears
from speech.errors import SpeechError
from speech.later_ear import EngineEar, ProcessEar
from speech.models import find_model
from speech.vosk_engine import VoskEngine
from speech.wider_search import WIDER, wider_model

log = structlog.get_logger(__name__)


def make_ears(settings: Settings, engine: VoskEngine) -> Ears:
    """By the settings. A second model that cannot be used is logged and left out: calls are worth more than it."""

    def has_room() -> bool:
        return engine.idle

    late = EngineEar(engine, engine.name, has_room)
    second = None
    try:
        if (model_dir := second_model_dir(settings)) is not None:
            second = ProcessEar(model_dir, has_room, list_files(settings))
            log.info("second_pass_on", model=second.name)
    except SpeechError as error:
        log.error("second_pass_off", model=settings.speech.second_pass_model, code=error.code, error=error.message)
    return Ears(late, second, settings.speech.heard_later_at_once)


def second_model_dir(settings: Settings) -> Path | None:
    """The folder of the second pass's model; None when none is set. Makes that of 'wider', a small one.

    Raises SpeechError: those of `find_model` and `wider_model`.
    """
    wanted = settings.speech.second_pass_model
    if not wanted:
        return None
    if wanted == WIDER:
        first = find_model(settings.speech.model, settings.models_dir)
        return wider_model(first.path, settings.state_dir / "second-pass")
    return find_model(wanted, settings.models_dir).path
