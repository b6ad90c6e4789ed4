"""How a field uses its learned model: the text it hears, the words it shows, what the other classes are worth."""

from __future__ import annotations

from collections.abc import Sequence

from cases.drafting.classifier import Model, Vote
from cases.drafting.evidence import Span, turns_asked
from cases.schema import Asks, Turn

_MOST_ALTERNATIVES = 3
_LEAST_ALTERNATIVE = 0.01


def narrated(turns: Sequence[Turn]) -> str:
    """All that was told, the turns kept apart so that no n-gram spans two of them."""
    return "，".join(turn.text for _, turn in turns_asked(turns, Asks.NARRATION))


def learned_spans(model: Model, turns: Sequence[Turn], label: str) -> list[Span]:
    """The stretches that speak most for a class."""
    return [
        Span(number, start, end)
        for number, turn in turns_asked(turns, Asks.NARRATION)
        for start, end in model.why(turn.text, label)
    ]


def shared_rest(votes: Sequence[Vote], confidence: float) -> list[tuple[str, float]]:
    """The next classes, in order: what the winner is not sure of, shared out by their votes."""
    rest = votes[1 : 1 + _MOST_ALTERNATIVES]
    total = sum(vote.share for vote in votes[1:])
    if total <= 0:
        return [(vote.label, 0.0) for vote in rest]
    shares = [(vote.label, round((1 - confidence) * vote.share / total, 2)) for vote in rest]
    return [(label, share) for label, share in shares if share >= _LEAST_ALTERNATIVE]
