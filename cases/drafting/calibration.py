"""From what a voter says of itself to how often it was right: isotonic regression over answers to held-out messages.

`SURE_FROM` is the desk's mark (cases/fields.py): a field at or above it is shown as sure. The promise is that such a
field is right 95 times in 100, so the mark is laid where the held-out answers above it were right `SURE_RIGHT` of the
time, and what lies below stays under the mark however likely it is by itself.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

SURE_FROM = 0.8
SURE_RIGHT = 0.965  # a little above the promised 0.95: the next messages are others
_BELOW_MARK = 0.79
_HIGHEST = 0.98
_LEAST_SURE = 20  # answers that a mark must rest on
_LEAST_BIN = 12  # answers a step of the curve rests on

Points = tuple[tuple[float, float], ...]
"""(share, confidence), both rising; between two points the line."""


def calibrated(points: Points, share: float) -> float:
    """The confidence (0-1) of a share (0-1). Outside the points: the nearest one's. No points: 0."""
    if not points:
        return 0.0
    at = bisect_right(points, (share, 2.0))
    if at == 0:
        return points[0][1]
    if at == len(points):
        return points[-1][1]
    (x0, y0), (x1, y1) = points[at - 1], points[at]
    return y0 + (y1 - y0) * (share - x0) / (x1 - x0) if x1 > x0 else y1


def calibration_of(answers: Sequence[tuple[float, bool]]) -> Points:
    """The curve of answers to messages that were not learned from: each the winner's share, and whether it was right.

    Pool-adjacent-violators (Ayer et al. 1955) over bins, each rate smoothed by one right and one wrong answer.
    """
    if not answers:
        return ()
    ordered = sorted(answers)
    size = max(_LEAST_BIN, len(ordered) // 20)
    bins = [ordered[at : at + size] for at in range(0, len(ordered), size)]
    if len(bins) > 1 and len(bins[-1]) < size // 2:
        bins[-2:] = [bins[-2] + bins[-1]]
    blocks: list[tuple[float, float, int]] = []  # mean share, right, answers
    for one in bins:
        blocks.append((sum(share for share, _ in one) / len(one), float(sum(right for _, right in one)), len(one)))
        while len(blocks) > 1 and _rate(blocks[-2]) >= _rate(blocks[-1]):
            (x0, r0, n0), (x1, r1, n1) = blocks[-2:]
            blocks[-2:] = [((x0 * n0 + x1 * n1) / (n0 + n1), r0 + r1, n0 + n1)]
    curve: Points = tuple((share, min(_HIGHEST, _rate((share, right, n)))) for share, right, n in blocks)
    return _with_mark(curve, sure_share(ordered))


def sure_share(answers: Sequence[tuple[float, bool]]) -> float | None:
    """The lowest share from which on answers were right often enough to be shown as sure; None when there is none."""
    right = 0
    found: float | None = None
    for number, (share, was_right) in enumerate(sorted(answers, key=lambda one: (-one[0], one[1])), 1):
        right += was_right
        if number >= _LEAST_SURE and right >= SURE_RIGHT * number:
            found = share
    return found


def _rate(block: tuple[float, float, int]) -> float:
    return (block[1] + 1) / (block[2] + 2)


def _with_mark(curve: Points, mark: float | None) -> Points:
    """The curve, held under the mark's confidence before the mark and at least at it from there on."""
    if mark is None:
        return tuple((share, min(_BELOW_MARK, value)) for share, value in curve)
    below = [(share, min(_BELOW_MARK, value)) for share, value in curve if share < mark]
    above = [(share, max(SURE_FROM, value)) for share, value in curve if share > mark]
    at_mark = max(SURE_FROM, calibrated(curve, mark))
    at_mark = min(at_mark, above[0][1]) if above else at_mark
    just_below = min(_BELOW_MARK, calibrated(curve, mark))
    return (*below, (mark - 1e-6, just_below), (mark, at_mark), *above)
