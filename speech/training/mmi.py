"""Lattice-free maximum mutual information: the units that were said, against all that could have been said.

After Povey et al. 2016, "Purely sequence-trained neural networks for ASR based on lattice-free MMI", in the small:
the rivals are all unit sequences under a trigram of units, summed exactly with dense matrices. A unit's first frame
has a score of its own, so a unit may be one output frame (30 ms) short. Scores are log likelihoods up to a constant.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Numerator:
    """What was said in a batch of chunks, padded to the longest. `units` (batch, states) int64; `first`, `last`
    (batch, states): the output frames in which a state may be; `states` (batch,) how many are real.
    `begin`, `end` (batch,): the frames that are labelled, half open; others do not count."""

    units: Tensor
    first: Tensor
    last: Tensor
    states: Tensor
    begin: Tensor
    end: Tensor


def unit_trigram(
    rows: Iterable[NDArray[np.int64]], count: int, kept: float = 0.7
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(trigram (q, p, r), start (q, p)) of sequences of units. Absolute discounting onto the bigram, then the
    unigram, then all units alike, so that nothing is impossible."""
    tri = np.zeros((count, count, count))
    for row in rows:
        if len(row) > 2:
            np.add.at(tri, (row[:-2], row[1:-1], row[2:]), 1)
    uni = tri.sum((0, 1)) + 1
    lower = uni / uni.sum()
    bi = _discounted(tri.sum(0), lower[None, :], kept)
    whole = _discounted(tri, bi[None], kept)
    pairs = tri.sum(2) + 1e-3
    return whole.astype(np.float32), (pairs / pairs.sum()).astype(np.float32)


def _discounted(counts: NDArray[np.float64], lower: NDArray[np.float64], discount: float) -> NDArray[np.float64]:
    total = counts.sum(-1, keepdims=True)
    kinds = (counts > 0).sum(-1, keepdims=True)
    left = np.maximum(counts - discount, 0)
    weight = np.where(total > 0, (discount * kinds + 0.5) / (total + 0.5), 1.0)
    direct = left / np.maximum(total + 0.5, 1)
    out: NDArray[np.float64] = direct + weight * lower
    return out / out.sum(-1, keepdims=True)


class Denominator:
    """Sums over all unit sequences. `log_sum`: (batch,) log of the total score of frames begin to end."""

    def __init__(self, trigram: NDArray[np.float32], start: NDArray[np.float32]) -> None:
        # (p, q, r): for each current unit a matrix from the unit before it to the unit after it.
        self._moves = torch.tensor(trigram).permute(1, 0, 2).contiguous()
        self._start = torch.tensor(start)

    def log_sum(self, scores: Tensor, begin: Tensor, end: Tensor) -> Tensor:
        """`scores` (batch, frames, 2 * units): first-frame scores, then later-frame scores of the units."""
        total: Tensor = _AllSequences.apply(scores, begin, end, self._moves, self._start)
        return total


class _AllSequences(torch.autograd.Function):
    """Forward-backward by hand: the derivative of the log sum by a score is how likely its arc is at its frame. A tape
    of all that happens to (batch, units, units) states at 80 frames takes twice as long."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, begin: Tensor, end: Tensor, moves: Tensor, start: Tensor) -> Tensor:
        batch, frames, width = scores.shape
        units = width // 2
        top = scores.amax(2)
        likely = torch.exp(scores - top[..., None])
        enter, stay = likely[..., :units], likely[..., units:]
        first = begin[:, None, None]
        live = _live(frames, begin, end)
        alpha = start.expand(batch, -1, -1)
        alphas, moveds, masses = [alpha], [], []
        total = torch.zeros(batch)
        for frame in range(frames):
            on = live[:, frame]
            moved = torch.bmm(alpha.permute(2, 0, 1), moves).permute(1, 0, 2)
            step = torch.addcmul(alpha * stay[:, frame, None], moved, enter[:, frame, None]).mul_(0.5)
            beginning = begin == frame
            if bool(beginning.any()):
                fresh = start * (0.5 * (enter[:, frame] + stay[:, frame]))[:, None]
                step = torch.where(first == frame, fresh, step)
            mass = step.sum((1, 2)).clamp_min(1e-30)
            if not bool(on.all()):
                mass = torch.where(on, mass, 1.0)
                step = torch.where(on[:, None, None], step, alpha)
            alpha = step / mass[:, None, None]
            total += torch.where(on, torch.log(mass) + top[:, frame], 0.0)
            alphas.append(alpha)
            moveds.append(moved)
            masses.append(mass)
        ctx.kept = alphas, moveds, masses, enter, stay, live, begin, moves
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        alphas, moveds, masses, enter, stay, live, begin, moves = ctx.kept
        batch, frames, units = enter.shape
        back = moves.transpose(1, 2).contiguous()
        likely = torch.zeros(batch, frames, 2 * units)
        beta = torch.ones(batch, units, units)
        for frame in reversed(range(frames)):
            on = live[:, frame]
            scaled = beta * (0.5 / masses[frame])[:, None, None]
            staying = scaled * stay[:, frame, None]
            entering = scaled * enter[:, frame, None]
            entered = (moveds[frame] * entering).sum(1)
            stayed = (alphas[frame] * staying).sum(1)
            before = staying + torch.bmm(entering.permute(1, 0, 2), back).permute(1, 2, 0)
            beginning = begin == frame
            if bool(beginning.any()):
                # The first frame of a chunk may be any frame of its unit.
                there = (alphas[frame + 1] * beta).sum(1)
                share = enter[:, frame] / (enter[:, frame] + stay[:, frame])
                entered = torch.where(beginning[:, None], there * share, entered)
                stayed = torch.where(beginning[:, None], there * (1 - share), stayed)
            likely[:, frame, :units] = torch.where(on[:, None], entered, 0.0)
            likely[:, frame, units:] = torch.where(on[:, None], stayed, 0.0)
            beta = before if bool(on.all()) else torch.where(on[:, None, None], before, beta)
        return likely * gradients[0][:, None, None], None, None, None, None


def numerator_log_sum(scores: Tensor, said: Numerator) -> Tensor:
    """(batch,) log of the total score of what was said, over all ways to lay it in time within its windows."""
    batch, frames, _ = scores.shape
    units = scores.shape[2] // 2
    states = said.units.shape[1]
    index = said.units[:, None, :].expand(batch, frames, states)
    enter, stay = torch.gather(scores[..., :units], 2, index), torch.gather(scores[..., units:], 2, index)
    time = torch.arange(frames)[None, :, None]
    real = torch.arange(states)[None, None, :] < said.states[:, None, None]
    # A window that is left costs a lot, but is not impossible: a wrong alignment must not make infinite gradients.
    outside = ((time < said.first[:, None]) | (time > said.last[:, None]) | ~real).float() * -30.0
    enter, stay = enter + outside, stay + outside
    live = _live(frames, said.begin, said.end)
    never = torch.full((batch, 1), -1e4)
    half = -0.6931471805599453
    alpha = torch.cat([torch.zeros(batch, 1), torch.full((batch, states - 1), -1e4)], 1)
    started = torch.zeros(batch, dtype=torch.bool)
    for frame in range(frames):
        on = live[:, frame]
        fresh = alpha + torch.logaddexp(enter[:, frame], stay[:, frame]) + half
        before = torch.cat([never, alpha[:, :-1]], 1)
        later = torch.logaddexp(alpha + stay[:, frame], before + enter[:, frame]) + half
        step = torch.where(started[:, None], later, fresh)
        alpha = torch.where(on[:, None], step, alpha)
        started = started | on
    return alpha.gather(1, (said.states - 1).clamp_min(0)[:, None])[:, 0]


def _live(frames: int, begin: Tensor, end: Tensor) -> Tensor:
    time = torch.arange(frames)[None]
    return (time >= begin[:, None]) & (time < end[:, None])


def mmi_loss(scores: Tensor, said: Numerator, rivals: Denominator) -> tuple[Tensor, Tensor]:
    """(loss a frame, the same a chunk for telling); chunks without units are left out."""
    scores = scores.clamp(-30, 30)
    frames = (said.end - said.begin).clamp_min(1)
    good = (said.states > 0) & (said.end - said.begin > said.states)
    value = numerator_log_sum(scores, said) - rivals.log_sum(scores, said.begin, said.end)
    each = torch.where(good, -value / frames, 0.0)
    weight = torch.where(good, frames, 0)
    return (each * weight).sum() / weight.sum().clamp_min(1), each.detach()
