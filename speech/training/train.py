"""Training, with checkpoints: frame by frame at first (cross entropy), then whole sequences (lattice-free MMI).

One process a core, gradients averaged after each step: two threads in one process gain little, and lose much when
anything else runs. Everything is drawn from seeds and counted in steps, so a run that was stopped goes on as if it
had not been (but for the chunks it draws, which begin anew at the checkpoint).
"""

from __future__ import annotations

import copy
import os
import random
import socket
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as distributed
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor, multiprocessing

from speech.training.corpus import Corpus, Source
from speech.training.features import UNLABELLED
from speech.training.mmi import Denominator, mmi_loss, unit_trigram
from speech.training.net import Net, NetShape
from speech.training.progress import Progress
from speech.training.units import UNITS

CHECKPOINT_STEPS = 100
_HELD_OUT_CHUNKS = 64


@dataclass(frozen=True, slots=True)
class Plan:
    """`steps` of `batch` chunks (over all processes). `sequence`: MMI with a little of the frame loss beside it, else
    the frame loss alone. The learning rate rises for 150 steps, then falls to a fiftieth."""

    steps: int
    batch: int = 32
    rate: float = 1e-3
    sequence: bool = False
    frame_weight: float = 0.2
    output_penalty: float = 5e-4
    seed: int = 1
    dropout: float = 0.1


@dataclass(frozen=True, slots=True)
class Trained:
    """What a model file holds. `prior`: how often each unit is, of the training mixture."""

    net: Net
    global_mean: NDArray[np.float64]
    prior: NDArray[np.float64]
    sequence: bool


def load_trained(path: Path) -> Trained:
    kept = torch.load(path, weights_only=False)
    if tuple(kept["units"]) != UNITS:
        raise ValueError(f"{path} was trained on other units")
    net = Net(NetShape(**kept["shape"]))
    net.load_state_dict(kept["weights"])
    return Trained(net.eval(), kept["global_mean"], kept["prior"], kept["sequence"])


def save_trained(path: Path, trained: Trained) -> None:
    part = path.with_suffix(".part")
    torch.save(
        {
            "weights": trained.net.state_dict(),
            "shape": asdict(trained.net.shape),
            "units": UNITS,
            "global_mean": trained.global_mean,
            "prior": trained.prior,
            "sequence": trained.sequence,
        },
        part,
    )
    part.replace(path)


def train(
    target: Path, sources: Sequence[Source], shape: NetShape, plan: Plan, init: Path | None = None, processes: int = 0
) -> None:
    """Trains to `target`; goes on from its checkpoint when there is one."""
    count = processes or os.cpu_count() or 1
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(_run, (count, port, target, list(sources), shape, plan, init), nprocs=count, daemon=True)


def _run(
    rank: int,
    count: int,
    port: int,
    target: Path,
    sources: list[Source],
    shape: NetShape,
    plan: Plan,
    init: Path | None,
) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=count)
    run = _Run(rank, count, target, sources, shape, plan, init)
    run.go()
    distributed.destroy_process_group()


class _Run:
    """One process's part. Rank 0 keeps the averaged net, tells how it goes and writes files."""

    def __init__(
        self, rank: int, count: int, target: Path, sources: list[Source], shape: NetShape, plan: Plan, init: Path | None
    ) -> None:
        self.rank, self.count, self.target, self.plan = rank, count, target, plan
        self.checkpoint = target.with_suffix(".checkpoint")
        begun = load_trained(init) if init is not None else None
        self.corpus = Corpus(sources, shape, plan.seed, begun.global_mean if begun else None)
        self.net = Net(shape, plan.dropout)
        order = np.random.default_rng(plan.seed)
        shuffled = [own[torch.from_numpy(order.permutation(len(own)))] for own in self.corpus.starts]
        held = [min(_HELD_OUT_CHUNKS, len(own) // 10) for own in shuffled]
        self.held = [own[:size] for own, size in zip(shuffled, held, strict=True)]
        self.chunks = [own[size:] for own, size in zip(shuffled, held, strict=True)]
        share = np.array([source.share for source in sources])
        self.share = share / share.sum()
        if begun is not None:
            missing = self.net.load_state_dict(begun.net.state_dict(), strict=False)
            assert not missing.unexpected_keys
            self.prior = begun.prior
        else:
            self._measure_input()
            self.prior = self._measure_prior()
        self.rivals = Denominator(*unit_trigram(self.corpus.unit_rows(), len(UNITS))) if plan.sequence else None
        self.average = copy.deepcopy(self.net).eval()
        self.optimiser = torch.optim.AdamW(self.net.parameters(), plan.rate, weight_decay=1e-2)
        self.step = 0
        if self.checkpoint.exists():
            kept = torch.load(self.checkpoint, weights_only=False)
            self.net.load_state_dict(kept["net"])
            self.average.load_state_dict(kept["average"])
            self.optimiser.load_state_dict(kept["optimiser"])
            self.step = kept["step"]

    def go(self) -> None:
        plan = self.plan
        seed = 1000 * plan.seed + 10 * self.step + self.rank
        torch.manual_seed(seed)
        random.seed(seed)
        self.rng = np.random.default_rng(seed)
        self.orders = [own[torch.randperm(len(own))] for own in self.chunks]
        self.used = [0] * len(self.chunks)
        what = f"{self.corpus.hours:.1f} h, {sum(map(len, self.chunks))} chunks"
        losses: list[tuple[float, float]] = []
        told = time.monotonic()
        with (
            Progress(f"train {self.target.name} ({what})", plan.steps, "steps")
            if self.rank == 0
            else _Quiet() as progress
        ):
            while self.step < plan.steps:
                losses.append(self._one_step())
                self.step += 1
                if self.rank:
                    continue
                self._move_average()
                if self.step % CHECKPOINT_STEPS == 0:
                    self._keep()
                if time.monotonic() - told > 55:
                    told = time.monotonic()
                    recent = np.mean(losses[-100:], 0)
                    right = " ".join(f"{value:.3f}" for value in self._frames_right())
                    progress.at(
                        self.step,
                        f"frame loss {recent[0]:.3f}, sequence loss {recent[1]:.4f}, held-out frames right {right}",
                    )
                else:
                    progress.at(self.step)
        if self.rank == 0:
            save_trained(self.target, Trained(self.average, self.corpus.global_mean, self.prior, plan.sequence))
            self.checkpoint.unlink(missing_ok=True)

    def _one_step(self) -> tuple[float, float]:
        plan = self.plan
        rate = plan.rate * min(1, (self.step + 1) / 150) * max(1 - self.step / plan.steps, 0.02)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        source = self.rng.choice(len(self.chunks), max(1, plan.batch // self.count), p=self.share)
        batch = self.corpus.varied(torch.stack([self._draw(int(k)) for k in source]), torch.from_numpy(source))
        self.net.train()
        with torch.autocast("cpu", torch.bfloat16):
            scores, logits = self.net(batch.frames)
        count = batch.targets.shape[1]
        scores, logits = scores.float()[:, :count], logits.float()[:, :count]
        frame_loss = functional.cross_entropy(
            logits.reshape(-1, logits.shape[-1]),
            batch.targets.reshape(-1),
            ignore_index=UNLABELLED,
            label_smoothing=0.05,
        )
        sequence_loss = torch.zeros(())
        loss = frame_loss
        if self.rivals is not None:
            sequence_loss, _ = mmi_loss(scores, batch.said, self.rivals)
            loss = sequence_loss + plan.frame_weight * frame_loss + plan.output_penalty * scores.square().mean()
        self.optimiser.zero_grad()
        loss.backward()
        self._share_gradients()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimiser.step()
        return float(frame_loss.detach()), float(sequence_loss.detach())

    def _draw(self, source: int) -> Tensor:
        if self.used[source] == len(self.orders[source]):
            self.used[source], self.orders[source] = 0, self.chunks[source][torch.randperm(len(self.chunks[source]))]
        self.used[source] += 1
        return self.orders[source][self.used[source] - 1]

    def _share_gradients(self) -> None:
        if self.count == 1:
            return
        wanted = [p for p in self.net.parameters() if p.grad is not None]
        flat = torch.cat([p.grad.reshape(-1) for p in wanted if p.grad is not None])
        distributed.all_reduce(flat)
        flat /= self.count
        offset = 0
        for parameter in wanted:
            assert parameter.grad is not None
            size = parameter.grad.numel()
            parameter.grad.copy_(flat[offset : offset + size].view_as(parameter.grad))
            offset += size

    def _move_average(self) -> None:
        keep = min(0.995, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, value in zip(self.average.state_dict().values(), self.net.state_dict().values(), strict=True):
                if mean.is_floating_point():
                    mean.mul_(keep).add_(value, alpha=1 - keep)
                else:
                    mean.copy_(value)

    def _keep(self) -> None:
        kept: dict[str, Any] = {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }
        part = self.checkpoint.with_suffix(".part")
        torch.save(kept, part)
        part.replace(self.checkpoint)

    def _frames_right(self) -> list[float]:
        """Share of held-out frames whose unit the frame output knows, by source."""
        out = []
        for own in self.held:
            with torch.no_grad():
                batch = self.corpus.plain(own)
                best = self.average(batch.frames)[1][:, : batch.targets.shape[1]].argmax(-1)
                known = batch.targets >= 0
                out.append(float((best == batch.targets)[known].float().mean()))
        return out

    def _measure_input(self) -> None:
        x = torch.cat([self.corpus.plain(own[:120]).frames.reshape(-1, self.net.shape.inputs) for own in self.chunks])
        self.net.mean.copy_(x.mean(0))
        self.net.deviation.copy_(x.std(0))

    def _measure_prior(self) -> NDArray[np.float64]:
        prior = np.zeros(len(UNITS))
        for own, share in zip(self.chunks, self.share, strict=True):
            targets = self.corpus.plain(own[:1500]).targets.numpy().ravel()
            counts = np.bincount(targets[targets >= 0], minlength=len(UNITS))
            prior += share * counts / counts.sum()
        floored: NDArray[np.float64] = np.maximum(prior / prior.sum(), 0.003)
        return floored


class _Quiet:
    """The other processes tell nothing."""

    def __enter__(self) -> _Quiet:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def at(self, done: float, note: str = "") -> None:
        return None
