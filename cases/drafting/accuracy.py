"""How right drafts are, field by field, against labelled messages; and how right those are that are shown as sure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from zoneinfo import ZoneInfo

from cases.drafting.draft import draft
from cases.drafting.homophones import with_homophones
from cases.drafting.labelled import FIELDS, NO_ALERTS, Labelled
from cases.schema import Asks, CallTranscript, ComplaintDraft, Turn, Urgency, draft_id_of

RECEIVED_AT = datetime(
    2026, 11, 25, 10, 0, tzinfo=ZoneInfo("Asia/Shanghai")
)  # a Wednesday; times are told by their words
BINS = 10
MOST_MISSES = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What a draft says of one field, "" for nothing, and how sure it is."""

    value: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Miss:
    line: int
    field: str
    text: str
    expected: tuple[str, ...]
    got: str
    confidence: float


@dataclass(slots=True)
class FieldAccuracy:
    """`sure`: shown as sure, that is filled and at least as sure as the desk's threshold."""

    judged: int = 0
    right: int = 0
    filled: int = 0
    sure: int = 0
    sure_right: int = 0
    confusions: Counter[tuple[str, str]] = field(default_factory=Counter)  # (right, drafted), only where they differ
    bins: list[list[float]] = field(
        default_factory=lambda: [[0, 0.0, 0] for _ in range(BINS)]
    )  # filled: n, Σ conf, right

    def calibration_error(self) -> float | None:
        """The mean distance between how sure a filled field was and how often it was right; None when none was filled."""
        total = sum(n for n, _, _ in self.bins)
        return sum(abs(confidence - right) for _, confidence, right in self.bins) / total if total else None


@dataclass(slots=True)
class Accuracy:
    """false_places: messages in which a district or street was drafted that is none of the right ones."""

    messages: int = 0
    untouched: int = 0  # every judged field is right
    place_judged: int = 0
    false_places: int = 0
    fields: dict[str, FieldAccuracy] = field(default_factory=lambda: {name: FieldAccuracy() for name in FIELDS})
    misses: list[Miss] = field(default_factory=list)


def draft_of_text(text: str) -> ComplaintDraft:
    """The draft of a caller who says one thing and hangs up."""
    turn = Turn(step="message", asks=Asks.NARRATION, text=text)
    return draft(
        CallTranscript(call_id="message", draft_id=draft_id_of("message"), received_at=RECEIVED_AT, turns=(turn,))
    )


def answers_of(made: ComplaintDraft) -> dict[str, Answer]:
    place, category, occurred = made.place.value, made.category.value, made.occurred.value
    kinds = "+".join(sorted(str(alert.kind) for alert in made.alerts)) or NO_ALERTS
    return {
        "appeal_type": Answer(str(made.appeal_type.value or ""), made.appeal_type.confidence),
        "level1": Answer(category.level1 if category else "", made.category.confidence),
        "district": Answer((place.district if place else None) or "", made.place.confidence),
        "street": Answer((place.street if place else None) or "", made.place.confidence),
        # empty reads as routine, and is shown as empty
        "urgency": Answer(str(made.urgency.value or Urgency.ROUTINE), made.urgency.confidence),
        "alerts": Answer(kinds, min((alert.confidence for alert in made.alerts), default=0.0)),
        "occurred": Answer(occurred.said if occurred else "", made.occurred.confidence),
    }


def noisy(messages: Sequence[Labelled], rate: float, seed: int) -> Iterator[tuple[Labelled, str]]:
    """Every message and its text as a recogniser might write it. The same seed and message give the same text."""
    for one in messages:
        yield one, with_homophones(one.text, rate, Random(f"{seed}/{one.line}/{one.text}")) if rate else one.text


def accuracy(
    messages: Sequence[Labelled],
    *,
    sure_from: float,
    homophone_noise: float = 0.0,
    seed: int = 1,
    draft_text: Callable[[str], ComplaintDraft] = draft_of_text,
    told: Callable[[int], None] = lambda done: None,
) -> Accuracy:
    """Drafts every message and compares. `told` hears how many are done."""
    result = Accuracy()
    for one, text in noisy(messages, homophone_noise, seed):
        _judge(result, one, text, answers_of(draft_text(text)), sure_from)
        told(result.messages)
    return result


def _judge(result: Accuracy, one: Labelled, text: str, answers: dict[str, Answer], sure_from: float) -> None:
    result.messages += 1
    wrong: set[str] = set()
    for name in one.labels:
        answer, tally = answers[name], result.fields[name]
        right = one.is_right(name, answer.value)
        tally.judged += 1
        tally.right += right
        if answer.value and answer.confidence:
            tally.filled += 1
            cell = tally.bins[min(BINS - 1, int(answer.confidence * BINS))]
            cell[0] += 1
            cell[1] += answer.confidence
            cell[2] += right
            if answer.confidence >= sure_from:
                tally.sure += 1
                tally.sure_right += right
        if not right:
            wrong.add(name)
            tally.confusions[" | ".join(one.labels[name]), answer.value] += 1
            if len(result.misses) < MOST_MISSES:
                result.misses.append(Miss(one.line, name, text, one.labels[name], answer.value, answer.confidence))
    result.untouched += not wrong
    places = [name for name in ("district", "street") if name in one.labels]
    if places:
        result.place_judged += 1
        result.false_places += any(name in wrong and answers[name].value for name in places)
