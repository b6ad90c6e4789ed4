"""The sums of lattice-free MMI, against all ways to say it counted one by one. Runs where PyTorch is: `make model`'s
environment (`.venv-training/bin/python -m pytest tests/unit/training`)."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from speech.training.mmi import Denominator, Numerator, mmi_loss, numerator_log_sum, unit_trigram  # noqa: E402

UNITS, FRAMES = 3, 5


def some_scores(seed: int = 0):
    return torch.tensor(np.random.default_rng(seed).normal(size=(1, FRAMES, 2 * UNITS)), dtype=torch.float32)


def some_trigram():
    rows = [np.array(row) for row in ([0, 1, 2, 0, 1], [2, 1, 0, 0], [1, 1, 2])]
    return unit_trigram(rows, UNITS)


def log_of_path(scores, path) -> float:
    """`path`: (unit, whether it begins here) of each frame; a half for each step, as a topology of two arcs has it."""
    total = 0.0
    for frame, (unit, begins) in enumerate(path):
        row = scores[0, frame]
        if frame == 0:  # a chunk may begin in the middle of a unit
            total += math.log(0.5 * (math.exp(row[unit]) + math.exp(row[UNITS + unit])))
        else:
            total += math.log(0.5) + float(row[unit] if begins else row[UNITS + unit])
    return total


def all_paths():
    """Every way to fill the frames: units, and where each begins."""
    for begins in itertools.product([False, True], repeat=FRAMES - 1):
        for units in itertools.product(range(UNITS), repeat=1 + sum(begins)):
            path, place = [(units[0], True)], 0
            for begin in begins:
                place += begin
                path.append((units[place], begin))
            yield units, path


def test_the_rivals_are_all_sequences_of_units():
    trigram, start = some_trigram()
    scores = some_scores()
    total = 0.0
    for units, path in all_paths():
        likely = math.exp(log_of_path(scores, path))
        # The unit before the first one is summed over.
        weights = [start[before, units[0]] for before in range(UNITS)]
        share = 0.0
        for before, weight in enumerate(weights):
            said = (before, *units)
            share += weight * math.prod(trigram[said[i - 2], said[i - 1], said[i]] for i in range(2, len(said)))
        total += likely * share
    found = Denominator(trigram, start).log_sum(scores, torch.tensor([0]), torch.tensor([FRAMES]))
    assert float(found[0]) == pytest.approx(math.log(total), abs=1e-4)


def said(units, windows=None):
    windows = windows or [(0, FRAMES)] * len(units)
    return Numerator(
        torch.tensor([units]),
        torch.tensor([[first for first, _ in windows]]),
        torch.tensor([[last for _, last in windows]]),
        torch.tensor([len(units)]),
        torch.tensor([0]),
        torch.tensor([FRAMES]),
    )


def test_what_was_said_is_summed_over_all_ways_to_lay_it_in_time():
    scores = some_scores(1)
    wanted = sum(math.exp(log_of_path(scores, path)) for units, path in all_paths() if units == (0, 2, 1))
    assert float(numerator_log_sum(scores, said([0, 2, 1]))[0]) == pytest.approx(math.log(wanted), abs=1e-4)


def test_a_unit_outside_its_window_costs_much():
    scores = some_scores(2)
    free = numerator_log_sum(scores, said([0, 1]))
    bound = numerator_log_sum(scores, said([0, 1], [(0, 0), (1, FRAMES)]))
    impossible = numerator_log_sum(scores, said([0, 1], [(3, 4), (0, 1)]))
    assert float(bound[0]) < float(free[0])
    assert float(impossible[0]) < float(free[0]) - 25


def test_learning_makes_what_was_said_the_likeliest():
    trigram, start = some_trigram()
    rivals, truth = Denominator(trigram, start), said([0, 2, 1])
    scores = some_scores(3).requires_grad_()
    optimiser = torch.optim.SGD([scores], 5.0)
    before = float(mmi_loss(scores, truth, rivals)[0].detach())
    for _ in range(60):
        optimiser.zero_grad()
        loss, _ = mmi_loss(scores, truth, rivals)
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < before / 3


def test_chunks_in_which_nothing_was_said_do_not_count():
    trigram, start = some_trigram()
    empty = Numerator(
        *(torch.zeros((1, 1), dtype=torch.int64) for _ in range(3)), *(torch.tensor([0]) for _ in range(3))
    )
    loss, _ = mmi_loss(some_scores(4), empty, Denominator(trigram, start))
    assert float(loss) == 0


def test_no_sequence_of_units_is_impossible():
    trigram, start = some_trigram()
    assert (trigram > 0).all()
    assert (start > 0).all()
    np.testing.assert_allclose(trigram.sum(-1), 1, rtol=1e-5)


def test_the_derivative_is_what_small_changes_of_the_scores_do():
    """Of chunks that begin and end where they like."""
    trigram, start = some_trigram()
    rivals = Denominator(trigram, start)
    scores = torch.tensor(np.random.default_rng(5).normal(size=(3, FRAMES, 2 * UNITS)), dtype=torch.float32)
    begin, end = torch.tensor([0, 1, 2]), torch.tensor([FRAMES, FRAMES - 1, 3])
    scores.requires_grad_()
    rivals.log_sum(scores, begin, end).sum().backward()
    found = scores.grad
    for at in itertools.product(range(3), range(FRAMES), range(2 * UNITS)):
        change = torch.zeros_like(scores)
        change[at] = 0.01
        with torch.no_grad():
            up = rivals.log_sum(scores + change, begin, end).sum()
            down = rivals.log_sum(scores - change, begin, end).sum()
        assert float(found[at]) == pytest.approx(float(up - down) / 0.02, abs=2e-3)
    # Of every frame that counts exactly one arc is gone.
    lived = (end - begin).float()
    torch.testing.assert_close(found.sum((1, 2)), lived, rtol=1e-4, atol=1e-4)
