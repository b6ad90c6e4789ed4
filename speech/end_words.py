"""Pure: do the words so far sound as if the caller had finished, or as if more were to come?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from speech.grammar import match_phrase
from speech.normalize import figures_said

MOBILE_DIGITS = 11
# 嗯, 啊 and the like after the last word say nothing of whether it was the last.
_SOUNDS = "啊呀呢哦噢哎唉嘛哈，。、？！ "
_HESITATIONS = "嗯呃额"
# A short answer may have a word or two of politeness around it.
_EXTRA_CHARS = 2


class Wording(StrEnum):
    OPEN = "open"  # the words say nothing either way
    FINISHED = "finished"
    UNFINISHED = "unfinished"
    ANNOUNCED = "announced"  # 我要反映一个问题: the caller waits to be asked on


@dataclass(frozen=True, slots=True)
class EndWords:
    """What to go by in a step.

    finished: a story that ends with one of these is probably over (谢谢, 尽快处理). unfinished: one that ends with one of
    these is not (然后, 因为, 就是说). openers: a story that ends with one of these was only announced. no_more: the whole answer to "anything else?" of who has nothing to add. answers:
    phrases that answer the step's question by themselves. figures: a telephone number is asked for.
    """

    finished: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    openers: tuple[str, ...] = ()
    no_more: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    figures: bool = False

    def wording(self, text: str) -> Wording:
        """`text`: the turn's words so far, as a recogniser writes them."""
        said = text.rstrip(_SOUNDS)
        if not said:
            return Wording.OPEN
        if self.figures and (found := self._of_figures(said)) is not None:
            return found
        if said[-1] in _HESITATIONS or said.endswith(self.unfinished):
            return Wording.UNFINISHED
        if said.endswith(self.finished) or self._answers_all(said):
            return Wording.FINISHED
        return Wording.ANNOUNCED if said.endswith(self.openers) else Wording.OPEN

    def says_no_more(self, text: str) -> bool:
        """Is all of `text` a way to say that there is nothing to add?"""
        said = text.strip(_SOUNDS + _HESITATIONS)
        return bool(said) and (said in self.no_more or _is_one_of(said, self.no_more))

    def _of_figures(self, said: str) -> Wording | None:
        runs = figures_said(said, at_least=1)
        if not runs or len(said) - runs[-1].end_char > 1:
            return None
        figures = runs[-1].figures
        if figures.startswith("1") and len(figures) < MOBILE_DIGITS:
            return Wording.UNFINISHED
        return Wording.FINISHED if len(figures) >= MOBILE_DIGITS else None

    def _answers_all(self, said: str) -> bool:
        return _is_one_of(said, self.answers)


def _is_one_of(said: str, phrases: tuple[str, ...]) -> bool:
    """Is `said` one of the phrases and little else? By sound, as the answer will be taken."""
    fitting = [phrase for phrase in phrases if len(phrase) <= len(said) <= len(phrase) + _EXTRA_CHARS]
    match = match_phrase(said, fitting) if fitting else None
    return match is not None and len(said) - (match.end_char - match.start_char) <= _EXTRA_CHARS
