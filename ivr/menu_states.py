"""The menu as the dialog walks it: frozen data, already checked. `menu_file` makes it, `dialog` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cases.schema import Asks, Ended


class Condition(StrEnum):
    """When a state is entered at all; a state whose conditions do not all hold is passed by to its `next`."""

    PLACE_MISSING = "place_missing"
    PLACE_DOUBTFUL = "place_doubtful"  # two readings of the place are near, and neither is sure
    CONTACT_MISSING = "contact_missing"
    NUMBER_KNOWN = "number_known"  # the line signalled the caller's number
    NUMBER_UNKNOWN = "number_unknown"
    ANYTHING_UNDERSTOOD = "anything_understood"  # a subject or a place to read back


class Value(StrEnum):
    """What a `{value}` in a `say` list stands for; filled when it is said."""

    SUBJECT = "subject"  # run-time voice
    PLACE = "place"  # run-time voice
    PLACE_FIRST = "place_first"  # run-time voice; the two readings of a doubtful place
    PLACE_SECOND = "place_second"
    REFERENCE = "reference"  # recorded digits
    TIME = "time"  # when the call came, recorded pieces
    EMERGENCY = "emergency"  # the recorded advice for the emergency that was heard


class MenuKind(StrEnum):
    ASK = "ask"  # listens
    SAY = "say"  # says and goes on
    END = "end"  # says and ends the machine's part


@dataclass(frozen=True, slots=True)
class Text:
    """One text of prompts/texts.toml. `spoken` is what the voice reads (一二三四五 said as 幺二三四五)."""

    name: str
    zh: str
    en: str
    spoken: str
    speed: float


Group = tuple[str, ...]
"""Text names and `{value}`s said together, or not at all when one of the values is empty."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer a state knows: by key, or by a phrase (compared by sound). `next` None: the state's own."""

    name: str
    keys: frozenset[str]
    phrases: tuple[str, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class MenuState:
    """One state. Times and keys mean what `ivr.actions.Ask` says of them.

    question: counts to `limits.questions`; passed by when they are used up.
    times/after: how often it may be entered; past it the dialog goes to `after` (what bounds a loop).
    silent_say/unclear_say: what is said instead of `say` when it has to ask again.
    unheard_say: instead of `say` in a call that is only recorded now and transcribed later.
    restrict: the recogniser listens for the answers' phrases only.
    """

    name: str
    kind: MenuKind
    say: tuple[Group, ...] = ()
    next: str | None = None
    asks: Asks = Asks.NOTHING
    when: tuple[Condition, ...] = ()
    question: bool = False
    times: int | None = None
    after: str | None = None
    answers: tuple[Answer, ...] = ()
    silent_say: tuple[Group, ...] = ()
    unclear_say: tuple[Group, ...] = ()
    unheard_say: tuple[Group, ...] = ()
    restrict: bool = False
    barge_in: bool = True
    max_digits: int = 0
    end_silence_seconds: float = 1.5
    no_input_seconds: float = 6.0
    max_seconds: float = 60.0
    end: Ended | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Counted over the whole call. Reaching `silences` or `misunderstandings` puts the caller through to a human."""

    questions: int = 3
    silences: int = 2
    misunderstandings: int = 2


@dataclass(frozen=True, slots=True)
class HumanRoute:
    """The way to a human that every listening state has. `watch`: phrases that cut a narration short."""

    keys: frozenset[str]
    phrases: tuple[str, ...]
    watch: tuple[str, ...]
    next: str


@dataclass(frozen=True, slots=True)
class Hearing:
    """Words that carry no content, and openings after which the caller waits to be asked on (我想反映一个问题).

    go_on: the text that asks the caller to go on.
    """

    fillers: tuple[str, ...] = ()
    openers: tuple[str, ...] = ()
    go_on: str = ""


@dataclass(frozen=True, slots=True)
class Endpointing:
    """When a caller counts as having finished (`speech.endpoint.Patience`); a state's end_silence_seconds is the base.

    story_seconds: who has told less of a narration than this has most likely only begun, and gets more time.
    more: the text that asks a narrating caller who may not have finished whether there is more, `more_times` a turn;
    the turn ends more_silence_seconds after it. Word lists as in `speech.end_words.EndWords`.
    """

    adaptive: bool = True
    shortest_seconds: float = 0.4
    longest_seconds: float = 3.5
    story_seconds: float = 2.5
    more: str = ""
    more_times: int = 1
    more_silence_seconds: float = 2.0
    finished: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    no_more: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Menu:
    """A checked menu. `digest` names its content (menu and texts), for the log."""

    first: str
    states: Mapping[str, MenuState]
    texts: Mapping[str, Text]
    limits: Limits
    human: HumanRoute
    emergency_next: str
    failure_next: str
    threat_next: str | None = None
    hearing: Hearing = field(default_factory=Hearing)
    endpointing: Endpointing = field(default_factory=Endpointing)
    terminator: str = "#"
    digest: str = ""
