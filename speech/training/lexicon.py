"""Words and how they are said: the vocabulary, text cut into its words, readings as the acoustic model's units."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any

from pypinyin import Style, lazy_pinyin
from pypinyin.constants import PHRASES_DICT

from speech.training.units import syllable_units

HAN = re.compile("[\u4e00-\u9fff]+")
# Runs of these are said, and written down, figure by figure.
NUMERALS = re.compile("[零〇一二两三四五六七八九十百千万亿幺拐洞]{2,}")
_STREET = re.compile("(?:街道|地区|镇|(?:[回满]族)?乡)$")
# What a second reading costs (natural logarithm): about one in three says it so.
SECOND = 1.0
# Names are words up to this length; longer ones are said as their parts.
LONGEST_NAME = 5
LONGEST_WORD = 7

Units = tuple[str, ...]
# jieba's cut of a clause, or a test's.
Cut = Callable[[str], Iterable[str]]


class LexiconError(ValueError):
    """The table of readings is wrong; the message says where and what to do."""


@dataclass(frozen=True, slots=True)
class Reading:
    """`cost`: minus a natural logarithm, 0 for the usual reading."""

    units: Units
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Lexicon:
    """`words` are sorted; `readings` has one entry a word, the usual reading first."""

    words: Sequence[str]
    readings: Mapping[str, Sequence[Reading]]
    _all: frozenset[str] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_all", frozenset(self.words))

    def __contains__(self, word: object) -> bool:
        return word in self._all

    def known(self, words: Iterable[str]) -> list[str]:
        """The same words, unknown ones as their characters; characters that nobody can say fall out."""
        return [part for word in words for part in ([word] if word in self else word) if part in self]


def make_lexicon(words: Iterable[str]) -> Lexicon:
    """Those of `words` that can be said. Raises LexiconError."""
    spoken = {word: read for word in sorted(set(words)) if HAN.fullmatch(word) and (read := readings_of(word))}
    return Lexicon(tuple(spoken), spoken)


def readings_of(word: str) -> list[Reading]:
    """The usual reading first, then what else people say; [] when a character has no reading.

    A word that pypinyin knows as a whole is read so; the characters of others may have their second reading, one at a
    time. 儿 after a vowel may be swallowed, and may swallow the n before it.
    """
    table = _table()
    given = table.words.get(word) or (table.characters.get(word) if len(word) == 1 else None)
    if given:
        ways = [way.split() for way in given]
    else:
        usual = lazy_pinyin(word, style=Style.NORMAL, errors="ignore", v_to_u=False)
        if len(usual) != len(word):
            return []
        ways = [usual]
        if 1 < len(word) <= LONGEST_NAME and word not in PHRASES_DICT:
            for at, character in enumerate(word):
                ways += [[*usual[:at], other, *usual[at + 1 :]] for other in table.in_names.get(character, ())]
    found: dict[Units, float] = {}
    for place, way in enumerate(ways):
        units = _units(way)
        if units is None:
            continue
        cost = SECOND if place else 0.0
        found.setdefault(units, cost)
        for shorter in _retroflex(word, way):
            if (said := _units(shorter)) is not None:
                found.setdefault(said, cost + SECOND / 2)
    return [Reading(units, cost) for units, cost in found.items()]


def cut_clauses(clauses: Iterable[str], cut: Cut) -> Iterator[list[str]]:
    """Each clause as words; runs of numerals one by one, whatever the dictionary has."""
    for clause in clauses:
        words: list[str] = []
        end = 0
        for run in NUMERALS.finditer(clause):
            words += cut(clause[end : run.start()])
            words += run[0].replace("〇", "零")
            end = run.end()
        words += cut(clause[end:])
        yield [word for word in words if word]


def names_in(places: Iterable[str]) -> list[str]:
    """Of the clauses that are places, those that are one name: districts, streets, communities without what they are."""
    names: dict[str, None] = {}
    for place in places:
        bare = place.removesuffix("社区")
        if bare != place or place.endswith("区"):
            names[bare] = None
        elif _STREET.search(place):
            names[place] = None
            names[_STREET.sub("", place) or place] = None
    return [name for name in names if 1 < len(name) <= LONGEST_NAME and not NUMERALS.search(name)]


def jieba_words() -> dict[str, int]:
    """jieba's dictionary (MIT): word -> how often."""
    import jieba

    with jieba.get_dict_file() as file:
        rows = (line.decode("utf-8").split(" ") for line in file)
        return {row[0]: int(row[1]) for row in rows if HAN.fullmatch(row[0])}


def jieba_cut(names: Iterable[str]) -> Cut:
    """Cuts by jieba's dictionary and these names. It invents no words: what is in neither comes as characters."""
    import logging

    import jieba

    jieba.setLogLevel(logging.ERROR)
    tokenizer = jieba.Tokenizer()
    tokenizer.initialize()
    for name in sorted(set(names)):
        tokenizer.add_word(name)

    def cut(clause: str) -> Iterable[str]:
        words: list[str] = tokenizer.lcut(clause, HMM=False)
        return words

    return cut


def choose_words(
    counts: Mapping[str, float], general: Mapping[str, float], names: Iterable[str], size: int, *, ours: float = 0.5
) -> list[str]:
    """The `size` likeliest words where `ours` of what is said is like the text (`counts`) and the rest like `general`;
    beside them the names, and every character of them all, so that each can be said."""
    own, other = max(sum(counts.values()), 1.0), max(sum(general.values()), 1.0)
    worth: dict[str, float] = defaultdict(float)
    for word, count in counts.items():
        if count > 1 or word in general or len(word) == 1:
            worth[word] += ours * count / own
    for word, count in general.items():
        if len(word) <= LONGEST_WORD and not NUMERALS.fullmatch(word):
            worth[word] += (1 - ours) * count / other
    ranked = sorted(worth, key=lambda word: (-worth[word], word))[:size]
    chosen = dict.fromkeys([*ranked, *names])
    chosen.update(dict.fromkeys(character for word in tuple(chosen) for character in word))
    return list(chosen)


@dataclass(frozen=True, slots=True)
class _Table:
    characters: Mapping[str, Sequence[str]]
    words: Mapping[str, Sequence[str]]
    in_names: Mapping[str, Sequence[str]]


@lru_cache(maxsize=1)
def _table() -> _Table:
    """data/readings.toml. `in_names`: a character's readings but the one it has alone."""
    where = resources.files("speech.training") / "data" / "readings.toml"
    try:
        read: dict[str, Any] = tomllib.loads(where.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise LexiconError(f"{where}: {error}. Mend the file.") from error
    for section in ("characters", "words"):
        for word, ways in read.get(section, {}).items():
            for way in ways:
                if len(way.split()) > len(word) or _units(way.split()) is None:
                    raise LexiconError(f"{where}: {section}: {word}: {way!r} cannot be said so. Mend the line.")
    in_names = {character: read["characters"].get(character, []) for character in read.get("in_names", [])}
    others = {
        character: [way for way in ways if way != lazy_pinyin(character, v_to_u=False)[0]]
        for character, ways in in_names.items()
    }
    return _Table(read.get("characters", {}), read.get("words", {}), others)


def _units(syllables: Sequence[str]) -> Units | None:
    found: list[str] = []
    for syllable in syllables:
        units = syllable_units(syllable)
        if units is None:
            return None
        found += units
    return tuple(found)


def _retroflex(word: str, syllables: Sequence[str]) -> Iterator[list[str]]:
    """哪儿 is na er and na; 一点儿 is dian er, dia er and dian. 儿子 and 女儿 keep their 儿."""
    if len(word) < 2 or len(syllables) != len(word) or word[-1] != "儿" or syllables[-1] != "er" or word[-2:] in _SONS:
        return
    yield list(syllables[:-1])
    stem = syllables[-2]
    if stem.endswith("n") and len(stem) > 2:
        yield [*syllables[:-2], stem[:-1], "er"]


_SONS = {
    "女儿",
    "婴儿",
    "幼儿",
    "孤儿",
    "少儿",
    "胎儿",
    "健儿",
    "男儿",
    "小儿",
    "孩儿",
    "宠儿",
    "患儿",
    "弃儿",
    "混血儿",
}
