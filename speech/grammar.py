"""Pure: which of the expected answers was said? By sound, not by character: recognisers mix up homophones.

Every syllable is compared by initial and final (tones are ignored: they are what a small telephone model hears worst);
pairs that callers and recognisers confuse (z/zh, n/l, in/ing, …) cost little, others much. A phrase is looked for
inside the text, so 嗯我要转人工 matches 转人工 with certainty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pypinyin import lazy_pinyin

from speech.syllables import split_syllable

# A one-syllable phrase must sound the same; in a long one some syllables may differ.
MINIMUM_SCORE = 0.74
_PLAUSIBLE = 0.6
# What it costs a phrase to leave a syllable of the text unexplained, hesitations aside.
_UNEXPLAINED = 0.55
_FILLERS = "嗯啊呃额哦噢哎诶哈呀呢吧吗啦了"
_SYLLABLE_MISSING = 0.9
_SYLLABLE_EXTRA = 0.6
_SHORT_IN_LONG = 0.03
_WEAK = 0.8
# 不是 is no 是, also where nobody listed 不是.
_NEGATED = 0.5

_NEAR_INITIALS = {
    frozenset(pair): cost
    for cost, pairs in {
        0.12: ("z zh", "c ch", "s sh", "n l"),
        0.25: ("f h", "r l", "j z", "q c", "x s", "j zh", "q ch", "x sh", "zh ch", "z c", "d t", "b p", "g k", "j q"),
    }.items()
    for pair in (tuple(text.split()) for text in pairs)
}
_NEAR_FINALS = {
    frozenset(pair): cost
    for cost, pairs in {
        0.04: ("ii iii",),
        0.12: ("in ing", "en eng", "an ang", "ian iang", "uan uang", "uen ong", "vn iong", "un ong"),
        0.25: (
            "i v", "ie ve", "ian van", "in vn", "e uo", "e o", "o uo", "ou uo", "ai ei", "uei ei", "uei uai", "a ia",
            "an ian", "ao iao", "ou iou", "u ou", "ang iang", "en in", "eng ing", "eng ong", "u uo", "a e", "i e",
        ),
    }.items()
    for pair in (tuple(text.split()) for text in pairs)
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PhraseMatch:
    """`text[start_char:end_char]` sounds like `phrase`; `score` 1 is the same syllables, 0 nothing alike."""

    phrase: str
    score: float
    start_char: int
    end_char: int


@dataclass(frozen=True, slots=True)
class Syllable:
    """How the character at `char` is said. Latin letters stand for themselves."""

    char: int
    initial: str
    final: str


def match_phrase(text: str, phrases: Sequence[str], *, minimum: float = MINIMUM_SCORE) -> PhraseMatch | None:
    """The phrase that explains the text best; of equal ones the longer, then the earlier in `phrases`.

    None when that one does not reach `minimum`, even if a worse explanation would: 故事 holds the sound of 是, but is
    more likely 不是 misheard, and a wrong yes is worse than a question asked again. A phrase that stands in the text
    letter for letter scores 1 (a single syllable less, the longer the text is).
    """
    heard = syllables(text)
    best: tuple[float, int, int] | None = None
    match: PhraseMatch | None = None
    for order, phrase in enumerate(phrases):
        wanted = syllables(phrase)
        if not wanted:
            continue
        score, first, last = _find(heard, wanted, text)
        unexplained = sum(text[syllable.char] not in _FILLERS for syllable in (*heard[:first], *heard[last + 1 :]))
        if len(wanted) == 1 or (len(wanted) == 2 and score <= _WEAK):
            score -= _SHORT_IN_LONG * unexplained  # so little is found in any long sentence by chance
        if score < _PLAUSIBLE:
            continue
        cost = (1 - score) * len(wanted) + _UNEXPLAINED * unexplained
        rank = (cost, -len(wanted), order)
        if best is None or rank < best:
            best = rank
            match = PhraseMatch(phrase, round(score, 3), heard[first].char, heard[last].char + 1)
    return match if match is not None and match.score >= minimum else None


def syllables(text: str) -> list[Syllable]:
    """What is said of a text, punctuation and spaces left out; characters of several readings as their words ask."""
    chinese = [at for at, char in enumerate(text) if "\u4e00" <= char <= "\u9fff"]
    spelled = dict(zip(chinese, lazy_pinyin("".join(text[at] for at in chinese)), strict=True))
    found = []
    for at, char in enumerate(text):
        if char in _SPOKEN_FIGURES:
            found.append(Syllable(at, *split_syllable(_SPOKEN_FIGURES[char])))
        elif at in spelled:
            found.append(Syllable(at, *split_syllable(spelled[at])))
        elif char.isalnum():
            found.append(Syllable(at, char.lower(), ""))
    return found


_SPOKEN_FIGURES = dict(zip("0123456789", lazy_pinyin("零一二三四五六七八九"), strict=True)) | {"幺": "yi"}


def _distance(one: Syllable, other: Syllable) -> float:
    """0 for the same sound, 1 for nothing alike."""
    return _part(one.initial, other.initial, _NEAR_INITIALS) + _part(one.final, other.final, _NEAR_FINALS)


def _part(one: str, other: str, near: dict[frozenset[str], float]) -> float:
    return 0.0 if one == other else near.get(frozenset((one, other)), 0.5)


def _find(heard: list[Syllable], wanted: list[Syllable], text: str) -> tuple[float, int, int]:
    """Score, first and last syllable of the place in `heard` that is most like `wanted`."""
    size = len(wanted)
    # best[j]: (cost, first heard syllable) of laying wanted[:j] on syllables that end here.
    best: list[tuple[float, int]] = [(_SYLLABLE_MISSING * j, 0) for j in range(size + 1)]
    found = (0.0, 0, 0)
    for at, syllable in enumerate(heard):
        row: list[tuple[float, int]] = [(0.0, at + 1)]
        for j in range(1, size + 1):
            came = best[j - 1][0] + _distance(syllable, wanted[j - 1])
            first = at if j == 1 else best[j - 1][1]
            row.append(
                min(
                    (came, first),
                    (best[j][0] + _SYLLABLE_EXTRA, best[j][1]),
                    (row[j - 1][0] + _SYLLABLE_MISSING, row[j - 1][1]),
                )
            )
        best = row
        cost, first = best[size]
        first = min(first, at)
        score = 1 - cost / size
        if heard[first].char > 0 and text[heard[first].char - 1] in "不没别":
            score -= _NEGATED
        if score > found[0]:
            found = (score, first, at)
    return found
