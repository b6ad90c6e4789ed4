"""A recogniser's mistakes, imitated: characters written as others of the same sound. Seeded, so repeatable."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from random import Random

from cases.drafting.pinyin import syllable_of

_KEPT = "0123456789，。！？、；："


@lru_cache(maxsize=1)
def homophones() -> dict[str, tuple[str, ...]]:
    """Syllable → the everyday characters (GB 2312, first level) that sound so."""
    found: dict[str, list[str]] = defaultdict(list)
    for high in range(0xB0, 0xD8):
        for low in range(0xA1, 0xFF):
            char = bytes((high, low)).decode("gb2312", errors="ignore")
            if char and syllable_of(char):
                found[syllable_of(char)].append(char)
    return {syllable: tuple(chars) for syllable, chars in found.items()}


def with_homophones(text: str, rate: float, chance: Random) -> str:
    """Each character is, with probability `rate`, another one of the same toneless sound."""
    chars = []
    for char in text:
        swapped = chance.random() < rate and char not in _KEPT
        others = [one for one in homophones().get(syllable_of(char), ()) if one != char] if swapped else []
        chars.append(chance.choice(others) if others else char)
    return "".join(chars)
