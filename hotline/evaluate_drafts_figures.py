"""Pure: the figures of `hotline evaluate drafts` as JSON, which the terminal and the page show."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from cases.drafting.accuracy import Accuracy, Answer, accuracy, answers_of, draft_of_text
from cases.drafting.labelled import FIELDS, Labelled
from cases.schema import ComplaintDraft

# Who does what where: with these right a work order goes to the right desk.
THE_FOUR = ("appeal_type", "level1", "district", "street")
_Z = 1.96  # 95 in 100


@dataclass(frozen=True, slots=True)
class Drafted:
    """One message as it was read, its draft's answers, and the judged fields that are wrong."""

    message: Labelled
    text: str
    answers: dict[str, Answer]
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Draw:
    """One pass over the messages."""

    accuracy: Accuracy
    drafted: tuple[Drafted, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """The messages in one form: as written, with imitated mistakes (a draw for each seed), or as heard."""

    name: str
    draws: tuple[Draw, ...]
    character_error_rate: float | None = None


def as_heard(messages: Sequence[Labelled], heard: dict[int, str]) -> list[Labelled]:
    """Those of which something was heard (or nothing, and that is known), with the words heard as their text."""
    return [replace(one, text=heard[one.line]) for one in messages if one.line in heard]


def drawn(
    messages: Sequence[Labelled],
    *,
    sure_from: float,
    homophone_noise: float = 0.0,
    seed: int = 1,
    told: Callable[[int], None] = lambda done: None,
    draft_text: Callable[[str], ComplaintDraft] = draft_of_text,
) -> Draw:
    seen: list[tuple[str, dict[str, Answer]]] = []

    def noted(text: str) -> ComplaintDraft:
        made = draft_text(text)
        seen.append((text, answers_of(made)))
        return made

    found = accuracy(
        messages, sure_from=sure_from, homophone_noise=homophone_noise, seed=seed, draft_text=noted, told=told
    )
    rows = []
    for message, (text, answers) in zip(messages, seen, strict=True):
        wrong = tuple(name for name in message.labels if not message.is_right(name, answers[name].value))
        rows.append(Drafted(message, text, answers, wrong))
    return Draw(found, tuple(rows))


def figures_of(
    name: str,
    messages: Sequence[Labelled],
    readings: Sequence[Reading],
    problems: Sequence[str],
    plan: dict[str, Any],
) -> dict[str, Any]:
    return {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "plan": {"file": name, **plan},
        "messages": len(messages),
        "problems": list(problems),
        "notes": notes_on(messages),
        "fields": [field for field in FIELDS if any(field in one.labels for one in messages)],
        "baseline": {field: _baseline(messages, field) for field in FIELDS},
        "readings": [_reading(reading) for reading in readings],
        "worst": [_row(one, reading.name) for reading in readings for one in _worst(reading)],
        "drafted": [
            _row(one, reading.name) for reading in readings for draw in reading.draws for one in draw.drafted
        ],
    }  # fmt: skip


def notes_on(messages: Sequence[Labelled]) -> list[str]:
    """What the labels cannot show: a field that is never judged, one with a single answer."""
    notes = []
    for field in FIELDS:
        answers = [one.labels[field] for one in messages if field in one.labels]
        if answers and len(set(answers)) == 1 and len(answers) > 1:
            said = " | ".join(answers[0]) or "none"
            notes.append(
                f"{field}: all {len(answers)} messages have the one answer {said!r}; who always says so is right, so this "
                "shows nothing: add messages with another answer"
            )
    unlabelled = sum(not one.labels for one in messages)
    if unlabelled:
        notes.append(f"messages without labels, drafted but not judged: {unlabelled}")
    return notes


def wilson(right: float, judged: int) -> tuple[float, float]:
    """Wilson's score interval of a share, 95 in 100. (0, 1) for nothing judged."""
    if not judged:
        return 0.0, 1.0
    share = right / judged
    middle = share + _Z * _Z / (2 * judged)
    width = _Z * math.sqrt(share * (1 - share) / judged + _Z * _Z / (4 * judged * judged))
    below = 1 + _Z * _Z / judged
    return max(0.0, (middle - width) / below), min(1.0, (middle + width) / below)


def _share(parts: Sequence[tuple[int, int]]) -> dict[str, Any] | None:
    """The mean of (right, judged) over draws, with the interval for one draw's number of messages."""
    judged = sum(count for _, count in parts)
    if not judged:
        return None
    right = sum(count for count, _ in parts)
    low, high = wilson(right / len(parts), round(judged / len(parts)))
    each = [count / of for count, of in parts if of]
    return {
        "share": right / judged, "low": low, "high": high, "right": right, "judged": judged,
        "least": min(each), "most": max(each),
    }  # fmt: skip


def _reading(reading: Reading) -> dict[str, Any]:
    draws = [draw.accuracy for draw in reading.draws]
    rows = [draw.drafted for draw in reading.draws]
    return {
        "name": reading.name,
        "draws": len(draws),
        "messages": draws[0].messages,
        "character_error_rate": reading.character_error_rate,
        "untouched": _share([_count(part, _untouched) for part in rows]),
        "the_four": _share([_count(part, _the_four) for part in rows]),
        "false_places": _share([(draw.false_places, draw.place_judged) for draw in draws]),
        "places_out_of_nothing": _share([_count(part, _place_out_of_nothing) for part in rows]),
        "fields": {field: _field(draws, field) for field in FIELDS if any(d.fields[field].judged for d in draws)},
        "matrices": {field: _matrix(rows, field) for field in ("appeal_type", "level1", "urgency", "alerts")},
    }


def _count(rows: Sequence[Drafted], judge: Callable[[Drafted], bool | None]) -> tuple[int, int]:
    judged = [verdict for one in rows if (verdict := judge(one)) is not None]
    return sum(judged), len(judged)


def _untouched(one: Drafted) -> bool | None:
    return not one.wrong if one.message.labels else None


def _the_four(one: Drafted) -> bool | None:
    if not all(name in one.message.labels for name in THE_FOUR):
        return None
    return not any(name in one.wrong for name in THE_FOUR)


def _place_out_of_nothing(one: Drafted) -> bool | None:
    """Of messages that name no place: was one drafted?"""
    labels = one.message.labels
    places = [name for name in ("district", "street") if name in labels]
    if not places or any(labels[name] != ("",) for name in places):
        return None
    return any(one.answers[name].value for name in places)


def _field(draws: Sequence[Accuracy], field: str) -> dict[str, Any]:
    tallies = [draw.fields[field] for draw in draws]
    errors = [error for tally in tallies if (error := tally.calibration_error()) is not None]
    confusions: Counter[tuple[str, str]] = Counter()
    for tally in tallies:
        confusions.update(tally.confusions)
    bins = [[sum(tally.bins[at][part] for tally in tallies) for part in range(3)] for at in range(len(tallies[0].bins))]
    return {
        "right": _share([(tally.right, tally.judged) for tally in tallies]),
        "filled": _share([(tally.filled, tally.judged) for tally in tallies]),
        "sure": _share([(tally.sure, tally.judged) for tally in tallies]),
        "right_when_sure": _share([(tally.sure_right, tally.sure) for tally in tallies]),
        "calibration_error": sum(errors) / len(errors) if errors else None,
        "bins": [
            {"fields": n, "confidence": confidence / n, "right": right / n} if n else None
            for n, confidence, right in bins
        ],
        "confusions": [
            {"right": right, "drafted": got, "count": count} for (right, got), count in confusions.most_common(30)
        ],
    }


def _matrix(rows: Sequence[Sequence[Drafted]], field: str) -> dict[str, Any] | None:
    """Right answer ↓ drafted →; of several right answers the one that was drafted, else the first."""
    counts: Counter[tuple[str, str]] = Counter()
    for one in (one for part in rows for one in part if field in one.message.labels):
        got = one.answers[field].value
        allowed = one.message.labels[field]
        counts[got if got in allowed else allowed[0], got] += 1
    if not counts:
        return None
    right = [name for name, _ in Counter({r: sum(c for (x, _), c in counts.items() if x == r) for r, _ in counts}).most_common()]  # fmt: skip
    names = [*right, *dict.fromkeys(got for _, got in counts if got not in right)]
    return {"rows": right, "columns": names, "counts": [[counts[row, column] for column in names] for row in right]}


def _baseline(messages: Sequence[Labelled], field: str) -> dict[str, Any] | None:
    """The most frequent answer, and the share right of who always gives it."""
    allowed = [one.labels[field] for one in messages if field in one.labels]
    answers = Counter(answer for one in allowed for answer in one)
    if not answers:
        return None
    answer, count = answers.most_common(1)[0]
    return {"answer": answer, "share": count / len(allowed)}


def _worst(reading: Reading) -> list[Drafted]:
    """Of the first draw, those with the most fields wrong; of equals what was wrong and sure of itself first."""
    wrong = [one for one in reading.draws[0].drafted if one.wrong]
    return sorted(wrong, key=lambda one: (-len(one.wrong), -_boldness(one), one.message.line))


def _boldness(one: Drafted) -> float:
    return max((one.answers[name].confidence for name in one.wrong if one.answers[name].value), default=0.0)


def _row(one: Drafted, reading: str) -> dict[str, Any]:
    return {
        "reading": reading,
        "line": one.message.line,
        "text": one.text,
        "labels": {name: list(allowed) for name, allowed in one.message.labels.items()},
        "drafted": {name: asdict(answer) for name, answer in one.answers.items()},
        "wrong": list(one.wrong),
    }
