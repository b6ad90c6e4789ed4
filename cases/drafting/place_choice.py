"""Two readings of the place that are near: what to ask the caller, and what the answer means.

The question names two official places (您说的是朝阳区八里庄街道，还是海淀区八里庄街道？); the turn's prompt keeps which, so
that the answer (`first`, `second`, `neither` of prompts/menu.toml) means the same whenever the draft is made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cases.drafting.evidence import Span
from cases.drafting.tables import read_divisions
from cases.schema import Asks, Turn

FIRST, SECOND, NEITHER = "first", "second", "neither"
ANSWERS = (FIRST, SECOND, NEITHER)

Street = tuple[str, str]
"""District and street, official names."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The caller's answer in turn `turn`. `place` None: neither of `offered`."""

    turn: int
    offered: tuple[Street, ...]
    place: Street | None
    span: Span


@lru_cache(maxsize=1)
def _streets() -> tuple[Street, ...]:
    return tuple(sorted({(one.district, one.street) for one in read_divisions()}))


def spoken(street: Street) -> str:
    """As the question says it; `offered_in` reads it again."""
    return "".join(street)


@lru_cache(maxsize=64)
def offered_in(prompt: str) -> tuple[Street, ...]:
    """The places that a prompt names whole, in its order."""
    found = [(prompt.index(spoken(street)), street) for street in _streets() if spoken(street) in prompt]
    return tuple(street for _, street in sorted(found))


def chosen(turns: Sequence[Turn]) -> Chosen | None:
    """The last answer to such a question; None when none was given, or when the prompt does not tell what was asked."""
    for number in range(len(turns) - 1, -1, -1):
        turn = turns[number]
        if turn.asks is not Asks.PLACE or turn.answer not in ANSWERS:
            continue
        offered = offered_in(turn.prompt)
        if len(offered) != 2:
            return None
        picked = {FIRST: offered[0], SECOND: offered[1]}.get(turn.answer)
        span = Span(number, 0, 0) if turn.digits else Span(number, 0, len(turn.text))
        return Chosen(number, offered, picked, span)
    return None
