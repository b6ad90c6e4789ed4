"""Pure: how easily the recogniser takes one syllable for another, learned from its own mistakes.

`confusions.tsv` counts them: what was said, what was heard in its place, initials and finals apart, so that a few
hundred sentences say something of syllables that were never in them. `hotline vocabulary learn` makes it anew for
another model. A cost is in nats above hearing it rightly: 0 for the same syllable, about 1 for what is often mixed up.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from speech.errors import SpeechError
from speech.syllables import is_syllable, plain_syllable, split_syllable, syllable_inventory

BROKEN = "speech-confusions-broken"
# What accents and telephones mix up; a little of it is believed before anything is counted.
_KNOWN = (
    *(("z", "zh"), ("c", "ch"), ("s", "sh"), ("n", "l"), ("f", "h"), ("l", "r"), ("j", "zh"), ("q", "ch"), ("x", "sh")),
    *(("b", "p"), ("d", "t"), ("g", "k"), ("j", "q"), ("z", "c"), ("zh", "ch"), ("", "r"), ("m", "n")),
    *(("in", "ing"), ("en", "eng"), ("an", "ang"), ("ian", "iang"), ("uan", "uang"), ("uen", "ong")),
    *(("ian", "van"), ("i", "v"), ("o", "uo"), ("e", "uo"), ("ou", "uo"), ("ei", "uei"), ("ie", "ve")),
)
_PRIOR_WEIGHT = 8.0  # so many imagined hearings stand behind the prior
_PRIOR_RIGHT = 0.85
_PRIOR_KNOWN = 0.1
_DEAREST = 5.0  # of an initial or a final
# Of one that accents mix up: the callers' accents are more than those of the voices that the counts come from.
_DEAREST_KNOWN = 2.2
BARRIER = -1  # what is no syllable: digits, letters, marks
BARRIER_COST = 99.0

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Confusions:
    """Counts of (said, heard). An absent syllable is '' in `syllables`: lost when heard is '', made up when said is."""

    initials: Counter[Pair] = field(default_factory=Counter)
    finals: Counter[Pair] = field(default_factory=Counter)
    lost: int = 0
    made_up: int = 0
    said: int = 0

    def lines(self) -> list[str]:
        """As confusions.tsv has it."""
        rows = ["kind\tsaid\theard\tcount"]
        rows += [f"syllables\t\t\t{self.said}", f"lost\t\t\t{self.lost}", f"made_up\t\t\t{self.made_up}"]
        for kind, counts in (("initial", self.initials), ("final", self.finals)):
            rows += [f"{kind}\t{said}\t{heard}\t{count}" for (said, heard), count in sorted(counts.items())]
        return rows


def read_confusions(lines: Iterable[str]) -> Confusions:
    """Raises SpeechError `speech-confusions-broken` with the line."""
    found = Confusions()
    totals: Counter[str] = Counter()
    for number, line in enumerate(lines, 1):
        if number == 1 or not line.strip():
            continue
        parts = line.rstrip("\r\n").split("\t")
        if len(parts) != 4 or not parts[3].isdecimal():
            raise SpeechError(BROKEN, f"confusions.tsv line {number}: kind, said, heard and a count, with tabs between")
        kind, said, heard, count = parts[0], parts[1], parts[2], int(parts[3])
        if kind == "initial":
            found.initials[said, heard] += count
        elif kind == "final":
            found.finals[said, heard] += count
        elif kind in ("syllables", "lost", "made_up"):
            totals[kind] += count
        else:
            raise SpeechError(BROKEN, f"confusions.tsv line {number}: {kind!r} is no kind")
    return Confusions(found.initials, found.finals, totals["lost"], totals["made_up"], totals["syllables"])


@lru_cache(maxsize=1)
def shipped_confusions() -> Confusions:
    """Those of the bundled model."""
    return read_confusions((resources.files("speech") / "confusions.tsv").read_text("utf-8").splitlines())


def load_confusions(path: Path) -> Confusions:
    try:
        return read_confusions(path.read_text("utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise SpeechError(BROKEN, f"{path}: {error}") from error


class SoundCosts:
    """The costs of a table, ready to be looked up by number: `costs[said, heard]`."""

    def __init__(self, confusions: Confusions | None = None) -> None:
        """None: the bundled model's."""
        confusions = shipped_confusions() if confusions is None else confusions
        names = syllable_inventory()
        self._ids = {name: number for number, name in enumerate(names)}
        split = [_parts(name) for name in names]
        initials = _part_costs(confusions.initials, [initial for initial, _ in split])
        finals = _part_costs(confusions.finals, [final for _, final in split])
        self.costs = np.zeros((len(names), len(names) + 1), np.float32)
        self.costs[:, :-1] = initials + finals
        self.costs[:, -1] = BARRIER_COST  # BARRIER is the last column
        said = max(1, confusions.said) + 40
        self.lost = _absence_cost((confusions.lost + 1) / said)
        self.made_up = _absence_cost((confusions.made_up + 1) / said)

    def number_of(self, syllable: str) -> int:
        """BARRIER for what is no syllable."""
        return self._ids.get(syllable, BARRIER)


def _part_costs(counts: Counter[Pair], parts: Sequence[str]) -> NDArray[np.float32]:
    """A square of costs, syllable by syllable, of their initials (or finals)."""
    names = sorted(set(parts))
    at = {name: number for number, name in enumerate(names)}
    known = _known_pairs()
    table = np.zeros((len(names), len(names)), np.float64)
    for said in names:
        prior = {
            heard: _PRIOR_RIGHT if heard == said else _PRIOR_KNOWN if (said, heard) in known else 0.001
            for heard in names
        }
        total = sum(prior.values())
        for heard, weight in prior.items():
            table[at[said], at[heard]] = counts[said, heard] + _PRIOR_WEIGHT * weight / total
    right = np.maximum(table.diagonal(), 0.5 * table.max(axis=1))[:, None]
    costs = np.clip(np.log(right / table), 0.0, _DEAREST)
    for said, heard in known:
        if said in at and heard in at:
            costs[at[said], at[heard]] = min(costs[at[said], at[heard]], _DEAREST_KNOWN)
    np.fill_diagonal(costs, 0.0)
    index = np.array([at[part] for part in parts])
    return np.asarray(costs[np.ix_(index, index)], np.float32)


def _absence_cost(share: float) -> float:
    return min(6.0, max(2.0, -math.log(share)))


def learn(pairs: Iterable[tuple[str, str]]) -> Confusions:
    """What was said beside what was heard, as texts: their syllables aligned, the mistakes counted.

    Only around mistakes: where the recogniser knows the words it hears them well, and a name that it never learned
    is heard as it hears in trouble.
    """
    initials: Counter[Pair] = Counter()
    finals: Counter[Pair] = Counter()
    lost = made_up = total = 0
    for reference, heard in pairs:
        aligned = align(_syllables(reference), _syllables(heard))
        wrong = [said != got for said, got in aligned]
        for at, (said, got) in enumerate(aligned):
            if not any(wrong[max(0, at - 1) : at + 2]):
                continue
            total += bool(said)
            if not got:
                lost += 1
            elif not said:
                made_up += 1
            else:
                (initial, final), (heard_initial, heard_final) = _parts(said), _parts(got)
                # Nothing in common is no confusion: other words were heard there.
                if initial == heard_initial or final == heard_final or (initial, heard_initial) in _known_pairs():
                    initials[initial, heard_initial] += 1
                    finals[final, heard_final] += 1
    return Confusions(initials, finals, lost, made_up, total)


def _parts(syllable: str) -> Pair:
    """Initial and final; the vowel of zi and zhi is one: it follows from the initial."""
    initial, final = split_syllable(syllable)
    return initial, "ii" if final == "iii" else final


def _syllables(text: str) -> list[str]:
    return [s for char in text if (s := plain_syllable(char)) and is_syllable(s)]


@lru_cache(maxsize=1)
def _known_pairs() -> frozenset[Pair]:
    return frozenset(pair for a, b in _KNOWN for pair in ((a, b), (b, a)))


def align(said: Sequence[str], heard: Sequence[str]) -> list[Pair]:
    """The cheapest alignment, syllables that share a part preferred; '' where one has nothing."""
    rows, columns = len(said), len(heard)
    cost = np.zeros((rows + 1, columns + 1))
    cost[:, 0] = np.arange(rows + 1)
    cost[0, :] = np.arange(columns + 1)
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            cost[i, j] = min(
                cost[i - 1, j - 1] + _difference(said[i - 1], heard[j - 1]), cost[i - 1, j] + 1, cost[i, j - 1] + 1
            )
    pairs: list[Pair] = []
    i, j = rows, columns
    while i or j:
        if i and j and math.isclose(cost[i, j], cost[i - 1, j - 1] + _difference(said[i - 1], heard[j - 1])):
            i, j = i - 1, j - 1
            pairs.append((said[i], heard[j]))
        elif i and math.isclose(cost[i, j], cost[i - 1, j] + 1):
            i -= 1
            pairs.append((said[i], ""))
        else:
            j -= 1
            pairs.append(("", heard[j]))
    return pairs[::-1]


@lru_cache(maxsize=65536)
def _difference(said: str, heard: str) -> float:
    if said == heard:
        return 0.0
    (initial, final), (heard_initial, heard_final) = _parts(said), _parts(heard)
    known = _known_pairs()
    first = 0.0 if initial == heard_initial else 0.25 if (initial, heard_initial) in known else 0.55
    second = 0.0 if final == heard_final else 0.25 if (final, heard_final) in known else 0.55
    return first + second
