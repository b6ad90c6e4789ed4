"""Pure: Mandarin syllables, taken apart as the voice and the phrase matcher need them."""

from __future__ import annotations

from functools import lru_cache

from pypinyin import lazy_pinyin
from pypinyin.contrib.tone_convert import to_finals, to_initials

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
