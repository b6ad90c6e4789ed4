"""What the word tables say of a text, field by field, as weights of the classes: one side of the joint vote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cases.drafting.appeal_type import type_phrases, type_weights
from cases.drafting.category import level1_phrases, words_of
from cases.drafting.phrases import GAP
from cases.drafting.urgency import urgency_phrases, urgency_weights
from cases.schema import Asks, Turn

LEARNED_FIELDS = ("level1", "appeal_type", "urgency")


def word_votes(name: str, text: str) -> dict[str, float]:
    """Class → weight of the words that speak for it; 0 for classes without words."""
    turns: Sequence[Turn] = (Turn(step="message", asks=Asks.NARRATION, text=text),)
    words = words_of(turns)
    match name:
        case "level1":
            return dict(words.level1)
        case "appeal_type":
            return {str(kind): weight for kind, weight in type_weights(turns, words).items()}
        case _:
            return urgency_weights(turns, words)


def table_phrases(name: str) -> Iterator[tuple[str, str, str]]:
    """(class, entry of the table, phrase): what the tables know, to be learned from too."""
    phrases = {"level1": level1_phrases, "appeal_type": type_phrases, "urgency": urgency_phrases}[name]
    for label, entry, phrase in phrases():
        yield label, entry, phrase.replace(GAP, "")
