"""Where the learned models lie: one bundled, or the one that `hotline learn` installed; a new one is seen at once.

A file is numpy's npz without pickled objects. Writing is deterministic: equal models give equal bytes.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cases.drafting.classifier import Model

FORMAT = 1
BUNDLED = "learned.npz"
INSTALLED = "drafting.npz"
PREVIOUS = "drafting.previous.npz"
MAX_FILE_BYTES = 64 * 2**20


class ModelFileError(ValueError):
    """A file that holds no model of this version; the message says why and what to do."""

    code = "drafting-model-broken"


@dataclass(frozen=True, slots=True)
class Learned:
    """All fields' models; `messages`: fingerprints (32 bit) of the texts that they were learned from."""

    fields: Mapping[str, Model]
    messages: frozenset[int] = frozenset()


def write_learned(learned: Learned) -> bytes:
    arrays: dict[str, NDArray[np.generic]] = {
        "format": np.array(FORMAT),
        "fields": np.array(sorted(learned.fields)),
        "messages": np.array(sorted(learned.messages), dtype=np.uint32),
    }
    for name, model in sorted(learned.fields.items()):
        ordered = sorted(model.grams, key=lambda gram: model.grams[gram])
        arrays[f"{name}.labels"] = np.array(model.labels)
        arrays[f"{name}.grams"] = np.frombuffer("\n".join(ordered).encode(), dtype=np.uint8)
        arrays[f"{name}.idf"] = model.idf.astype(np.float16)
        arrays[f"{name}.weights"] = model.weights.astype(np.float16)
        arrays[f"{name}.bias"] = model.bias.astype(np.float32)
        arrays[f"{name}.powers"] = np.array([model.own_power, model.table_power])
        arrays[f"{name}.calibration"] = np.array(model.calibration, dtype=np.float64).reshape(-1, 2)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def read_learned(content: bytes) -> Learned:
    """Raises ModelFileError for what is no model of this format."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as data:
            if int(data["format"]) != FORMAT:
                raise ModelFileError(f"format {int(data['format'])}, this version reads {FORMAT}: learn again")
            fields = {str(name): _read(data, str(name)) for name in data["fields"]}
            return Learned(fields, frozenset(map(int, data["messages"])))
    except ModelFileError:
        raise
    except Exception as error:  # zip and numpy raise a dozen kinds for a damaged file
        raise ModelFileError(f"not a model of drafting ({type(error).__name__}): learn again, or --undo") from error


def _read(data: np.lib.npyio.NpzFile, name: str) -> Model:
    grams = data[f"{name}.grams"].tobytes().decode().split("\n")
    weights, idf = data[f"{name}.weights"].astype(np.float32), data[f"{name}.idf"].astype(np.float32)
    labels, bias = tuple(map(str, data[f"{name}.labels"])), data[f"{name}.bias"].astype(np.float32)
    if weights.shape != (len(grams), len(labels)) or idf.shape != (len(grams),) or bias.shape != (len(labels),):
        raise ModelFileError(f"{name}: its parts do not fit together: learn again, or --undo")
    if not (np.isfinite(weights).all() and np.isfinite(idf).all() and np.isfinite(bias).all()):
        raise ModelFileError(f"{name}: numbers that are none: learn again, or --undo")
    own, table = map(float, data[f"{name}.powers"])
    points = tuple((float(x), float(y)) for x, y in data[f"{name}.calibration"])
    return Model(labels, {gram: row for row, gram in enumerate(grams)}, idf, weights, bias, own, table, points)


@lru_cache(maxsize=1)
def bundled() -> Learned:
    """The model that is shipped; none when it was not made yet (drafts are then made by the word tables alone)."""
    file = resources.files("cases.drafting") / "data" / BUNDLED
    return read_learned(file.read_bytes()) if file.is_file() else Learned({})


@dataclass(slots=True)
class ModelKeeper:
    """The models in use. A file in `folder` goes before the bundled one; a broken one is named in `problem` and
    the last good one stays. Thread safe; `current` costs one `stat` when nothing changed.
    """

    folder: Path | None = None
    problem: str = ""
    _stamp: tuple[int, int, int] | None = None
    _learned: Learned | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def look_in(self, folder: Path | None) -> None:
        with self._lock:
            self.folder, self._stamp, self._learned, self.problem = folder, None, None, ""

    def current(self) -> Learned:
        stamp = self._stamp_now()
        if self._learned is None or stamp != self._stamp:
            with self._lock:
                self._take(stamp)
        return self._learned or bundled()

    def _stamp_now(self) -> tuple[int, int, int] | None:
        if self.folder is None:
            return None
        try:
            status = os.stat(self.folder / INSTALLED)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _take(self, stamp: tuple[int, int, int] | None) -> None:
        self._stamp = stamp
        if stamp is None or self.folder is None:
            self._learned, self.problem = bundled(), ""
            return
        path = self.folder / INSTALLED
        try:
            if stamp[1] > MAX_FILE_BYTES:
                raise ModelFileError(f"{stamp[1]} bytes are no model of drafting")
            self._learned, self.problem = read_learned(path.read_bytes()), ""
        except (OSError, ModelFileError) as error:
            self._learned, self.problem = self._learned or bundled(), f"{path}: {error}"


KEEPER = ModelKeeper()
