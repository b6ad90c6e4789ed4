"""What two revisions say differently: nothing lost, whole words, late words told from changed ones, bounded work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases import what_changed as module
from cases.lifecycle import DraftState, Status
from cases.revisions import Outcome, decide
from cases.schema import Asks, ComplaintDraft, Turn, Word, draft_id_of
from cases.what_changed import PieceKind, what_changed

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


def turn(words: str, *, pending: bool = False) -> Turn:
    texts = words.split()
    timed = tuple(Word(text=text, start_seconds=i, end_seconds=i + 1, confidence=0.9) for i, text in enumerate(texts))
    return Turn(
        step="opening", asks=Asks.NARRATION, text="".join(texts), words=timed, final=not pending, pending=pending
    )


def draft(*turns: Turn, **more: Any) -> ComplaintDraft:
    return ComplaintDraft(draft_id=draft_id_of("c"), call_id="c", received_at=NOW, turns=turns, **more)


def shown(older: str | Turn, newer: str | Turn) -> list[str]:
    """The pieces of one turn: -old +new same."""
    pair = [draft(one if isinstance(one, Turn) else turn(one)) for one in (older, newer)]
    (change,) = what_changed(*pair, {})[0]
    signs = {PieceKind.OLD: "-", PieceKind.NEW: "+", PieceKind.SAME: ""}
    return [signs[piece.kind] + piece.text for piece in change.pieces]


def test_words_are_replaced_whole() -> None:
    assert shown("我 住 上底 街道", "我 住 上地 街道") == ["我住", "-上底", "+上地", "街道"]
    assert shown("暖气 不 热", "暖气 一直 不 热") == ["暖气", "+一直", "不热"]
    assert shown("那个 暖气 不 热", "暖气 不 热") == ["-那个", "暖气不热"]


def test_words_cut_otherwise_are_no_change_but_widen_one() -> None:
    assert what_changed(draft(turn("上地 西里")), draft(turn("上地西里")), {}) == ((), ())
    assert shown("去 上 地 西里 呀", "去 上地西李 呀") == ["去", "-上地西里", "+上地西李", "呀"]


def test_late_words_are_not_a_change_of_anything() -> None:
    older, newer = draft(turn("", pending=True), turn("是 的")), draft(turn("暖气 不 热"), turn("是 的"))
    (change,) = what_changed(older, newer, {})[0]
    assert (change.turn, change.late) == (0, True)
    assert [(piece.kind, piece.text) for piece in change.pieces] == [(PieceKind.NEW, "暖气不热")]


def test_turns_that_only_one_has() -> None:
    changes, _ = what_changed(draft(turn("一"), turn("二")), draft(turn("一")), {})
    assert [(one.turn, one.pieces[0].kind) for one in changes] == [(1, PieceKind.OLD)]
    changes, _ = what_changed(draft(turn("一")), draft(turn("一"), turn("二")), {})
    assert [(one.turn, one.pieces[0].kind) for one in changes] == [(1, PieceKind.NEW)]


def test_fields_that_are_understood_otherwise() -> None:
    def with_subject(value: str) -> ComplaintDraft:
        evidence = ({"turn": 0, "start_char": 0, "end_char": 1},)
        return draft(turn("热"), subject={"value": value, "confidence": 0.9, "evidence": evidence})

    _, (change,) = what_changed(with_subject("不热"), with_subject("暖气不热"), {"subject": "冷"})
    assert (change.path, change.older, change.newer, change.kept) == ("subject", "不热", "暖气不热", True)
    assert what_changed(with_subject("不热"), with_subject("不热"), {}) == ((), ())


_WORDS = st.lists(st.text(alphabet="上地底西里 a𠮷", min_size=1, max_size=3).map(str.strip).filter(bool), max_size=12)
_TURNS = _WORDS.map(lambda words: turn(" ".join(words)))


@given(older=_TURNS, newer=_TURNS)
def test_the_pieces_make_up_both_texts_in_whole_words(older: Turn, newer: Turn) -> None:
    changes, _ = what_changed(draft(older), draft(newer), {})
    assert bool(changes) == (older.text != newer.text)
    for change in changes:
        for kinds, whole in (
            ({PieceKind.SAME, PieceKind.OLD}, older),
            ({PieceKind.SAME, PieceKind.NEW}, newer),
        ):
            assert "".join(piece.text for piece in change.pieces if piece.kind in kinds) == whole.text
            ends, at, cuts = {0}, 0, {0}
            for word in whole.words:
                at += len(word.text)
                ends.add(at)
            at = 0
            for piece in change.pieces:
                at += len(piece.text) if piece.kind in kinds else 0
                cuts.add(at)
            assert cuts <= ends
        kinds_in_order = [piece.kind for piece in change.pieces]
        assert all(one != other for one, other in pairwise(kinds_in_order))


def test_an_endless_draft_is_not_compared_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = []
    real = module._cheapest
    monkeypatch.setattr(module, "_cheapest", lambda a, b: cells.append(len(a) * len(b)) or real(a, b))
    module._segments.cache_clear()
    turns = [[turn(f"{side * 400}{n}") for n in range(50)] for side in "甲乙"]
    long = [[turn("x" + side * 300_000)] for side in "甲乙"]
    changes, _ = what_changed(draft(*turns[0], *long[0]), draft(*turns[1], *long[1]), {})
    assert len(changes) == 51
    assert 0 < sum(cells) <= module.MAX_CELLS
    assert len(changes[-1].pieces) == 2  # replaced whole


WAITING = DraftState(Status.WAITING, 1)
LATER = NOW + timedelta(seconds=5)


@pytest.mark.parametrize(
    ("state", "edits_count", "newest", "incoming", "outcome"),
    [
        (WAITING, 0, 0, 1, Outcome.REPLACED),
        (WAITING, 0, 0, 7, Outcome.REPLACED),
        (WAITING, 0, 0, 0, Outcome.REPEATED),
        (WAITING, 0, 3, 2, Outcome.REPEATED),
        (WAITING, 0, 3, 3, Outcome.REPEATED),
        (WAITING, 1, 0, 1, Outcome.OFFERED),  # somebody typed in it and gave it back
        (DraftState(Status.TAKEN, 2, taken_by=1), 0, 0, 1, Outcome.OFFERED),
        (DraftState(Status.CONFIRMED, 3), 0, 0, 1, Outcome.OFFERED),
        (DraftState(Status.REJECTED, 3), 0, 0, 1, Outcome.OFFERED),
        (DraftState(Status.WAITING, 3, undo_until=LATER), 0, 0, 1, Outcome.OFFERED),  # the return may be undone
        (DraftState(Status.WAITING, 3, undo_until=NOW - timedelta(seconds=1)), 0, 0, 1, Outcome.REPLACED),
    ],
)
def test_what_becomes_of_a_revision(
    state: DraftState, edits_count: int, newest: int, incoming: int, outcome: Outcome
) -> None:
    assert decide(state, edits_count, newest, incoming, NOW) is outcome
