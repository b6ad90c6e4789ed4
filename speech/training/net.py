"""The acoustic model: a time-delay net of residual bottleneck blocks (after Kaldi's TDNN-F), small enough for a core
that hears many callers.

Two spliced affine layers at 100 frames a second, then N residual blocks on every third frame, as Kaldi computes them
at a frame-subsampling factor of 3. The blocks see offsets (-3, 0) and (0, +3): nothing is computed in vain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

SUBSAMPLING = 3
SKIP = 0.66  # of the input that a residual block adds to its output, Kaldi's bypass scale


@dataclass(frozen=True, slots=True)
class NetShape:
    """`units`: what is told apart. The sequence output has two values a unit: its first frame, its later ones."""

    units: int
    inputs: int = 40
    hidden: int = 512
    bottleneck: int = 128
    blocks: int = 10

    @property
    def context(self) -> int:
        """Frames of 10 ms on either side of an output."""
        return 3 + 3 * self.blocks


class Net(nn.Module):
    """`forward`: (batch, frames, inputs) without padding -> outputs at frames context, context + 3, …

    Batch norm has no affine part: it folds into the layers around it when exported. `mean`, `deviation`: of the input
    features, so that the net takes them as they are.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, shape: NetShape, dropout: float = 0.1) -> None:
        super().__init__()
        self.shape, self.dropout = shape, dropout
        width, narrow = shape.hidden, shape.bottleneck
        self.register_buffer("mean", torch.zeros(shape.inputs))
        self.register_buffer("deviation", torch.ones(shape.inputs))
        self.first, self.first_norm = nn.Linear(5 * shape.inputs, width), nn.BatchNorm1d(width, affine=False)
        self.second, self.second_norm = nn.Linear(3 * width, width), nn.BatchNorm1d(width, affine=False)
        self.down = nn.ModuleList(nn.Linear(2 * width, narrow, bias=False) for _ in range(shape.blocks))
        self.up = nn.ModuleList(nn.Linear(2 * narrow, width) for _ in range(shape.blocks))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width, affine=False) for _ in range(shape.blocks))
        self.sequence = nn.Linear(width, 2 * shape.units)
        self.frame = nn.Linear(width, shape.units)
        with torch.no_grad():
            self.sequence.weight.mul_(0.1)
            self.sequence.bias.zero_()

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """(sequence scores, frame logits), (batch, outputs, 2 * units) and (batch, outputs, units)."""
        x = (frames - self.mean) / self.deviation
        length = x.shape[1]
        x = torch.cat([x[:, i : length - 4 + i] for i in range(5)], -1)
        x = _normed(self.first_norm, functional.relu(self.first(x)))
        count = (length - 4) // 3
        x = torch.cat([x[:, i::3][:, :count] for i in range(3)], -1)
        x = _normed(self.second_norm, functional.relu(self.second(x)))
        for down, up, norm in zip(self.down, self.up, self.norms, strict=True):
            y = down(torch.cat([x[:, :-1], x[:, 1:]], -1))
            y = functional.relu(up(torch.cat([y[:, :-1], y[:, 1:]], -1)))
            y = _normed(cast(nn.BatchNorm1d, norm), y)
            if self.training and self.dropout:  # one scale a unit and utterance, Kaldi's continuous dropout
                y = y * (1 + 4 * self.dropout * (torch.rand(y.shape[0], 1, y.shape[2]) - 0.5))
            x = y + SKIP * x[:, 1:-1]
        return self.sequence(x), self.frame(x)


def _normed(norm: nn.BatchNorm1d, x: Tensor) -> Tensor:
    return cast(Tensor, norm(x.reshape(-1, x.shape[-1]))).reshape(x.shape)
