"""Pure: the figures of `hotline evaluate speech` as JSON, which the terminal and the page show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from speech.evaluate.alignment_text import alignment_lines
from speech.evaluate.conditions import Condition
from speech.evaluate.figures import ClipHeard, calibration, confusions, difference, rates, worst
from speech.evaluate.manifest import Clip, Problem

# A page with thousands of alignments helps nobody; the JSON has every clip.
MOST_WORST = 40


@dataclass(frozen=True, slots=True)
class Plan:
    manifest: Path
    clips: Sequence[Clip]
    conditions: Sequence[Condition]
    models: list[str]
    seed: int
    longest_seconds: float
    lists: bool = True


@dataclass(slots=True)
class Measured:
    heard: list[ClipHeard] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)


def figures_of(plan: Plan, measured: Measured, problems: Sequence[Problem]) -> dict[str, Any]:
    """`measured.heard` is not empty."""
    heard = measured.heard
    models = list(dict.fromkeys(one.model for one in heard))
    conditions = [c.name for c in plan.conditions]
    groups = {
        (model, condition): [one for one in heard if (one.model, one.condition) == (model, condition)]
        for model in models
        for condition in conditions
    }
    groups = {key: group for key, group in groups.items() if group}
    return {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "plan": {
            "manifest": plan.manifest.name,
            "seed": plan.seed,
            "longest_seconds": plan.longest_seconds,
            "lists": plan.lists,
        },
        "models": models,
        "conditions": [{"name": c.name, "channel": asdict(c.channel)} for c in plan.conditions],
        "clips": len({one.clip.line for one in heard}),
        "problems": [asdict(problem) for problem in problems],
        "notes": [asdict(note) for note in measured.notes],
        "totals": [_row(group, plan.seed, model=m, condition=c) for (m, c), group in groups.items()],
        "by_source": _by(groups, plan.seed, "source"),
        "by_speaker": _by(groups, plan.seed, "speaker"),
        "differences": _differences(groups, models, plan.seed),
        "calibration": [_calibration(group, m, c) for (m, c), group in groups.items()],
        "confusions": {
            model: [
                {"said": said, "heard": got, "kind": kind.value, "count": count}
                for said, got, kind, count in confusions([one for one in heard if one.model == model])
            ]
            for model in models
        },
        "worst": [_clip(one, aligned=True) for one in worst(heard, MOST_WORST)],
        "heard": [_clip(one) for one in heard],
    }


def _row(group: Sequence[ClipHeard], seed: int, **names: str) -> dict[str, Any]:
    return names | asdict(rates(group, seed))


def _by(groups: dict[tuple[str, str], list[ClipHeard]], seed: int, column: str) -> list[dict[str, Any]]:
    """Nothing when there is only one of them: the totals say it."""
    names = list(dict.fromkeys(getattr(one.clip, column) for group in groups.values() for one in group))
    if len(names) < 2:
        return []
    found = []
    for name in names:
        for (model, condition), group in groups.items():
            own = [one for one in group if getattr(one.clip, column) == name]
            if own:
                found.append(_row(own, seed, **{column: name, "model": model, "condition": condition}))
    return found


def _differences(
    groups: dict[tuple[str, str], list[ClipHeard]], models: Sequence[str], seed: int
) -> list[dict[str, Any]]:
    """Every other model against the first, on the same clips."""
    found = []
    for (model, condition), group in groups.items():
        against = groups.get((models[0], condition), [])
        if model != models[0] and against:
            gap, interval = difference(group, against, seed)
            found.append(
                {
                    "model": model,
                    "against": models[0],
                    "condition": condition,
                    "character_error_rate": gap,
                    "interval": asdict(interval) if interval else None,
                }
            )
    return found


def _calibration(group: Sequence[ClipHeard], model: str, condition: str) -> dict[str, Any]:
    found = calibration(group)
    return {"model": model, "condition": condition, **(asdict(found) if found else {"words": 0})}


def _clip(one: ClipHeard, *, aligned: bool = False) -> dict[str, Any]:
    comparison = one.comparison
    clip = {
        **asdict(one.clip),
        "model": one.model,
        "condition": one.condition,
        "heard": one.heard,
        "said_compared": comparison.said,
        "heard_compared": comparison.heard,
        "errors": comparison.errors,
        "substituted": comparison.substituted,
        "inserted": comparison.inserted,
        "deleted": comparison.deleted,
        "syllable_errors": comparison.syllable_errors,
        "character_error_rate": round(comparison.error_rate, 4),
        "turns": one.turns,
        "late": one.late,
        "audio_seconds": round(one.audio_seconds, 3),
        "cpu_seconds": round(one.cpu_seconds, 4),
    }
    if aligned:
        clip["alignment"] = alignment_lines(comparison.steps)
        clip["steps"] = [{"kind": step.kind.value, "said": step.said, "heard": step.heard} for step in comparison.steps]
    return clip


TRANSCRIPT_COLUMNS = ("path", "speaker", "source", "model", "condition", "transcript", "heard")


def transcripts_tsv(heard: Iterable[ClipHeard]) -> str:
    """What `hotline evaluate drafts --heard` reads."""
    lines = ["\t".join(TRANSCRIPT_COLUMNS)]
    for one in heard:
        clip = one.clip
        cells = (clip.path, clip.speaker, clip.source, one.model, one.condition, clip.transcript, one.heard)
        lines.append("\t".join(cells))
    return "\n".join(lines) + "\n"
