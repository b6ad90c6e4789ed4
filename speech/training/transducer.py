"""Pure: weighted transducers as arrays, in OpenFst's file format "const", which Vosk and pynini read.

An arc takes input label, output label, cost; label 0 is nothing (epsilon). The format, little endian: a header, then for
each state its final cost (infinite: not final), place and count of its arcs, counts of its arcs without input and
without output; then the arcs in the order of their states.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int32]
Costs = NDArray[np.float32]

_MAGIC = 2125659606
_VERSION = 2  # not aligned
_EXPANDED = 1  # of the properties, the only one that is always true of this type
_STATE = np.dtype([("final", "<f4"), ("at", "<u4"), ("arcs", "<u4"), ("no_input", "<u4"), ("no_output", "<u4")])
_ARC = np.dtype([("input", "<i4"), ("output", "<i4"), ("cost", "<f4"), ("target", "<i4")])


class TransducerError(ValueError):
    """No transducer of this format."""


@dataclass(frozen=True, slots=True)
class Transducer:
    """`final` [states]: cost of ending, infinite where none can. The other arrays: one entry an arc, in any order."""

    start: int
    final: Costs
    source: Labels
    inputs: Labels
    outputs: Labels
    cost: Costs
    target: Labels

    @property
    def states(self) -> int:
        return len(self.final)

    @property
    def arcs(self) -> int:
        return len(self.source)

    def to_bytes(self) -> bytes:
        order = np.argsort(self.source, kind="stable")
        arcs = np.zeros(self.arcs, _ARC)
        for name, values in (
            ("input", self.inputs), ("output", self.outputs), ("cost", self.cost), ("target", self.target),
        ):  # fmt: skip
            arcs[name] = values[order]
        states = np.zeros(self.states, _STATE)
        states["final"] = self.final
        states["arcs"] = np.bincount(self.source, minlength=self.states)
        states["at"] = np.cumsum(states["arcs"]) - states["arcs"]
        states["no_input"] = np.bincount(self.source[self.inputs == 0], minlength=self.states)
        states["no_output"] = np.bincount(self.source[self.outputs == 0], minlength=self.states)
        header = struct.pack("<i", _MAGIC)
        for kind in (b"const", b"standard"):
            header += struct.pack("<i", len(kind)) + kind
        header += struct.pack("<iiQqqq", _VERSION, 0, _EXPANDED, self.start, self.states, self.arcs)
        return header + states.tobytes() + arcs.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Transducer:
        """Raises TransducerError."""
        try:
            (magic,) = struct.unpack_from("<i", data)
            at, names = 4, []
            for _ in range(2):
                (length,) = struct.unpack_from("<i", data, at)
                names.append(data[at + 4 : at + 4 + length])
                at += 4 + length
            version, _, _, start, count, arc_count = struct.unpack_from("<iiQqqq", data, at)
        except (struct.error, MemoryError) as error:
            raise TransducerError("no transducer: the header is cut off") from error
        at += struct.calcsize("<iiQqqq")
        if magic != _MAGIC or names != [b"const", b"standard"] or version != _VERSION:
            raise TransducerError(f"no transducer of type const, version {_VERSION}: {names}, version {version}")
        if len(data) < at + count * _STATE.itemsize + arc_count * _ARC.itemsize:
            raise TransducerError(f"cut off: {count} states and {arc_count} arcs do not fit {len(data)} bytes")
        states = np.frombuffer(data, _STATE, count, at)
        arcs = np.frombuffer(data, _ARC, arc_count, at + states.nbytes)
        source = np.repeat(np.arange(count, dtype=np.int32), states["arcs"])
        return cls(
            start, states["final"].copy(), source, arcs["input"].copy(), arcs["output"].copy(), arcs["cost"].copy(),
            arcs["target"].copy(),
        )  # fmt: skip


class Builder:
    """Collects states and arcs one by one, or many at once."""

    def __init__(self, states: int = 0) -> None:
        self._states = states
        self._final: dict[int, float] = {}
        self._parts: list[tuple[NDArray[np.int64], ...]] = []
        self._costs: list[NDArray[np.float64]] = []
        self._single: list[tuple[int, int, int, float, int]] = []

    def state(self) -> int:
        self._states += 1
        return self._states - 1

    def final(self, state: int, cost: float = 0.0) -> None:
        self._final[state] = cost

    def arc(self, source: int, inputs: int, outputs: int, cost: float, target: int) -> None:
        self._single.append((source, inputs, outputs, cost, target))

    def many(
        self,
        source: NDArray[np.int64],
        inputs: NDArray[np.int64],
        outputs: NDArray[np.int64],
        cost: NDArray[np.float64],
        target: NDArray[np.int64],
    ) -> None:
        self._parts.append((source, inputs, outputs, target))
        self._costs.append(cost)

    def build(self, start: int) -> Transducer:
        if self._single:
            source, inputs, outputs, cost, target = zip(*self._single, strict=True)
            labels = (np.array(inputs, np.int64), np.array(outputs, np.int64))
            self.many(np.array(source, np.int64), *labels, np.array(cost, np.float64), np.array(target, np.int64))
            self._single = []
        columns = [np.concatenate([part[at] for part in self._parts]).astype(np.int32) for at in range(4)]
        final = np.full(self._states, np.inf, np.float32)
        for state, value in self._final.items():
            final[state] = value
        cost32 = np.concatenate(self._costs).astype(np.float32)
        return Transducer(start, final, columns[0], columns[1], columns[2], cost32, columns[3])
