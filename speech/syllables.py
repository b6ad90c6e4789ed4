"""Pure: Mandarin syllables, taken apart as the voice and the phrase matcher need them."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from pypinyin import lazy_pinyin
from pypinyin.constants import PINYIN_DICT
from pypinyin.contrib.tone_convert import to_finals, to_initials

_TONE_MARKS = "\u0304\u0301\u030c\u0300"
_BUZZING = {"z": "ii", "c": "ii", "s": "ii", "zh": "iii", "ch": "iii", "sh": "iii", "r": "iii"}


@lru_cache(maxsize=8192)
def plain_syllable(char: str) -> str:
    """How a character is usually said, without tone; '' for what is no Chinese character."""
    return lazy_pinyin(char)[0] if "\u4e00" <= char <= "\u9fff" else ""


@lru_cache(maxsize=2048)
def split_syllable(syllable: str) -> tuple[str, str]:
    """('zh', 'ong') of zhong, ('', 'uen') of wen, ('l', 've') of lüe; the vowels of zi and zhi are 'ii' and 'iii'.

    `syllable` without tone. What is no syllable comes back as its own initial with an empty final.
    """
    plain = syllable.replace("ü", "v").replace("lue", "lve").replace("nue", "nve")
    if plain in ("n", "ng", "m", "hm", "hng"):
        return "", "en"
    if plain == "yo":
        return "", "iou"
    initial, final = to_initials(plain, strict=True), to_finals(plain, strict=True)
    if final == "i" and initial in _BUZZING:
        final = _BUZZING[initial]
    return (initial, final) if final else (plain, "")


@lru_cache(maxsize=1)
def syllable_inventory() -> tuple[str, ...]:
    """Every syllable that Mandarin has, without tone (ü as v), in order."""
    found = set()
    for readings in PINYIN_DICT.values():
        for reading in readings.split(","):
            plain = plain_pinyin(reading)
            if re.fullmatch("[bpmfdtnlgkhjqxzcsryw]?h?[aeiouv]+(?:n|ng|r)?", plain):
                found.add(plain)
    return tuple(sorted(found - {"yai", "lo", "io", "yo", "dia", "nia", "kei"} | {"er", "dia", "yo"}))


def is_syllable(syllable: str) -> bool:
    return syllable in _inventory_set()


@lru_cache(maxsize=1)
def _inventory_set() -> frozenset[str]:
    return frozenset(syllable_inventory())


def plain_pinyin(written: str) -> str:
    """A syllable as people write it (zhōng, zhong1, lü, lv4, LÜE) → zhong, lv, lve."""
    plain = "".join(
        char
        for char in unicodedata.normalize("NFD", written.casefold())
        if char not in _TONE_MARKS and char not in "012345"
    )
    plain = unicodedata.normalize("NFC", plain).replace("u:", "v").replace("ü", "v")
    return {"lue": "lve", "nue": "nve"}.get(plain, plain)
