"""Characters as sounds: toneless Mandarin syllables and the classes that telephones and accents confuse.

A recogniser writes the wrong character for the right sound, so everything here is compared twice: by character and by
syllable. Readings are taken character by character, without looking at the neighbours, so that equal characters always
sound equal; the phrase side of a comparison carries the other readings of a polyphone instead (`readings`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import count, islice, product

from pypinyin import lazy_pinyin

# Polyphones of place names and everyday complaints; the first reading is pypinyin's own.
_OTHER_READINGS: dict[str, tuple[str, ...]] = {
    "长": ("chang", "zhang"),
    "重": ("zhong", "chong"),
    "行": ("xing", "hang"),
    "乐": ("le", "yue"),
    "堡": ("bao", "pu", "bu"),
    "都": ("dou", "du"),
    "朝": ("chao", "zhao"),
    "什": ("shen", "shi"),
    "栅": ("zha", "shi"),
    "车": ("che", "ju"),
    "调": ("diao", "tiao"),
    "降": ("jiang", "xiang"),
    "地": ("di", "de"),
    "的": ("de", "di"),
    "厦": ("sha", "xia"),
    "漏": ("lou",),
    "薄": ("bao", "bo"),
    "尽": ("jin",),
    "散": ("san",),
    "供": ("gong",),
    "干": ("gan",),
    "还": ("hai", "huan"),
    "没": ("mei", "mo"),
    "觉": ("jue", "jiao"),
    "空": ("kong",),
    "藏": ("cang", "zang"),
    "臭": ("chou",),
    "露": ("lu", "lou"),
    "血": ("xue", "xie"),
    "着": ("zhe", "zhao"),
    "了": ("le", "liao"),
    "十": ("shi",),
    "六": ("liu",),
    "弹": ("dan", "tan"),
    "塌": ("ta",),
    "率": ("lv", "shuai"),
    "便": ("bian", "pian"),
    "处": ("chu",),
    "角": ("jiao", "jue"),
    "圈": ("quan", "juan"),
    "壳": ("ke", "qiao"),
    "色": ("se", "shai"),
    "差": ("cha", "chai"),
    "广": ("guang",),
    "单": ("dan", "shan"),
    "燕": ("yan",),
}
_DIGIT_SYLLABLES = dict(
    zip("0123456789", ("ling", "yi", "er", "san", "si", "wu", "liu", "qi", "ba", "jiu"), strict=True)
)
_DIGIT_SYLLABLES["幺"] = "yao"
_MAX_READINGS = 6
_INITIALS = ("zh", "ch", "sh", *"bpmfdtnlgkhjqxrzcsyw")
_ALIKE_INITIALS = {"zh": "z", "ch": "c", "sh": "s", "n": "l", "f": "h"}
_ALIKE_FINALS = (("ang", "an"), ("eng", "en"), ("ing", "in"))
_NO_SOUND = chr(0xE000)  # what no phrase sounds like
_FIRST_CLASS = 0xE001
_classes: dict[str, str] = {}
_next_class = count(_FIRST_CLASS)  # drafts are made in several threads: next() never gives a number twice


@dataclass(frozen=True, slots=True)
class Heard:
    """A text and its sounds. `syllables[i]` and `classes[i]` belong to `text[i]`: offsets are the text's own."""

    text: str
    syllables: tuple[str, ...]
    classes: str


@lru_cache(maxsize=65536)
def syllable_of(char: str) -> str:
    """The toneless syllable of one character ('' for what has no sound); digits sound as they are said."""
    if char in _DIGIT_SYLLABLES:
        return _DIGIT_SYLLABLES[char]
    if "\u3400" <= char <= "\u9fff" or "\U00020000" <= char <= "\U0003ffff" or char == "〇":
        if char in _OTHER_READINGS:
            return _OTHER_READINGS[char][0]
        read = lazy_pinyin(char)
        return read[0] if read and read[0] != char else ""
    return char.lower() if char.isascii() and char.isalpha() else ""


@lru_cache(maxsize=4096)
def sound_key(syllable: str) -> str:
    """One spelling for all syllables that are easily confused (z/zh c/ch s/sh n/l f/h, -n/-ng); '' for no sound."""
    initial = next((i for i in _INITIALS if syllable.startswith(i) and len(syllable) > len(i)), "")
    final = syllable[len(initial) :]
    for heard, alike in _ALIKE_FINALS:
        if final.endswith(heard):
            final = final[: -len(heard)] + alike
            break
    return _ALIKE_INITIALS.get(initial, initial) + final


@lru_cache(maxsize=4096)
def sound_class(syllable: str) -> str:
    """One private-use character for all syllables of one `sound_key`."""
    if not syllable:
        return _NO_SOUND
    return _classes.setdefault(sound_key(syllable), chr(next(_next_class)))


@lru_cache(maxsize=256)
def hear(text: str) -> Heard:
    """The sounds of a text, character by character."""
    syllables = tuple(syllable_of(char) for char in text)
    return Heard(text, syllables, "".join(sound_class(s) for s in syllables))


@lru_cache(maxsize=65536)
def readings_of(char: str) -> tuple[str, ...]:
    """All syllables that a written character may stand for."""
    return _OTHER_READINGS.get(char) or (syllable_of(char),)


def class_readings(phrase: str) -> list[str]:
    """The class strings under which a phrase may be heard (several when it holds polyphones)."""
    options = [tuple(dict.fromkeys(sound_class(s) for s in readings_of(char))) for char in phrase]
    return ["".join(choice) for choice in islice(product(*options), _MAX_READINGS)]


def likeness(phrase: str, heard: Heard, start: int) -> tuple[float, int]:
    """How well `heard` at `start` is the phrase: (0-1, characters that are the very same).

    A same character counts 1, a same syllable 0.75, a confusable one 0.5.
    """
    total = 0.0
    same = 0
    for offset, char in enumerate(phrase):
        if heard.text[start + offset] == char:
            total += 1.0
            same += 1
        elif heard.syllables[start + offset] in readings_of(char):
            total += 0.75
        else:
            total += 0.5
    return total / len(phrase), same
