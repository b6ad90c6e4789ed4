"""The sentences of the recipe: what is spoken by the voices, what the language model learns from, what is kept aside.

Hotline speech is drawn from the lists of data/hotline.toml; everyday speech comes from sentences under open licences.
A sentence here is one clause: Chinese characters only, figures as words. The same seed gives the same text.
"""

from __future__ import annotations

import csv
import json
import random
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from speech.spoken import count_in_words, digits_in_words, spoken_form

SHORTEST, LONGEST = 6, 28  # characters of a sentence to be spoken
_OVERLAP = 8  # so many characters in common with an excluded sentence, and it is left out
_HAN = re.compile("[\u4e00-\u9fff]+")
_SLOT = re.compile(r"\{(\w+)\}")
_FEW = (
    *("一", "两", "三", "四", "五", "六", "七", "八", "九", "十", "半"),
    *("几", "好几", "十几", "二十多", "两三", "三四", "五六", "七八"),
)
_OFFICE = re.compile("(?:社区)?(?:居委会|居民委员会|村委会|村民委员会)$")
_STREET = re.compile("(?:街道|地区|镇|(?:[回满]族)?乡)$")


class TextError(ValueError):
    """A list or table that text is made of is wrong; the message says which, where, and what to do."""


@dataclass(frozen=True, slots=True)
class Division:
    """One community: 多福巷 in 东华门街道, 东城区."""

    community: str
    street: str
    district: str


@dataclass(frozen=True, slots=True)
class TextSources:
    """Files that text is made of. `divisions`: TSV with community, street, district. `tatoeba`: TSV with sentence.
    `hsk`: JSON, rows with `chinese`. `exclude`: TSVs whose sentences (columns text, transcript) must not come in."""

    divisions: Path
    tatoeba: Path | None = None
    hsk: Path | None = None
    exclude: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class TextSize:
    """How much. `spoken_*` and `held_out` are distinct sentences (fewer where there are not so many)."""

    hotline: int = 120_000
    spoken_hotline: int = 5_500
    spoken_answers: int = 1_000
    spoken_places: int = 800
    spoken_everyday: int = 7_500
    held_out: int = 300


@dataclass(frozen=True, slots=True)
class TrainingText:
    """`language`: kind -> clauses for the language model. `spoken`, `held_out`: shuffled, without each other."""

    language: Mapping[str, Sequence[str]]
    spoken: Sequence[str]
    held_out: Sequence[str]

    def write(self, folder: Path) -> None:
        """spoken.txt, held-out.txt, language.json."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, lines in (("spoken.txt", self.spoken), ("held-out.txt", self.held_out)):
            (folder / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        (folder / "language.json").write_text(json.dumps(self.language, ensure_ascii=False), encoding="utf-8")


def make_text(sources: TextSources, size: TextSize | None = None, seed: int = 12345) -> TrainingText:
    """Raises TextError, OSError."""
    size = size or TextSize()
    rng = random.Random(seed)
    divisions = read_divisions(sources.divisions)
    caller = Caller(read_phrases(), divisions, rng)
    excluded = Excluded(sentence for path in sources.exclude for sentence in read_sentences(path))
    language = {
        "complaints": _distinct((caller.complaint() for _ in range(size.hotline)), excluded),
        "answers": _distinct((caller.answer() for _ in range(size.hotline // 4)), excluded),
        "places": _distinct(place_names(divisions), excluded),
        "tatoeba": _distinct(_everyday(sources.tatoeba), excluded),
        "hsk": _distinct(_everyday(sources.hsk), excluded),
    }
    everyday = language["tatoeba"] + language["hsk"]
    spoken = [
        *_sample(rng, language["complaints"], size.spoken_hotline),
        *_sample(rng, _in_threes(rng, language["answers"], excluded), size.spoken_answers),
        *_sample(rng, _in_threes(rng, language["places"], excluded), size.spoken_places),
        *_sample(rng, everyday, size.spoken_everyday),
    ]
    spoken = list(dict.fromkeys(spoken))
    rng.shuffle(spoken)
    held_out, spoken = spoken[: size.held_out], spoken[size.held_out :]
    kept = set(held_out)
    return TrainingText(
        {kind: [line for line in lines if line not in kept] for kind, lines in language.items()}, spoken, held_out
    )


@dataclass(frozen=True, slots=True)
class Phrases:
    """data/hotline.toml: name of a list -> its lines. `issues` are those of all categories."""

    lists: Mapping[str, Sequence[str]]
    categories: Sequence[str]


def read_phrases(path: Path | None = None) -> Phrases:
    """Raises TextError: broken TOML, or a name in braces that nothing fills."""
    where = path or resources.files("speech.training") / "data" / "hotline.toml"
    try:
        table: dict[str, Any] = tomllib.loads(where.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TextError(f"{where}: {error}. Mend the file.") from error
    issues: dict[str, list[str]] = table.get("issues", {})
    shapes: dict[str, Any] = table.get("shapes", {})
    lists = {
        **table.get("lists", {}),
        **{name: list(value) for name, value in shapes.items()},
        "answers": table.get("menu", {}).get("answers", []),
        "issue": [line for lines in issues.values() for line in lines],
    }
    known = set(lists) | set(MADE)
    for name, lines in lists.items():
        for line in lines:
            if unknown := set(_SLOT.findall(line)) - known:
                raise TextError(f"{where}: {name}: “{line}” asks for {sorted(unknown)}, which is no list. Add it.")
            if rest := _HAN.sub("", _SLOT.sub("", line)):
                raise TextError(f"{where}: {name}: “{line}” has {rest!r}; only Chinese characters can be spoken.")
    if missing := {"complaint", "answers", "issue", "road", "surnames", "plates"} - {n for n, v in lists.items() if v}:
        raise TextError(f"{where}: the lists {sorted(missing)} are missing or empty.")
    return Phrases(lists, tuple(issues))


class Caller:
    """Says what callers say: complaints and answers, drawn with `rng`."""

    def __init__(self, phrases: Phrases, divisions: Sequence[Division], rng: random.Random) -> None:
        self._lists = phrases.lists
        self._divisions = divisions
        self._rng = rng

    def complaint(self) -> str:
        return self._fill("{complaint}")

    def answer(self) -> str:
        return self._fill("{answers}")

    def _fill(self, line: str) -> str:
        while _SLOT.search(line):
            line = _SLOT.sub(lambda match: self._said(match[1]), line)
        return line

    def _said(self, name: str) -> str:
        return MADE[name](self) if name in MADE else self._one(self._lists[name])

    def _one(self, of: Sequence[str]) -> str:
        return self._rng.choice(of)

    def _number(self, low: int, high: int) -> str:
        return count_in_words(str(self._rng.randint(low, high)))

    def _figures(self, count: int) -> str:
        figures = "".join(self._rng.choice("0123456789") for _ in range(count))
        return digits_in_words(figures, telephone=self._rng.random() < 0.75)

    def place(self) -> str:
        """A place as people say it: with or without district, street and what it is."""
        division = self._rng.choice(self._divisions)
        name, street = division.community, said_street(division.street, self._rng)
        district = division.district if self._rng.random() < 0.6 else division.district.removesuffix("区")
        end = self._one(self._lists["estate_ends"])
        return self._one(
            [
                f"{district}{street}{name}社区",
                f"{street}{name}{end}",
                f"{name}社区",
                f"{name}小区",
                f"{name}村",
                f"{district}{name}{end}",
                street,
                f"{district}{street}",
                district,
                f"{name}{end}",
                f"北京市{district}{street}",
            ]
        )

    def building(self) -> str:
        number = self._number
        return self._one(
            [
                f"{number(1, 60)}号楼",
                f"{number(1, 40)}栋{number(1, 6)}单元",
                f"{number(1, 40)}号楼{number(1, 6)}单元{self._figures(3)}",
                f"{number(1, 40)}号楼{self._figures(self._rng.choice((3, 4)))}",
                f"{number(1, 99)}号院",
                f"{number(1, 99)}号院{number(1, 20)}号楼",
                f"{number(1, 6)}单元{self._figures(3)}室",
                f"{self._figures(3)}室",
                f"{number(1, 30)}层",
                f"甲{number(1, 30)}号",
            ]
        )

    def phone(self) -> str:
        if self._rng.random() < 0.7:
            figures = "1" + self._rng.choice("3456789") + "".join(self._rng.choice("0123456789") for _ in range(9))
        else:
            figures = self._rng.choice("68") + "".join(self._rng.choice("0123456789") for _ in range(7))
        return digits_in_words(figures, telephone=self._rng.random() < 0.85)

    def figures(self) -> str:
        return self._figures(self._rng.randint(3, 10))

    def count(self) -> str:
        return self._number(1, self._rng.choice((9, 20, 99, 999)))

    def few(self) -> str:
        return self._one(_FEW)

    def money(self) -> str:
        amount = self._rng.choice((self._rng.randint(1, 99), self._rng.randint(1, 99) * 100, self._rng.randint(1, 99)))
        end = self._one(["块钱", "块", "元", "多块钱", "来块钱", "块钱左右"])
        return self._one([count_in_words(str(amount)) + end, self._number(1, 60) + self._one(["万", "万块", "万多"])])

    def year(self) -> str:
        year = str(self._rng.randint(1985, 2029))
        return digits_in_words(year if self._rng.random() < 0.6 else year[2:])

    def date(self) -> str:
        day = self._number(1, 31)
        return self._one([f"{self._number(1, 12)}月{day}号", f"{day}号", f"{self._number(1, 12)}月份"])

    def clock(self) -> str:
        hour = self._number(1, 12).replace("二", "两") if self._rng.random() < 0.5 else self._number(3, 12)
        hour = "十二" if hour == "十两" else hour
        return hour + self._one(
            ["点", "点半", "点多", "点多钟", "点一刻", f"点{self._number(11, 59)}", "点钟", "点左右"]
        )

    def surname(self) -> str:
        return self._one(self._lists["surnames"])

    def name(self) -> str:
        return self.surname() + self._one(self._lists["given"])

    def plate(self) -> str:
        letters = "CDEGIJKNOPTBU"
        figures = "".join(self._rng.choice("0123456789") for _ in range(self._rng.choice((4, 5))))
        first = "京" if self._rng.random() < 0.8 else self._one(self._lists["plates"])
        return spoken_form(first + self._rng.choice(letters)) + digits_in_words(figures, telephone=True)


# Slots that are made, not listed.
MADE: dict[str, Callable[[Caller], str]] = {
    "place": Caller.place,
    "building": Caller.building,
    "phone": Caller.phone,
    "figures": Caller.figures,
    "count": Caller.count,
    "few": Caller.few,
    "money": Caller.money,
    "year": Caller.year,
    "date": Caller.date,
    "clock": Caller.clock,
    "surname": Caller.surname,
    "name": Caller.name,
    "plate": Caller.plate,
}


@dataclass(frozen=True, slots=True)
class Excluded:
    """Sentences that must stay unknown: equal ones and those with `_OVERLAP` characters in a row in common."""

    sentences: Iterable[str]
    _whole: set[str] = field(default_factory=set, init=False)
    _parts: set[str] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        for sentence in self.sentences:
            han = "".join(_HAN.findall(spoken_form(sentence)))
            self._whole.update({han, *clauses(sentence)})
            self._parts.update(han[at : at + _OVERLAP] for at in range(len(han) - _OVERLAP + 1))

    def __contains__(self, clause: object) -> bool:
        """A short answer (是的) that somebody gave too is common property: only longer clauses count as equal."""
        if not isinstance(clause, str):
            return False
        if len(clause) >= SHORTEST and clause in self._whole:
            return True
        return any(clause[at : at + _OVERLAP] in self._parts for at in range(len(clause) - _OVERLAP + 1))


def clauses(text: str) -> list[str]:
    """What is said between the marks: Chinese characters only, figures as words."""
    return _HAN.findall(spoken_form(text))


def simplified(text: str) -> bool:
    """Whether all characters are of the simplified set (GB 2312)."""
    try:
        text.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


def read_divisions(path: Path) -> list[Division]:
    """Communities without their offices' names. Raises TextError, OSError."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    found = []
    for number, row in enumerate(rows, 2):
        values = [row.get(name) or "" for name in ("community", "street", "district")]
        if not all(values):
            raise TextError(f"{path}:{number}: community, street and district are needed. Mend the line.")
        found.append(Division(_OFFICE.sub("", values[0]) or values[0], values[1], values[2]))
    if not found:
        raise TextError(f"{path}: no communities. A table with the columns community, street, district is needed.")
    return [division for division in found if all(map(_HAN.fullmatch, (division.community, division.street)))]


def read_sentences(path: Path) -> Iterator[str]:
    """Column `text`, `transcript` or `sentence` of a TSV. Raises TextError, OSError."""
    with path.open(encoding="utf-8") as file:
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        column = next((name for name in ("text", "transcript", "sentence") if name in (reader.fieldnames or ())), None)
        if column is None:
            raise TextError(f"{path}: none of the columns text, transcript, sentence. Is it the right file?")
        for row in reader:
            yield row[column] or ""


def said_street(street: str, rng: random.Random) -> str:
    """望京街道 is 望京 or 望京街道; a 地区 is a 镇 or a 乡 in speech."""
    bare = _STREET.sub("", street) or street
    if street.endswith("地区"):
        return rng.choice([bare, bare + "镇", bare + "地区", bare + "乡"])
    return rng.choice([bare, street, street])


def place_names(divisions: Sequence[Division]) -> list[str]:
    """Every district, street and community, with and without what it is."""
    names: dict[str, None] = {}
    for division in divisions:
        bare = _STREET.sub("", division.street)
        for name in (
            *(division.district, division.district.removesuffix("区"), division.street, bare),
            *(division.community, division.community + "社区", bare + division.community),
        ):
            if len(name) > 1:
                names[name] = None
    return list(names)


def _everyday(path: Path | None) -> Iterator[str]:
    if path is None:
        return
    if path.suffix == ".json":
        rows = json.loads(path.read_text(encoding="utf-8"))
        texts: Iterable[str] = (row["chinese"] for row in rows)
    else:
        texts = read_sentences(path)
    for text in texts:
        if simplified("".join(_HAN.findall(text))) and not re.search("[A-Za-z]", text):
            yield from clauses(text)


def _distinct(lines: Iterable[str], excluded: Excluded) -> list[str]:
    return [line for line in dict.fromkeys(lines) if len(line) > 1 and line not in excluded]


def _in_threes(rng: random.Random, lines: Sequence[str], excluded: Excluded) -> list[str]:
    """Short answers and names, joined until they are long enough to be spoken."""
    joined, line = [], ""
    for part in rng.sample(list(lines), len(lines)):
        line += part
        if len(line) >= SHORTEST + 2:
            joined.append(line)
            line = ""
    return [line for line in joined if line not in excluded]


def _sample(rng: random.Random, lines: Sequence[str], count: int) -> list[str]:
    fit = [line for line in lines if SHORTEST <= len(line) <= LONGEST]
    return rng.sample(fit, min(count, len(fit)))
