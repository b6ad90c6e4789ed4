"""A trained net as the part of a Vosk model folder that hears: am/ (Kaldi nnet3, binary) and conf/.

Formats as vosk 0.3.45 reads them: TransitionModel, then AmNnetSimple. Matrices are 16-bit compressed ("CM2"), which
Kaldi reads wherever it reads a matrix. Batch norms are folded: 1/deviation into the layer before (it is positive, so
it passes the ReLU), the mean into the bias of the layer after. `am/global_cmvn.stats` turns on online mean
normalisation; `--dither=0` makes decoding repeatable.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from speech.training.features import dct
from speech.training.net import SKIP
from speech.training.train import Trained, load_trained

Matrix = NDArray[np.float64]

_MFCC = """--use-energy=false
--sample-frequency=8000
--num-mel-bins=40
--num-ceps=40
--low-freq=40
--high-freq=-200
--allow-upsample=true
--allow-downsample=true
--dither=0
"""
_DECODING = """--min-active=200
--max-active=6000
--beam={beam}
--lattice-beam={lattice_beam}
--acoustic-scale=1.0
--frame-subsampling-factor=3
--endpoint.silence-phones=1
--endpoint.rule2.min-trailing-silence=0.5
--endpoint.rule3.min-trailing-silence=1.0
--endpoint.rule4.min-trailing-silence=2.0
"""


class _Kaldi(io.BytesIO):
    """Kaldi's binary basic types (base/io-funcs, matrix/kaldi-matrix, matrix/compressed-matrix)."""

    def token(self, *names: str) -> None:
        for name in names:
            self.write(name.encode() + b" ")

    def integer(self, value: int) -> None:
        self.write(b"\4" + struct.pack("<i", value))

    def real(self, value: float) -> None:
        self.write(b"\4" + struct.pack("<f", value))

    def integers(self, values: Sequence[int]) -> None:
        self.write(b"\4" + struct.pack("<i", len(values)) + np.asarray(values, np.int32).tobytes())

    def vector(self, values: Sequence[float] | Matrix) -> None:
        self.token("FV")
        self.integer(len(values))
        self.write(np.asarray(values, np.float32).tobytes())

    def matrix(self, values: Matrix) -> None:
        small = np.asarray(values, np.float32)
        if small.size > 4096:
            low, span = float(small.min()), float(small.max() - small.min())
            self.token("CM2")
            self.write(struct.pack("<ffii", low, span, *small.shape))
            self.write(np.round((small - low) / span * 65535).astype(np.uint16).tobytes())
        else:
            self.token("FM")
            self.integer(small.shape[0])
            self.integer(small.shape[1])
            self.write(small.tobytes())


class _Nnet3:
    """Collects the config lines and components of an nnet3."""

    def __init__(self, inputs: int) -> None:
        self.lines = [f"input-node name=input dim={inputs}"]
        self.components: list[tuple[str, Callable[[_Kaldi], None]]] = []

    def _add(self, name: str, source: str, write: Callable[[_Kaldi], None]) -> str:
        self.lines.append(f"component-node name={name} component={name} input={source}")
        self.components.append((name, write))
        return name

    def affine(self, name: str, source: str, weight: Matrix, bias: Matrix) -> str:
        def write(out: _Kaldi) -> None:
            out.token("<FixedAffineComponent>", "<LinearParams>")
            out.matrix(weight)
            out.token("<BiasParams>")
            out.vector(bias)
            out.token("</FixedAffineComponent>")

        return self._add(name, source, write)

    def nonlinear(self, kind: str, name: str, source: str, size: int) -> str:
        def write(out: _Kaldi) -> None:
            out.token(f"<{kind}>", "<Dim>")
            out.integer(size)
            for statistic in ("<ValueAvg>", "<DerivAvg>"):
                out.token(statistic)
                out.vector([])
            for number in ("<Count>", "<NumDimsSelfRepaired>", "<NumDimsProcessed>", "<SelfRepairScale>"):
                out.token(number)
                out.real(0)
            out.token(f"</{kind}>")

        return self._add(name, source, write)

    def identity(self, name: str, source: str, size: int) -> str:
        def write(out: _Kaldi) -> None:
            out.token("<FixedScaleComponent>", "<Scales>")
            out.vector(np.ones(size))
            out.token("</FixedScaleComponent>")

        return self._add(name, source, write)


def _append(node: str, offsets: Sequence[int]) -> str:
    return "Append(" + ", ".join(f"Offset({node}, {offset})" if offset else node for offset in offsets) + ")"


def _nnet3(trained: Trained, scale: float, prior_scale: float) -> _Nnet3:
    """`scale`: of the scores, the acoustic scale (with sequence training 1 is right). `prior_scale`: how much of the
    units' log prior is taken off the posteriors of a net that was trained frame by frame."""
    weights = {name: value.double().numpy() for name, value in trained.net.state_dict().items()}
    shape = trained.net.shape
    width = shape.hidden
    out = _Nnet3(shape.inputs)

    def norm(name: str) -> tuple[Matrix, Matrix]:
        one_over = 1 / np.sqrt(weights[f"{name}.running_var"] + 1e-5)
        return one_over, -weights[f"{name}.running_mean"] * one_over

    mean, deviation = weights["mean"], weights["deviation"]
    weight = weights["first.weight"] / np.tile(deviation, 5)
    inverse, constant = norm("first_norm")  # constant: what a node's true value has over what the exported net holds
    bias = weights["first.bias"] - weight @ np.tile(mean, 5)
    out.affine("affine0", _append("input", (-2, -1, 0, 1, 2)), weight * inverse[:, None], bias * inverse)
    node = out.nonlinear("RectifiedLinearComponent", "relu0", "affine0", width)
    bias = weights["second.bias"] + weights["second.weight"] @ np.tile(constant, 3)
    inverse, constant = norm("second_norm")
    out.affine("affine1", _append(node, (-1, 0, 1)), weights["second.weight"] * inverse[:, None], bias * inverse)
    node = out.nonlinear("RectifiedLinearComponent", "relu1", "affine1", width)
    for block in range(shape.blocks):
        inverse, shift = norm(f"norms.{block}")
        down = weights[f"down.{block}.weight"]
        out.affine(f"down{block}", _append(node, (-3, 0)), down, down @ np.tile(constant, 2))
        up, bias = weights[f"up.{block}.weight"], weights[f"up.{block}.bias"]
        out.affine(f"up{block}", _append(f"down{block}", (0, 3)), up * inverse[:, None], bias * inverse)
        relu = out.nonlinear("RectifiedLinearComponent", f"blockrelu{block}", f"up{block}", width)
        node = out.identity(f"block{block}", f"Sum({relu}, Scale({SKIP}, {node}))", width)
        constant = shift + SKIP * constant
    head = "sequence" if trained.sequence else "frame"
    weight, bias = weights[f"{head}.weight"], weights[f"{head}.bias"] + weights[f"{head}.weight"] @ constant
    if trained.sequence:
        out.affine("scores", node, weight * scale, bias * scale)
    else:
        out.affine("logits", node, weight, bias)
        out.nonlinear("LogSoftmaxComponent", "posteriors", "logits", shape.units)
        prior = np.log(trained.prior)
        out.affine("scores", "posteriors", np.eye(shape.units) * scale, -prior * scale * prior_scale)
    out.lines.append("output-node name=output input=scores objective=linear")
    return out


def _transition_model(out: _Kaldi, units: int, sequence: bool) -> None:
    """One emitting state a unit; the transition-ids of phone p are 2p-1 (self-loop) and 2p (forward).

    With a sequence-trained net the forward pdf of unit p is p-1 and its self-loop pdf units + p-1.
    """
    phones = list(range(1, units + 1))
    out.token("<TransitionModel>", "<Topology>")
    out.integers(phones)
    out.integers([-1] + [0] * units)
    if sequence:
        out.integer(-1)  # marks that entries have both pdf classes
    out.integer(1)  # one entry …
    out.integer(2)  # … of two states
    out.integer(0)
    if sequence:
        out.integer(1)
    out.integer(2)  # to itself, to the end
    for state in (0, 1):
        out.integer(state)
        out.real(0.5)
    out.integer(-1)  # the end emits nothing
    if sequence:
        out.integer(-1)
    out.integer(0)
    out.token("</Topology>")
    if sequence:
        out.token("<Tuples>")
        out.integer(units)
        for phone in phones:
            for value in (phone, 0, phone - 1, units + phone - 1):
                out.integer(value)
        out.token("</Tuples>")
    else:
        out.token("<Triples>")
        out.integer(units)
        for phone in phones:
            for value in (phone, 0, phone - 1):
                out.integer(value)
        out.token("</Triples>")
    out.token("<LogProbs>")
    out.vector([0.0] + [float(np.log(0.5))] * (2 * units))
    out.token("</LogProbs>", "</TransitionModel>")


def export(
    model: Path,
    target: Path,
    *,
    scale: float = 1.0,
    prior_scale: float = 0.5,
    beam: float = 13.0,
    lattice_beam: float = 4.0,
) -> None:
    """Writes target/am and target/conf."""
    trained = load_trained(model)
    units, context = trained.net.shape.units, trained.net.shape.context
    nnet3 = _nnet3(trained, scale, prior_scale)
    out = _Kaldi()
    out.write(b"\0B")
    _transition_model(out, units, trained.sequence)
    out.token("<Nnet3>")
    out.write(b"\n" + "\n".join(nnet3.lines).encode() + b"\n\n")
    out.token("<NumComponents>")
    out.integer(len(nnet3.components))
    for name, write in nnet3.components:
        out.token("<ComponentName>", name)
        write(out)
    out.token("</Nnet3>", "<LeftContext>")
    out.integer(context)
    out.token("<RightContext>")
    out.integer(context)
    out.token("<Priors>")
    out.vector([])
    for folder in ("am", "conf"):
        (target / folder).mkdir(parents=True, exist_ok=True)
    (target / "am/final.mdl").write_bytes(out.getvalue())
    # Kaldi's CMVN statistics: sums of the features and a count, then sums of squares (variances are not normalised).
    count, mean = 100000.0, dct().astype(np.float64) @ trained.global_mean
    sums, squares = np.append(mean * count, count), np.append((mean**2 + 100) * count, 0.0)
    rows = "\n  ".join(" ".join(f"{value:.8g}" for value in row) for row in (sums, squares))
    (target / "am/global_cmvn.stats").write_text(f" [\n  {rows} ]\n", encoding="ascii")
    (target / "conf/mfcc.conf").write_text(_MFCC, encoding="ascii")
    (target / "conf/model.conf").write_text(_DECODING.format(beam=beam, lattice_beam=lattice_beam), encoding="ascii")
