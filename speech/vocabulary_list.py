"""Pure: the city's own lists, `places.tsv` and `vocabulary.tsv`, line by line. A bad line is named and left out.

    written     said              district  street
    翠屏湾小区                     朝阳区     望京街道       said as it is written
    重兴嘉苑     chong xing jia yuan|重兴园   丰台区         two ways to say it
    八十中       第八十中学|八十中   …

`said` is pinyin (tones by mark or figure, or none) or characters, several ways parted by `|`. vocabulary.tsv has the
first two columns only. Lines that begin with # are notes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pypinyin import lazy_pinyin

from speech.spoken import spoken_form
from speech.syllables import is_syllable, plain_pinyin
from speech.vocabulary import SHORTEST_SYLLABLES
from speech.vocabulary_search import Entry, Reading

MAX_ENTRIES = 5000
MAX_SYLLABLES = 12
_MAX_WRITTEN_CHARS = 40
_MAX_READINGS = 8
_SAFE_SYLLABLES = 3
_PLACE_COLUMNS = ("written", "said", "district", "street")
_WORD_COLUMNS = ("written", "said")
_EVERYDAY_BIG5 = (b"\xa4\x40", b"\xc6\x7e")
_SIMPLIFIED_TOO = "玥璟昇瑄琇"
_CHINESE = re.compile("[\u4e00-\u9fff]+")
_FIGURES = re.compile("[0-9]")


class Severity(StrEnum):
    ERROR = "error"  # the line is left out
    WARNING = "warning"  # it is used


@dataclass(frozen=True, slots=True)
class ListProblem:
    """What is wrong with a line (0: the whole file) and what to do. `written`: the line's first column."""

    file: str
    line: int
    severity: Severity
    message: str
    written: str = ""

    def __str__(self) -> str:
        where = f"{self.file} line {self.line}" if self.line else self.file
        return f"{self.severity}: {where}: {self.message}"


@dataclass(frozen=True, slots=True)
class ReadList:
    entries: tuple[Entry, ...]
    problems: tuple[ListProblem, ...]


class _LineProblem(Exception):
    pass


def read_list(lines: Iterable[str], file: str, *, places: bool) -> ReadList:
    """Never raises: what cannot be used is in `problems`, the rest in `entries`."""
    columns = _PLACE_COLUMNS if places else _WORD_COLUMNS
    entries: list[Entry] = []
    problems: list[ListProblem] = []
    seen: dict[tuple[str, ...], int] = {}

    def problem(line: int, severity: Severity, message: str, written: str = "") -> None:
        problems.append(ListProblem(file, line, severity, message, written))

    for number, raw in enumerate(lines, 1):
        line = raw.lstrip("\ufeff").rstrip("\r\n")
        if not line.strip() or line.startswith("#"):
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        if tuple(cell.casefold() for cell in cells if cell) == columns:
            continue  # the heading
        if len(entries) >= MAX_ENTRIES:
            problem(number, Severity.ERROR, f"more than {MAX_ENTRIES} entries: this line and those below are left out")
            break
        try:
            entry = _entry(cells, columns, number)
        except _LineProblem as found:
            problem(number, Severity.ERROR, str(found), cells[0])
            continue
        key = (entry.written, entry.district, entry.street)
        if key in seen:
            problem(number, Severity.WARNING, f"{entry.written} stands in line {seen[key]} already: delete one")
            continue
        seen[key] = number
        entries.append(entry)
        if min(map(len, entry.readings)) < _SAFE_SYLLABLES:
            problem(
                number,
                Severity.WARNING,
                f"{entry.written} is short, many words sound like it: it is put in only where it sounds the very same"
                " and the recogniser was unsure; a longer name (with 小区, 路, 村) is found more often",
            )
    problems += _sound_problems(entries, file)
    return ReadList(tuple(entries), tuple(sorted(problems, key=lambda p: p.line)))


def _sound_problems(entries: list[Entry], file: str) -> list[ListProblem]:
    by_sound: dict[Reading, Entry] = {}
    problems = []
    for entry in entries:
        for reading in entry.readings:
            other = by_sound.setdefault(reading, entry)
            if other.written != entry.written:
                outcome = (
                    "neither is put in, as they are different places"
                    if (other.district, other.street) != (entry.district, entry.street)
                    else "the first is put in"
                )
                problems.append(
                    ListProblem(
                        file,
                        entry.line,
                        Severity.WARNING,
                        f"{entry.written} sounds like {other.written} in line {other.line}: {outcome}",
                    )
                )
                break
    return problems


def _entry(cells: list[str], columns: tuple[str, ...], line: int) -> Entry:
    if len(cells) > len(columns) and any(cells[len(columns) :]):
        raise _LineProblem(f"{len(cells)} columns; there are {len(columns)}: {', '.join(columns)}, parted by tabs")
    written, said, district, street = (cells + [""] * 4)[:4]
    if not written:
        raise _LineProblem("the first column, how it is written, is empty")
    if any(char.isspace() or not char.isprintable() for char in written):
        raise _LineProblem(f"{written!r} holds a space or what cannot be seen: parts are parted by tabs, not spaces")
    if not said and (odd := "".join(char for char in written if looks_traditional(char))):
        raise _LineProblem(
            f"{written}: {odd} looks traditional; drafts and the desk are written in simplified characters: write it so,"
            " or, if the name is really written like this, put how it is said into the second column"
        )
    if len(written) > _MAX_WRITTEN_CHARS:
        raise _LineProblem(f"{written[:12]}… is {len(written)} characters long; {_MAX_WRITTEN_CHARS} are the most")
    if len(columns) == len(_PLACE_COLUMNS) and not district:
        raise _LineProblem(
            f"{written}: the third column, its district, is empty; a word that is no place belongs in vocabulary.tsv"
        )
    ways = [way.strip() for way in said.split("|") if way.strip()] or [written]
    if len(ways) > _MAX_READINGS:
        raise _LineProblem(f"{written} is said in {len(ways)} ways; {_MAX_READINGS} are the most")
    readings = tuple(dict.fromkeys(_reading(way, written) for way in ways))
    return Entry(written, readings, district, street, line)


def looks_traditional(char: str) -> bool:
    """Everyday in Taiwan (level 1 of Big5), unknown to GB 2312, and none of the few that simplified names have too."""
    if char in _SIMPLIFIED_TOO:
        return False
    try:
        char.encode("gb2312")
    except UnicodeEncodeError:
        return _EVERYDAY_BIG5[0] <= char.encode("big5", "ignore") <= _EVERYDAY_BIG5[1]
    return False


def _reading(way: str, written: str) -> Reading:
    """The syllables of one way to say it. Raises _LineProblem."""
    reading = _of_characters(way, written) if _CHINESE.search(way) or _FIGURES.fullmatch(way) else _of_pinyin(way)
    if len(reading) < SHORTEST_SYLLABLES:
        raise _LineProblem(
            f"{way!r} is one syllable: too short to be safe, write the name with what people say behind it"
        )
    if len(reading) > MAX_SYLLABLES:
        raise _LineProblem(
            f"{way[:20]}… has {len(reading)} syllables; {MAX_SYLLABLES} are the most, write the part that is said"
        )
    return reading


def _of_characters(way: str, written: str) -> Reading:
    plain = spoken_form(way) if _FIGURES.search(way) else way
    syllables = tuple(lazy_pinyin(plain)) if _CHINESE.fullmatch(plain) else ()
    if len(syllables) != len(plain) or not all(map(is_syllable, syllables)):
        strange = "".join(
            char for char in plain if not _CHINESE.fullmatch(char) or not is_syllable("".join(lazy_pinyin(char)))
        )
        hint = (
            "write in the second column how it is said" if way == written else "write pinyin or Chinese characters only"
        )
        raise _LineProblem(f"nobody can tell how {strange!r} in {way!r} is said: {hint}")
    return syllables


def _of_pinyin(way: str) -> Reading:
    syllables = tuple(plain_pinyin(part) for part in re.split(r"[\s'’·-]+", way) if part)
    for syllable in syllables:
        if not is_syllable(syllable):
            apart = _apart(syllable)
            hint = f"write the syllables apart: {' '.join(apart)}" if apart else "check its spelling"
            raise _LineProblem(f"{syllable!r} in {way!r} is no Mandarin syllable: {hint}")
    return syllables


def _apart(text: str) -> list[str]:
    """The fewest syllables that spell it; empty when none do."""
    best: list[list[str] | None] = [[], *([None] * len(text))]
    for end in range(1, min(len(text), 80) + 1):
        for start in range(max(0, end - 6), end):
            head = best[start]
            current = best[end]
            if head is not None and is_syllable(text[start:end]) and (current is None or len(head) + 1 < len(current)):
                best[end] = [*head, text[start:end]]
    return best[-1] or []
