"""menu.toml read into a Menu. Nothing stops at the first fault: whatever can be read is read, the rest is reported."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from cases.schema import Asks, Ended
from ivr.menu_states import (
    Answer,
    Condition,
    Endpointing,
    Group,
    Hearing,
    HumanRoute,
    Limits,
    Menu,
    MenuKind,
    MenuState,
    Text,
    Value,
)
from ivr.texts import MENU_FILE, NAME_PATTERN, Problem, TomlSource

KEYS = frozenset("0123456789*#")
RANGES: dict[str, tuple[float, float]] = {
    "questions": (0, 5),
    "silences": (1, 5),
    "misunderstandings": (1, 5),
    "times": (1, 10),
    "max_digits": (0, 32),
    "end_silence_seconds": (0.2, 5),
    "no_input_seconds": (1, 30),
    "max_seconds": (1, 600),
    "shortest_seconds": (0.2, 5),
    "longest_seconds": (0.2, 10),
    "story_seconds": (0, 20),
    "more_times": (0, 2),
    "more_silence_seconds": (0.5, 10),
}
WHOLE = frozenset({"questions", "silences", "misunderstandings", "times", "max_digits", "more_times"})
ENDS = {"completed": Ended.COMPLETED, "human": Ended.HUMAN, "emergency": Ended.EMERGENCY}
TOP = frozenset(
    {"first", "terminator", "limits", "human", "emergency", "threat", "failure", "hearing", "endpointing", "states"}
)
SAY_SETTINGS = frozenset({"say", "next", "when", "times", "after"})
ASK_SETTINGS = SAY_SETTINGS | {
    "asks",
    "question",
    "answers",
    "silent_say",
    "unclear_say",
    "unheard_say",
    "restrict",
    "barge_in",
    "max_digits",
    "end_silence_seconds",
    "no_input_seconds",
    "max_seconds",
}
END_SETTINGS = frozenset({"say", "end"})

At = tuple[str, ...]
E = TypeVar("E", bound=StrEnum)


class MenuReader:
    """Reads one menu.toml; `problems` fills as it goes."""

    def __init__(self, prompts_dir: Path, texts: dict[str, Text]) -> None:
        self.source = TomlSource(prompts_dir / MENU_FILE)
        self.texts = texts

    @property
    def problems(self) -> list[Problem]:
        return self.source.problems

    def read(self) -> Menu | None:
        """The menu as far as it can be read (None: the file is no TOML at all); usable only without errors."""
        if not self.source.parsed:
            return None
        data = self.source.data
        self._known((), data, TOP)
        terminator = self._word((), data, "terminator", "#")
        if terminator not in ("#", "*"):
            self._problem(("terminator",), "bad-value", "the key that ends a digit string is # or *")
            terminator = "#"
        states = {name: self._state(name, entry) for name, entry in self._table((), data, "states").items()}
        if not states:
            self._problem(("states",), "bad-value", "there is no state: write [states.NAME]")
        return Menu(
            first=self._word((), data, "first", ""),
            states=states,
            texts=self.texts,
            limits=self._limits(data),
            human=self._human(data),
            emergency_next=self._route(data, "emergency"),
            failure_next=self._route(data, "failure"),
            threat_next=self._route(data, "threat", optional=True) or None,
            hearing=self._hearing(data),
            endpointing=self._endpointing(data),
            terminator=terminator,
            digest=self._digest(),
        )

    # -- sections

    def _limits(self, data: dict[str, Any]) -> Limits:
        at, entry = ("limits",), self._table((), data, "limits")
        names = [field.name for field in fields(Limits)]
        self._known(at, entry, frozenset(names))
        default = Limits()
        return Limits(**{name: int(self._number(at, entry, name, getattr(default, name))) for name in names})

    def _human(self, data: dict[str, Any]) -> HumanRoute:
        at, entry = ("human",), self._table((), data, "human")
        self._known(at, entry, frozenset({"keys", "phrases", "watch", "next"}))
        keys = self._keys(at, entry)
        if not keys:
            self._problem(at, "no-human", 'no key reaches a human: write keys = ["0"]')
        return HumanRoute(
            keys, self._words(at, entry, "phrases"), self._words(at, entry, "watch"), self._word(at, entry, "next", "")
        )

    def _route(self, data: dict[str, Any], name: str, *, optional: bool = False) -> str:
        entry = self._table((), data, name)
        self._known((name,), entry, frozenset({"next"}))
        if optional and "next" not in entry:
            return ""
        return self._word((name,), entry, "next", "")

    def _hearing(self, data: dict[str, Any]) -> Hearing:
        at, entry = ("hearing",), self._table((), data, "hearing")
        self._known(at, entry, frozenset({"fillers", "openers", "go_on"}))
        go_on = self._word(at, entry, "go_on", "")
        if go_on and go_on not in self.texts:
            self._problem((*at, "go_on"), "missing-text", f"texts.toml has no text {go_on}")
        return Hearing(self._words(at, entry, "fillers"), self._words(at, entry, "openers"), go_on)

    def _endpointing(self, data: dict[str, Any]) -> Endpointing:
        at, entry = ("endpointing",), self._table((), data, "endpointing")
        self._known(at, entry, frozenset(field.name for field in fields(Endpointing)))
        default = Endpointing()
        more = self._word(at, entry, "more", "")
        if more and more not in self.texts:
            self._problem((*at, "more"), "missing-text", f"texts.toml has no text {more}")
            more = ""
        shortest = self._number(at, entry, "shortest_seconds", default.shortest_seconds)
        longest = self._number(at, entry, "longest_seconds", default.longest_seconds)
        if longest < shortest:
            self._problem((*at, "longest_seconds"), "bad-limit", "longest_seconds is shorter than shortest_seconds")
        return Endpointing(
            self._flag(at, entry, "adaptive", default.adaptive),
            shortest,
            longest,
            self._number(at, entry, "story_seconds", default.story_seconds),
            more,
            int(self._number(at, entry, "more_times", default.more_times)),
            self._number(at, entry, "more_silence_seconds", default.more_silence_seconds),
            self._words(at, entry, "finished"),
            self._words(at, entry, "unfinished"),
            self._words(at, entry, "no_more"),
        )

    # -- states

    def _state(self, name: str, entry: object) -> MenuState:
        at = ("states", name)
        if not NAME_PATTERN.fullmatch(name):
            self._problem(at, "bad-name", "a state's name is small letters, digits and _")
        if not isinstance(entry, dict):
            self._problem(at, "bad-value", "a state is a table: [states.NAME]")
            return MenuState(name, MenuKind.SAY)
        if "end" in entry:
            return self._end_state(name, at, entry)
        if "asks" not in entry:
            self._known(at, entry, SAY_SETTINGS)
            return MenuState(name, MenuKind.SAY, **self._common(at, entry))
        self._known(at, entry, ASK_SETTINGS)
        return self._ask_state(name, at, entry)

    def _end_state(self, name: str, at: At, entry: dict[str, Any]) -> MenuState:
        self._known(at, entry, END_SETTINGS)
        end = self._word(at, entry, "end", "human")
        if end not in ENDS:
            self._problem((*at, "end"), "bad-value", f"end is one of {', '.join(ENDS)}, not {end}")
        return MenuState(name, MenuKind.END, say=self._say(at, entry, "say"), end=ENDS.get(end, Ended.HUMAN))

    def _common(self, at: At, entry: dict[str, Any]) -> dict[str, Any]:
        return {
            "say": self._say(at, entry, "say"),
            "next": self._word(at, entry, "next", "") or None,
            "when": tuple(
                found
                for word in self._words(at, entry, "when")
                if (found := self._member((*at, "when"), word, Condition, "unknown-condition")) is not None
            ),
            "times": int(self._number(at, entry, "times", 1)) if "times" in entry else None,
            "after": self._word(at, entry, "after", "") or None,
        }

    def _ask_state(self, name: str, at: At, entry: dict[str, Any]) -> MenuState:
        asks = self._member((*at, "asks"), self._word(at, entry, "asks", ""), Asks, "unknown-asks")
        if asks is Asks.NOTHING:
            self._problem((*at, "asks"), "unknown-asks", "a state that asks nothing just says: leave asks out")
        default = MenuState(name, MenuKind.ASK)
        return MenuState(
            name,
            MenuKind.ASK,
            **self._common(at, entry),
            asks=asks or Asks.NARRATION,
            question=self._flag(at, entry, "question", False),
            answers=self._answers(at, entry),
            silent_say=self._say(at, entry, "silent_say"),
            unclear_say=self._say(at, entry, "unclear_say"),
            unheard_say=self._say(at, entry, "unheard_say"),
            restrict=self._flag(at, entry, "restrict", False),
            barge_in=self._flag(at, entry, "barge_in", True),
            max_digits=int(self._number(at, entry, "max_digits", 0)),
            end_silence_seconds=self._number(at, entry, "end_silence_seconds", default.end_silence_seconds),
            no_input_seconds=self._number(at, entry, "no_input_seconds", default.no_input_seconds),
            max_seconds=self._number(at, entry, "max_seconds", default.max_seconds),
        )

    def _answers(self, at: At, entry: dict[str, Any]) -> tuple[Answer, ...]:
        found = entry.get("answers", [])
        at = (*at, "answers")
        if not isinstance(found, list) or not all(isinstance(answer, dict) for answer in found):
            self._problem(at, "bad-value", "answers are tables: [[states.NAME.answers]]")
            return ()
        answers = []
        for answer in found:
            self._known(at, answer, frozenset({"name", "keys", "phrases", "next"}))
            name = self._word(at, answer, "name", "")
            answers.append(
                Answer(
                    name,
                    self._keys(at, answer),
                    self._words(at, answer, "phrases"),
                    self._word(at, answer, "next", "") or None,
                )
            )
            if not answers[-1].keys and not answers[-1].phrases:
                self._problem(at, "bad-value", f"the answer {name} can be neither pressed nor said")
        return tuple(answers)

    def _say(self, at: At, entry: dict[str, Any], key: str) -> tuple[Group, ...]:
        at, items = (*at, key), entry.get(key, [])
        if not isinstance(items, list):
            self._problem(at, "bad-value", f'{key} is a list of text names: {key} = ["opening"]')
            return ()
        groups = []
        for item in items:
            group = item if isinstance(item, list) else [item]
            if all(isinstance(part, str) for part in group):
                groups.append(tuple(part for part in group if self._sayable(at, part)))
            else:
                self._problem(at, "bad-value", f"{item!r} is neither a text's name, a {{value}}, nor a group of them")
        return tuple(groups)

    def _sayable(self, at: At, part: str) -> bool:
        if part.startswith("{") and part.endswith("}"):
            return self._member(at, part[1:-1], Value, "unknown-value") is not None
        if part not in self.texts:
            self._problem(at, "missing-text", f"texts.toml has no text {part}")
            return False
        return True

    # -- values

    def _problem(self, at: At, code: str, message: str) -> None:
        self.source.problem(at, code, message)

    def _known(self, at: At, entry: dict[str, Any], known: frozenset[str]) -> None:
        for key in entry.keys() - known:
            self._problem((*at, key), "unknown-setting", f"{key} is no setting here; known: {', '.join(sorted(known))}")

    def _table(self, at: At, entry: dict[str, Any], key: str) -> dict[str, Any]:
        value = entry.get(key, {})
        if isinstance(value, dict):
            return value
        self._problem((*at, key), "bad-value", f"{key} is a table: [{key}]")
        return {}

    def _word(self, at: At, entry: dict[str, Any], key: str, default: str) -> str:
        value = entry.get(key, default)
        if isinstance(value, str):
            return value
        self._problem((*at, key), "bad-value", f"{key} is a word in quotes, not {value!r}")
        return default

    def _words(self, at: At, entry: dict[str, Any], key: str) -> tuple[str, ...]:
        value = entry.get(key, [])
        if isinstance(value, list) and all(isinstance(word, str) and word.strip() for word in value):
            return tuple(value)
        self._problem((*at, key), "bad-value", f"{key} is a list of words in quotes, none empty")
        return ()

    def _keys(self, at: At, entry: dict[str, Any]) -> frozenset[str]:
        words = self._words(at, entry, "keys")
        for word in words:
            if word not in KEYS:
                self._problem((*at, "keys"), "bad-value", f"{word} is no key of a telephone: 0-9 * #")
        if len(set(words)) < len(words):
            self._problem((*at, "keys"), "duplicate-key", "the same key stands here twice")
        return frozenset(words) & KEYS

    def _flag(self, at: At, entry: dict[str, Any], key: str, default: bool) -> bool:
        value = entry.get(key, default)
        if isinstance(value, bool):
            return value
        self._problem((*at, key), "bad-value", f"{key} is true or false, not {value!r}")
        return default

    def _number(self, at: At, entry: dict[str, Any], key: str, default: float) -> float:
        value, (low, high) = entry.get(key, default), RANGES[key]
        kind = int if key in WHOLE else int | float
        if isinstance(value, kind) and not isinstance(value, bool) and low <= value <= high:
            return value
        what = "whole number" if key in WHOLE else "number"
        self._problem((*at, key), "bad-limit", f"{key} is a {what} from {low} to {high}, not {value!r}")
        return default

    def _member(self, at: At, word: str, kind: type[E], code: str) -> E | None:
        try:
            return kind(word)
        except ValueError:
            self._problem(at, code, f"{word or 'nothing'} is not known; known: {', '.join(kind)}")
            return None

    def _digest(self) -> str:
        spoken = "".join(f"{t.name}\0{t.zh}\0{t.spoken}\0{t.speed}\n" for t in self.texts.values())
        return hashlib.sha256(("\n".join(self.source.lines) + spoken).encode()).hexdigest()[:12]
