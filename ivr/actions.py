"""What the dialog asks the edges to do. Pure data: `dialog` makes them, `session` carries them out.

A `Piece` is one thing to say: a recorded text of prompts/ by name, or free text rendered by the voice at run time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cases.schema import AlertKind, Asks, Ended


@dataclass(frozen=True, slots=True)
class Piece:
    """`name` names a recorded text (wav in prompts/<language>/); else `text` is spoken by the run-time voice."""

    text: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Say:
    """Say something and go on; the caller cannot stop it unless `interruptible`."""

    step: str
    pieces: tuple[Piece, ...]
    interruptible: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """One listening turn: say the pieces while listening, then go on listening by these limits.

    phrases: restrict the recogniser to these answers (grammar); empty: the full model.
    answers: phrases that answer the question by themselves: who says one is not waited for as long.
    watch: phrases that end the turn as soon as a partial transcript holds one twice running.
    keys: digits acted on at once (end the turn when pressed first); terminator: ends a digit string.
    max_digits: digits collected before the turn ends by itself (0: only `keys` count).
    no_input_seconds: from the prompt's end (or stop) to giving up when nothing was said or pressed.
    end_silence_seconds: trailing silence that ends the turn, of a caller not yet known. max_seconds: the longest speech.
    """

    step: str
    asks: Asks
    pieces: tuple[Piece, ...]
    phrases: tuple[str, ...] = ()
    watch: tuple[str, ...] = ()
    keys: frozenset[str] = field(default_factory=frozenset)
    terminator: str = "#"
    max_digits: int = 0
    no_input_seconds: float = 6.0
    end_silence_seconds: float = 1.5
    max_seconds: float = 60.0
    barge_in: bool = True
    answers: tuple[str, ...] = ()

    @property
    def prompt_text(self) -> str:
        return "".join(piece.text for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Alarm:
    """Tell the humans during the call."""

    kind: AlertKind
    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The machine's part ends: hang up after goodbye, or leave the caller to the human queue."""

    ended: Ended
    step: str


Action = Say | Ask | Alarm | Finish
