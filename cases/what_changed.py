"""What two revisions of one draft say differently: word by word in each turn, and field by field. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from itertools import accumulate, pairwise, zip_longest
from typing import Any

from pydantic import AwareDatetime

from cases.fields import FIELD_PATHS, understood
from cases.schema import Asks, ComplaintDraft, Turn, Wire

# Characters of the old times those of the new where they differ, in all turns of a draft (a tenth of a second): what
# goes beyond is shown as replaced whole.
MAX_CELLS = 400_000
_NO_TURN = Turn(step="", asks=Asks.NOTHING)


class PieceKind(StrEnum):
    SAME = "same"
    OLD = "old"
    NEW = "new"


class Piece(Wire):
    kind: PieceKind
    text: str


class TurnChange(Wire):
    """One turn whose words differ. `same` and `old` pieces make up the older text, `same` and `new` the newer one.

    `late`: nothing was changed, the words only came later than the draft.
    """

    turn: int
    pieces: tuple[Piece, ...]
    late: bool = False


class FieldChange(Wire):
    """A field that the two revisions understand differently. `kept`: an operator's own value stands above both."""

    path: str
    older: Any = None
    newer: Any = None
    kept: bool = False


class Rehearing(Wire):
    """Another revision of a draft beside the one that is shown: the one before it, or a newer one that is offered.

    `at`: when the newer one came, or when the older one was replaced.
    """

    revision: int
    at: AwareDatetime
    turns: tuple[TurnChange, ...] = ()
    fields: tuple[FieldChange, ...] = ()


def what_changed(
    older: ComplaintDraft, newer: ComplaintDraft, edits: Mapping[str, Any]
) -> tuple[tuple[TurnChange, ...], tuple[FieldChange, ...]]:
    """Turns are compared by their place in the call."""
    turns, cells_left = [], MAX_CELLS
    for index, (old, new) in enumerate(zip_longest(older.turns, newer.turns, fillvalue=_NO_TURN)):
        if old.text == new.text:
            continue
        cells = _cells(old.text, new.text)
        turns.append(TurnChange(turn=index, pieces=_pieces(old, new, compare=cells <= cells_left), late=old.pending))
        cells_left -= cells if cells <= cells_left else 0
    return tuple(turns), tuple(_fields(older, newer, edits))


def _fields(older: ComplaintDraft, newer: ComplaintDraft, edits: Mapping[str, Any]) -> Iterable[FieldChange]:
    for path in FIELD_PATHS:
        old, new = (understood(draft, path).model_dump(mode="json")["value"] for draft in (older, newer))
        if old != new:
            yield FieldChange(path=path, older=old, newer=new, kept=path in edits)


def _pieces(old: Turn, new: Turn, *, compare: bool) -> tuple[Piece, ...]:
    if not compare:
        found = [(old.text, new.text)]
    else:
        found = list(_segments(old.text, _word_ends(old), new.text, _word_ends(new)))
    pieces = []
    for before, after in found:
        if before == after:
            pieces.append(Piece(kind=PieceKind.SAME, text=before))
            continue
        pieces += [Piece(kind=PieceKind.OLD, text=before)] if before else []
        pieces += [Piece(kind=PieceKind.NEW, text=after)] if after else []
    return tuple(pieces)


def _word_ends(turn: Turn) -> frozenset[int]:
    """Where the text may be cut: between words, or anywhere if there are none."""
    if not turn.words:
        return frozenset(range(len(turn.text) + 1))
    return frozenset((0, *accumulate(len(word.text) for word in turn.words)))


@lru_cache(maxsize=64)
def _segments(old: str, old_ends: frozenset[int], new: str, new_ends: frozenset[int]) -> tuple[tuple[str, str], ...]:
    """(old, new) parts, equal and differing ones by turns, each of whole words of both texts."""
    cuts = [(i, j) for i, j in _alignment(old, new) if i in old_ends and j in new_ends]
    parts: list[tuple[str, str]] = []
    for (i, j), (next_i, next_j) in pairwise(cuts):
        before, after = old[i:next_i], new[j:next_j]
        last = parts[-1] if parts else None
        if last is not None and (last[0] == last[1]) == (before == after):
            parts[-1] = (last[0] + before, last[1] + after)
        else:
            parts.append((before, after))
    return tuple(parts)


def _common(old: str, new: str) -> tuple[int, int]:
    """How many characters at the beginning and at the end are the same."""
    shorter = min(len(old), len(new))
    head = next((i for i in range(shorter) if old[i] != new[i]), shorter)
    tail = next((i for i in range(shorter - head) if old[-1 - i] != new[-1 - i]), shorter - head)
    return head, tail


def _cells(old: str, new: str) -> int:
    head, tail = _common(old, new)
    return (len(old) - head - tail) * (len(new) - head - tail)


def _alignment(old: str, new: str) -> list[tuple[int, int]]:
    """The cheapest way from one text to the other (Levenshtein), as places reached: (0, 0) … (len(old), len(new))."""
    head, tail = _common(old, new)
    middle = _cheapest(old[head : len(old) - tail], new[head : len(new) - tail])
    before = [(i, i) for i in range(head)]
    return [
        *before,
        *((head + i, head + j) for i, j in middle),
        *((len(old) - i, len(new) - i) for i in range(tail - 1, -1, -1)),
    ]


def _cheapest(old: str, new: str) -> list[tuple[int, int]]:
    costs = [list(range(len(new) + 1))]
    for i, char in enumerate(old):
        above, row = costs[-1], [i + 1]
        for j, other in enumerate(new):
            row.append(min(above[j] + (char != other), above[j + 1] + 1, row[j] + 1))
        costs.append(row)
    i, j = len(old), len(new)
    path = [(i, j)]
    while i or j:
        if i and j and costs[i][j] == costs[i - 1][j - 1] + (old[i - 1] != new[j - 1]):
            i, j = i - 1, j - 1
        elif i and costs[i][j] == costs[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
        path.append((i, j))
    return path[::-1]
