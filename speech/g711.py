"""Pure: the two codecs of the telephone, from the tables of ITU-T Recommendation G.711 (11/88).

Tables 1a/1b (A-law) and 2a/2b (µ-law) give, for every code, the output value and the decision value below it. Both
follow a rule (eight segments of sixteen steps, each twice as wide as the one before), which is what is written here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Law = Literal["alaw", "ulaw"]


@lru_cache(maxsize=2)
def _table(law: Law) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Decision and output values of the 128 magnitudes, smallest first, in units of 16 bit samples."""
    number = np.arange(128)
    segment, step = number >> 4, number & 15
    if law == "ulaw":
        # 14 bit: outputs 0, 2, 4 … 8031; decision values 0, 1, 3 … 7903
        output = ((2 * step + 33) << segment) - 33
        decision = ((2 * step + 32) << segment) - 33
        return np.maximum(decision, 0) * 4, output * 4
    # 13 bit: outputs 1, 3, 5 … 4032; decision values 0, 2, 4 … 3968. The two lowest segments are equally wide.
    shift = np.maximum(segment - 1, 0)
    head = np.where(segment > 0, 32, 0)
    return ((2 * step + head) << shift) * 8, ((2 * step + head + 1) << shift) * 8


def coded(samples: NDArray[np.int16], law: Law) -> NDArray[np.int16]:
    """16 bit samples as they come out at the other end: encoded and decoded."""
    decision, output = _table(law)
    wide = samples.astype(np.int32)
    magnitude = np.searchsorted(decision, np.abs(wide), side="right") - 1
    return np.where(wide < 0, -output[magnitude], output[magnitude]).astype(np.int16)
